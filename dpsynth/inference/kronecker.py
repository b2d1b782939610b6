"""Joint denoising of all pairs: Kronecker empirical Bayes on the interactions, from released values alone.

In orthonormal contrasts (bases orthogonal to the constant vector) the interaction of a pair is a (k_a - 1) x (k_b - 1) matrix R_ab with
independent noise of variance s_ab^2. Prior, less what independence predicts:

    R_ab ~ N(0, tau_ab Sigma_a (x) Sigma_b)

Sigma_a says how the cells of column a move together and is shared by all partners of a: that is where the strength comes from.
Sigma and tau are fitted by EM (see `spread`) whose steps change all of them at once from the same expectations: where pairs of one
column differ a thousandfold in strength the likelihood then swings a little before it settles. The posterior mean is the denoised
interaction, the posterior variance says how sure it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.quasi import fitted_margins, quasi_independent
from dpsynth.inference.residuals import Residual, interaction
from dpsynth.inference.spread import Spread, fitted

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

LONG_COLUMN, PRIOR_GRID, PRIOR_STEPS = 30, 40, 8
"""From how many cells on a one-way table can tell how its cells are distributed, and how that is fitted."""

CELL_FLOOR = 0.5
"""Rows that every one-way cell is taken to hold at least: its logarithm stays finite."""

IMPOSSIBLE_SHARE = 1e-9
"""Of all rows: stands for a one-way cell that rules leave empty, so that its logarithm stays finite too."""

Possible = Mapping[Clique, NDArray[np.bool_]]
"""bool[sizes of the columns]: which cells can occur, for the columns and pairs of which some cannot."""

Beliefs = Mapping[Clique, Matrix]
"""float64[sizes of the columns]: what is publicly believed of columns and pairs, as shares that add up to 1."""

DOUBT = 0.02
"""Share of a believed pair that is taken to be independence instead: no cell is believed to be empty."""


@dataclass(frozen=True, eq=False)
class DenoisedPair:
    """A pair's denoised table.

    table: float64[k_a, k_b] in rows. noise: standard deviation of the combined noisy interaction, in rows.
    freedom: effective degrees of freedom, the sum of the shrink factors; a cell that rules leave empty counts as one that is known.
    """

    clique: Clique
    table: Matrix
    noise: float
    freedom: float


@dataclass(frozen=True, eq=False)
class Denoised:
    """Tables that no longer hold most of their noise.

    total: rows. one_way: float64[k] in rows, positive, sums to the total. one_way_noise: standard deviation of its noisy cells in rows.
    possible: where rules leave cells empty; tables are 0 there. beliefs: of which pairs, other than these, are not all but independent.
    """

    domain: Domain
    total: float
    one_way: Mapping[str, Vector]
    one_way_noise: Mapping[str, float]
    pairs: Mapping[Clique, DenoisedPair]
    spread: Spread
    possible: Possible = field(default_factory=dict)
    beliefs: Beliefs = field(default_factory=dict)

    def expected(self, pair: Clique) -> Matrix:
        """float64[k_a, k_b] in rows: a pair's table before it is measured, from its columns', what is believed, and rules."""
        a, b = pair
        return expected(self.one_way[a], self.one_way[b], self.total, self.possible.get(pair), self.beliefs.get(pair))

    @property
    def informed(self) -> frozenset[Clique]:
        """The pairs of which rules or beliefs say more than their columns do."""
        return frozenset({*self.possible, *self.beliefs})


def denoise(domain: Domain, parts: Mapping[Clique, Residual], possible: Possible | None = None, beliefs: Beliefs | None = None) -> Denoised:
    """Denoised one-way and two-way tables from orthogonal residuals (see `residuals`).

    Beliefs are where tables are shrunk to, and no more: how far is estimated from the noisy tables, as without them.
    """
    possible, beliefs = possible or {}, beliefs or {}
    total = max(float(parts[()].values), 1.0)
    seen = {(c,): _towards(parts.get((c,)), total, beliefs.get((c,)), domain.size[c]) for c in domain.columns}
    one_way = {c: _possible_table(seen[c,], total, domain.size[c], possible.get((c,)), (c,) in beliefs) for c in domain.columns}
    noise = {c: math.sqrt(parts[c,].variance) if (c,) in parts else math.inf for c in domain.columns}
    bases = [contrasts(domain.size[c]) for c in domain.columns]
    pairs: dict[Clique, Residual] = {clique: part for clique, part in parts.items() if len(clique) == 2}
    centres: dict[Clique, Matrix] = {p: expected(one_way[p[0]], one_way[p[1]], total, possible.get(p), None) for p in pairs}
    for pair in (each for each in pairs if each in beliefs):
        believed = expected(one_way[pair[0]], one_way[pair[1]], total, possible.get(pair), beliefs[pair])
        centres[pair] = _as_far_as_seen(centres[pair], believed, pairs[pair])
    spread, rotated = _fitted_spread(domain, pairs, centres, one_way, total, bases)
    tables: dict[Clique, DenoisedPair] = {}
    for pair, part in pairs.items():
        a, b = pair
        prior = prior_variance(spread, pair)
        shrink = prior / (prior + part.variance)
        table = centres[pair] + spread.vectors[a] @ (shrink * rotated[pair]) @ spread.vectors[b].T
        freedom = float(shrink.sum())
        if pair in possible:
            table[~possible[pair]] = 0.0
            freedom = min(freedom + int((~possible[pair]).sum()), shrink.size)
        tables[pair] = DenoisedPair(pair, table, math.sqrt(part.variance), freedom)
    return Denoised(domain, total, one_way, noise, tables, spread, possible, beliefs)


def _fitted_spread(
    domain: Domain,
    pairs: Mapping[Clique, Residual],
    centres: Mapping[Clique, Matrix],
    one_way: Mapping[str, Vector],
    total: float,
    bases: Sequence[Matrix],
) -> tuple[Spread, Mapping[Clique, Matrix]]:
    """The spread, and each pair's interaction less that of its centre, in the coordinates of its columns' eigenvectors."""
    ends = np.cumsum([basis.shape[1] for basis in bases]).tolist()
    blocks = list(map(slice, [0, *ends[:-1]], ends))
    interactions, noise = np.zeros((ends[-1],) * 2), np.full((len(bases),) * 2, np.inf)
    for pair, part in pairs.items():
        i, j = map(domain.position.__getitem__, pair)
        centred = bases[i].T @ (part.values - centres[pair]) @ bases[j]
        interactions[blocks[i], blocks[j]], interactions[blocks[j], blocks[i]] = centred, centred.T
        noise[i, j] = noise[j, i] = part.variance
    start = [basis.T @ (one_way[c][:, None] / total * basis) for c, basis in zip(domain.columns, bases, strict=True)]
    found = fitted(interactions, blocks, noise, start)
    where = {pair: (domain.position[pair[0]], domain.position[pair[1]]) for pair in pairs}
    cells = {c: basis @ turn for c, basis, turn in zip(domain.columns, bases, found.vectors, strict=True)}
    values = dict(zip(domain.columns, found.values, strict=True))
    spread = Spread(cells, values, {pair: float(found.scale[at]) for pair, at in where.items()})
    return spread, {pair: found.interactions[blocks[i], blocks[j]] for pair, (i, j) in where.items()}


def expected(rows: Vector, columns: Vector, total: float, possible: NDArray[np.bool_] | None, belief: Matrix | None) -> Matrix:
    """float64[k_a, k_b] in rows: what two one-way tables say of a pair, which of its cells can occur, and what is believed of it.

    The believed odds ratios with the columns' own margins; independence, where nothing is believed. None: all can occur, no belief.
    """
    independent = np.outer(rows, columns) / total
    if belief is None:
        return independent if possible is None else quasi_independent(rows, columns, possible)
    believed = (1 - DOUBT) * total * belief + DOUBT * independent
    return fitted_margins(believed if possible is None else np.where(possible, believed, 0.0), rows, columns)


def _as_far_as_seen(usual: Matrix, believed: Matrix, part: Residual) -> Matrix:
    """usual + g (believed - usual), g from 0 to 1 by least squares from the noisy interaction: a wrong belief counts for nothing."""
    step = believed - usual
    along = interaction(step)
    size = float((along * along).sum())
    share = float((along * (part.values - interaction(usual))).sum()) / size if size > 0 else 0.0
    return usual + float(np.clip(share, 0.0, 1.0)) * step


def _towards(part: Residual | None, total: float, belief: Vector | None, size: int) -> Residual | None:
    """The main effect, shrunk to the believed one by f = t / (t + s^2), t = |difference|^2 / (size - 1) - s^2; at least 0."""
    if belief is None:
        return part
    centre = total * (belief - belief.mean())
    if part is None:
        return Residual((), centre, total**2)
    apart = part.values - centre
    spread = max(float((apart * apart).sum()) / max(size - 1, 1) - part.variance, 0.0)
    return replace(part, values=centre + spread / (spread + part.variance) * apart)


def _possible_table(part: Residual | None, total: float, size: int, possible: NDArray[np.bool_] | None, is_shrunk: bool) -> Vector:
    """The one-way table of the cells that can occur; all others share IMPOSSIBLE_SHARE of the rows."""
    if possible is None:
        return one_way_table(part, total, size, is_shrunk=is_shrunk)
    own, share = int(possible.sum()), total * IMPOSSIBLE_SHARE
    values = None if part is None else part.values[possible] + total / size - total / own
    found = np.full(size, share)
    kept = one_way_table(None if part is None or values is None else replace(part, values=values), total, own, is_shrunk=is_shrunk)
    found[possible] = kept * (1 - share * (size - own) / total)
    return found


def one_way_table(part: Residual | None, total: float, size: int, *, is_shrunk: bool = False) -> Vector:
    """The noisy one-way table, projected to tables of at least CELL_FLOOR rows a cell that sum to the total.

    Before that, long ones are shrunk; is_shrunk: it was already.
    """
    even = np.full(size, total / size)
    if part is None:
        return even
    noisy = even + part.values
    if size >= LONG_COLUMN and not is_shrunk:
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


def predicted_error(spread: Spread, pair: Clique, precision: float) -> float:
    """Expected sum of absolute errors of a pair's denoised cells, in rows, if its interaction has the given precision w (1 / rows^2).

    sqrt(2 / pi) sum_cells sqrt( V_a^2 [ K / (1 + K w) ] V_b^2' ), K = tau l_a l_b', convex and decreasing in w.
    """
    return math.sqrt(2 / math.pi) * float(np.sqrt(posterior_variance(spread, pair, precision)).sum())


def posterior_variance(spread: Spread, pair: Clique, precision: float) -> Matrix:
    """float64[k_a, k_b]: variance of each denoised cell in rows^2, if the pair's interaction has the given precision w (1 / rows^2)."""
    a, b = pair
    prior = prior_variance(spread, pair)
    return np.asarray(spread.vectors[a] ** 2 @ (prior / (1 + prior * precision)) @ (spread.vectors[b] ** 2).T)


def prior_variance(spread: Spread, pair: Clique) -> Matrix:
    """float64[k_a - 1, k_b - 1]: K = tau l_a l_b', in the coordinates of both columns' eigenvectors."""
    a, b = pair
    return np.asarray(spread.scale[pair] * np.outer(spread.values[a], spread.values[b]))
