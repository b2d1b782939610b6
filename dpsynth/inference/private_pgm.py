"""The estimator of Private-PGM (package mbi): nearest marginals in least squares, by mirror descent.

Source: McKenna, Sheldon, Miklau, arXiv:1901.09136, algorithm 1, as in mbi 2. Its potentials are put on our own junction tree, so that
sampling, reports and files are shared.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.junction import CELL_LIMIT, junction_tree
from dpsynth.inference.model import FitReport
from dpsynth.inference.propagation import propagate, spread
from dpsynth.inference.residuals import checked_table, residuals
from dpsynth.inference.tree_model import TreeModel, tree_model
from dpsynth.transcript import Measurement


@dataclass(frozen=True)
class PrivatePgm:
    """Estimator "private-pgm". iterations: mirror-descent steps; nothing measures how far they are from the optimum."""

    iterations: int = 1000
    cell_limit: int = CELL_LIMIT
    name: str = field(default="private-pgm", init=False)

    def fit(self, domain: Domain, measurements: Sequence[Measurement]) -> TreeModel:
        """The fitted model; its report is never certified. Switches jax to 64-bit floats in the whole process.

        Raises SpecError for measurements that do not fit the domain, and where the junction tree would be too large.
        """
        for measurement in measurements:
            checked_table(domain, measurement)
        measured = [m for m in measurements if m.clique]
        tree = junction_tree(domain, [m.clique for m in measured], self.cell_limit)
        parts = residuals(domain, measurements)
        total = float(parts[()].values) if parts else 0.0
        found = _mirror_descent(domain, measured, max(total, 1.0), self.iterations) if measured else {}
        potentials = [np.zeros(domain.shape(node)) for node in tree.nodes]
        for clique, table in found.items():
            host = tree.host(clique)
            assert host is not None, "a junction tree holds every clique it was made from"
            potentials[host] = potentials[host] + spread(table, clique, tree.nodes[host])
        report = FitReport(self.name, True, self.iterations if measured else 0, 0.0, 0.0, tree.cells, certified=False)
        return tree_model(propagate(tree, potentials), total, report)


def _mirror_descent(
    domain: Domain, measurements: Sequence[Measurement], total: float, iterations: int
) -> dict[Clique, NDArray[np.float64]]:
    """Log-potentials float64[shape] of each of mbi's cliques, columns in the domain's order."""
    mbi = _quiet_mbi()
    weighted = [mbi.LinearMeasurement(np.asarray(m.values, dtype=np.float64), m.clique, float(m.sigma)) for m in measurements]
    space = mbi.Domain(domain.columns, domain.sizes)
    model = mbi.estimation.MirrorDescent().estimate(space, weighted, known_total=total, iters=iterations)
    found = {}
    for clique in model.potentials.cliques:
        ours = domain.clique(clique)
        factor = model.potentials[clique].transpose(ours)
        found[ours] = np.array(factor.values, dtype=np.float64).reshape(domain.shape(ours))
    return found


def _quiet_mbi() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jax

        jax.config.update("jax_enable_x64", True)
        import mbi
    return mbi
