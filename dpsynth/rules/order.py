"""The rule at-most: values of ordered columns that never decrease, such as start <= end. A missing value keeps the rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Modelled
from dpsynth.rules.grid import Grid, grid_of
from dpsynth.rules.rule import Keys, Restriction, modelled_column, refuse_repeats
from dpsynth.rules.tables import Table


@dataclass(frozen=True, kw_only=True)
class AtMost(Restriction):
    """Each column's value is at most that of every later one; with `strict`, it is less."""

    names: tuple[str, ...]
    strict: bool = False

    kind: ClassVar[str] = "at-most"
    keys: ClassVar[Keys] = {"columns": ((list,), True), "strict": ((bool,), False)}

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def sentence(self) -> str:
        return f" {'<' if self.strict else '<='} ".join(self.names)

    def check(self, columns: Mapping[str, Column]) -> None:
        refuse_repeats(self.names, self.what())
        grids = [self._grid(modelled_column(columns, name, self.what())) for name in self.names]
        if len({(grid.family, grid.decimals) for grid in grids}) > 1:
            kinds = [f"{grid.column.name!r}: {grid.family} of {grid.decimals} decimals" for grid in grids]
            raise self.refusal(f"compares columns that are not of one kind and number of decimals: {', '.join(kinds)}")
        super().check(columns)

    def _grid(self, column: Modelled) -> Grid:
        grid = grid_of(column)
        if grid is None:
            raise self.refusal(
                f"compares {column.name!r}, a column of kind {column.kind!r} without exact values: "
                "it takes integer, date, datetime and duration columns, and number columns with decimals"
            )
        return grid

    def edges(self) -> tuple[tuple[str, str, int], ...]:
        """(column, later column, by how many points the later one is larger at least)."""
        return tuple((a, b, int(self.strict)) for a, b in combinations(self.names, 2))

    def tables(self, columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
        return order_tables([self], columns)

    def own_facts(self) -> dict[str, Any]:
        return {"columns": list(self.names), "strict": self.strict}


def order_tables(rules: Sequence[AtMost], columns: Mapping[str, Modelled]) -> tuple[Table, ...]:
    """Which cells of two columns hold values in their order, for every pair that the rules order, directly or through others.

    Cells of all columns together hold such values exactly when those of every pair do: least(a) + steps(a, b) <= most(b).
    Pairs that follow from two others cell by cell are left out. A circle allows nothing: equal columns are one column.
    """
    steps = ordered_pairs([edge for rule in rules for edge in rule.edges()])
    circles = tuple(Table((a,), np.zeros(columns[a].size, dtype=bool)) for a, b in steps if a == b)
    found = {pair: _pair_table(pair, by, columns) for pair, by in steps.items() if pair[0] != pair[1]}
    for a, b in list(found):
        through = [c for c in dict.fromkeys(x for pair in found for x in pair) if (a, c) in found and (c, b) in found]
        if any(_follows(found, (a, c, b), columns[c]) for c in through):
            del found[a, b]
    return (*circles, *(Table(pair, allowed) for pair, allowed in found.items()))


def ordered_pairs(edges: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    """For each pair of which one follows from the rules to be at most the other: by how many points, at least (the longest path).

    A column on a circle is a pair with itself.
    """
    steps: dict[tuple[str, str], int] = {}
    for a, b, by in edges:
        steps[a, b] = max(by, steps.get((a, b), 0))
    names = tuple(dict.fromkeys(name for a, b, _ in edges for name in (a, b)))
    for c in names:
        for a in names:
            for b in names:
                if (a, c) in steps and (c, b) in steps:
                    steps[a, b] = max(steps[a, c] + steps[c, b], steps.get((a, b), 0))
    return steps


def _pair_table(pair: tuple[str, str], by: int, columns: Mapping[str, Modelled]) -> NDArray[np.bool_]:
    """bool[cells, cells]; missing cells go with everything."""
    (a, b) = (columns[name] for name in pair)
    low, high = grid_of(a), grid_of(b)
    allowed = np.ones((a.size, b.size), dtype=bool)
    if low is not None and high is not None:
        allowed[: len(low.first), : len(high.last)] = low.first[:, None] + by <= high.last[None, :]
    return allowed


def _follows(found: Mapping[tuple[str, str], NDArray[np.bool_]], path: tuple[str, str, str], middle: Modelled) -> bool:
    a, c, b = path
    if middle.missing:
        return False
    composed = (found[a, c].astype(np.int64) @ found[c, b].astype(np.int64)) > 0
    return not bool((composed & ~found[a, b]).any())
