"""How the cells of columns move together: the priors of all interactions, fitted by EM to the interactions themselves.

    R_ab ~ N(0, tau_ab Sigma_a (x) Sigma_b),     seen with noise of variance s_ab^2

All pairs of one column are one step: with R_a the interactions of column a with all others side by side, in the coordinates of all
columns' eigenvectors, K = tau l l' and f = K / (K + s^2),

    P = f R_a,  V = s^2 f,     Sigma_a = sum_b [ P diag(1 / (tau l_b)) P' + diag_i( sum_j V_ij / (tau l_bj) ) ] / its trace,
    tau_ab *= mean( (P^2 + V) / K )
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

EM_STEPS = 15


@dataclass(frozen=True, eq=False)
class Spread:
    """What EM found.

    vectors, values: each column's Sigma, float64[k, k - 1] eigenvectors and float64[k - 1] eigenvalues. scale: each pair's tau.
    """

    vectors: Mapping[str, Matrix]
    values: Mapping[str, Vector]
    scale: Mapping[Clique, float]


@dataclass(frozen=True, eq=False)
class Rotated:
    """Eigenvectors and eigenvalues of each column, tau float64[d, d], and the interactions in the coordinates of the eigenvectors."""

    vectors: Sequence[Matrix]
    values: Sequence[Vector]
    scale: Matrix
    interactions: Matrix


def fitted(interactions: Matrix, blocks: Sequence[slice], noise: Matrix, start: Sequence[Matrix]) -> Rotated:
    """EM from the start (each column's Sigma up to a factor).

    interactions: float64[C, C], symmetric, 0 where nothing was measured; blocks: each column's contrasts among the C.
    noise: float64[d, d], s^2, infinite where nothing was measured.
    """
    sigma = [matrix / max(float(np.trace(matrix)), 1e-300) for matrix in start]
    scale = _first_scale(interactions, blocks, noise)
    for _ in range(EM_STEPS if np.isfinite(noise).any() else 0):
        now = _rotated(interactions, blocks, sigma, scale)
        scale = scale.copy()
        for a, block in enumerate(blocks):
            if block.start == block.stop:
                continue  # a column of one cell interacts with nothing
            moment, factors = _expected(a, now, blocks, noise)
            scale[a, a:] *= factors[a:]
            if (trace := float(np.trace(moment))) > 0:
                sigma[a] = now.vectors[a] @ (moment / trace) @ now.vectors[a].T
        scale = np.triu(scale, 1) + np.triu(scale, 1).T
    return _rotated(interactions, blocks, sigma, scale)


def _first_scale(interactions: Matrix, blocks: Sequence[slice], noise: Matrix) -> Matrix:
    """What is left of the squares beyond the noise, or what noise alone might leave."""
    scale = np.zeros(noise.shape)
    for a, b in np.argwhere(np.isfinite(noise)):
        part = interactions[blocks[a], blocks[b]]
        scale[a, b] = max(float((part * part).sum()) - part.size * noise[a, b], noise[a, b] * math.sqrt(2 * part.size))
    return scale


def _rotated(interactions: Matrix, blocks: Sequence[slice], sigma: Sequence[Matrix], scale: Matrix) -> Rotated:
    vectors, values = [], []
    for matrix in sigma:
        found = np.linalg.eigh((matrix + matrix.T) / 2)
        # Directions that carry nothing keep a trace of prior variance: zero would divide by zero and could never recover.
        values.append(np.maximum(found.eigenvalues, 1e-12))
        vectors.append(found.eigenvectors)
    turned = np.empty_like(interactions)
    for block, basis in zip(blocks, vectors, strict=True):
        np.matmul(basis.T, interactions[block], out=turned[block])
    for block, basis in zip(blocks, vectors, strict=True):
        turned[:, block] = turned[:, block] @ basis
    return Rotated(vectors, values, scale, turned)


def _expected(a: int, now: Rotated, blocks: Sequence[slice], noise: Matrix) -> tuple[Matrix, Vector]:
    """Column a's second moments in its eigenvectors, and the factors by which the scales of its pairs change (float64[d])."""
    sizes = [block.stop - block.start for block in blocks]
    known = np.repeat(np.isfinite(noise[a]), sizes)
    s2 = np.repeat(noise[a], sizes)[known]
    spread = np.repeat(now.scale[a], sizes)[known] * np.concatenate(now.values)[known]
    rotated = now.interactions[blocks[a]] if known.all() else now.interactions[blocks[a]][:, known]
    mean = now.values[a][:, None] * spread
    mean /= mean + s2
    variance = mean * s2
    mean *= rotated
    weighted = mean / spread
    moment = weighted @ mean.T
    moment[np.diag_indices_from(moment)] += variance @ (1 / spread)
    weighted *= mean
    variance /= spread
    weighted += variance
    squares = np.zeros(len(known))
    squares[known] = (1 / now.values[a]) @ weighted
    sums = np.array([squares[block].sum() for block in blocks])
    return moment, sums / np.maximum(np.array(sizes) * sizes[a], 1)
