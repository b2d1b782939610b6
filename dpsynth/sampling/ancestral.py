"""Records from a model: each column is drawn given the ones before, with controlled rounding, which beats independent draws.

For the rows that share a cell of `given`, the numbers of rows in each new cell are the expected ones rounded systematically (each within
1 of what is expected), then dealt out in random order. The distribution function is rounded to a grid of integers and all arithmetic is on
these, so a cell of probability 0 stays empty.
"""

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.model import Conditional, Model

GRID = 1 << 32
"""Probabilities are rounded to multiples of 1 / GRID; with fewer than 2^31 rows all products stay exact in int64."""

ROWS_LIMIT = (1 << 31) - 1
Codes = NDArray[np.unsignedinteger]


def draw(model: Model, rows: int, seed: int) -> dict[str, Codes]:
    """Records as codes: for each column, in the domain's order, unsigned[rows] of the smallest type that holds its cells.

    seed: public; the same seed gives the same records. Raises SpecError for a number of rows or a seed that is not possible.
    """
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or not 0 <= rows <= ROWS_LIMIT:
        raise SpecError(f"rows must be a whole number from 0 to {ROWS_LIMIT}, got {rows!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise SpecError(f"the sampling seed must be a whole number of at least 0, got {seed!r}")
    rng = np.random.default_rng(int(seed))
    drawn: dict[str, Codes] = {}
    sizes = dict(model.domain.size)
    for step in model.conditionals():
        shape = step.table.shape
        sizes.update(zip((*step.given, *step.columns), shape, strict=True))
        groups = _flat_codes(drawn, sizes, step.given, int(rows))
        cells = dealt(groups, _table(step), rng)
        drawn.update(_unravelled(cells, step.columns, shape[len(step.given) :]))
    return _shuffled(drawn, model.domain, int(rows), rng)


def dealt(groups: NDArray[np.int64], table: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """int64[rows]: a new cell for each row, where groups: int64[rows] and table: float64[groups, cells] sums to 1 along cells.

    In a group of n rows, ranked at random, row i takes the cell whose interval of the distribution function holds (i + u) / n,
    with one uniform u for the group.
    """
    order = np.lexsort((rng.random(len(groups)), groups))
    ordered = groups[order]
    present, first, counts = np.unique(ordered, return_index=True, return_counts=True)
    edges = grid_edges(table[present])
    place = np.repeat(np.arange(len(present)), counts)
    rank = np.arange(len(groups)) - first[place]
    offset = rng.integers(0, GRID, size=len(present))[place]
    points = (rank * GRID + offset) // counts[place]
    cells = np.searchsorted((edges + np.arange(len(present))[:, None] * GRID).reshape(-1), points + place * GRID, side="right")
    result = np.empty(len(groups), dtype=np.int64)
    result[order] = cells - place * table.shape[1]
    return result


def grid_edges(table: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64[groups, cells]: the upper end of each cell's interval on 0 .. GRID; a cell of probability 0 has an empty one."""
    cumulated = np.cumsum(table, axis=1)
    return np.rint(cumulated / cumulated[:, -1:] * GRID).astype(np.int64)


def _table(step: Conditional) -> NDArray[np.float64]:
    depth = len(step.given)
    return step.table.reshape(int(np.prod(step.table.shape[:depth], dtype=np.int64)), -1)


def _flat_codes(drawn: dict[str, Codes], sizes: dict[str, int], columns: tuple[str, ...], rows: int) -> NDArray[np.int64]:
    flat = np.zeros(rows, dtype=np.int64)
    for column in columns:
        flat *= sizes[column]
        flat += drawn[column]
    return flat


def _unravelled(cells: NDArray[np.int64], columns: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, Codes]:
    found: dict[str, Codes] = {}
    for column, size in zip(reversed(columns), reversed(shape), strict=True):
        cells, codes = np.divmod(cells, size)
        found[column] = codes.astype(np.min_scalar_type(max(0, size - 1)))
    return found


def _shuffled(drawn: dict[str, Codes], domain: Domain, rows: int, rng: np.random.Generator) -> dict[str, Codes]:
    order = rng.permutation(rows)
    return {column: drawn[column][order] for column in domain.columns}
