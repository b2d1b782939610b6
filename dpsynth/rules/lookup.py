"""Which entry of a mapping a value belongs to: by the cell of a listed value, by intervals for ordered columns."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled
from dpsynth.errors import SpecError
from dpsynth.kinds.categorical import Categorical
from dpsynth.kinds.ordered import Ordered
from dpsynth.readings import trimmed
from dpsynth.rules.grid import bounds_of, grid_of, number_of
from dpsynth.rules.rule import Drawn
from dpsynth.rules.values import SHOWN, Values, check_listed, ends_of

MISSING = -1
"""The entry of a missing value that no entry names."""


class Lookup(Protocol):
    """leaves_missing: whether missing values belong to no entry."""

    @property
    def leaves_missing(self) -> bool: ...

    def of(self, drawn: Drawn) -> NDArray[np.int64]:
        """int64[rows]: the entry of each value."""
        ...

    def of_cells(self) -> NDArray[np.int64] | None:
        """int64[cells]: the entry of each cell's values; None where some cell's values belong to several."""
        ...


def lookup(column: Modelled, entries: tuple[Values, ...], targets: tuple[str, ...], what: str) -> Lookup:
    """The lookup of a column's values. entries: the values of each, with the target it leads to; one more target is for all others.

    Raises SpecError where a value belongs to entries of different targets, or to none.
    """
    return _intervals(column, entries, targets, what) if isinstance(column, Ordered) else _labels(column, entries, targets, what)


@dataclass(frozen=True, eq=False)
class LabelLookup:
    """cells: int64[cells]. unfolded: entries of labels that share the "other" cell."""

    cells: NDArray[np.int64]
    missing_cell: int | None
    other_cell: int
    unfolded: dict[str, int]

    @property
    def leaves_missing(self) -> bool:
        return self.missing_cell is not None and int(self.cells[self.missing_cell]) == MISSING

    def of(self, drawn: Drawn) -> NDArray[np.int64]:
        if drawn.codes is None:
            raise SpecError("a value that follows from another one needs its cells")
        found = self.cells[drawn.codes]
        if self.unfolded:
            shared = np.flatnonzero(drawn.codes == self.other_cell)
            found[shared] = [self.unfolded[text] for text in drawn.decoded.values[shared].tolist()]
        return found

    def of_cells(self) -> NDArray[np.int64] | None:
        return None if len(set(self.unfolded.values())) > 1 else self.cells


def _labels(column: Modelled, entries: tuple[Values, ...], targets: tuple[str, ...], what: str) -> LabelLookup:
    unfold = dict(column.unfold) if isinstance(column, Categorical) else {}
    named: dict[int | str, int] = {}
    for entry, values in enumerate(entries):
        if values.interval:
            raise SpecError(f"{what} names an interval, but the values of column {column.name!r} have no order: list values")
        for text in values.texts:
            place = _place(column, text, unfold, what)
            if targets[named.setdefault(place, entry)] != targets[entry]:
                raise SpecError(f"{what} gives {text!r} two values, {targets[named[place]]!r} and {targets[entry]!r}: leave one of them")
    rest = len(entries) if len(targets) > len(entries) else None
    cells = np.array([named.get(cell, MISSING if rest is None else rest) for cell in range(column.size)], dtype=np.int64)
    if column.missing_cell is not None and column.missing_cell not in named:
        cells[column.missing_cell] = MISSING
    other = column.own_cells
    unfolded = {label: named.get(label, int(cells[other])) for label in unfold}
    if unfolded:
        cells[other] = next(iter(unfolded.values()))
    known = {column.missing_cell}
    unnamed = [label for cell, label in enumerate(column.cell_labels()) if cells[cell] == MISSING and cell not in known]
    _refuse_unnamed(column, [*unnamed, *(label for label, entry in unfolded.items() if entry == MISSING)], what)
    return LabelLookup(cells, column.missing_cell, other, unfolded)


def _place(column: Modelled, text: str, unfold: dict[str, int], what: str) -> int | str:
    if trimmed(text) is None:
        if column.missing_cell is None:
            raise SpecError(f"{what} names a missing value, but column {column.name!r} has none: add missing = true, or leave it out")
        return column.missing_cell
    check_listed(column, text, what)
    label = trimmed(text) or ""
    return label if label in unfold else column.rule.cell(text)


def _refuse_unnamed(column: Modelled, labels: list[str], what: str) -> None:
    if labels:
        more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
        raise SpecError(f"{what} says nothing of {labels[:SHOWN]}{more} of column {column.name!r}: map them, or add otherwise")


@dataclass(frozen=True, eq=False)
class IntervalLookup:
    """ends: float64[intervals], the greatest number of each, ascending; entries: int64[intervals]. missing: entry of missing values."""

    column: Ordered
    ends: NDArray[np.float64]
    entries: NDArray[np.int64]
    missing: int

    @property
    def leaves_missing(self) -> bool:
        return self.column.missing and self.missing == MISSING

    def of(self, drawn: Drawn) -> NDArray[np.int64]:
        grid = grid_of(self.column)
        if grid is not None and drawn.points is None:
            raise SpecError("a value that follows from another one needs its points")
        numbers = drawn.decoded.values if grid is None or drawn.points is None else drawn.points / 10.0**grid.decimals
        found = self._of_numbers(np.where(drawn.decoded.absent, self.ends[0], numbers).astype(np.float64))
        found[drawn.decoded.absent] = self.missing
        return found

    def _of_numbers(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        return self.entries[np.searchsorted(self.ends, numbers)]

    def of_cells(self) -> NDArray[np.int64] | None:
        low, high = map(self._of_numbers, bounds_of(self.column))
        if (low != high).any():
            return None
        return np.append(low, [self.missing] * (self.column.size - len(low))).astype(np.int64)


def _intervals(column: Ordered, entries: tuple[Values, ...], targets: tuple[str, ...], what: str) -> IntervalLookup:
    low, high = bounds_of(column)
    rest = len(entries) if len(targets) > len(entries) else None
    found, missing = [], MISSING
    for entry, values in enumerate(entries):
        for text in values.texts:
            if trimmed(text) is None:
                missing = entry
                _place(column, text, {}, what)
            else:
                check_listed(column, text, what)
                number = number_of(column, text) or 0.0
                found.append((number, number, entry))
        if values.interval:
            least, most = ends_of(column, values, what)
            if max(least, low[0]) <= min(most, high[-1]):
                found.append((max(least, float(low[0])), min(most, float(high[-1])), entry))
    pieces = _without_gaps(column, sorted(found), rest, float(low[0]), float(high[-1]), targets, what)
    return IntervalLookup(column, np.array([end for _, end, _ in pieces]), np.array([entry for _, _, entry in pieces]), missing)


Piece = tuple[float, float, int]


def _without_gaps(
    column: Ordered, found: list[Piece], rest: int | None, least: float, most: float, targets: tuple[str, ...], what: str
) -> list[Piece]:
    """The intervals in their order, with `rest` between them. Raises SpecError where they overlap, or leave a gap and there is no rest."""
    pieces: list[Piece] = []
    reached = float(np.nextafter(least, -np.inf))
    for low, high, entry in [*found, (np.inf, np.inf, MISSING)]:
        if pieces and low <= pieces[-1][1]:
            if targets[pieces[-1][2]] != targets[entry]:
                raise SpecError(f"{what} gives {low:g} two values, {targets[pieces[-1][2]]!r} and {targets[entry]!r}: leave one of them")
            pieces[-1] = (pieces[-1][0], max(high, pieces[-1][1]), pieces[-1][2])
            reached = pieces[-1][1]
            continue
        after, before = _next(column, reached, least), min(_next(column, low, least, -1), most)
        if after <= before:
            if rest is None:
                raise SpecError(f"{what} says nothing of {after:g} to {before:g} of column {column.name!r}: map them, or add otherwise")
            pieces.append((after, before, rest))
        if entry != MISSING:
            pieces.append((low, high, entry))
            reached = high
    return pieces


def _next(column: Ordered, number: float, least: float, direction: int = 1) -> float:
    """The column's next value after a number, or before it."""
    if not np.isfinite(number):
        return number
    if number < least:
        return least
    grid = grid_of(column)
    if grid is None:
        return float(np.nextafter(number, direction * np.inf))
    scale = 10**grid.decimals
    return float((round(number * scale) + direction) / scale)
