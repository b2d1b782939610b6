"""Completion: a pair as all other pairs predict it, and whether that helps where they do and does nothing where they do not."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference.completion import RIDGE, completed, predictions
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.latent_fit import column_slices
from dpsynth.inference.residuals import residuals
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, measured

ALL = (*[(c,) for c in DOMAIN.columns], *combinations(DOMAIN.columns, 2))


def noisy(domain, tables, sigma, seed):
    rng = np.random.default_rng(seed)
    return [Measurement(c, np.rint(t.reshape(-1) + rng.normal(0, sigma, t.size)).astype(np.int64), sigma) for c, t in tables.items()]


def explained(strength, rows=10_000.0, columns=6, cells=6):
    """Pairs that a hidden class of 3 explains; strength 0: independent columns."""
    rng = np.random.default_rng(7)
    domain = Domain(tuple("abcdefgh"[:columns]), (cells,) * columns)
    logits = strength * rng.standard_normal((columns, cells, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    tables = {(a, b): rows / 3 * chances[i] @ chances[j].T for (i, a), (j, b) in combinations(enumerate(domain.columns), 2)}
    return domain, tables | {(c,): rows / 3 * chances[i].sum(axis=1) for i, c in enumerate(domain.columns)}


def errors(domain, tables, sigma, seed):
    """Sums of squared errors of the denoised and of the completed pairs."""
    parts = residuals(domain, noisy(domain, tables, sigma, seed))
    before = denoise(domain, parts)
    return [sum(((d.pairs[p].table - tables[p]) ** 2).sum() for p in d.pairs) for d in (before, completed(before, parts))]


def test_a_prediction_is_the_regression_on_all_other_columns():
    denoised = denoise(DOMAIN, residuals(DOMAIN, measured(DOMAIN, ALL, sigma=1.0)))
    blocks, scale = column_slices(DOMAIN), {c: np.sqrt(denoised.one_way[c]) for c in DOMAIN.columns}
    burt = np.zeros((sum(DOMAIN.sizes),) * 2)
    for c, block in blocks.items():
        burt[block, block] = np.eye(DOMAIN.size[c]) - np.outer(scale[c], scale[c]) / denoised.total
    for (a, b), pair in denoised.pairs.items():
        product = np.outer(scale[a], scale[b])
        burt[blocks[a], blocks[b]] = (pair.table - product**2 / denoised.total) / product
        burt[blocks[b], blocks[a]] = burt[blocks[a], blocks[b]].T
    values, vectors = np.linalg.eigh(burt)
    burt = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    for (a, b), found in predictions(denoised).items():
        others = np.r_[tuple(blocks[c] for c in DOMAIN.columns if c not in (a, b))]
        known = burt[np.ix_(others, others)] + RIDGE * np.eye(len(others))
        direct = burt[blocks[a]][:, others] @ np.linalg.solve(known, burt[others][:, blocks[b]]) * np.outer(scale[a], scale[b])
        direct = direct - direct.mean(axis=0) - direct.mean(axis=1, keepdims=True) + direct.mean()
        np.testing.assert_allclose(found, direct, atol=1e-8 * denoised.total)


def test_pairs_that_others_explain_gain():
    domain, tables = explained(1.5)
    before, after = np.array([errors(domain, tables, 15.0, seed) for seed in range(6)]).T
    assert (after < 0.95 * before).all()


def test_independent_columns_lose_next_to_nothing():
    domain, tables = explained(0.0)
    before, after = np.array([errors(domain, tables, 15.0, seed) for seed in range(6)]).T
    assert after.mean() < 1.05 * before.mean()


@pytest.mark.parametrize("sigma", [0.1, 10.0, 1e7])
@pytest.mark.parametrize("sizes", [(1, 3), (2, 1, 2), (2, 2), (40, 3, 2)])
def test_tables_stay_finite_and_keep_their_margins(sizes, sigma):
    domain = Domain(tuple("abc"[: len(sizes)]), sizes)
    parts = residuals(domain, measured(domain, tuple(combinations(domain.columns, 2)), sigma=sigma))
    before = denoise(domain, parts)
    after = completed(before, parts)
    for pair, denoised in after.pairs.items():
        for axis in (0, 1):
            atol = 1e-9 * (before.total + np.abs(parts[pair].values).sum())
            np.testing.assert_allclose(denoised.table.sum(axis=axis), before.pairs[pair].table.sum(axis=axis), atol=atol)


def test_nothing_measured_in_pairs_stays_as_it_is():
    parts = residuals(DOMAIN, measured(DOMAIN, [(c,) for c in DOMAIN.columns]))
    before = denoise(DOMAIN, parts)
    assert completed(before, parts).pairs == {}


def test_a_domain_beyond_the_limit_stays_as_it_is(monkeypatch):
    domain, tables = explained(1.5)
    parts = residuals(domain, noisy(domain, tables, 15.0, 0))
    before = denoise(domain, parts)
    monkeypatch.setattr("dpsynth.inference.completion.CELLS_LIMIT", sum(domain.sizes) - 1)
    assert completed(before, parts) is before
