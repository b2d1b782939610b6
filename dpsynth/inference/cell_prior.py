"""What a noisy table says about its cells, once their common distribution has been learnt from the table itself.

Cell i holds n_i rows, was predicted to hold m_i and seen as y_i = n_i + noise of variance s^2. The ratio of n_i to m_i is taken to come
from one unknown distribution that all cells of the table share, a mixture fitted by EM to the released values:

    n_i ~ sum_j g_j N(m_i u_j, (d m_i u_j)^2),    u_0 = 0 and u_1 < u_2 < ... in steps of d sqrt(3) on the log scale;
          and one open component, N(m_i, N^2)

So a table whose cells follow the prediction is shrunk onto it, one whose cells are empty or far off is left alone where the noise allows:
u_0 finds structural zeros, and strong dependence widens g instead of being shrunk away.
Source: Kiefer and Wolfowitz, 1956; Efron, Large-Scale Inference, 2010, chapter 1 (empirical Bayes from parallel cases).
"""

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

STEP = 1.35
RATIOS = np.exp(np.arange(math.log(1e-3), math.log(1e4), math.log(STEP)))
WIDTH = math.log(STEP) / math.sqrt(3)
EM_STEPS = 60
SAMPLE = 1 << 12
"""The mixture is fitted to at most about this many cells, evenly spaced."""
COMPARED, COMPARED_STEPS = 1 << 10, 20
"""Cells and steps that are enough to compare two predictions."""
CHUNK = 1 << 12
"""Cells whose posteriors are computed at once: 2 MB a matrix."""


def posterior(noisy: Vector, noise: float, predicted: Vector) -> tuple[Vector, Vector]:
    """Mean and variance of each cell in rows, given the noisy table, the noise's standard deviation and the prediction.

    noisy, predicted: float64[cells] in rows, the prediction not negative. The variance is at most the noise's.
    """
    far = max(float(np.abs(noisy).max()), float(predicted.max()), noise)
    every = max(1, len(noisy) // SAMPLE)
    shares = _mixture(_likelihood(noisy[::every], noise, *_components(predicted[::every], far)))
    mean, variance = np.empty_like(noisy), np.empty_like(noisy)
    for start in range(0, len(noisy), CHUNK):
        part = slice(start, start + CHUNK)
        mean[part], variance[part] = _moments(noisy[part], noise, *_components(predicted[part], far), shares)
    return mean, variance


def evidence(noisy: Vector, noise: float, predicted: Vector) -> float:
    """Log likelihood of a noisy table under the mixture fitted to it, up to a constant that the prediction does not change."""
    far = max(float(np.abs(noisy).max()), float(predicted.max()), noise)
    every = -(-len(noisy) // COMPARED)
    seen, centres, variances = noisy[::every], *_components(predicted[::every], far)
    total = variances + noise**2
    logs = -0.5 * ((seen[:, None] - centres) ** 2 / total + np.log(total))
    highest = logs.max(axis=1, keepdims=True)
    likelihood = np.exp(logs - highest)
    return float(every * (np.log(likelihood @ _mixture(likelihood, COMPARED_STEPS)) + highest[:, 0]).sum())


def _components(predicted: Vector, far: float) -> tuple[Matrix, Matrix]:
    """Centres and variances, float64[cells, components]: empty, the ratios, open."""
    column = predicted[:, None]
    ratios = column * RATIOS
    nothing = np.zeros_like(column)
    return np.hstack([nothing, ratios, column]), np.hstack([nothing, (WIDTH * ratios) ** 2, np.full_like(column, far**2)])


def _likelihood(noisy: Vector, noise: float, centres: Matrix, variances: Matrix) -> Matrix:
    """Of each cell under each component, relative to the largest of the cell."""
    total = variances + noise**2
    logs = -0.5 * ((noisy[:, None] - centres) ** 2 / total + np.log(total))
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _mixture(likelihood: Matrix, steps: int = EM_STEPS) -> Vector:
    """g: float64[components], after a fixed number of EM steps from equal shares; the last steps to the maximum only sharpen it."""
    cells, components = likelihood.shape
    shares = np.full(components, 1 / components)
    across = np.ascontiguousarray(likelihood.T)
    for _ in range(steps):
        shares *= across @ (1 / (likelihood @ shares)) / cells
    return shares


def _moments(noisy: Vector, noise: float, centres: Matrix, variances: Matrix, shares: Vector) -> tuple[Vector, Vector]:
    weights = _likelihood(noisy, noise, centres, variances) * shares
    weights /= weights.sum(axis=1, keepdims=True)
    shrink = variances / (variances + noise**2)
    means = centres + shrink * (noisy[:, None] - centres)
    mean = (weights * means).sum(axis=1)
    variance = (weights * (shrink * noise**2 + (means - mean[:, None]) ** 2)).sum(axis=1)
    return np.maximum(mean, 0.0), np.minimum(variance, noise**2)
