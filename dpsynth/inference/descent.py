"""The minimum of the dual: L-BFGS until the duality gap is small."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.lbfgs import Memory, search
from dpsynth.inference.metric import Inverse, metric
from dpsynth.inference.tree_kernel import dot

Vector = NDArray[np.float64]

BLOCK_STEPS = 10
"""Steps between refreshes of the metric's blocks, which cost more than the rest of it."""


@dataclass(frozen=True, eq=False)
class End:
    """Where a minimisation stopped. theta: float64[flat]. gap: relative to the expected noise loss."""

    theta: Vector
    steps: int
    gap: float


def minimised(dual: Dual, point: Point, loss: float, tolerance: float, steps: int) -> End:
    """The first point whose duality gap is at most `tolerance` times the expected noise loss, or the best after so many steps."""
    best = End(point.theta, 0, point.gap / loss)
    if best.gap <= tolerance:
        return best
    memory, inverse, promising = Memory(dual.weight_of_each), metric(dual), tolerance * loss
    for step in range(1, steps + 1):
        if step % BLOCK_STEPS == 1:
            blocks = inverse.blocks(point)
        following = _following(dual, memory, inverse.at(point, blocks), point)
        memory.add(following.theta - point.theta, following.gradient - point.gradient)
        if following is point and memory.empty:
            break  # rounding ends the descent here; the gap says how far it came
        if following is point:
            memory.clear()
        point = following
        del following  # of wide trees a point is as large as all that was measured
        best = nearer(best, point, step, loss)
        if best.gap > tolerance:
            less, factors = memory.mean(point.gradient)
            if point.gap - less / 2 <= promising:
                best = nearer(best, dual.at(memory.moved(point.theta, factors)), step, loss)
                promising *= 0.8
        if best.gap <= tolerance:
            break
    return best


def _following(dual: Dual, memory: Memory, inverse: Inverse, point: Point) -> Point:
    direction = memory.times(point.gradient, inverse)
    if not dot(direction, point.gradient) > 0:  # rounding: separators took away more than there was
        memory.clear()
        direction = metric(dual, apart=True).at(point)(point.gradient)
    del inverse
    return search(dual.at, point, np.negative(direction, out=direction))[0]


def nearer(best: End, point: Point, steps: int, loss: float) -> End:
    """What was best so far, or this point where its gap is less."""
    gap = point.gap / loss
    return End(point.theta, steps, gap) if gap < best.gap else End(best.theta, steps, best.gap)
