"""The values of ordered columns as whole numbers, so that rules compare and add them exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule
from dpsynth.column import Column, Decoded
from dpsynth.kinds.number import Number, first_points
from dpsynth.kinds.ordered import Ordered
from dpsynth.kinds.whole import Whole, whole_places
from dpsynth.readings import TimeReading


@dataclass(frozen=True, eq=False)
class Grid:
    """The points of a column: whole numbers of 10^-decimals, of days, of seconds, ...

    starts: int64[own cells + 1], the first point of each cell; a cell ends before the next one starts. family: columns of one family can
    be compared.
    """

    column: Ordered
    starts: NDArray[np.int64]
    decimals: int
    family: str

    @property
    def first(self) -> NDArray[np.int64]:
        return self.starts[:-1]

    @property
    def last(self) -> NDArray[np.int64]:
        return self.starts[1:] - 1

    def leaning(self, cells: NDArray[np.integer]) -> NDArray[np.float64]:
        """float64[own cells]: how the density leans inside each cell, where it does."""
        if self.column.inside == "uniform":
            return np.zeros(len(self.first))
        return self.column.leaning(cells, self.starts)

    def drawn(self, cells: NDArray[np.integer], lean: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
        """int64[rows]: a point of each row's cell."""
        if not lean.any():
            points: NDArray[np.int64] = rng.integers(self.starts[cells], self.starts[cells + 1])
            return points
        return whole_places(rng.random(len(cells)), cells, self.starts, lean)

    def decoded(self, points: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        """The values that points stand for."""
        if isinstance(self.column, Whole):
            return self.column.values_of(points, absent)
        return Decoded(points / 10.0**self.decimals, absent, "number")

    def point(self, text: str) -> int | None:
        """The point of a value; None for what is no value of the column, or lies between points."""
        number = number_of(self.column, text)
        scaled = None if number is None else round(number * 10**self.decimals)
        return scaled if scaled is not None and scaled / 10**self.decimals == number else None


def grid_of(column: Column) -> Grid | None:
    """The column's points; None where it has none: it has no order, or its numbers no fixed decimals."""
    if isinstance(column, Whole):
        reading = column.read
        family = f"{column.kind} in steps of {reading.step} microseconds" if isinstance(reading, TimeReading) else "number"
        return Grid(column, np.array(column.starts, dtype=np.int64), 0, family)
    if isinstance(column, Number) and column.decimals is not None:
        starts = first_points((*column.starts, float(column.most)), column.decimals)
        return Grid(column, np.array(starts, dtype=np.int64), column.decimals, "number")
    return None


def bounds_of(column: Ordered) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[own cells]: the least and the greatest value of each."""
    if isinstance(column, Number) and column.decimals is None:
        ends = np.array((*column.starts, float(column.most)))
        return ends[:-1], np.append(np.nextafter(ends[1:-1], -np.inf), ends[-1])
    grid = grid_of(column)
    if grid is None:
        raise column.refusal("its values cannot be compared")
    return grid.first / 10.0**grid.decimals, grid.last / 10.0**grid.decimals


def number_of(column: Ordered, text: str) -> float | None:
    """The number that a value of the column is to its cells."""
    rule = column.rule
    return None if isinstance(rule, LabelRule) else rule.reading.number(text)
