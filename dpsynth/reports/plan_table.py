"""The plan of a release, as a table a person reads and as values a machine reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from textwrap import wrap
from typing import Any

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.privacy import Guarantee, PrivacyUnit, plain
from dpsynth.reports.wording import plain_down
from dpsynth.strategies.strategy import Plan, PlannedQuestion
from dpsynth.strategies.targets import three_digits_up
from dpsynth.wishes import Promise

BYTES_PER_CELL = 8
DRAWS_PER_SECOND = 60_000
"""OpenDP's exact sampler, on one core of an ordinary machine."""

FIT_BYTES, FIT_BYTES_PER_CELL_PAIR, RECORD_BYTES = 0.35e9, 100, 6
"""Peak memory with jointly denoised tables: by cells of all columns, squared, and by record and column. Measured with 10 to 100 columns."""

SHOWN = 40
LEAST_WIDTH = 80
"""Letters of a line of text, also where the table is narrower."""


@dataclass(frozen=True)
class Standing:
    """What the account says to this release; `refused` is empty where it admits it.

    left: what one more release could still ask for after it; epsilons of releases do not add up to the total, their rho does.
    """

    spent: Fraction = Fraction(0)
    total: Fraction = Fraction(0)
    after: Fraction | None = None
    refused: str = ""
    left: Fraction = Fraction(0)


