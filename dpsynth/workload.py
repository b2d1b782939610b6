"""What users care about: weighted marginals, and the sets that follow from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError


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
        own = set(clique)
        return sum(weight * len(own.intersection(marginal)) for marginal, weight in self.weights.items())


def all_marginals(domain: Domain, degree: int) -> Workload:
    """All marginals of 1 to `degree` columns, each with weight 1."""
    if not 1 <= degree <= len(domain.columns):
        raise SpecError(f"degree must be from 1 to the number of columns, {len(domain.columns)}, got {degree}")
    cliques = [c for k in range(1, degree + 1) for c in combinations(domain.columns, k)]
    return Workload(dict.fromkeys(cliques, 1))


def all_with(domain: Domain, column: str, degree: int = 2) -> Workload:
    """All marginals of 1 to `degree` columns that hold the column, each with weight 1: "all pairs with income"."""
    (named,) = domain.clique((column,))
    return Workload({c: 1 for c in all_marginals(domain, degree).cliques if named in c})


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


def downward_closure(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Every non-empty subset of the cliques, smallest first; ties in the order of first appearance."""
    subsets = {s: None for clique in cliques for k in range(1, len(clique) + 1) for s in combinations(clique, k)}
    return tuple(sorted(subsets, key=len))


def maximal(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """The cliques that are part of no other one, without repeats, in the order of first appearance."""
    distinct = list(dict.fromkeys(cliques))
    sets = [frozenset(clique) for clique in distinct]
    return tuple(clique for clique, own in zip(distinct, sets, strict=True) if not any(own < other for other in sets))
