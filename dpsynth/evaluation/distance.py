"""How far two tables are apart, marginal by marginal: for public data and benchmarks, never part of a release of private data.

Both tables are read row by row, so a distance to a private table would be an answer that nobody paid for.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

CELL_LIMIT = 1_000_000
SAMPLE_SEED = 20_000
"""Which marginals a sample holds is public and does not change from run to run."""


@dataclass(frozen=True)
class MarginalDistances:
    """Total variation distance of two tables on each marginal that was compared.

    skipped: marginals of more cells than the limit. left_out: those that were not drawn into the sample.
    """

    by_clique: Mapping[Clique, float]
    skipped: int
    left_out: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_clique", MappingProxyType(dict(self.by_clique)))

    @cached_property
    def mean(self) -> float:
        """Mean over the compared marginals; NaN where none was compared."""
        return math.fsum(self.by_clique.values()) / len(self.by_clique) if self.by_clique else math.nan

    @cached_property
    def maximum(self) -> float:
        """The largest over the compared marginals; NaN where none was compared."""
        return max(self.by_clique.values(), default=math.nan)


def marginal_distances(
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    domain: Domain,
    k: int,
    cell_limit: int = CELL_LIMIT,
    sample: int | None = None,
) -> MarginalDistances:
    """The total variation distance on each marginal of k columns: TV = 1/2 sum_cells |count_1 / n_1 - count_2 / n_2|.

    first, second: integer[rows, columns], codes in the order of the domain. Two empty tables have distance 0, an empty and any
    other 1. Marginals of more than `cell_limit` cells are skipped and counted; of the rest at most `sample` are compared (None: all),
    drawn uniformly without replacement, the same ones for the same domain. Raises SpecError for codes outside the domain.
    """
    if not 1 <= k <= len(domain.columns):
        raise SpecError(f"k must be from 1 to the number of columns, {len(domain.columns)}, got {k}")
    tables = checked_codes(first, domain), checked_codes(second, domain)
    within = [clique for clique in combinations(domain.columns, k) if domain.cells(clique) <= cell_limit]
    compared = sampled(within, sample)
    by_clique = {clique: _distance(*cells, domain.cells(clique)) for clique, cells in _cells(tables, domain, compared)}
    return MarginalDistances(by_clique, math.comb(len(domain.columns), k) - len(within), len(within) - len(compared))


def sampled(cliques: Sequence[Clique], sample: int | None) -> Sequence[Clique]:
    """At most `sample` of the cliques, in their order: the same ones on every call. Raises SpecError where the sample is negative."""
    if sample is None or sample >= len(cliques):
        return cliques
    if sample < 0:
        raise SpecError(f"a sample of marginals must be at least 0, got {sample}")
    chosen = np.random.default_rng(SAMPLE_SEED).permutation(len(cliques))[:sample]
    return [cliques[place] for place in sorted(chosen.tolist())]


def encode(schema: Schema, frame: "pd.DataFrame") -> NDArray[np.int64]:
    """Codes of a public table, int64[rows, columns] in the order of the domain, by each column's own cell rule.

    Values count as the text they print as; missing ones as no text. Raises SpecError where the table lacks a column.
    """
    absent = [column.name for column in schema.modelled if column.name not in frame.columns]
    if absent:
        raise SpecError(f"the table has no columns {absent}: it has {[str(name) for name in frame.columns]}")
    codes = np.empty((len(frame), len(schema.modelled)), dtype=np.int64)
    for place, column in enumerate(schema.modelled):
        positions, values = frame[column.name].factorize()
        rule = column.rule
        cells = [*(rule.cell(str(value)) for value in values), rule.cell(None)]
        codes[:, place] = np.array(cells, dtype=np.int64)[positions]  # factorize marks missing values with -1: the last
    return codes


def checked_codes(codes: NDArray[Any], domain: Domain) -> NDArray[np.integer]:
    """integer[columns, rows], each column contiguous, once every code is known to lie in the domain. Raises SpecError."""
    if codes.ndim != 2 or codes.shape[1] != len(domain.columns) or codes.dtype.kind not in "iu":
        raise SpecError(f"codes must be integer[rows, {len(domain.columns)}], got {codes.dtype}{list(codes.shape)}")
    columns: NDArray[np.integer] = np.ascontiguousarray(codes.T)
    for name, size, column in zip(domain.columns, domain.sizes, columns, strict=True):
        if column.size and not 0 <= column.min() <= column.max() < size:
            raise SpecError(f"column {name!r} has codes from {column.min()} to {column.max()}: its domain is 0 to {size - 1}")
    return columns


Pair = tuple[NDArray[np.int64], NDArray[np.int64]]
"""int64[rows] of each of the two tables: flat cells in C order of a clique."""


def _cells(
    tables: tuple[NDArray[np.integer], NDArray[np.integer]], domain: Domain, cliques: Iterable[Clique]
) -> Iterator[tuple[Clique, Pair]]:
    """Each clique with each row's cell in it; those of a prefix are computed once for the cliques in a row that begin with it."""
    prefix: Clique | None = None
    first, second = tables
    for clique in cliques:
        if clique[:-1] != prefix:
            prefix = clique[:-1]
            begun = _flat(first, domain, prefix), _flat(second, domain, prefix)
        place, size = domain.position[clique[-1]], domain.size[clique[-1]]
        yield clique, (_longer(begun[0], size, first[place]), _longer(begun[1], size, second[place]))


def _flat(table: NDArray[np.integer], domain: Domain, clique: Clique) -> NDArray[np.int64]:
    """int64[rows]: the cell of each row of integer[columns, rows] in the clique's table."""
    cells = np.zeros(table.shape[1], dtype=np.int64)
    for column in clique:
        cells = _longer(cells, domain.size[column], table[domain.position[column]])
    return cells


def _longer(cells: NDArray[np.int64], size: int, codes: NDArray[np.integer]) -> NDArray[np.int64]:
    """The cells with one more column of this size."""
    return cells * size + codes.astype(np.int64, copy=False)


def _distance(first: NDArray[np.int64], second: NDArray[np.int64], cells: int) -> float:
    """sum_cells |count_1 n_2 - count_2 n_1| / (2 n_1 n_2), exact up to one rounding: equal tables are at 0, not near it."""
    if not len(first) or not len(second):
        return float(len(first) != len(second))
    ours, theirs = np.bincount(first, minlength=cells), np.bincount(second, minlength=cells)
    return int(np.abs(ours * len(second) - theirs * len(first)).sum()) / (2 * len(first) * len(second))
