"""Maximum entropy with empirical-Bayes shrinkage on a junction tree: the estimator of the tree strategies.

The tables are split into orthogonal residuals r_A with known noise; the model's potentials live in the same spaces, each with its own
shrinkage w_A = lambda_A s_A^2, estimated level by level from released values (see `levels`, `shrinkage`). The fit ends on a measured
duality gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from dpsynth.domain import Clique, Domain
from dpsynth.inference.junction import CELL_LIMIT
from dpsynth.inference.support import known_residuals, support_of
from dpsynth.inference.tree_model import TreeModel
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

Potentials = Mapping[Clique, NDArray[np.float64]]
NO_POTENTIALS: Mapping[int, Potentials] = MappingProxyType({})


@dataclass(frozen=True)
class MaxEnt:
    """Estimator "maxent".

    tolerance: of the duality gap, relative to the expected noise loss. steps: after so many in one level the fit is given up as
    unconverged. cell_limit: of the junction tree.
    """

    tolerance: float = 1e-2
    steps: int = 5_000
    cell_limit: int = CELL_LIMIT
    name: str = field(default="maxent", init=False)

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> TreeModel:
        """The fitted model; `report.converged` says whether the gap was reached.

        Raises SpecError for measurements and zeros that do not fit the domain, for zeros that leave nothing possible, and where the
        junction tree, which holds the cliques of both, would be too large.
        """
        return self.warm(domain, measurements, NO_POTENTIALS, zeros).model

    def warm(self, domain: Domain, measurements: Sequence[Measurement], start: Mapping[int, Potentials], zeros: Zeros = ()) -> "Fitted":
        """The same from the potentials of an earlier fit, where they are a better start: the same model to the tolerance."""
        from dpsynth.inference.levels import fitted  # compiled loops: whoever fits no tree need not wait for them

        with _blas().limit(limits=1):
            support = support_of(domain, zeros, self.cell_limit) if zeros else None
            return fitted(self, domain, known_residuals(domain, measurements, support), start, support)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model and, for each level of the fit, its potentials float64[cells of the clique]: where a later fit may start."""

    model: TreeModel
    potentials: Mapping[int, Potentials]


@cache
def _blas() -> ThreadpoolController:
    """Finding the libraries takes longer than a small fit; numpy's and scipy's are there by now."""
    return ThreadpoolController()
