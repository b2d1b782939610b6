"""Denoised pairs once more: what all other pairs say about a pair, before what it says itself.

With B the standardised Burt matrix of the denoised tables (a block for each pair of columns, D cells in all) and C all columns but a and b,

    predicted_ab = B_aC (B_CC + RIDGE)^-1 B_Cb,

the interaction of a and b that would follow if the others explained it. A pair's interaction is then shrunk towards g predicted_ab and
not towards 0, in the eigenvectors of `denoise`, with a scale tau of its own. One coefficient g for all pairs, by weighted least squares

    g = sum p z / (K + s^2) / sum p^2 / (K + s^2),     p, z: prediction and noisy interaction in the eigenvectors, at least 0.

Worth it where the mixture cannot follow the tables; `pairs` decides how much of it records should match.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.kronecker import Denoised, DenoisedPair, prior_variance
from dpsynth.inference.latent_fit import column_slices
from dpsynth.inference.residuals import Residual, interaction

Table = NDArray[np.float64]

RIDGE = 0.3
SCALE_STEPS = 20

CELLS_LIMIT = 1 << 11
"""Cells of all columns together: of more, the eigenvectors of the Burt matrix would take longer than everything else."""


def completed(denoised: Denoised, parts: Mapping[Clique, Residual]) -> Denoised:
    """The same with pairs shrunk towards what all other pairs predict; parts: what `denoise` was given.

    Wide domains stay as they are, and so do pairs of which rules or public tables say more than what others predict.
    """
    if sum(denoised.domain.sizes) > CELLS_LIMIT or len(denoised.domain.columns) < 3:
        return denoised
    predicted = predictions(denoised)
    offset = {p: part.values - _independent(denoised, p) for p, part in parts.items() if p in predicted and p not in denoised.informed}
    noisy = {p: _rotated(denoised, p, table) for p, table in offset.items()}
    guesses = {p: _rotated(denoised, p, predicted[p]) for p in offset}
    trust = _coefficient(denoised, parts, noisy, guesses)
    pairs = {p: _shrunk(denoised, parts[p].variance, denoised.pairs[p], noisy[p], trust * guesses[p]) for p in offset}
    return replace(denoised, pairs={**denoised.pairs, **pairs})


def predictions(denoised: Denoised) -> dict[Clique, Table]:
    """float64[k_a, k_b] in rows for each denoised pair: its interaction as predicted from all other pairs."""
    domain, blocks = denoised.domain, column_slices(denoised.domain)
    scale = {c: np.sqrt(_settled(denoised, c)) for c in domain.columns}
    burt = _burt(denoised, blocks, scale)
    inverse = np.linalg.inv(burt + RIDGE * np.eye(len(burt)))
    found: dict[Clique, Table] = {}
    for a, b in denoised.pairs:
        both = np.r_[blocks[a], blocks[b]]
        # What C explains of a and b: their own block less the Schur complement, which is the inverse of a block of the inverse.
        explained = burt[np.ix_(both, both)] + RIDGE * np.eye(len(both)) - np.linalg.inv(inverse[np.ix_(both, both)])
        size = domain.size[a]
        found[a, b] = interaction(explained[:size, size:] * np.outer(scale[a], scale[b]))
    return found


def _burt(denoised: Denoised, blocks: Mapping[str, slice], scale: Mapping[str, Table]) -> Table:
    """float64[D, D]: covariances of all cells over their scales, the nearest matrix without negative eigenvalues."""
    burt = np.zeros((sum(denoised.domain.sizes),) * 2)
    for c, block in blocks.items():
        share = denoised.one_way[c] / scale[c]
        burt[block, block] = np.diag(share / scale[c]) - np.outer(share, share) / denoised.total
    for (a, b), pair in denoised.pairs.items():
        standardised = (pair.table - _independent(denoised, (a, b))) / np.outer(scale[a], scale[b])
        burt[blocks[a], blocks[b]], burt[blocks[b], blocks[a]] = standardised, standardised.T
    values, vectors = np.linalg.eigh(burt)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _settled(denoised: Denoised, column: str) -> Table:
    """A column's cells in rows, at least their noise: what noise alone may have left of a cell is no measure of its scale."""
    noise = denoised.one_way_noise[column]
    return np.maximum(denoised.one_way[column], noise if np.isfinite(noise) else 0.0)


def _coefficient(
    denoised: Denoised, parts: Mapping[Clique, Residual], noisy: Mapping[Clique, Table], guesses: Mapping[Clique, Table]
) -> float:
    along, size = 0.0, 0.0
    for pair, guess in guesses.items():
        weight = guess / (prior_variance(denoised.spread, pair) + parts[pair].variance)
        along += float((weight * noisy[pair]).sum())
        size += float((weight * guess).sum())
    return max(along / size, 0.0) if size > 0 else 0.0


def _shrunk(denoised: Denoised, variance: float, pair: DenoisedPair, noisy: Table, guess: Table) -> DenoisedPair:
    """The pair around the guess, its scale fitted by EM to what the guess leaves."""
    left, prior = noisy - guess, prior_variance(denoised.spread, pair.clique)
    for _ in range(SCALE_STEPS if prior.size else 0):
        shrink = prior / (prior + variance)
        prior = prior * float(np.mean((shrink * left) ** 2 / prior + variance * shrink / prior))
    shrink = prior / (prior + variance)
    a, b = pair.clique
    turned = denoised.spread.vectors[a] @ (guess + shrink * left) @ denoised.spread.vectors[b].T
    return replace(pair, table=_independent(denoised, pair.clique) + turned, freedom=float(shrink.sum()))


def _rotated(denoised: Denoised, pair: Clique, table: Table) -> Table:
    a, b = pair
    return np.asarray(denoised.spread.vectors[a].T @ table @ denoised.spread.vectors[b])


def _independent(denoised: Denoised, pair: Clique) -> Table:
    a, b = pair
    return np.outer(denoised.one_way[a], denoised.one_way[b]) / denoised.total
