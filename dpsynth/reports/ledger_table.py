"""An account as a person reads it: what was spent on whom, for what, by whom, what is left, and who says so."""

import textwrap
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.privacy import plain
from dpsynth.reports.wording import plain_down, plural, shown

STATUS = {
    "PREPARE": "charged; no answer is recorded",
    "MEASURED": "charged and measured; no bundle is recorded",
    "RELEASED": "released",
    "ABORTED": "gave up; stays spent",
}
WHY_NOT_ADDED = (
    "Costs are added as rho and converted to epsilon once. Adding up epsilons would charge every release for its worst case at the same "
    "time, and its delta again: the noise of separate releases is independent, so their worst cases hardly ever meet."
)


@dataclass(frozen=True)
class LedgerRow:
    """One release: its cap (rho; the epsilon that it alone stands for), and the epsilon of all releases up to and with it.

    Both epsilons are at the policy's delta. status: the type of its last entry.
    """

    seq: int
    day: str
    release: str
    actor: str
    purpose: str
    rho: Fraction
    track: str
    alone_epsilon: Fraction
    cumulative_epsilon: Fraction
    status: str

    def facts(self) -> dict[str, Any]:
        """For machines; rationals as p/q."""
        return {key: canonical.rational_text(value) if isinstance(value, Fraction) else value for key, value in vars(self).items()}

    def texts(self) -> list[str]:
        """The row as it is printed."""
        numbers = (plain(self.rho), plain(self.alone_epsilon), plain(self.cumulative_epsilon))
        return [str(self.seq), self.day, self.release, self.actor, *numbers, STATUS[self.status], self.purpose]


@dataclass(frozen=True)
class PolicyRow:
    """A policy from its entry on: the total, as epsilon at delta and as the rho it stands for; who approved it; whom and what it covers.

    gaussian_rho: the rho while all answers are Gaussian. signers: who may sign heads.
    """

    seq: int
    day: str
    actor: str
    epsilon: Fraction
    delta: Fraction
    rho: Fraction
    gaussian_rho: Fraction
    approvers: tuple[str, ...]
    covers: str
    max_rows: int | None = None
    signers: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For machines; rationals as p/q."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return {key: canonical.rational_text(value) if isinstance(value, Fraction) else value for key, value in values.items()}

    def sentence(self) -> str:
        """The total in words."""
        rho = f"rho = {plain_down(self.rho)}, or {plain_down(self.gaussian_rho)} while all answers are Gaussian"
        return f"epsilon {plain(self.epsilon)} at delta {plain(self.delta)} ({rho})"

    def approved(self) -> str:
        """Who said so."""
        return f"approved by {', '.join(self.approvers) or 'nobody named'}; entry {self.seq}, {self.day}, by {self.actor}"


@dataclass(frozen=True)
class NoteRow:
    """Something a reader should know."""

    seq: int
    day: str
    actor: str
    text: str


@dataclass(frozen=True)
class LedgerTable:
    """An account: its policies (the last one stands), its releases and its notes.

    spent: epsilon of all releases together, at the policy's delta. left: the rho that a further release may cost, and the epsilon
    that it would have by itself. track: how the releases add up.
    """

    dataset: str
    unit: str
    head: str
    entries: int
    track: str
    policies: tuple[PolicyRow, ...]
    rows: tuple[LedgerRow, ...]
    notes: tuple[NoteRow, ...]
    rho: Fraction
    spent: Fraction
    left_rho: Fraction
    left_epsilon: Fraction

    @property
    def policy(self) -> PolicyRow:
        """The policy that stands."""
        return self.policies[-1]

    @property
    def naive(self) -> Fraction:
        """The sum of the epsilons of the releases by themselves."""
        return sum((row.alone_epsilon for row in self.rows), Fraction(0))

    def facts(self) -> dict[str, Any]:
        """For machines; rationals as p/q."""
        text, policy = canonical.rational_text, self.policy
        total = {"epsilon": text(policy.epsilon), "delta": text(policy.delta), "rho": text(policy.rho)}
        sums = {"spent_epsilon": text(self.spent), "spent_rho": text(self.rho), "sum_of_epsilons": text(self.naive)}
        left = {"left_rho": text(self.left_rho), "left_epsilon": text(self.left_epsilon)}
        what = {"dataset": self.dataset, "unit": self.unit, "covers": policy.covers, "track": self.track}
        return {
            **what,
            "approvers": list(policy.approvers),
            "head": self.head,
            "entries": self.entries,
            **total,
            **sums,
            **left,
            "policies": [row.facts() for row in self.policies],
            "releases": [row.facts() for row in self.rows],
            "notes": [dict(vars(row)) for row in self.notes],
        }

    def __str__(self) -> str:
        last = f"head:     {self.head} (entry {self.entries - 1})"
        return "\n".join(str(shown(line)) for line in [*self._heading(), "", *self._table(), *self._sums(), *self._notes(), last])

    def _heading(self) -> list[str]:
        policy = self.policy
        rows = "" if policy.max_rows is None else f", of which a release may use at most {plural(policy.max_rows, 'row')} each"
        earlier = [f"          before: {row.sentence()}; {row.approved()}" for row in reversed(self.policies[:-1])]
        return [
            f"dataset   {self.dataset}",
            f"protects  {self.unit}{rows}",
            f"covers    {policy.covers}",
            f"total     {policy.sentence()}",
            f"          {policy.approved()}",
            *earlier,
        ]

    def _table(self) -> list[str]:
        if not self.rows:
            return ["Nothing was released."]
        names = ["entry", "day", "release", "by", "rho", "epsilon alone", "epsilon so far", "status", "purpose"]
        table = [names, *(row.texts() for row in self.rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(names))]
        lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return [
            lines[0],
            "-" * len(lines[0]),
            *lines[1:],
            f"Epsilons are at the policy's delta, {plain(self.policy.delta)}; a release may claim its own at another.",
        ]

    def _sums(self) -> list[str]:
        delta = self.policy.delta
        lines = [
            "",
            f"spent:    epsilon {plain(self.spent)} of {plain(self.policy.epsilon)} at delta {plain(delta)} (rho = {plain(self.rho)})",
        ]
        if self.left_rho > 0:
            lines.append(f"left:     rho = {plain_down(self.left_rho)}: one more release of up to epsilon {plain_down(self.left_epsilon)}")
        else:
            lines.append("left:     nothing")
        if len(self.rows) > 1:
            added = (
                f"added up: epsilon {plain(self.naive)} at delta {plain(delta * len(self.rows))}, if each release were counted by itself."
            )
            lines += [added, *textwrap.wrap(WHY_NOT_ADDED, 120, initial_indent=" " * 10, subsequent_indent=" " * 10)]
        return lines

    def _notes(self) -> list[str]:
        return [f"note:     {row.text} (entry {row.seq}, {row.day}, by {row.actor})" for row in self.notes]
