"""The compiled loops of the descent: the dual's slope, its metric, the memory of L-BFGS. Numba, as in `tree_kernel`."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dpsynth.inference.tree_kernel import added, collected, dot, spread, summed

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

SEPARATOR = -2
"""In place of what a table gives up: the table is what the one before gave up."""

NEAR = 0.1
"""A step of a cell's logarithm that is so small hardly bends its rows."""


@njit(cache=True, fastmath={"reassoc"})
def slope(theta: Vector, weights: Vector, target: Vector, gradient: Vector) -> tuple[float, float]:
    """Adds w theta - r to P mu; returns - <theta, r> + 1/2 sum w theta^2 and sum gradient^2 / (2 w)."""
    value = gap = 0.0
    for i in range(len(theta)):
        pull = weights[i] * theta[i]
        gradient[i] += pull - target[i]
        value += theta[i] * (0.5 * pull - target[i])
        gap += gradient[i] * gradient[i] / weights[i]
    return value, 0.5 * gap


@njit(cache=True)
def centred(flat: Vector, axes: Places) -> None:
    """Takes the mean along every axis from every table (see `flat.Layout.axes`)."""
    for a in range(len(axes)):
        start, size, along, post = axes[a]
        table = flat[start : start + size]
        if post == 1:
            lines = table.reshape(size // along, along)
            for i in range(len(lines)):
                mean = summed(lines[i]) / along
                for k in range(along):
                    lines[i, k] -= mean
        else:
            means = np.empty(size // along)
            means[:] = 0
            collected(table, means, along, post)
            for i in range(len(means)):
                means[i] *= -1.0 / along
            spread(table, means, along, post)


@njit(cache=True)
def inverses(
    tables: Places,
    parts: Places,
    shares: Vector,
    offsets: NDArray[np.int32],
    shared: Places,
    dampings: Vector,
    marginals: Vector,
    gradient: Vector,
    found: Vector,
) -> None:
    """V of every table of the metric, see `metric`; minus V of the separators."""
    margin, line = np.empty(len(marginals)), np.empty(_widest(tables))
    margin[:] = 0
    for t in range(len(tables)):
        start, rows, width, first, last, held = tables[t]
        own, damping, here = parts[first:last], dampings[t], line[:width]
        mu = marginals[parts[last - 1, 1] : parts[last - 1, 1] + rows * width] if shared[t] != SEPARATOR else margin
        for i in range(rows):
            inverse = found[start + i * width : start + (i + 1) * width]
            offset = offsets[held + i * len(own) : held + (i + 1) * len(own)]
            if shared[t] == SEPARATOR:
                run = margin[offset[-1] : offset[-1] + width]
                for j in range(width):
                    inverse[j] = -1.0 / (run[j] + damping)
                run[:] = 0
                continue
            _row(here, gradient, own, shares[first:last], offset)
            run = mu[i * width : (i + 1) * width]
            for j in range(width):
                here[j] = _stiffness(run[j], damping, -here[j])
                inverse[j] = 1.0 / here[j]
                here[j] -= damping
            if shared[t] >= 0:
                at = offset[shared[t]]
                if own[shared[t], 0] == 1:
                    added(margin[at : at + width], here)
                else:
                    margin[at] += summed(here)


@njit(cache=True)
def _stiffness(mu: float, damping: float, pull: float) -> float:
    """h with h x = pull and mu (exp(x) - 1) + damping x = pull where x is far from 0 and positive; else mu + damping, its limit."""
    if pull <= NEAR * (mu + damping):
        return mu + damping
    x = min(pull / (mu + damping), math.log1p(pull / max(mu, 1e-300)))
    for _ in range(2):
        rise = mu * math.exp(x)
        x -= (rise - mu + damping * x - pull) / (rise + damping)
    return pull / x


@njit(cache=True)
def scaled(
    tables: Places, parts: Places, shares: Vector, offsets: NDArray[np.int32], inverse: Vector, vector: Vector, step: Vector
) -> None:
    """Adds sum R V R' vector over the tables of the metric."""
    line = np.empty(_widest(tables))
    for t in range(len(tables)):
        start, rows, width, first, last, held = tables[t]
        own, share, here = parts[first:last], shares[first:last], line[:width]
        for i in range(rows):
            offset = offsets[held + i * len(own) : held + (i + 1) * len(own)]
            _row(here, vector, own, share, offset)
            factor = inverse[start + i * width : start + (i + 1) * width]
            for j in range(width):
                here[j] *= factor[j]
            _row_back(here, step, own, share, offset)


@njit(cache=True)
def _widest(tables: Places) -> int:
    """Cells of the longest row."""
    most = 0
    for t in range(len(tables)):
        most = max(most, tables[t, 2])
    return most


@njit(cache=True)
def _row(line: Vector, flat: Vector, parts: Places, shares: Vector, offsets: NDArray[np.int32]) -> None:
    """A row of a clique's table: the sum of its parts' shares (see `flat.Sums`)."""
    constant = 0.0
    for p in range(len(parts)):
        if parts[p, 0] == 0:
            constant += shares[p] * flat[offsets[p]]
    line[:] = constant
    for p in range(len(parts)):
        if parts[p, 0] == 1:
            run, share = flat[offsets[p] : offsets[p] + len(line)], shares[p]
            for j in range(len(line)):
                line[j] += share * run[j]


@njit(cache=True)
def _row_back(line: Vector, flat: Vector, parts: Places, shares: Vector, offsets: NDArray[np.int32]) -> None:
    """The transpose of `_row`."""
    constant = summed(line)
    for p in range(len(parts)):
        if parts[p, 0] == 0:
            flat[offsets[p]] += shares[p] * constant
        else:
            run, share = flat[offsets[p] : offsets[p] + len(line)], shares[p]
            for j in range(len(line)):
                run[j] += share * line[j]


@njit(cache=True)
def first_loop(pairs: NDArray[np.float32], curvatures: Vector, held: int, left: Vector, factors: Vector) -> None:
    """The first half of `lbfgs.Memory.times`: pairs, float32[2 memory, flat], holds steps and changes by turns, as a ring."""
    memory = len(curvatures)
    for i in range(held - 1, max(held - memory, 0) - 1, -1):
        k = i % memory
        factors[k] = dot(pairs[2 * k], left) / curvatures[k]
        added_times(left, pairs[2 * k + 1], -factors[k])


@njit(cache=True)
def second_loop(pairs: NDArray[np.float32], curvatures: Vector, held: int, result: Vector, factors: Vector) -> None:
    """The second half."""
    memory = len(curvatures)
    for i in range(max(held - memory, 0), held):
        k = i % memory
        added_times(result, pairs[2 * k], factors[k] - dot(pairs[2 * k + 1], result) / curvatures[k])


@njit(cache=True)
def added_times(left: Vector, right: NDArray[np.float32], factor: float) -> None:
    """Adds a multiple of one vector to another."""
    for i in range(len(left)):
        left[i] += factor * right[i]


@njit(cache=True, fastmath={"reassoc"})
def weighed(pairs: NDArray[np.float32], vector: Vector, weights: Vector, found: Vector) -> None:
    """Of each change (see `first_loop`), sum change vector / w."""
    scaled = np.empty(len(vector))
    for i in range(len(vector)):
        scaled[i] = vector[i] / weights[i]
    for k in range(len(found)):
        found[k] = dot(pairs[2 * k + 1], scaled)
