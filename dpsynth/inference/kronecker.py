"""Joint denoising of all pairs: Kronecker empirical Bayes on the interactions, from released values alone.

In orthonormal contrasts (bases orthogonal to the constant vector) the interaction of a pair is a (k_a - 1) x (k_b - 1) matrix R_ab with
independent noise of variance s_ab^2. Prior, less what independence predicts:

    R_ab ~ N(0, tau_ab Sigma_a (x) Sigma_b)

Sigma_a says how the cells of column a move together and is shared by all partners of a: that is where the strength comes from.
Sigma and tau are fitted by EM whose steps change all of them at once from the same expectations: where pairs of one column differ
a thousandfold in strength the likelihood then swings a little before it settles. The posterior mean is the denoised interaction, the
posterior variance says how sure it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.residuals import Residual

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

EM_STEPS = 15
LONG_COLUMN, PRIOR_GRID, PRIOR_STEPS = 30, 40, 8
"""From how many cells on a one-way table can tell how its cells are distributed, and how that is fitted."""

CELL_FLOOR = 0.5
"""Rows that every one-way cell is taken to hold at least: its logarithm stays finite."""


@dataclass(frozen=True, eq=False)
class DenoisedPair:
    """A pair's denoised table.

    table: float64[k_a, k_b] in rows. noise: standard deviation of the combined noisy interaction, in rows.
    freedom: effective degrees of freedom, the sum of the shrink factors.
    variance: float64[k_a, k_b], posterior variance of each cell in rows^2.
    """

    clique: Clique
    table: Matrix
    noise: float
    freedom: float
    variance: Matrix


@dataclass(frozen=True, eq=False)
class Spread:
    """What EM found.

    vectors, values: each column's Sigma, float64[k, k - 1] eigenvectors and float64[k - 1] eigenvalues. scale: each pair's tau.
    """

    vectors: Mapping[str, Matrix]
    values: Mapping[str, Vector]
    scale: Mapping[Clique, float]


@dataclass(frozen=True, eq=False)
class Denoised:
    """Tables that no longer hold most of their noise.

    total: rows. one_way: float64[k] in rows, positive, sums to the total. one_way_noise: standard deviation of its noisy cells in rows.
    """

    domain: Domain
    total: float
    one_way: Mapping[str, Vector]
    one_way_noise: Mapping[str, float]
    pairs: Mapping[Clique, DenoisedPair]
    spread: Spread


def denoise(domain: Domain, parts: Mapping[Clique, Residual]) -> Denoised:
    """Denoised one-way and two-way tables from orthogonal residuals (see `residuals`)."""
    total = max(float(parts[()].values), 1.0)
    one_way = {c: one_way_table(parts.get((c,)), total, domain.size[c]) for c in domain.columns}
    noise = {c: math.sqrt(parts[c,].variance) if (c,) in parts else math.inf for c in domain.columns}
    pairs: dict[Clique, Residual] = {clique: part for clique, part in parts.items() if len(clique) == 2}
    bases = {c: contrasts(domain.size[c]) for c in domain.columns}
    centred: dict[Clique, Matrix] = {p: _centred(p, part, one_way, total, bases) for p, part in pairs.items()}
    noise_of: dict[Clique, float] = {p: part.variance for p, part in pairs.items()}
    spread = _em(domain, centred, noise_of, {c: bases[c].T @ (one_way[c][:, None] / total * bases[c]) for c in domain.columns})
    tables: dict[Clique, DenoisedPair] = {p: _posterior(p, centred[p], noise_of[p], spread, bases, one_way, total) for p in pairs}
    cells = Spread({c: bases[c] @ spread.vectors[c] for c in domain.columns}, spread.values, spread.scale)
    return Denoised(domain, total, one_way, noise, tables, cells)


def one_way_table(part: Residual | None, total: float, size: int) -> Vector:
    """The noisy one-way table, shrunk where it is long, projected to tables of at least CELL_FLOOR rows a cell that sum to the total."""
    even = np.full(size, total / size)
    if part is None:
        return even
    noisy = even + part.values
    if size >= LONG_COLUMN:
        noisy = posterior_means(noisy, math.sqrt(part.variance))
        noisy += (total - noisy.sum()) / size
    floor = min(CELL_FLOOR, total / size / 2)
    return floor + simplex(noisy - floor, total - size * floor)


def posterior_means(noisy: Vector, noise: float) -> Vector:
    """float64[cells]: expected rows of each cell, if the cells are draws from one unknown distribution that the cells themselves reveal.

    A distribution over non-negative values (a grid and the noisy values) is fitted by a few EM steps for its maximum likelihood; few,
    because the last steps only sharpen it. Source: Kiefer and Wolfowitz, 1956; Jiang and Zhang, arXiv:0908.1709.
    """
    grid = np.geomspace(noise / 10, max(float(noisy.max()), noise), PRIOR_GRID)
    support = np.unique(np.concatenate([[0.0], grid, np.maximum(noisy, 0.0)]))
    exponents = -0.5 * ((noisy[:, None] - support) / noise) ** 2
    likelihood = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    prior = np.full(len(support), 1 / len(support))
    for _ in range(PRIOR_STEPS):
        weights = likelihood * prior
        weights /= weights.sum(axis=1, keepdims=True)
        prior = weights.mean(axis=0)
    return np.asarray(weights @ support)


def simplex(values: Vector, total: float) -> Vector:
    """The nearest non-negative vector that sums to the total."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - total) / np.arange(1, len(values) + 1)
    level = float(excess[np.flatnonzero(ordered > excess)[-1]])
    return np.asarray(np.maximum(values - level, 0.0))


