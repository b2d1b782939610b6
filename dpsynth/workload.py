"""What users care about: weighted marginals, and the sets that follow from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError


@dataclass(frozen=True)
class Workload:
    """Marginals whose accuracy matters, each with a positive integer weight."""

    weights: Mapping[Clique, int]

    def __post_init__(self) -> None:
        for clique, weight in self.weights.items():
            if weight < 1:
                raise SpecError(f"the weight of {list(clique)} must be at least 1, got {weight}")
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    @property
    def cliques(self) -> tuple[Clique, ...]:
        return tuple(self.weights)


def all_marginals(domain: Domain, degree: int) -> Workload:
    """All marginals of 1 to `degree` columns, each with weight 1."""
    if not 1 <= degree <= len(domain.columns):
        raise SpecError(f"degree must be from 1 to the number of columns, {len(domain.columns)}, got {degree}")
    cliques = [c for k in range(1, degree + 1) for c in combinations(domain.columns, k)]
    return Workload(dict.fromkeys(cliques, 1))


def downward_closure(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """Every non-empty subset of the cliques, smallest first; ties in the order of first appearance."""
    subsets = {s: None for clique in cliques for k in range(1, len(clique) + 1) for s in combinations(clique, k)}
    return tuple(sorted(subsets, key=len))


def maximal(cliques: Iterable[Clique]) -> tuple[Clique, ...]:
    """The cliques that are part of no other one, without repeats, in the order of first appearance."""
    distinct = list(dict.fromkeys(cliques))
    sets = [frozenset(clique) for clique in distinct]
    return tuple(clique for clique, own in zip(distinct, sets, strict=True) if not any(own < other for other in sets))
