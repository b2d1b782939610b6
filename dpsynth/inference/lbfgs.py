"""Limited-memory BFGS for a smooth strongly convex function, with an approximate inverse Hessian as its starting metric.

Steps are judged by slopes first: along a line the slope of a convex function only rises, and it stays exact long after differences of
values have drowned in rounding.
Source: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.inference.descent_kernel import added_times, first_loop, second_loop, weighed
from dpsynth.inference.tree_kernel import dot

Vector = NDArray[np.float64]
Metric = Callable[[Vector], Vector]

MEMORY = 6
"""Pairs of steps and gradient changes: more take longer, and save no steps on UCI Adult."""

FLAT = 0.9
"""A step is long enough when the slope has fallen to this part of what it was, in absolute value."""

LEAST_ANGLE = 1e-10
"""Squared, between gradient changes that count as different."""

ROUNDING = 1e-12
"""Values nearer than this part of themselves count as equal."""


class Differentiable(Protocol):
    """A point of the function."""

    @property
    def value(self) -> float: ...

    @property
    def theta(self) -> Vector: ...

    @property
    def gradient(self) -> Vector: ...


P = TypeVar("P", bound=Differentiable)


class Memory:
    """The last pairs of steps and gradient changes: the product of their inverse Hessian with a vector, and where gradients are least.

    weights: float64[flat], the square of a gradient is sum g^2 / w. Pairs are held in single precision: they only shape a direction, whose
    slopes are then taken in double, and with wide trees they are the most of what a fit holds beside the tree.
    """

    def __init__(self, weights: Vector) -> None:
        self._weights = weights
        self._pairs = np.empty((2 * MEMORY, len(weights)), np.float32)
        self._curvatures = np.empty(MEMORY)
        self._products = np.empty((MEMORY, MEMORY))
        self._held = 0

    @property
    def empty(self) -> bool:
        return not self._held

    def add(self, step: Vector, change: Vector) -> None:
        curvature = dot(step, change)
        if curvature > 0:
            place = self._held % MEMORY
            self._pairs[2 * place], self._pairs[2 * place + 1] = step, change
            self._curvatures[place] = curvature
            self._held += 1
            count = min(self._held, MEMORY)
            self._products[place, :count] = self._products[:count, place] = self._with_changes(change)

    def clear(self) -> None:
        self._held = 0

    def times(self, vector: Vector, metric: Metric) -> Vector:
        """The two-loop recursion; `metric`, scaled to fit the last pair, is the inverse Hessian before any pair is known."""
        left, factors = vector.copy(), np.empty(MEMORY)
        first_loop(self._pairs, self._curvatures, self._held, left, factors)
        result = metric(left)
        if self._held:
            last = (self._held - 1) % MEMORY
            change = self._pairs[2 * last + 1].astype(np.float64)
            result *= self._curvatures[last] / dot(change, metric(change))
        second_loop(self._pairs, self._curvatures, self._held, result, factors)
        return result

    def mean(self, gradient: Vector) -> tuple[float, Vector]:
        """Of all points held, the mean with the least gradient, if gradients were linear: by how much its square falls, and the factors
        of the steps that lead there.

        The descent is judged by values and lets gradients swing; their mean is far smaller than any of them.
        Source: minimal residual smoothing, Zhou and Walker, SIAM J. Sci. Comput. 15, 1994.
        """
        along = self._with_changes(gradient)
        products = self._products[: len(along), : len(along)]
        size = np.sqrt(products.diagonal())
        factors = np.linalg.solve(products / size / size[:, None] + LEAST_ANGLE * np.eye(len(along)), along / size) / size
        return dot(along, factors), factors

    def moved(self, theta: Vector, factors: Vector) -> Vector:
        """A point moved back along the steps."""
        found = theta.copy()
        for k, factor in enumerate(factors.tolist()):
            added_times(found, self._pairs[2 * k], -factor)
        return found

    def _with_changes(self, vector: Vector) -> Vector:
        """float64[pairs held]: sum change vector / w of each."""
        found = np.empty(min(self._held, MEMORY))
        weighed(self._pairs, vector, self._weights, found)
        return found


def search(at: Callable[[Vector], P], start: P, direction: Vector, most: int = 30) -> tuple[P, int]:
    """A point along a direction where the slope is at most FLAT of the first one, and how many were tried.

    It is the start where the direction is none of descent.
    The unit step is tried first; then the root of the slope is bracketed and cut down by false position with bisection as a safeguard.
    """
    first = dot(start.gradient, direction)
    if not first < 0:
        return start, 0
    low, low_slope, high, high_slope = 0.0, first, np.inf, np.inf
    length = 1.0
    best = start
    for tried in range(1, most + 1):
        point = at(start.theta + length * direction)
        slope = dot(point.gradient, direction)
        higher = slope > 0 and point.value > start.value + ROUNDING * abs(start.value)
        if abs(slope) <= FLAT * abs(first) and not higher:
            return point, tried
        if slope < 0:
            low, low_slope, best = length, slope, point
        else:
            high, high_slope = length, slope
        length = 4.0 * length if not np.isfinite(high) else _between(low, low_slope, high, high_slope)
    return best, most


def _between(low: float, low_slope: float, high: float, high_slope: float) -> float:
    guess = low + (high - low) * low_slope / (low_slope - high_slope)
    margin = 0.1 * (high - low)
    return min(max(guess, low + margin), high - margin)
