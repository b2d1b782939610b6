"""What every column kind offers: how many cells it has, which cell a value gets, what a cell is called, which values it stands for.

Cells come in this order: the kind's own, then "other" where there is one, then "missing" where there is one.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import BLANKS, CellRule
from dpsynth.errors import SpecError

MISSING_LABEL = "(missing)"
DECLARED = "declared by the data owner"
MAX_SIZE = 1 << 16


@dataclass(frozen=True)
class Decoded:
    """Values of one column: `values` of the column's own type, `absent` bool[rows] where the value is missing."""

    values: NDArray[Any]
    absent: NDArray[np.bool_]
    kind: str


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """What is publicly known of one column.

    missing: whether it has a cell for missing values. source: who says so ("public: ..." or empty: declared by the data owner).
    outside: where a value the schema does not list goes: "other", "missing", "clip" (to the nearest bound) or "first" (to the first
    cell); empty for the first of these that the column has.
    """

    name: str
    missing: bool = False
    outside: str = ""
    source: str = ""

    kind: ClassVar[str]
    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "clip")

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip(BLANKS) or not self.name.isprintable():
            raise SpecError(f"a column name must be printable text without blanks around it, got {self.name!r}")
        self.check()
        if self.outside not in ("", *self.allowed_outside):
            raise self.refusal(f"outside must be one of {list(self.allowed_outside)}, got {self.outside!r}")
        if self.outside == "missing" and not self.missing:
            raise self.refusal('outside = "missing" needs missing = true')
        if self.size < 2:
            raise self.refusal("it has a domain of one cell, so there is nothing to learn: give it another value or leave it out")
        if self.size > MAX_SIZE:
            raise self.refusal(f"at most {MAX_SIZE} cells are possible, got {self.size}: use fewer bins or values")

    def refusal(self, reason: str) -> SpecError:
        """A SpecError that names this column."""
        return SpecError(f"column {self.name!r}: {reason}")

    @abstractmethod
    def check(self) -> None:
        """Raises SpecError where the facts contradict each other."""

    @property
    @abstractmethod
    def own_cells(self) -> int:
        """Cells of listed values, without "other" and "missing"."""

    @property
    @abstractmethod
    def rule(self) -> CellRule:
        """Which cell a value gets."""

    @abstractmethod
    def own_labels(self) -> tuple[str, ...]:
        """What the column's own cells are called."""

    @abstractmethod
    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        """Values for cells; a cell of several values gives one of them, uniformly at random."""

    @abstractmethod
    def own_facts(self) -> dict[str, Any]:
        """The kind's own keys, as a spec would write them, without floats."""

    @property
    def has_other(self) -> bool:
        return False

    @property
    def size(self) -> int:
        return self.own_cells + self.has_other + self.missing

    @property
    def missing_cell(self) -> int | None:
        return self.size - 1 if self.missing else None

    @property
    def outside_rule(self) -> str:
        """Where values the schema does not list go: the declared place or the first one the column has."""
        if self.outside:
            return self.outside
        if "other" in self.allowed_outside and self.has_other:
            return "other"
        return "missing" if self.missing else self.allowed_outside[-1]

    @property
    def unreadable_cell(self) -> int:
        """The cell of missing and unreadable values where the column has none for them: the first."""
        return self.size - 1 if self.missing else 0

    def cell_labels(self) -> tuple[str, ...]:
        """What each cell is called in reports."""
        other = (self.other_label(),) if self.has_other else ()
        return (*self.own_labels(), *other, *((MISSING_LABEL,) if self.missing else ()))

    def other_label(self) -> str:
        return ""

    def facts(self) -> dict[str, Any]:
        """Everything that is declared about the column, as a spec would write it: `column_from` reads it back."""
        return {
            "kind": self.kind,
            **self.own_facts(),
            "missing": self.missing,
            "outside": self.outside_rule,
            "source": self.source or DECLARED,
        }

    def absent(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """bool[rows]: which codes stand for a missing value."""
        return codes == self.missing_cell if self.missing else np.zeros(len(codes), dtype=bool)


def is_whole(value: object) -> bool:
    """Whether a declared value is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)
