"""The objective of `maxent` solved on the full joint distribution of a small domain: the oracle that tests compare with.

The route is another one: orthonormal contrasts instead of residual tables, a dense Hessian, Newton steps, no junction tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.model import FitReport
from dpsynth.inference.residuals import Residual, interaction
from dpsynth.inference.shrinkage import shrunk, weights
from dpsynth.inference.support import known_residuals, support_of
from dpsynth.inference.tree_model import TreeModel
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

Matrix = NDArray[np.float64]

JOINT_LIMIT = 100_000
ENTRY_LIMIT = 50_000_000
"""Numbers in the dense matrix of features of all cells."""

LEAST_ROWS = 1.0


@dataclass(frozen=True)
class BruteForce:
    """Estimator "brute-force": for domains of at most 100,000 cells."""

    tolerance: float = 1e-9
    steps: int = 500
    name: str = field(default="brute-force", init=False)

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> TreeModel:
        """The fitted model, one node that holds every column. Raises SpecError for a larger domain and for unfit measurements."""
        cells = domain.cells(domain.columns)
        if cells > JOINT_LIMIT:
            raise SpecError(f"brute force takes domains of at most {JOINT_LIMIT} cells, got {cells}: use the maxent estimator")
        support, base = (support_of(domain, zeros), forbidden(domain, zeros)) if zeros else (None, np.zeros(cells))
        parts = known_residuals(domain, measurements, support)
        measured_total = float(parts[()].values) if parts else 0.0
        rows = max(measured_total, LEAST_ROWS)
        joint, gap, steps = softmax(base), 0.0, 0
        largest = 0.0
        with threadpool_limits(1):
            for order in range(1, max(map(len, parts), default=0) + 1):
                lower = _model(domain, joint, rows, FitReport(self.name, False, 0, 0.0, 0.0, cells))
                targets = tuple(shrunk(parts, order, lower.marginal, support).values())
                joint, gap, steps = joint_fit(
                    explicit(domain, targets, weights(targets, parts, rows), rows, base), self.tolerance, self.steps
                )
                largest = max(largest, gap)
        report = FitReport(self.name, largest <= self.tolerance, steps, largest, self.tolerance, cells)
        return _model(domain, joint, max(0.0, measured_total), report)


@dataclass(frozen=True, eq=False)
class Explicit:
    """The dual in orthonormal contrasts.

    basis: float64[cells of the domain, coordinates]. target, penalty, variance: float64[coordinates]: r, w, s^2.
    base: float64[cells of the domain], log b: 0, or minus infinity for a cell that cannot occur.
    """

    basis: Matrix
    target: Matrix
    penalty: Matrix
    variance: Matrix
    rows: float
    base: Matrix

    def at(self, theta: Matrix) -> tuple[Matrix, Matrix]:
        """The joint distribution and the dual's gradient."""
        joint = softmax(self.basis @ theta + self.base)
        return joint, self.rows * (self.basis.T @ joint) - self.target + self.penalty * theta

    def value(self, theta: Matrix) -> float:
        """The dual."""
        scores = self.basis @ theta + self.base
        log_z = float(scores.max() + np.log(np.exp(scores - scores.max()).sum()))
        return self.rows * log_z - float(theta @ self.target) + 0.5 * float(self.penalty @ theta**2)

    def newton(self, theta: Matrix, joint: Matrix, gradient: Matrix) -> Matrix:
        """The next theta: the Newton step, halved until the value falls by a part of what the slope promises (Armijo)."""
        mean = self.basis.T @ joint
        covariance = (self.basis * joint[:, None]).T @ self.basis - np.outer(mean, mean)
        step = -np.linalg.solve(self.rows * covariance + np.diag(self.penalty), gradient)
        slope, value = float(gradient @ step), self.value(theta)
        while self.value(theta + step) > value + 1e-4 * slope + 1e-13 * abs(value):
            step, slope = step / 2, slope / 2
        return np.asarray(theta + step)


def explicit(domain: Domain, parts: Sequence[Residual], weight: Matrix, rows: float, base: Matrix | None = None) -> Explicit:
    """The dual of these residuals with every feature written out; base: None where every cell can occur."""
    dofs = [part.dof for part in parts]
    return Explicit(
        basis=np.concatenate([features(domain, part.clique) for part in parts], axis=1),
        target=np.concatenate([contrasts(part.values.shape).T @ part.values.reshape(-1) for part in parts]),
        penalty=np.repeat(weight, dofs),
        variance=np.repeat([part.variance for part in parts], dofs),
        rows=rows,
        base=np.zeros(domain.cells(domain.columns)) if base is None else base,
    )


def forbidden(domain: Domain, zeros: Zeros) -> Matrix:
    """float64[cells of the domain]: 0, or minus infinity for a cell that cannot occur."""
    found = np.zeros(domain.sizes)
    for zero in zeros:
        across = [size if column in zero.clique else 1 for column, size in domain.size.items()]
        found = found + np.where(zero.allowed, 0.0, -np.inf).reshape(across)
    return found.reshape(-1)


def joint_fit(dual: Explicit, tolerance: float, steps: int) -> tuple[Matrix, float, int]:
    """float64[cells of the domain] of probabilities, the relative duality gap and the Newton steps taken."""
    loss = float(np.sum(dual.variance / (2 * dual.penalty))) or 1.0
    theta, taken = np.zeros(len(dual.target)), 0
    while True:
        joint, gradient = dual.at(theta)
        gap = float(np.sum(gradient**2 / (2 * dual.penalty))) / loss
        if gap <= tolerance or taken == steps:
            return joint, gap, taken
        theta, taken = dual.newton(theta, joint, gradient), taken + 1


def features(domain: Domain, clique: Clique) -> Matrix:
    """float64[cells of the domain, dof of the clique]: the contrasts of the clique's cell, for every cell of the domain."""
    factors = [contrasts((size,)) if column in clique else np.ones((size, 1)) for column, size in domain.size.items()]
    result = reduce(_kron, factors, np.ones((1, 1)))
    if result.size > ENTRY_LIMIT:
        raise SpecError(f"brute force would need {result.size} numbers for {list(clique)}: use the maxent estimator")
    return result


def contrasts(shape: tuple[int, ...]) -> Matrix:
    """float64[cells, dof]: an orthonormal basis of the interaction space."""
    return reduce(_kron, [_axis_contrasts(size) for size in shape], np.ones((1, 1)))


def _kron(a: Matrix, b: Matrix) -> Matrix:
    return np.asarray(np.kron(a, b), dtype=np.float64)


def _axis_contrasts(size: int) -> Matrix:
    projection = interaction(np.eye(size))[:, : size - 1] if size > 1 else np.zeros((1, 0))
    return np.linalg.qr(projection)[0] if size > 1 else projection


def softmax(scores: Matrix) -> Matrix:
    """exp(scores), normalised."""
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _model(domain: Domain, joint: Matrix, rows: float, report: FitReport) -> TreeModel:
    tree = JunctionTree(domain, (domain.columns,), (-1,), ((),))
    return TreeModel(tree, (joint.reshape(domain.sizes),), rows, report)
