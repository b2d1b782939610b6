"""What users care about: weighted marginals, and the sets that follow from them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from types import MappingProxyType

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError

HEAVIEST = 1000
MANY = 200_000
"""Marginals a workload may have: all of three columns out of a hundred."""


@dataclass(frozen=True)
class WorkloadTable:
    """A marginal whose accuracy matters. weight: how many times it counts."""

    columns: Clique
    weight: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int) or not 1 <= self.weight <= HEAVIEST:
            given = f"got {self.weight!r}"
            raise SpecError(f"workload.weight of {list(self.columns)} must be a whole number from 1 to {HEAVIEST}, {given}")


@dataclass(frozen=True)
class MustHave:
    """A table that is measured whatever the answers say."""

    columns: Clique


@dataclass(frozen=True)
class Workload:
    """Marginals whose accuracy matters, each with a positive integer weight.

    must: tables that are measured whatever the answers say. cells: larger tables are never asked for; None: the strategy's own limit.
    """

    weights: Mapping[Clique, int]
    must: tuple[Clique, ...] = ()
    cells: int | None = None

    def __post_init__(self) -> None:
        for clique, weight in self.weights.items():
            if weight < 1:
                raise SpecError(f"the weight of {list(clique)} must be at least 1, got {weight}")
        if self.cells is not None and self.cells < 1:
            raise SpecError(f"a workload's tables must be allowed at least 1 cell, got {self.cells}")
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))
        object.__setattr__(self, "must", tuple(dict.fromkeys(self.must)))

    @property
    def cliques(self) -> tuple[Clique, ...]:
        return tuple(self.weights)

    def allows(self, domain: Domain, clique: Clique) -> bool:
        """Whether the clique's table is within the limit of cells."""
        return self.cells is None or domain.cells(clique) <= self.cells

    def relevance(self, clique: Clique) -> int:
        """How much the workload has to do with a table: the sum over its marginals s of weight_s |clique and s|, as in AIM."""
        return sum(self._of_column.get(column, 0) for column in clique)

    def support(self, clique: Clique) -> int:
        """How much of the workload can be no better than a table: the weights of the marginals that hold all of its columns."""
        own = set(clique)
        return sum(weight for marginal, weight in self.weights.items() if own.issubset(marginal))

    @property
    def joint(self) -> bool:
        """Whether any table of several columns matters."""
        return any(len(clique) > 1 for clique in (*self.weights, *self.must))

    @cached_property
    def _of_column(self) -> Mapping[str, int]:
        weights: dict[str, int] = {}
        for marginal, weight in self.weights.items():
            for column in marginal:
                weights[column] = weights.get(column, 0) + weight
        return weights


def all_marginals(domain: Domain, degree: int) -> Workload:
    """All marginals of 1 to `degree` columns, each with weight 1."""
    if not 1 <= degree <= len(domain.columns):
        raise SpecError(f"degree must be from 1 to the number of columns, {len(domain.columns)}, got {degree}")
    _refuse_many(sum(math.comb(len(domain.columns), k) for k in range(1, degree + 1)))
    cliques = [c for k in range(1, degree + 1) for c in combinations(domain.columns, k)]
    return Workload(dict.fromkeys(cliques, 1))


def all_with(domain: Domain, column: str, degree: int = 2) -> Workload:
    """All marginals of 1 to `degree` columns that hold the column, each with weight 1: "all pairs with income"."""
    (named,) = domain.clique((column,))
    others = [c for c in domain.columns if c != named]
    _refuse_many(sum(math.comb(len(others), k) for k in range(degree)))
    return Workload({domain.clique((named, *rest)): 1 for k in range(degree) for rest in combinations(others, k)})


def listed(domain: Domain, tables: Iterable[tuple[Iterable[str], int]], must: Iterable[Iterable[str]] = ()) -> Workload:
    """An explicit list of (columns, weight), columns in any order, and of tables to be measured for certain.

    Raises SpecError for unknown columns, and for a table that is listed twice.
    """
    weights: dict[Clique, int] = {}
    for columns, weight in tables:
        clique = domain.clique(columns)
        if clique in weights:
            raise SpecError(f"the workload lists {list(clique)} twice: leave one of them")
        weights[clique] = weight
    return Workload(weights, tuple(domain.clique(columns) for columns in must))


def workload_of(
    domain: Domain,
    degree: int = 2,
    pairs_with: Sequence[str] = (),
    tables: Sequence[WorkloadTable] = (),
    must: Sequence[Clique] = (),
    cells: int | None = None,
) -> Workload:
    """What a spec says matters: its list and all marginals with the columns of `pairs_with`; all marginals where it says neither.

    degree: columns of the marginals that are not listed. A listed one that is also among them counts with the weight it is listed with.
    """
    degree = min(degree, len(domain.columns))
    weights: dict[Clique, int] = {}
    if not tables and not pairs_with:
        weights |= all_marginals(domain, degree).weights
    for column in pairs_with:
        weights |= all_with(domain, column, degree).weights
    weights |= listed(domain, [(table.columns, table.weight) for table in tables]).weights
    return Workload(weights, tuple(must), cells)


def downward_closure(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Every non-empty subset of the cliques, smallest first; ties in the order of first appearance."""
    subsets = {s: None for clique in cliques for k in range(1, len(clique) + 1) for s in combinations(clique, k)}
    return tuple(sorted(subsets, key=len))


def _refuse_many(marginals: int) -> None:
    if marginals > MANY:
        raise SpecError(f"a workload may have at most {MANY} marginals, got {marginals}: lower synthesis.degree, or list what matters")


def maximal(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """The cliques that are part of no other one, without repeats, in the order of first appearance."""
    distinct = list(dict.fromkeys(cliques))
    sets = [frozenset(clique) for clique in distinct]
    return tuple(clique for clique, own in zip(distinct, sets, strict=True) if not any(own < other for other in sets))
