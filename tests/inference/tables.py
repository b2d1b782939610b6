"""Made-up domains, tables and measurements for the tests of inference."""

import math

import numpy as np

from dpsynth.domain import Clique, Domain
from dpsynth.transcript import Measurement

SHAPES: dict[str, tuple[Clique, ...]] = {
    "chain": (("a", "b"), ("b", "c"), ("c", "d")),
    "star": (("a", "b"), ("a", "c"), ("a", "d")),
    "cycle": (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")),
    "overlapping triples": (("a", "b", "c"), ("b", "c", "d")),
    "triple and pair": (("a", "b", "c"), ("c", "d"), ("d",)),
    "disconnected": (("a", "b"), ("c", "d")),
    "repeated": (("a", "b"), ("a", "b"), ("b",), ("b",)),
    "one column": (("c",),),
    "total only": ((),),
    "nothing": (),
    "everything": (("a", "b", "c", "d"),),
}
DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 4, 2))


def joint(domain: Domain, rows: int, seed: int) -> np.ndarray:
    """int64[cells of the domain]: counts of a joint distribution with dependence of every order."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, rng.dirichlet(np.full(math.prod(domain.sizes), 0.4))).reshape(domain.sizes)


def table(domain: Domain, counts: np.ndarray, clique: Clique) -> np.ndarray:
    return counts.sum(axis=tuple(i for i, c in enumerate(domain.columns) if c not in clique)).reshape(-1)


def measured(domain: Domain, cliques, rows: int = 1000, sigma: float = 10.0, seed: int = 0) -> list[Measurement]:
    """Noisy marginals of one made-up table; every clique has its own sigma, about the one given."""
    rng = np.random.default_rng(seed + 1)
    counts = joint(domain, rows, seed)
    found = []
    for place, clique in enumerate(cliques):
        own = sigma * (1 + 0.3 * place)
        exact = table(domain, counts, clique)
        found.append(Measurement(clique, np.rint(exact + rng.normal(0, own, exact.shape)).astype(np.int64), own))
    return found
