"""The rules determines and hierarchy: a column's value follows from that of another one, such as the state from the city."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Decoded, Modelled
from dpsynth.readings import trimmed
from dpsynth.rules.grid import grid_of
from dpsynth.rules.lookup import lookup
from dpsynth.rules.rule import Derivation, Drawn, Keys, Rule, modelled_column, refuse_repeats
from dpsynth.rules.values import Values, check_listed

Mapped = tuple[tuple[Values, str], ...]


@dataclass(frozen=True, kw_only=True)
class Determines(Derivation):
    """The value of `column` is the one that `mapping` gives for the value of `origin`.

    otherwise: for values that the mapping does not name; None where it names all. A missing value gives one, unless the mapping names it.
    """

    origin: str
    column: str
    mapping: Mapped
    otherwise: str | None = None

    kind: ClassVar[str] = "determines"
    keys: ClassVar[Keys] = {
        "from": ((str,), True),
        "column": ((str,), True),
        "mapping": ((dict, list), True),
        "otherwise": ((object,), False),
    }

    @property
    def derived(self) -> str:
        return self.column

    @property
    def given(self) -> tuple[str, ...]:
        return (self.origin,)

    def sentence(self) -> str:
        return f"{self.origin} determines {self.column}"

    @property
    def targets(self) -> tuple[str, ...]:
        """The values that it gives: those of the mapping, then the one for all others."""
        return (*(text for _, text in self.mapping), *(() if self.otherwise is None else (self.otherwise,)))

    def check(self, columns: Mapping[str, Column]) -> None:
        what = f"the rule {self.sentence()!r}"
        refuse_repeats((self.origin, self.column), what)
        origin, column = modelled_column(columns, self.origin, what), modelled_column(columns, self.column, what)
        for text in dict.fromkeys(self.targets):
            if trimmed(text) is not None:
                check_listed(column, text, what)
        table = lookup(origin, tuple(values for values, _ in self.mapping), self.targets, what)
        if not column.missing and (table.leaves_missing or any(trimmed(text) is None for text in self.targets)):
            raise self.refusal(f"can give a missing value, but column {column.name!r} has none: add missing = true, or map it to a value")

    def _entries(self, columns: Mapping[str, Modelled], drawn: Drawn | None) -> NDArray[np.int64] | None:
        table = lookup(columns[self.origin], tuple(values for values, _ in self.mapping), self.targets, f"the rule {self.sentence()!r}")
        return table.of_cells() if drawn is None else table.of(drawn)

    def cells(self, columns: Mapping[str, Modelled]) -> NDArray[np.int64] | None:
        entries = self._entries(columns, None)
        return None if entries is None else self._target_cells(columns[self.column])[self._places()[entries]]

    def _distinct(self) -> list[str]:
        return list(dict.fromkeys(self.targets))

    def _places(self) -> NDArray[np.int64]:
        """int64[entries + 1]: each entry's place among the distinct targets; the last, which stands for MISSING too, comes after them."""
        place = {text: i for i, text in enumerate(self._distinct())}
        return np.array([*(place[text] for text in self.targets), len(place)])

    def _target_cells(self, column: Modelled) -> NDArray[np.int64]:
        """int64[distinct targets + 1]: the cell of each target, and of what is missing."""
        missing = 0 if column.missing_cell is None else column.missing_cell
        return np.array([*(missing if trimmed(text) is None else column.rule.cell(text) for text in self._distinct()), missing])

    def values(self, columns: Mapping[str, Modelled], known: Mapping[str, Drawn]) -> Drawn:
        column, entries = columns[self.column], self._entries(columns, known[self.origin])
        if entries is None:
            raise self.refusal("has no values to start from")
        places = self._places()[entries]
        single = [constant(column, text) for text in self._distinct()]
        absent = np.array([*(bool(each.absent[0]) for each in single), True])[places]
        values = np.concatenate([*(each.values for each in single), single[0].values])[places]
        grid = grid_of(column)
        points = None if grid is None else np.array([*(grid.point(text) or 0 for text in self._distinct()), 0])[places]
        return Drawn(Decoded(values, absent, single[0].form, single[0].categories), self._target_cells(column)[places], points)

    def own_facts(self) -> dict[str, Any]:
        mapping = [[values.facts(), text] for values, text in self.mapping]
        rest = {} if self.otherwise is None else {"otherwise": self.otherwise}
        return {"from": self.origin, "column": self.column, "mapping": mapping, **rest}


@dataclass(frozen=True, kw_only=True)
class Hierarchy(Rule):
    """Columns from the finest to the coarsest, each of which determines all later ones, by rows of values that belong together."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    kind: ClassVar[str] = "hierarchy"
    keys: ClassVar[Keys] = {"columns": ((list,), True), "rows": ((list,), True)}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def sentence(self) -> str:
        return f"hierarchy {' in '.join(self.names)}"

    def check(self, columns: Mapping[str, Column]) -> None:
        refuse_repeats(self.names, f"the rule {self.sentence()!r}")
        for place in range(len(self.names) - 1):
            self._refuse_two_parents(place)
        for step in self.derivations():
            step.check(columns)

    def _refuse_two_parents(self, place: int) -> None:
        """Raises SpecError where a value of one level lies in two values of the next."""
        parent: dict[str, str] = {}
        for row in self.rows:
            if parent.setdefault(row[place], row[place + 1]) != row[place + 1]:
                first, second = parent[row[place]], row[place + 1]
                raise self.refusal(f"puts {row[place]!r} of column {self.names[place]!r} in {first!r} and in {second!r}: leave one of them")

    def derivations(self) -> tuple[Derivation, ...]:
        return tuple(
            Determines(
                source=self.source,
                origin=self.names[0],
                column=name,
                mapping=tuple((Values((row[0],)), row[place]) for row in self.rows),
            )
            for place, name in enumerate(self.names[1:], start=1)
        )

    def own_facts(self) -> dict[str, Any]:
        return {"columns": list(self.names), "rows": [list(row) for row in self.rows]}


def constant(column: Modelled, text: str) -> Decoded:
    """One value of a column, as its records hold it; the empty text is a missing one."""
    missing = trimmed(text) is None
    exact = None if missing else column.exact(text)
    cell = (column.missing_cell or 0) if missing else column.rule.cell(text)
    return exact or column.decode(np.array([cell], dtype=np.int64), np.random.default_rng(0))
