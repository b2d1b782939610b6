"""Which neighbouring cells of a fine noisy table belong together: the histogram whose bins differ by more than the noise.

    min over partitions    sum over bins, sum over their cells (y_i - mean)^2 / sigma^2  +  3 ln(n) (number of bins)

exactly, by dynamic programming. Two cuts that noise alone suggests lower the sum by about 2 ln(n), and cost three times that. Steps are
found so; slopes are not, for each of their cuts explains little. What is left of the bins goes where rows are: where a bin is over three
times as wide as its neighbour, as in a tail that noise hides, it is cut at twice that neighbour's width; then the fullest bin is cut in
halves, as long as its rows stand out of their noise.
At the same budget and with as many bins at most, what eleven columns lose by their bins is 17 to 32 % less on average than with PrivTree
(Zhang, Xiao, Xie, arXiv:1601.03229; benchmarks/bins.py), whose splits are drawn with noise of their own.
Source: Jackson et al., arXiv:math/0309285 (optimal partition); Zhang and Siegmund, 2007 (the penalty).
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

EVEN = 3.0
"""How many times as wide as its neighbour a bin may be."""

STANDS_OUT = 4.0
"""Standard deviations of a bin's noise that its rows have where it may be cut in halves."""

Vector = NDArray[np.float64]


def partition(values: Vector, sigma: float, most: int, alone: NDArray[np.bool_]) -> tuple[int, ...]:
    """The cells that begin a bin, the first among them: those of the best histogram, graded, and the fullest cut in halves."""
    found = graded(histogram(values, sigma, most, alone), len(values), most, alone)
    while len(found) < most and (middle := halved(found, values, sigma)) is not None:
        found = graded(tuple(sorted((*found, middle))), len(values), most, alone)
    return found


def halved(starts: tuple[int, ...], values: Vector, sigma: float) -> int | None:
    """The middle of the bin with the most rows, among those whose rows stand out of their noise; None where there is none to cut."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    bins = [(sums[b] - sums[a], a, b) for a, b in pairwise((*starts, len(values))) if b - a > 1]
    rows, a, b = max((each for each in bins if each[0] > STANDS_OUT * sigma * math.sqrt(each[2] - each[1])), default=(0.0, 0, 0))
    return (a + b) // 2 if rows > 0 else None


def histogram(values: Vector, sigma: float, most: int, alone: NDArray[np.bool_]) -> tuple[int, ...]:
    """The cells that begin a bin of the best histogram.

    values: float64[cells] in rows, with independent noise of standard deviation sigma. most: bins at most, more only where lone cells
    leave no choice; at least two where there are two cells. alone: bool[cells], which cells are bins of their own.
    """
    misfit = _misfit(values, alone) / sigma**2
    cells, penalty = len(values), 3 * math.log(max(2, len(values)))
    best, cuts = misfit[0], [np.zeros(cells + 1, dtype=np.int64)]
    costs = [best[cells]]
    while len(costs) < cells and (len(costs) < most or not math.isfinite(min(costs))):
        through = best[:, None] + misfit
        cuts.append(np.asarray(through.argmin(axis=0)))
        best = through.min(axis=0)
        costs.append(best[cells] + penalty * len(costs))
    bins = 2 + int(np.argmin(costs[1:])) if cells > 1 else 1
    return _starts(cuts[:bins], cells)


def graded(starts: tuple[int, ...], cells: int, most: int, alone: NDArray[np.bool_]) -> tuple[int, ...]:
    """More cuts, up to `most` bins, where neighbouring bins differ most in width; lone cells neither count nor are cut."""
    found = list(starts)
    while len(found) < most:
        ends = [*found[1:], cells]
        pairs = [(found[i], ends[i], ends[i + 1]) for i in range(len(found) - 1) if not (alone[found[i]] or alone[ends[i]])]
        uneven = [(max(b - a, c - b) / min(b - a, c - b), a, b, c) for a, b, c in pairs]
        ratio, a, b, c = max(uneven, key=lambda pair: (pair[0], -pair[1]), default=(0.0, 0, 0, 0))
        if ratio <= EVEN:
            break
        found = sorted([*found, b + 2 * (b - a) if c - b > b - a else b - 2 * (c - b)])
    return tuple(found)


def _misfit(values: Vector, alone: NDArray[np.bool_]) -> Vector:
    """float64[cells + 1, cells + 1]: sum of squares about the mean of the cells from i to before j; infinite where they are no bin."""
    sums, squares, lone = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values, values**2, alone.astype(np.float64)))
    width = np.arange(len(sums))[None, :] - np.arange(len(sums))[:, None]
    inside = width > 0
    mean = (sums[None, :] - sums[:, None]) / np.where(inside, width, 1)
    found = np.maximum(squares[None, :] - squares[:, None] - mean**2 * width, 0.0)
    joins_lone = (lone[None, :] - lone[:, None] > 0) & (width > 1)
    return np.where(inside & ~joins_lone, found, np.inf)


def _starts(cuts: list[NDArray[np.int64]], cells: int) -> tuple[int, ...]:
    """Back from the end: cuts[k][j] is where the last of k + 1 bins of the first j cells begins."""
    starts, end = [], cells
    for cut in reversed(cuts):
        end = int(cut[end])
        starts.append(end)
    return tuple(reversed(starts))
