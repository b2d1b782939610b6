"""The estimator of Private-PGM (package mbi): nearest marginals in least squares, by mirror descent.

Source: McKenna, Sheldon, Miklau, arXiv:1901.09136, algorithm 1, as in mbi 2. Its potentials are put on our own junction tree, so that
sampling, reports and files are shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dpsynth.domain import Domain
from dpsynth.inference.interchange import mbi_domain, mbi_measurements, model_from_mbi, quiet_mbi
from dpsynth.inference.junction import CELL_LIMIT, junction_tree
from dpsynth.inference.model import FitReport
from dpsynth.inference.propagation import propagate
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
        report = FitReport(self.name, True, self.iterations if measured else 0, 0.0, 0.0, tree.cells, certified=False)
        if not measured:
            return tree_model(propagate(tree, [np.zeros(domain.shape(node)) for node in tree.nodes]), total, report)
        descent = quiet_mbi().estimation.MirrorDescent()
        found = descent.estimate(mbi_domain(domain), mbi_measurements(measured), known_total=max(total, 1.0), iters=self.iterations)
        return model_from_mbi(domain, found, report, total, self.cell_limit)