@dataclass(frozen=True)
class PlanTable:
    """What would be asked, with which noise, at which cost, and what would remain.

    rows_about: a public guess of the number of rows; None where there is none, and then no relative error is shown: the number is private.
    least_epsilon: at which the targets could be met; None without targets.
    """

    name: str
    unit: PrivacyUnit
    guarantee: Guarantee
    plan: Plan
    standing: Standing
    rows_about: int | None = None
    least_epsilon: Fraction | None = None

    def __post_init__(self) -> None:
        if self.rows_about is not None and self.rows_about < 1:
            raise SpecError(f"rows_about must be at least 1, got {self.rows_about}")

    def facts(self) -> dict[str, Any]:
        """For machines: canonical values, rationals as p/q."""
        return {
            "name": self.name,
            "epsilon": canonical.rational_text(self.guarantee.epsilon),
            "delta": canonical.rational_text(self.guarantee.delta),
            "digest": self.plan.digest(),
            "largest_table_bytes": self._bytes(),
            "refused": self.standing.refused,
            "left_epsilon": canonical.rational_text(self.standing.left),
            "rows_about": self.rows_about,
            "targets": [promise.facts() for promise in self.plan.promises],
            "notes": list(self.plan.notes),
            "least_epsilon": None if self.least_epsilon is None else canonical.rational_text(self.least_epsilon),
            **self.plan.facts(),
        }

    def __str__(self) -> str:
        head = [
            f"{self.name}: strategy {self.plan.strategy}",
            f"claims    {self.guarantee.sentence()}",
            f"protects  {self.unit.sentence()}",
            "",
        ]
        table = self._table()
        notes = [*self.plan.notes, ""] if self.plan.notes else []
        width = max(LEAST_WIDTH, len(table[1]))
        return "\n".join([*head, *table, "", *_wrapped([*notes, *self._targets(), *self._foot()], width)])

    def _table(self) -> list[str]:
        relative = ["error of table", "denoised about"] if self.rows_about else []
        rows = [["question", "columns", "times", "cells", "sigma", "error of cell", *relative, "share of rho"]]
        questions = self.plan.questions
        named = {promise.target.columns for promise in self.plan.promises}
        shown = [*questions[:SHOWN], *(question for question in questions[SHOWN:] if question.columns in named)]
        rows += [self._row(question) for question in shown]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [_aligned(row, widths) for row in rows]
        more = [f"... and {len(questions) - len(shown)} more"] if len(questions) > len(shown) else []
        return [lines[0], "-" * len(lines[0]), *lines[1:], *more]

    def _row(self, question: PlannedQuestion) -> list[str]:
        noisy_table = question.mechanism == "discrete-gaussian"
        error = question.expected_error_rows()
        shares = (question.expected_share(self.rows_about), question.denoised_share(self.rows_about)) if self.rows_about else ()
        relative = [f"{share:.4f}" if noisy_table and share is not None else "" for share in shares]
        share = float(question.rho.value / self.plan.cap.value)
        return [
            question.what,
            ", ".join(question.columns) or "chosen by noisy answers",
            str(question.times),
            str(question.cells),
            f"{question.scale:.2f}",
            f"{error:.2f}" if noisy_table else "",
            *relative,
            f"{share:.1%}",
        ]

    def _targets(self) -> list[str]:
        if not self.plan.promises:
            return []
        noise = (
            f"Targets, for the noisy tables, as shares of {self.rows_about} rows "
            "(denoising lowers the error on average, which nobody can promise without the data):"
        )
        needs = [] if self.least_epsilon is None else [f"  the targets need epsilon {plain(self.least_epsilon)} at this delta"]
        return [noise, *(f"  {_met(promise)}" for promise in self.plan.promises), *needs, ""]

    def _bytes(self) -> int:
        return BYTES_PER_CELL * max((q.cells for q in self.plan.questions), default=0)

    def _foot(self) -> list[str]:
        kinds = "sigma is in rows; error of cell is the mean absolute noise, sqrt(2/pi) sigma"
        joint = (
            "; denoised about is what jointly denoised tables kept elsewhere, no promise"
            if any(q.joint for q in self.plan.questions)
            else ""
        )
        relative = f"; error of table is the noise alone, as a share of {self.rows_about} rows{joint}"
        errors = kinds + (relative if self.rows_about else "")
        seconds = 1 + self.plan.cells // DRAWS_PER_SECOND
        draws = f"at most {self.plan.cells} noise draws ({seconds} s of one core), largest table {self._bytes() / 1e6:.3g} MB"
        return [errors, draws, *self._memory(), *self._standing(), "No data was read and nothing was charged."]

    def _memory(self) -> list[str]:
        """For jointly denoised tables only: their fit holds matrices of all cells by all cells."""
        singles = [q.cells for q in self.plan.questions if q.mechanism == "discrete-gaussian" and len(q.columns) == 1]
        if not any(q.joint for q in self.plan.questions):
            return []
        records = RECORD_BYTES * len(singles) * (self.rows_about or 0)
        gigabytes = (FIT_BYTES + FIT_BYTES_PER_CELL_PAIR * sum(singles) ** 2 + records) / 1e9
        whose = f"with {self.rows_about} rows" if self.rows_about else "and 6 bytes for each value of the records"
        return [f"memory of the run about {gigabytes:.2g} GB {whose}"]

    def _standing(self) -> list[str]:
        if self.standing.refused:
            return [f"The ledger would refuse this release: {self.standing.refused}"]
        spent, total, after = (plain(value or Fraction(0)) for value in (self.standing.spent, self.standing.total, self.standing.after))
        more = (
            f"one more release of up to epsilon {plain_down(self.standing.left)} would remain"
            if self.standing.left
            else "nothing would remain"
        )
        return [f"The ledger admits it: {spent} of epsilon {total} is spent, {after} after this release; {more}."]


def _met(promise: Promise) -> str:
    """A target that the plan meets, with what its noise really keeps within, rounded up."""
    target = promise.target
    kept = float(three_digits_up(promise.within))
    return f"met: {' x '.join(target.columns)} within {kept:g} of {float(target.within):g} at {float(target.confidence * 100):g} %"


def _wrapped(lines: Sequence[str], width: int) -> list[str]:
    """Lines no longer than the width where blanks allow it; an indented line goes on below its own start, a little further in."""
    return [
        part
        for line in lines
        for part in (wrap(line, width, subsequent_indent=_further(line), break_long_words=False, break_on_hyphens=False) or [""])
    ]


def _further(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    return " " * (indent + 2) if indent else ""


def _aligned(row: list[str], widths: list[int]) -> str:
    """Texts to the left, numbers to the right."""
    cells = [text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))]
    return "  ".join(cells).rstrip()
