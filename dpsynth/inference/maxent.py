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
from dpsynth.inference.residuals import Residual, interaction, marginalised, subsets, table_of
from dpsynth.inference.shrinkage import noise_loss, shrunk, weights
from dpsynth.inference.support import Support, known_residuals, support_of
from dpsynth.inference.tree_model import TreeModel, tree_model
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

Potentials = Mapping[Clique, NDArray[np.float64]]
NO_POTENTIALS: Mapping[int, Potentials] = MappingProxyType({})

LEAST_ROWS = 1.0
"""Stands for a total that noise made zero or negative, so that the model is still a distribution."""

METRIC_STEPS = 10
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

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> TreeModel:
        """The fitted model; `report.converged` says whether the gap was reached.

        Raises SpecError for measurements and zeros that do not fit the domain, for zeros that leave nothing possible, and where the
        junction tree, which holds the cliques of both, would be too large.
        """
        return self.warm(domain, measurements, NO_POTENTIALS, zeros).model

    def warm(self, domain: Domain, measurements: Sequence[Measurement], start: Mapping[int, Potentials], zeros: Zeros = ()) -> "Fitted":
        """The same from the potentials of an earlier fit, where they are a better start: the same model to the tolerance."""
        with threadpool_limits(1):
            support = support_of(domain, zeros, self.cell_limit) if zeros else None
            return self._fit(domain, known_residuals(domain, measurements, support), start, support)

    def _fit(self, domain: Domain, parts: Mapping[Clique, Residual], start: Mapping[int, Potentials], support: Support | None) -> "Fitted":
        measured_total = float(parts[()].values) if parts else 0.0
        rows = max(measured_total, LEAST_ROWS)
        zeros, ruled = (support.zeros, support.cliques) if support else ((), ())
        junction_tree(domain, [*parts, *ruled], self.cell_limit)
        dual = Dual(junction_tree(domain, ruled), (), np.zeros(0), rows, zeros)
        end = End(dual.at(np.zeros(0)), 0, 0.0)
        found: dict[int, Potentials] = {0: {}}
        steps, gap = 0, 0.0
        for order in range(1, max(map(len, parts), default=0) + 1):
            model = tree_model(dual.model(end.point.theta), rows, FitReport(self.name, False, 0, 0.0, 0.0, 0))
            targets = tuple(shrunk(parts, order, model, support).values())
            tree = junction_tree(domain, [*(target.clique for target in targets), *ruled])
            dual = Dual(tree, targets, weights(targets), rows, zeros)
            starts = [dual.at(apart(dual, found[order - 1], order, model))]
            starts += [dual.at(started(dual, start[order]))] if order in start else []
            end = minimised(dual, min(starts, key=lambda point: point.value), self.tolerance, self.steps)
            found[order] = dict(zip((t.clique for t in targets), (end.point.theta[where] for where in dual.layout.slices), strict=True))
            steps, gap = steps + end.steps, max(gap, end.gap)
        report = FitReport(self.name, gap <= self.tolerance, steps, gap, self.tolerance, dual.tree.cells)
        return Fitted(tree_model(dual.model(end.point.theta), measured_total, report), found)


def started(dual: Dual, known: Potentials) -> NDArray[np.float64]:
    """float64[flat]: known potentials, 0 where there are none."""
    return np.concatenate([known[p.clique] if p.clique in known else np.zeros(p.values.size) for p in dual.parts])


def apart(dual: Dual, known: Potentials, order: int, model: TreeModel) -> NDArray[np.float64]:
    """float64[flat]: the potentials of fewer columns, and what the new tables would add if they shared no columns.

    The logarithm of a table over the model's goes into its residuals. On a forest of pairs that is the solution but for its shrinkage.
    """
    theta = started(dual, known)
    tables = dict(zip((part.clique for part in dual.parts), dual.tables(theta), strict=True))
    values = {part.clique: part.values for part in dual.parts} | {(): np.array(dual.total)}
    weight = dict(zip(tables, dual.weights.tolist(), strict=True))
    for clique in tables:
        if len(clique) == order:
            shape, least = values[clique].shape, weight[clique]
            target = table_of(values, clique)
            ratio = np.log(np.maximum(target, least)) - np.log(np.maximum(model.marginal(clique).reshape(shape), least))
            for part in subsets(clique):
                if part:
                    cells = ratio.size // values[part].size
                    tables[part] += interaction(marginalised(ratio, clique, part)) / cells
    return theta


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


def minimised(dual: Dual, start: Point, tolerance: float, steps: int) -> End:
    """The first point whose duality gap is at most `tolerance` times the expected noise loss, or the best after so many steps."""
    loss = noise_loss(dual)
    point, memory, inverse = start, Memory(), metric(dual)
    best = End(point, 0, dual.gap(point.gradient) / loss)
    for step in range(steps):
        if best.gap <= tolerance:
            break
        if step % METRIC_STEPS == 0:
            scale = inverse.at(point)
        direction = -memory.times(point.gradient, scale)
        if not direction @ point.gradient < 0:  # rounding: separators took away more than there was
            memory.clear()
            scale = metric(dual, apart=True).at(point)
            direction = -scale(point.gradient)
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
