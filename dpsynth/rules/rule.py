"""What all rules have in common: they restrict which cells occur together, or they give a column's values by those of others."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import DECLARED, Column, Decoded, Modelled
from dpsynth.errors import SpecError
from dpsynth.rules.tables import Table, refuse_large

Keys = Mapping[str, tuple[tuple[type, ...], bool]]
"""Keys of a kind of rule: (types, whether the key is needed)."""


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A public fact about the values of a record.

    source: who says so ("public: ..." or empty: declared by the data owner).
    """

    source: str = ""

    kind: ClassVar[str]
    keys: ClassVar[Keys]

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns it is about, each once."""

    @abstractmethod
    def own_facts(self) -> dict[str, Any]:
        """The kind's own keys, as a spec would write them, in canonical values."""

    @abstractmethod
    def sentence(self) -> str:
        """The rule in words."""

    @abstractmethod
    def check(self, columns: Mapping[str, Column]) -> None:
        """Raises SpecError where the rule does not fit the columns."""

    def facts(self) -> dict[str, Any]:
        """Everything that is declared, as a spec would write it: `rule_from` reads it back."""
        return {"kind": self.kind, **self.own_facts(), "source": self.source or DECLARED}

    def restrictions(self) -> tuple["Restriction", ...]:
        """What it forbids."""
        return ()

    def derivations(self) -> tuple["Derivation", ...]:
        """The columns that follow from others by it."""
        return ()

    def refusal(self, reason: str) -> SpecError:
        """A SpecError that names this rule."""
        return SpecError(f"the rule {self.sentence()!r} {reason}")


class Restriction(Rule):
    """A rule that some combinations of cells break."""

    def restrictions(self) -> tuple["Restriction", ...]:
        return (self,)

    @abstractmethod
    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        """Which combinations of cells hold values that keep the rule, as tables that are needed together."""

    def what(self) -> str:
        """How messages call it."""
        return f"the rule {self.sentence()!r}"

    def check(self, columns: Mapping[str, Column]) -> None:
        modelled = {name: modelled_column(columns, name, self.what()) for name in self.columns}
        for name, column in modelled.items():
            if column.discovers:
                raise self.refusal(f"is about {name!r}, whose cells the run is to find: declare them, for a rule is about declared cells")
        refuse_large(self.columns[:2], {name: column.size for name, column in modelled.items()})
        self.tables(modelled)


class Derivation(Rule):
    """A rule by which a column's values follow from those of other columns: the column itself is not measured."""

    def derivations(self) -> tuple["Derivation", ...]:
        return (self,)

    @property
    @abstractmethod
    def derived(self) -> str:
        """The column that follows."""

    @property
    @abstractmethod
    def given(self) -> tuple[str, ...]:
        """The columns that it follows from."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.given, self.derived)

    def check_derived(self, column: Column) -> None:
        """Raises SpecError for a column that the run would have to measure."""
        if column.discovers:
            raise self.refusal(f"gives the values of {column.name!r}, which is not measured: the run cannot find its cells, declare them")

    @abstractmethod
    def cells(self, columns: Mapping[str, Modelled]) -> NDArray[np.int64] | None:
        """int64[cells of the column it follows from]: the derived column's cell; None where cells do not tell it."""

    @abstractmethod
    def values(self, columns: Mapping[str, Modelled], known: Mapping[str, "Drawn"]) -> "Drawn":
        """The derived column's values for those of the others."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Values of one column. codes: int64[rows] of its cells; points: int64[rows] where the column has a grid (see `rules.grid`)."""

    decoded: Decoded
    codes: NDArray[np.int64] | None = None
    points: NDArray[np.int64] | None = None


def modelled_column(columns: Mapping[str, Column], name: str, what: str) -> Modelled:
    """The column of that name. Raises SpecError where there is none, or it has no declared values."""
    column = columns.get(name)
    if column is None:
        raise SpecError(f"{what} names the column {name!r}, which the schema does not have")
    if not isinstance(column, Modelled):
        raise SpecError(f"{what} names the column {name!r} of kind {column.kind!r}, whose values are not declared: no rule can be about it")
    return column


def refuse_repeats(names: Sequence[str], what: str, least: int = 2) -> None:
    """Raises SpecError where a column is named twice, or there are too few."""
    if len(set(names)) < len(names):
        raise SpecError(f"{what} names a column twice: {list(names)}")
    if len(names) < least:
        raise SpecError(f"{what} needs at least {least} columns, got {list(names)}")
