"""An account as a table a person reads: what was spent, for what, by whom, and what is left."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.privacy import plain


@dataclass(frozen=True)
class LedgerRow:
    """One release: its cap as rho, the epsilon of all releases up to and with it, and how far it came."""

    seq: int
    day: str
    release: str
    actor: str
    purpose: str
    rho: Fraction
    cumulative_epsilon: Fraction
    status: str

    def texts(self) -> list[str]:
        """The row as it is printed."""
        numbers = (f"{float(self.rho):.6g}", plain(self.cumulative_epsilon))
        return [str(self.seq), self.day, self.release, self.actor, *numbers, self.status, self.purpose]


@dataclass(frozen=True)
class LedgerTable:
    """An account: its policy and its releases."""

    dataset: str
    unit: str
    epsilon: Fraction
    delta: Fraction
    approvers: tuple[str, ...]
    head: str
    rows: tuple[LedgerRow, ...]

    @property
    def spent(self) -> Fraction:
        """Epsilon of all releases together, at the policy's delta."""
        return self.rows[-1].cumulative_epsilon if self.rows else Fraction(0)

    def facts(self) -> dict[str, Any]:
        """For machines; rationals as p/q."""
        text = canonical.rational_text
        rows = [{**vars(row), "rho": text(row.rho), "cumulative_epsilon": text(row.cumulative_epsilon)} for row in self.rows]
        total = {"epsilon": text(self.epsilon), "delta": text(self.delta), "spent_epsilon": text(self.spent)}
        return {"dataset": self.dataset, "unit": self.unit, "approvers": list(self.approvers), "head": self.head, **total, "releases": rows}

    def __str__(self) -> str:
        head = [
            f"dataset {self.dataset}, unit: {self.unit}",
            f"approved: epsilon {plain(self.epsilon)} at delta {plain(self.delta)} by {', '.join(self.approvers) or 'nobody named'}",
            "",
        ]
        names = ["entry", "day", "release", "by", "rho", "epsilon so far", "status", "purpose"]
        table = [names, *(row.texts() for row in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(names))]
        lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in table]
        foot = [
            "",
            f"spent: epsilon {plain(self.spent)} of {plain(self.epsilon)} at delta {plain(self.delta)}: converted once, from all rho.",
            "That is tighter than adding up the epsilons the releases claim, each at a delta of its own.",
            f"head: {self.head}",
        ]
        return "\n".join([*head, *lines, *foot])
