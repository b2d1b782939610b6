"""The estimator of Private-PGM (package mbi): nearest marginals in least squares, by mirror descent.

Source: McKenna, Sheldon, Miklau, arXiv:1901.09136, algorithm 1, as in mbi 2. Its potentials are put on our own junction tree, so that
sampling, reports and files are shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dpsynth.domain import Domain
from dpsynth.inference.interchange import mbi_constraints, mbi_domain, mbi_measurements, model_from_mbi, quiet_mbi
from dpsynth.inference.junction import CELL_LIMIT, junction_tree
from dpsynth.inference.model import FitReport
from dpsynth.inference.residuals import checked_table, residuals
from dpsynth.inference.support import support_of
from dpsynth.inference.tree_model import TreeModel
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement


@dataclass(frozen=True)
class PrivatePgm:
    """Estimator "private-pgm". iterations: mirror-descent steps; nothing measures how far they are from the optimum."""

    iterations: int = 1000
    cell_limit: int = CELL_LIMIT
    name: str = field(default="private-pgm", init=False)

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> TreeModel:
        """The fitted model; its report is never certified. Switches jax to 64-bit floats in the whole process.

        Raises SpecError for measurements and zeros that do not fit the domain, for zeros that leave nothing possible, and where the
        junction tree would be too large.
        """
        for measurement in measurements:
            checked_table(domain, measurement)
        measured = [m for m in measurements if m.clique]
        support = support_of(domain, zeros, self.cell_limit)
        tree = junction_tree(domain, [*(m.clique for m in measured), *support.cliques], self.cell_limit)
        parts = residuals(domain, measurements)
        total = float(parts[()].values) if parts else 0.0
        report = FitReport(self.name, True, self.iterations if measured else 0, 0.0, 0.0, tree.cells, certified=False)
        if not measured:
            return replace(support.uniform, total=max(0.0, total), report=report)
        descent = quiet_mbi().estimation.MirrorDescent()
        tables = mbi_measurements(support.cleared(measured))
        settings = {"known_total": max(total, 1.0), "iters": self.iterations, "constraints": mbi_constraints(domain, zeros)}
        found = descent.estimate(mbi_domain(domain), tables, **settings)
        return model_from_mbi(domain, found, report, total, self.cell_limit, zeros)
