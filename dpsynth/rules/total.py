"""The rule sum: a total is the sum of its parts, exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Modelled
from dpsynth.kinds.ordered import Ordered
from dpsynth.rules.grid import Grid, grid_of
from dpsynth.rules.rule import Derivation, Drawn, Keys, modelled_column, refuse_repeats


@dataclass(frozen=True, kw_only=True)
class Sum(Derivation):
    """The value of `total` is the sum of the values of `parts`; it is missing where one of them is."""

    total: str
    parts: tuple[str, ...]

    kind: ClassVar[str] = "sum"
    keys: ClassVar[Keys] = {"total": ((str,), True), "parts": ((list,), True)}

    @property
    def derived(self) -> str:
        return self.total

    @property
    def given(self) -> tuple[str, ...]:
        return self.parts

    def sentence(self) -> str:
        return f"{self.total} = {' + '.join(self.parts)}"

    def check(self, columns: Mapping[str, Column]) -> None:
        what = f"the rule {self.sentence()!r}"
        refuse_repeats((*self.parts, self.total), what)
        total, *parts = (modelled_column(columns, name, what) for name in (self.total, *self.parts))
        grid, *grids = map(self._grid, (total, *parts))
        if len({each.family for each in (grid, *grids)}) > 1:
            raise self.refusal(f"adds columns of different kinds: {[f'{each.column.name}: {each.family}' for each in (grid, *grids)]}")
        if max(each.decimals for each in grids) > grid.decimals:
            raise self.refusal(f"needs a total of {max(each.decimals for each in grids)} decimals, those of its parts, got {grid.decimals}")
        if not total.missing and any(part.missing for part in parts):
            raise self.refusal(f"is missing where one of its parts is, but {total.name!r} has no missing values: add missing = true")
        least, most = (sum(int(ends[place]) * _scale(each, grid) for each in grids for ends in [each.starts]) for place in (0, -1))
        most -= sum(_scale(each, grid) for each in grids)
        if least < int(grid.first[0]) or most > int(grid.last[-1]):
            shown = " to ".join(f"{end / 10**grid.decimals:.{grid.decimals}f}" for end in (least, most))
            raise self.refusal(f"has sums from {shown}: let min and max of {total.name!r} hold all of them")

    def _grid(self, column: Modelled) -> Grid:
        grid = grid_of(column)
        addable = isinstance(column, Ordered) and column.kind in ("integer", "number", "duration")
        if grid is None or not addable:
            raise self.refusal(
                f"adds {column.name!r}, a column of kind {column.kind!r}: "
                "it takes integer and duration columns, and number columns with decimals"
            )
        return grid

    def cells(self, columns: Mapping[str, Modelled]) -> NDArray[np.int64] | None:
        return None

    def values(self, columns: Mapping[str, Modelled], known: Mapping[str, Drawn]) -> Drawn:
        grid = self._grid(columns[self.total])
        parts = [self._points(known[name]) * _scale(self._grid(columns[name]), grid) for name in self.parts]
        points: NDArray[np.int64] = np.sum(parts, axis=0)
        absent = np.any([known[name].decoded.absent for name in self.parts], axis=0)
        points = np.where(absent, grid.first[0], points)
        return Drawn(grid.decoded(points, absent), None, points)

    def _points(self, drawn: Drawn) -> NDArray[np.int64]:
        if drawn.points is None:
            raise self.refusal("has no values to add")
        return drawn.points

    def own_facts(self) -> dict[str, Any]:
        return {"total": self.total, "parts": list(self.parts)}


def _scale(part: Grid, total: Grid) -> int:
    return int(10 ** (total.decimals - part.decimals))
