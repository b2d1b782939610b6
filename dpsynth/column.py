"""What every column kind offers; those with cells: how many, which cell a value gets, what a cell is called, which values it stands for.

Cells come in this order: the kind's own, then "other" where there is one, then "missing" where there is one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import CellRule
from dpsynth.errors import SpecError
from dpsynth.readings import BLANKS

MISSING_LABEL = "(missing)"
DECLARED = "declared by the data owner"
PUBLIC, DISCOVERED = "public: ", "discovered"
MAX_SIZE = 1 << 16

Keys = Mapping[str, tuple[tuple[type, ...], bool]]
"""What a spec may say under a section: the types of each key, and whether it is needed."""


@dataclass(frozen=True)
class Decoded:
    """Values of one column: `values` of the column's own type, `absent` bool[rows] where the value is missing.

    form: "whole", "number", "boolean", "text", "ordered" (texts in the order of `categories`), "date" or "datetime".
    """

    values: NDArray[Any]
    absent: NDArray[np.bool_]
    form: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Column(ABC):
    """What is publicly known of one column.

    source: who says so: "public: ...", "discovered" (by the run, charged), or empty: declared by the data owner.
    """

    name: str
    source: str = ""

    kind: ClassVar[str]
    keys: ClassVar[Keys]

    @classmethod
    @abstractmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        """The column that a spec's own keys of this kind, checked for their types, and its shared ones declare. Raises SpecError."""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip(BLANKS) or not self.name.isprintable():
            raise SpecError(f"a column name must be printable text without blanks around it, got {self.name!r}")
        self.check()

    def refusal(self, reason: str) -> SpecError:
        """A SpecError that names this column."""
        return SpecError(f"column {self.name!r}: {reason}")

    @abstractmethod
    def check(self) -> None:
        """Raises SpecError where the facts contradict each other."""

    @abstractmethod
    def own_facts(self) -> dict[str, Any]:
        """The kind's own keys, as a spec would write them, without floats."""

    @property
    def size(self) -> int:
        """How many cells it has: 0 where it is not modelled."""
        return 0

    @property
    def discovers(self) -> bool:
        """Whether the run finds out some of the column's facts itself, with noise and charged."""
        return False

    @property
    def said_by(self) -> str:
        """Who says what is declared of it, in words."""
        return self.source or DECLARED

    @property
    def statement(self) -> str:
        """What a reader must know of a column of which nothing is asked, in words; empty for the others."""
        return ""

    @property
    def in_records(self) -> bool:
        """Whether the records have such a column."""
        return True

    def fresh(self, rows: int, rng: np.random.Generator) -> Decoded | None:
        """What the records hold of a column without cells; None: it is left out."""
        return None

    @property
    def largest(self) -> int:
        """The most cells it may have once what is left open was found."""
        return self.size

    def facts(self) -> dict[str, Any]:
        """Everything that is declared about the column, as a spec would write it: `column_from` reads it back."""
        return {"kind": self.kind, **self.own_facts(), "source": self.said_by}


@dataclass(frozen=True, kw_only=True)
class Modelled(Column):
    """A column with cells.

    missing: whether it has a cell for missing values. outside: where a value the schema does not list goes: "other", "missing", "clip" (to
    the nearest bound) or "first" (to the first cell); empty for the first of these that the column has.
    """

    missing: bool = False
    outside: str = ""

    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "clip")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outside not in ("", *self.allowed_outside):
            raise self.refusal(f"outside must be one of {list(self.allowed_outside)}, got {self.outside!r}")
        if self.outside == "missing" and not self.missing:
            raise self.refusal('outside = "missing" needs missing = true')
        if self.size < 2 and self.source != DISCOVERED:  # where nothing was found, there may be no second cell
            raise self.refusal("it has a domain of one cell, so there is nothing to learn: give it another value or leave it out")
        if self.size > MAX_SIZE:
            raise self.refusal(f"at most {MAX_SIZE} cells are possible, got {self.size}: use fewer bins or values")

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

    def exact(self, text: str) -> Decoded | None:
        """The one value that a listed text names, where its cell stands for several; None where the cell says it all."""
        return None

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
        return {
            "kind": self.kind,
            **self.own_facts(),
            "missing": self.missing,
            "outside": self.outside_rule,
            "source": self.said_by,
        }

    def absent(self, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """bool[rows]: which codes stand for a missing value."""
        return codes == self.missing_cell if self.missing else np.zeros(len(codes), dtype=bool)


def is_public(source: str) -> bool:
    """Whether a source names where something is published."""
    return source.startswith(PUBLIC) and bool(source[len(PUBLIC) :].strip())


def is_whole(value: object) -> bool:
    """Whether a declared value is a whole number; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)
