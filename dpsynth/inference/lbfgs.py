"""Limited-memory BFGS for a smooth strongly convex function, with an approximate inverse Hessian as its starting metric.

Steps are judged by slopes first: along a line the slope of a convex function only rises, and it stays exact long after differences of
values have drowned in rounding. Callers hold BLAS to one thread, so that the machine's setting does not matter.
Source: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Metric = Callable[[Vector], Vector]

MEMORY = 20
FLAT = 0.9
"""A step is long enough when the slope has fallen to this part of what it was, in absolute value."""

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
    """The last pairs of steps and gradient changes, and the product of their inverse Hessian with a vector."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=MEMORY)

    @property
    def empty(self) -> bool:
        return not self._pairs

    def add(self, step: Vector, change: Vector) -> None:
        curvature = dot(step, change)
        if curvature > 0:
            self._pairs.append((step, change, 1.0 / curvature))

    def clear(self) -> None:
        self._pairs.clear()

    def times(self, vector: Vector, metric: Metric) -> Vector:
        """The two-loop recursion; `metric`, scaled to fit the last pair, is the inverse Hessian before any pair is known."""
        left = vector.copy()
        factors = []
        for step, change, inverse in reversed(self._pairs):
            factor = inverse * dot(step, left)
            factors.append(factor)
            left -= factor * change
        result = metric(left)
        result *= self._scale(metric)
        for (step, change, inverse), factor in zip(self._pairs, reversed(factors), strict=True):
            result += (factor - inverse * dot(change, result)) * step
        return result

    def _scale(self, metric: Metric) -> float:
        if not self._pairs:
            return 1.0
        _, change, inverse = self._pairs[-1]
        return 1.0 / (inverse * dot(change, metric(change)))


def dot(a: Vector, b: Vector) -> float:
    """Inner product."""
    return float(a @ b)


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