def contrasts(size: int) -> Matrix:
    """float64[size, size - 1]: an orthonormal basis of the vectors that sum to 0 (Helmert's)."""
    basis = np.zeros((size, size - 1))
    for j in range(1, size):
        basis[:j, j - 1] = 1.0 / math.sqrt(j * (j + 1))
        basis[j, j - 1] = -j / math.sqrt(j * (j + 1))
    return basis


def _centred(pair: Clique, part: Residual, one_way: Mapping[str, Vector], total: float, bases: Mapping[str, Matrix]) -> Matrix:
    a, b = pair
    independent = np.outer(bases[a].T @ one_way[a], bases[b].T @ one_way[b]) / total
    return np.asarray(bases[a].T @ part.values @ bases[b] - independent)


def _em(domain: Domain, centred: Mapping[Clique, Matrix], noise: Mapping[Clique, float], start: Mapping[str, Matrix]) -> Spread:
    sigma = {c: start[c] / max(float(np.trace(start[c])), 1e-300) for c in domain.columns}
    scale = {p: max(float((r * r).sum()) - r.size * noise[p], noise[p] * math.sqrt(2 * r.size)) for p, r in centred.items()}
    for _ in range(EM_STEPS if centred else 0):
        values, vectors = _eigen(sigma)
        moments = {c: np.zeros_like(sigma[c]) for c in domain.columns}
        for pair, matrix in centred.items():
            if not matrix.size:
                continue  # a column of one cell interacts with nothing
            scale[pair] *= _expect(pair, matrix, noise[pair], scale[pair], values, vectors, moments)
        sigma = {c: moments[c] / t if (t := float(np.trace(moments[c]))) > 0 else sigma[c] for c in domain.columns}
    values, vectors = _eigen(sigma)
    return Spread(vectors, values, scale)


def _expect(
    pair: Clique,
    matrix: Matrix,
    noise: float,
    scale: float,
    values: Mapping[str, Vector],
    vectors: Mapping[str, Matrix],
    moments: Mapping[str, Matrix],
) -> float:
    """One pair's E step: adds its second moments to both columns' sums, returns the factor by which its scale changes."""
    a, b = pair
    rotated = vectors[a].T @ matrix @ vectors[b]
    prior = scale * np.outer(values[a], values[b])
    shrink = prior / (prior + noise)
    mean, variance = shrink * rotated, noise * shrink
    for column, m, v, other in ((a, mean, variance, values[b]), (b, mean.T, variance.T, values[a])):
        weight = 1.0 / (scale * other)
        second = (m * weight) @ m.T
        second[np.diag_indices_from(second)] += v @ weight
        moments[column][...] += vectors[column] @ second @ vectors[column].T
    return float(np.mean((mean * mean + variance) / prior))


def _eigen(sigma: Mapping[str, Matrix]) -> tuple[dict[str, Vector], dict[str, Matrix]]:
    values, vectors = {}, {}
    for column, matrix in sigma.items():
        found = np.linalg.eigh((matrix + matrix.T) / 2)
        # Directions that carry nothing keep a trace of prior variance: zero would divide by zero and could never recover.
        values[column] = np.maximum(found.eigenvalues, 1e-12)
        vectors[column] = found.eigenvectors
    return values, vectors


def _posterior(
    pair: Clique, matrix: Matrix, noise: float, spread: Spread, bases: Mapping[str, Matrix], one_way: Mapping[str, Vector], total: float
) -> DenoisedPair:
    a, b = pair
    left, right = bases[a] @ spread.vectors[a], bases[b] @ spread.vectors[b]
    prior = spread.scale[pair] * np.outer(spread.values[a], spread.values[b])
    shrink = prior / (prior + noise)
    mean = shrink * (spread.vectors[a].T @ matrix @ spread.vectors[b])
    table = np.outer(one_way[a], one_way[b]) / total + left @ mean @ right.T
    variance = left**2 @ (noise * shrink) @ (right**2).T
    return DenoisedPair(pair, table, math.sqrt(noise), float(shrink.sum()), variance)


def predicted_error(spread: Spread, pair: Clique, precision: float) -> float:
    """Expected sum of absolute errors of a pair's denoised cells, in rows, if its interaction has the given precision w (1 / rows^2).

    sqrt(2 / pi) sum_cells sqrt( V_a^2 [ K / (1 + K w) ] V_b^2' ), K = tau l_a l_b', convex and decreasing in w.
    """
    a, b = pair
    prior = spread.scale[pair] * np.outer(spread.values[a], spread.values[b])
    variance = spread.vectors[a] ** 2 @ (prior / (1 + prior * precision)) @ (spread.vectors[b] ** 2).T
    return math.sqrt(2 / math.pi) * float(np.sqrt(variance).sum())
