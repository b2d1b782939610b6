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

from dpsynth.inference import mixture_kernel

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
"""Cells whose posteriors are computed at once: 2 MB."""


def posterior(noisy: Vector, noise: float, predicted: Vector) -> tuple[Vector, Vector]:
    """Mean and variance of each cell in rows, given the noisy table, the noise's standard deviation and the prediction.

    noisy, predicted: float64[cells] in rows, the prediction not negative. The variance is at most the noise's.
    """
    far = _far(noisy, noise, predicted)
    every = max(1, len(noisy) // SAMPLE)
    likelihood, _ = _likelihood(noisy[::every], noise, predicted[::every], far)
    shares = mixture_kernel.mixture(likelihood, EM_STEPS)
    mean, variance = np.empty_like(noisy), np.empty_like(noisy)
    for start in range(0, len(noisy), CHUNK):
        part = slice(start, start + CHUNK)
        own = likelihood[part] if every == 1 else _likelihood(noisy[part], noise, predicted[part], far)[0]
        mixture_kernel.moments(noisy[part], noise, predicted[part], RATIOS, WIDTH, far, shares, own, mean[part], variance[part])
    return mean, variance


def evidence(noisy: Vector, noise: float, predicted: Vector) -> float:
    """Log likelihood of a noisy table under the mixture fitted to it, up to a constant that the prediction does not change."""
    every = -(-len(noisy) // COMPARED)
    likelihood, tops = _likelihood(noisy[::every], noise, predicted[::every], _far(noisy, noise, predicted))
    return float(every * mixture_kernel.evidence(likelihood, tops, mixture_kernel.mixture(likelihood, COMPARED_STEPS)))


def _far(noisy: Vector, noise: float, predicted: Vector) -> float:
    """Standard deviation of the open component."""
    return max(float(np.abs(noisy).max()), float(predicted.max()), noise)


def _likelihood(noisy: Vector, noise: float, predicted: Vector, far: float) -> tuple[Matrix, Vector]:
    """Of each cell under each component, and the exponents that were taken out of each cell's."""
    found, tops = np.empty((len(noisy), len(RATIOS) + 2)), np.empty(len(noisy))
    mixture_kernel.likelihoods(np.ascontiguousarray(noisy), noise, np.ascontiguousarray(predicted), RATIOS, WIDTH, far, found, tops)
    return found, tops
