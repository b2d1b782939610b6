"""The compiled loops of `cell_prior` and `shrinkage`. Numba, as in `tree_kernel`."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dpsynth.inference.tree_kernel import collected, dot, exp, largest, spread

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Places = NDArray[np.int64]


@njit(cache=True)
def likelihoods(
    noisy: Vector, noise: float, predicted: Vector, ratios: Vector, width: float, far: float, found: Matrix, tops: Vector
) -> None:
    """float64[cells, components], of each cell under each component, over exp(its top), without the factor that all have in common.

    The first component is empty, the last open; between them are the ratios.
    """
    last = found.shape[1] - 1
    precisions = np.empty(last + 1)
    for i in range(len(noisy)):
        own = found[i]
        precisions[0], precisions[last] = 1 / noise**2, 1 / (far**2 + noise**2)
        own[0], own[last] = noisy[i] ** 2, (noisy[i] - predicted[i]) ** 2
        middle, inverse = own[1:last], precisions[1:last]
        for k in range(len(ratios)):
            centre = predicted[i] * ratios[k]
            middle[k] = (noisy[i] - centre) ** 2
            inverse[k] = 1 / ((width * centre) ** 2 + noise**2)
        for k in range(len(own)):
            own[k] *= -0.5 * precisions[k]
        tops[i] = largest(own)
        for k in range(len(own)):
            own[k] = exp(own[k] - tops[i]) * np.sqrt(precisions[k])


@njit(cache=True, fastmath={"reassoc", "contract"})
def mixture(likelihood: Matrix, steps: int) -> Vector:
    """Shares of the components after so many EM steps from equal ones."""
    cells, components = likelihood.shape
    shares, gained, inverse = np.empty(components), np.empty(components), np.empty(cells)
    shares[:] = 1 / components
    for _ in range(steps):
        for i in range(cells):
            own, density = likelihood[i], 0.0
            for k in range(components):
                density += own[k] * shares[k]
            inverse[i] = 1 / density
        gained[:] = 0
        for i in range(cells):
            own, weight = likelihood[i], inverse[i]
            for k in range(components):
                gained[k] += own[k] * weight
        for k in range(components):
            shares[k] *= gained[k] / cells
    return shares


@njit(cache=True)
def evidence(likelihood: Matrix, tops: Vector, shares: Vector) -> float:
    """Log likelihood of all cells together."""
    total = 0.0
    for i in range(len(tops)):
        total += np.log(dot(likelihood[i], shares)) + tops[i]
    return total


@njit(cache=True)
def moments(
    noisy: Vector,
    noise: float,
    predicted: Vector,
    ratios: Vector,
    width: float,
    far: float,
    shares: Vector,
    likelihood: Matrix,
    mean: Vector,
    variance: Vector,
) -> None:
    """Posterior mean, not negative, and variance, at most the noise's."""
    components, square = len(shares), noise**2
    weights, means, spreads = np.empty(components), np.empty(components), np.empty(components)
    for i in range(len(noisy)):
        inverse = 1 / dot(likelihood[i], shares)
        for k in range(components):
            weights[k] = likelihood[i, k] * shares[k] * inverse
            ratio = ratios[k - 1] if 0 < k < components - 1 else 0.0
            means[k], spreads[k] = predicted[i] * ratio, (width * predicted[i] * ratio) ** 2
        means[components - 1], spreads[components - 1] = predicted[i], far**2
        for k in range(components):
            shrink = spreads[k] / (spreads[k] + square)
            means[k] += shrink * (noisy[i] - means[k])
            spreads[k] = shrink * square
        centre = dot(weights, means)
        for k in range(components):
            spreads[k] += (means[k] - centre) ** 2
        mean[i], variance[i] = max(centre, 0.0), min(dot(weights, spreads), square)


@njit(cache=True)
def met(table: Vector, variance: Vector, places: Places, targets: Vector, noises: Vector, sweeps: int, settled: float) -> None:
    """Adds V sum_B a_B to a table, by block Gauss-Seidel for the multipliers a_B (see `shrinkage`).

    places: int64[margins, 2], cells of the column that a margin lacks, cells of all columns after it. targets: the margins' y_B, one after
    the other. noises: v_B of each. Ends when no multiplier moves by more than `settled` standard deviations.
    """
    multipliers, open_all, change, step = np.empty(len(targets)), np.empty(len(targets)), np.empty(len(targets)), np.empty(len(table))
    multipliers[:] = 0
    open_all[:] = 0
    for sweep in range(sweeps):
        largest_move = 0.0
        end = 0
        for m in range(len(places)):
            along, post = places[m]
            start, end = end, end + len(table) // along
            own, open_to = change[start:end], open_all[start:end]
            if sweep == 0:
                collected(variance, open_to, along, post)
            own[:] = 0
            collected(table, own, along, post)
            for i in range(len(own)):
                whole = noises[m] + open_to[i]
                own[i] = (targets[start + i] - own[i] - noises[m] * multipliers[start + i]) / whole
                multipliers[start + i] += own[i]
                largest_move = max(largest_move, abs(own[i]) * math.sqrt(whole))
            step[:] = 0
            spread(step, own, along, post)
            for i in range(len(table)):
                table[i] += variance[i] * step[i]
        if largest_move <= settled:
            break
