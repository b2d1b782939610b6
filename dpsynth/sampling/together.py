"""Values of columns that rules relate: in their order inside their cells, sums and looked-up values exactly.

A column that rules compare, or that a sum adds, is drawn as points of its grid. Where the points of one record break an order - cells alone
do not tell which of two dates of one month is the earlier - all that are compared with them are drawn again, up to ROUNDS times: they are
then distributed as independent ones that happen to keep the order. What is left is drawn one column after the other, each from what the
ones before leave it; cells that the model can draw always leave something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Decoded, Modelled
from dpsynth.errors import SpecError
from dpsynth.rules.grid import Grid, grid_of
from dpsynth.rules.rule import Drawn
from dpsynth.schema import Schema

ROUNDS = 16
Points = NDArray[np.int64]
Edge = tuple[str, str, int]


@dataclass(frozen=True, eq=False)
class Placed:
    """A column drawn as points. first, last: int64[rows], the least and greatest point that each record's cell leaves it.

    lean: float64[own cells], see `Grid.leaning`. present: bool[rows], where it is not missing. fixed: whether all its points are given.
    """

    grid: Grid
    cells: Points
    present: NDArray[np.bool_]
    first: Points
    last: Points
    lean: NDArray[np.float64]
    fixed: bool

    def drawn(self, rows: Points, rng: np.random.Generator) -> Points:
        """int64[rows]: fresh points for some records."""
        return self.first[rows] if self.fixed else self.grid.drawn(self.cells[rows], self.lean, rng)


def related_values(schema: Schema, codes: Mapping[str, Points], seed: int, exact: Mapping[str, str]) -> dict[str, Decoded]:
    """The values of all columns with cells, derived ones among them. codes: int64[rows] of each modelled column.

    exact: values that a column's records must hold, where its cell is theirs. Raises SpecError where that breaks a rule in some record.
    """
    columns = {column.name: column for column in schema.columns if isinstance(column, Modelled)}
    places = {column.name: place for place, column in enumerate(schema.columns)}
    wanted = _placed_columns(schema)
    placed = {name: _placed(columns[name], codes[name], exact.get(name)) for name in wanted}
    points = {name: each.drawn(np.arange(len(each.cells)), np.random.default_rng([seed, places[name]])) for name, each in placed.items()}
    for number, edges in enumerate(_orders(schema)):
        _put_in_order(edges, placed, points, np.random.default_rng([seed, len(places), number]))
    known: dict[str, Drawn] = {}
    for column in schema.modelled:
        name = column.name
        if name in placed:
            known[name] = Drawn(placed[name].grid.decoded(points[name], ~placed[name].present), codes[name], points[name])
        else:
            decoded = column.decode(codes[name], np.random.default_rng([seed, places[name]]))
            known[name] = Drawn(_exactly(column, decoded, exact.get(name)), codes[name])
    for step in schema.book.derivations:
        known[step.derived] = step.values(columns, known)
    return {name: drawn.decoded for name, drawn in known.items()}


def orderly(schema: Schema, codes: Mapping[str, NDArray[np.integer]], exact: Mapping[str, str]) -> NDArray[np.bool_]:
    """bool[rows]: whose cells hold values that keep the order, if some columns hold the very values asked for."""
    columns = {column.name: column for column in schema.modelled}
    rows = len(next(iter(codes.values()))) if codes else 0
    kept = np.ones(rows, dtype=bool)
    for edges in _orders(schema):
        placed = {name: _placed(columns[name], codes[name].astype(np.int64), exact.get(name)) for name in _sorted_names(edges)}
        first, last = _bounds(edges, placed)
        for name, column in placed.items():
            kept &= ~column.present | (first[name] <= last[name])
    return kept


def _placed_columns(schema: Schema) -> tuple[str, ...]:
    """The modelled columns that rules compare, add or look up and that have points."""
    compared = [name for rule in schema.book.order for name in rule.names]
    used = [name for step in schema.book.derivations for name in step.given]
    return tuple(c.name for c in schema.modelled if c.name in {*compared, *used} and grid_of(c) is not None)


def _placed(column: Modelled, codes: Points, exact: str | None) -> Placed:
    grid = grid_of(column)
    if grid is None:
        raise SpecError(f"column {column.name!r} has no points: its numbers need decimals")
    present = ~column.absent(codes)
    cells = np.where(present, codes, 0)
    first, last = grid.first[cells], grid.last[cells]
    if exact:
        point = grid.point(exact)
        if point is None:
            raise SpecError(f"column {column.name!r} cannot hold {exact!r}: it has {grid.decimals} decimals")
        first, last = np.full(len(codes), point), np.full(len(codes), point)
    return Placed(grid, cells, present, first, last, grid.leaning(codes[present]), bool(exact))


def _exactly(column: Modelled, decoded: Decoded, exact: str | None) -> Decoded:
    """A cell stands for several values: the records must hold the very one that was asked for."""
    value = column.exact(exact) if exact else None
    if value is None:
        return decoded
    values = np.where(decoded.absent, decoded.values, value.values[0])
    return Decoded(values, decoded.absent, decoded.form, decoded.categories)


def _orders(schema: Schema) -> list[list[Edge]]:
    """The comparisons, in groups that share no column."""
    groups: list[list[Edge]] = []
    for edge in (edge for rule in schema.book.order for edge in rule.edges()):
        touched = [group for group in groups if any({edge[0], edge[1]} & {a, b} for a, b, _ in group)]
        groups = [group for group in groups if group not in touched]
        groups.append([*(each for group in touched for each in group), edge])
    return groups


def _sorted_names(edges: Sequence[Edge]) -> tuple[str, ...]:
    """The columns of comparisons, each after all that are at most it."""
    names = dict.fromkeys(name for a, b, _ in edges for name in (a, b))
    ordered: list[str] = []
    while len(ordered) < len(names):
        ordered += [n for n in names if n not in ordered and all(a in ordered for a, b, _ in edges if b == n)]
    return tuple(ordered)


def _put_in_order(edges: Sequence[Edge], placed: Mapping[str, Placed], points: dict[str, Points], rng: np.random.Generator) -> None:
    names = _sorted_names(edges)
    for _ in range(ROUNDS):
        rows = np.flatnonzero(_broken(edges, placed, points))
        if not len(rows):
            return
        for name in names:
            points[name][rows] = placed[name].drawn(rows, rng)
    rows = np.flatnonzero(_broken(edges, placed, points))
    _one_by_one(edges, {name: _of_rows(placed[name], rows) for name in names}, points, rows, rng)


def _broken(edges: Sequence[Edge], placed: Mapping[str, Placed], points: Mapping[str, Points]) -> NDArray[np.bool_]:
    """bool[rows]: which records break one of the comparisons."""
    broken = [placed[a].present & placed[b].present & (points[a] + by > points[b]) for a, b, by in edges]
    return np.asarray(np.any(broken, axis=0))


def _of_rows(placed: Placed, rows: Points) -> Placed:
    parts = (placed.cells[rows], placed.present[rows], placed.first[rows], placed.last[rows])
    return Placed(placed.grid, *parts, placed.lean, placed.fixed)


def _bounds(edges: Sequence[Edge], placed: Mapping[str, Placed]) -> tuple[dict[str, Points], dict[str, Points]]:
    """The least and the greatest point of each column that the comparisons leave: every one of them is part of a record that keeps all."""
    first, last = {name: each.first for name, each in placed.items()}, {name: each.last for name, each in placed.items()}
    names = _sorted_names(edges)
    for name in names:
        for a, _, by in (edge for edge in edges if edge[1] == name):
            both = placed[a].present & placed[name].present
            first[name] = np.where(both, np.maximum(first[name], first[a] + by), first[name])
    for name in reversed(names):
        for _, b, by in (edge for edge in edges if edge[0] == name):
            both = placed[b].present & placed[name].present
            last[name] = np.where(both, np.minimum(last[name], last[b] - by), last[name])
    return first, last


def _one_by_one(
    edges: Sequence[Edge], placed: Mapping[str, Placed], points: dict[str, Points], rows: Points, rng: np.random.Generator
) -> None:
    """Points for some records, each column's given those before it, evenly over what is left."""
    _, last = _bounds(edges, placed)
    found: dict[str, Points] = {}
    for name in _sorted_names(edges):
        first = placed[name].first.copy()
        for a, _, by in (edge for edge in edges if edge[1] == name):
            both = placed[a].present & placed[name].present
            first = np.where(both, np.maximum(first, found[a] + by), first)
        here = placed[name].present
        if (first[here] > last[name][here]).any():
            raise SpecError(f"no value of column {name!r} keeps the rules beside the values that were asked for")
        found[name] = np.where(here, rng.integers(first, np.maximum(first, last[name]) + 1), placed[name].first)
        points[name][rows] = found[name]
