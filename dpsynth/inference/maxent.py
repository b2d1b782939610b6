"""Maximum entropy with empirical-Bayes shrinkage on a junction tree: the estimator of the tree strategies.

The tables are split into orthogonal residuals r_A with known noise; the model's potentials live in the same spaces, each with its own
shrinkage w_A = lambda_A s_A^2, estimated level by level from released values (see `shrinkage`). The fit ends on a measured duality gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.junction import CELL_LIMIT, junction_tree
from dpsynth.inference.lbfgs import Memory, search
from dpsynth.inference.metric import metric
from dpsynth.inference.model import FitReport
from dpsynth.inference.residuals import Residual, residuals
from dpsynth.inference.shrinkage import noise_loss, shrunk, weights
from dpsynth.inference.tree_model import TreeModel, tree_model
from dpsynth.transcript import Measurement

Potentials = Mapping[Clique, NDArray[np.float64]]
NO_POTENTIALS: Mapping[int, Potentials] = MappingProxyType({})

LEAST_ROWS = 1.0
"""Stands for a total that noise made zero or negative, so that the model is still a distribution."""

METRIC_STEPS = 20
"""Steps between refreshes of the metric."""


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

    def fit(self, domain: Domain, measurements: Sequence[Measurement]) -> TreeModel:
        """The fitted model; `report.converged` says whether the gap was reached.

        Raises SpecError for measurements that do not fit the domain, and where the junction tree would be too large.
        """
        return self.warm(domain, measurements, NO_POTENTIALS).model

    def warm(self, domain: Domain, measurements: Sequence[Measurement], start: Mapping[int, Potentials]) -> "Fitted":
        """The same from the potentials of an earlier fit: the same model to the tolerance, in fewer steps."""
        with threadpool_limits(1):
            return self._fit(domain, residuals(domain, measurements), start)

    def _fit(self, domain: Domain, parts: Mapping[Clique, Residual], start: Mapping[int, Potentials]) -> "Fitted":
        measured_total = float(parts[()].values) if parts else 0.0
        rows = max(measured_total, LEAST_ROWS)
        junction_tree(domain, parts, self.cell_limit)
        dual = Dual(junction_tree(domain, ()), (), np.zeros(0), rows)
        end = End(dual.at(np.zeros(0)), 0, 0.0)
        found: dict[int, Potentials] = {0: {}}
        steps, gap = 0, 0.0
        for order in range(1, max(map(len, parts), default=0) + 1):
            model = tree_model(end.point.model, rows, FitReport(self.name, False, 0, 0.0, 0.0, 0))
            targets = tuple(shrunk(parts, order, model).values())
            known = start.get(order, found[order - 1])
            theta = np.concatenate([known[t.clique] if t.clique in known else np.zeros(t.values.size) for t in targets])
            dual = Dual(junction_tree(domain, [target.clique for target in targets]), targets, weights(targets), rows)
            end = minimised(dual, theta, self.tolerance, self.steps)
            found[order] = dict(zip((t.clique for t in targets), (end.point.theta[where] for where in dual.slices), strict=True))
            steps, gap = steps + end.steps, max(gap, end.gap)
        report = FitReport(self.name, gap <= self.tolerance, steps, gap, self.tolerance, dual.tree.cells)
        return Fitted(tree_model(end.point.model, measured_total, report), found)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model and, for each level of the fit, its potentials float64[cells of the clique]: where a later fit may start."""

    model: TreeModel
    potentials: Mapping[int, Potentials]


@dataclass(frozen=True, eq=False)
class End:
    """Where a minimisation stopped. gap: relative to the expected noise loss."""

    point: Point
    steps: int
    gap: float


def minimised(dual: Dual, start: NDArray[np.float64], tolerance: float, steps: int) -> End:
    """The first point whose duality gap is at most `tolerance` times the expected noise loss, or the best one after so many steps."""
    loss = noise_loss(dual)
    point, memory = dual.at(start), Memory()
    best = End(point, 0, dual.gap(point.gradient) / loss)
    for step in range(steps):
        if best.gap <= tolerance:
            break
        if step % METRIC_STEPS == 0:
            scale = metric(dual, point)
        direction = -memory.times(point.gradient, scale)
        following, _ = search(dual.at, point, direction)
        memory.add(following.theta - point.theta, following.gradient - point.gradient)
        if following is point and memory.empty:
            break  # rounding ends the descent here; the gap says how far it came
        if following is point:
            memory.clear()
        point = following
        gap = dual.gap(point.gradient) / loss
        best = End(point, step + 1, gap) if gap < best.gap else End(best.point, step + 1, best.gap)
    return best
