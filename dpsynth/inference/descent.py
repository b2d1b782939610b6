"""The minimum of the dual: L-BFGS until the duality gap is small."""

from dataclasses import dataclass

from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.lbfgs import Memory, search
from dpsynth.inference.metric import metric
from dpsynth.inference.tree_kernel import dot

BLOCK_STEPS = 10
"""Steps between refreshes of the metric's blocks, which cost more than the rest of it."""


@dataclass(frozen=True, eq=False)
class End:
    """Where a minimisation stopped. gap: relative to the expected noise loss."""

    point: Point
    steps: int
    gap: float


def minimised(dual: Dual, start: Point, loss: float, tolerance: float, steps: int) -> End:
    """The first point whose duality gap is at most `tolerance` times the expected noise loss, or the best after so many steps."""
    best = End(start, 0, start.gap / loss)
    if best.gap <= tolerance:
        return best
    point, memory, inverse, promising = start, Memory(dual.weight_of_each), metric(dual), tolerance * loss
    for step in range(1, steps + 1):
        if step % BLOCK_STEPS == 1:
            blocks = inverse.blocks(point)
        direction = -memory.times(point.gradient, inverse.at(point, blocks))
        if not dot(direction, point.gradient) < 0:  # rounding: separators took away more than there was
            memory.clear()
            direction = -metric(dual, apart=True).at(point)(point.gradient)
        following, _ = search(dual.at, point, direction)
        memory.add(following.theta - point.theta, following.gradient - point.gradient)
        if following is point and memory.empty:
            break  # rounding ends the descent here; the gap says how far it came
        if following is point:
            memory.clear()
        point = following
        best = nearer(best, point, step, loss)
        if best.gap > tolerance:
            less, factors = memory.mean(point.gradient)
            if point.gap - less / 2 <= promising:
                best = nearer(best, dual.at(memory.moved(point.theta, factors)), step, loss)
                promising *= 0.8
        if best.gap <= tolerance:
            break
    return best


def nearer(best: End, point: Point, steps: int, loss: float) -> End:
    """What was best so far, or this point where its gap is less."""
    gap = point.gap / loss
    return End(point, steps, gap) if gap < best.gap else End(best.point, steps, best.gap)
