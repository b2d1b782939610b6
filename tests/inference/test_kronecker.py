"""Joint denoising against the dense Gaussian posterior, brute-force projections, and simulated tables whose truth is known."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from dpsynth.domain import Domain
from dpsynth.inference import spread as spreads
from dpsynth.inference.kronecker import contrasts, denoise, one_way_table, posterior_means, posterior_variance, predicted_error, simplex
from dpsynth.inference.residuals import interaction, residuals
from dpsynth.transcript import Measurement

NAMES = tuple("abcdefgh")


@pytest.fixture(autouse=True)
def _one_thread():
    """Small matrices are slower on many threads, most of all where other tests run beside."""
    with threadpool_limits(1):
        yield


def domain_of(*sizes):
    return Domain(NAMES[: len(sizes)], sizes)


def noisy(domain, codes, sigma, seed, weight=1.0, ones=True):
    """All one-way and two-way tables of the coded rows, each row counted `weight` times, with rounded Gaussian noise."""
    rng = np.random.default_rng(seed)
    cliques = [*[(c,) for c in domain.columns if ones], *combinations(domain.columns, 2)]
    found = []
    for clique in cliques:
        exact = exact_table(domain, codes, clique) * weight
        found.append(Measurement(clique, np.rint(exact + rng.normal(0, sigma, exact.shape)).astype(np.int64).reshape(-1), float(sigma)))
    return found


def exact_table(domain, codes, clique):
    counts = np.zeros(domain.shape(clique))
    np.add.at(counts, tuple(codes[domain.position[c]] for c in clique), 1)
    return counts


def rows_of(domain, rows, dependence, seed, sparsity=1.0):
    """Codes of rows whose columns all lean on one hidden number: 0 is independence, 1 nearly a function."""
    rng = np.random.default_rng(seed)
    hidden = rng.random(rows)
    codes = []
    for size in domain.sizes:
        own = np.where(rng.random(rows) < dependence, (hidden + 0.1 * rng.random(rows)) % 1, rng.random(rows))
        codes.append(np.searchsorted(np.cumsum(rng.dirichlet(np.full(size, sparsity)))[:-1], own))
    return codes


@pytest.mark.parametrize("size", [1, 2, 3, 7, 60, 500])
def test_contrasts_are_orthonormal_and_sum_to_zero(size):
    basis = contrasts(size)
    assert basis.shape == (size, size - 1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(size - 1), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("sizes", [(2, 2), (3, 4), (2, 3, 5), (4, 3, 2)])
@pytest.mark.parametrize("sigma", [1.0, 30.0])
def test_tables_and_variances_are_those_of_the_dense_gaussian_posterior(sizes, sigma):
    """vec(R) ~ N(0, tau Sigma_a (x) Sigma_b) seen with noise s^2, solved as one big matrix, in cells: no bases, no rotation."""
    domain = domain_of(*sizes)
    parts = residuals(domain, noisy(domain, rows_of(domain, 400, 0.5, 1), sigma, 2))
    found = denoise(domain, parts)
    sigma_of = {c: (found.spread.vectors[c] * found.spread.values[c]) @ found.spread.vectors[c].T for c in domain.columns}
    for (a, b), pair in found.pairs.items():
        prior = found.spread.scale[a, b] * np.kron(sigma_of[a], sigma_of[b])
        independent = np.outer(found.one_way[a], found.one_way[b]) / found.total
        seen = (parts[a, b].values - interaction(independent)).reshape(-1)
        gain = prior @ np.linalg.inv(prior + pair.noise**2 * np.eye(len(prior)))
        shape = domain.shape((a, b))
        np.testing.assert_allclose(pair.table, independent + (gain @ seen).reshape(shape), rtol=1e-6, atol=1e-6)
        variance = posterior_variance(found.spread, (a, b), pair.noise**-2)
        np.testing.assert_allclose(variance.reshape(-1), np.diag(prior - gain @ prior), rtol=1e-5, atol=1e-7)
        assert pair.freedom == pytest.approx(np.trace(gain))
        assert pair.noise**2 == pytest.approx(parts[a, b].variance)


def likelihoods(domain, parts, steps, monkeypatch):
    """Dense log marginal likelihood of the interactions after 0, 1, 2 ... EM steps."""
    found = []
    for step in range(steps):
        monkeypatch.setattr(spreads, "EM_STEPS", step)
        fit = denoise(domain, parts)
        likelihood = 0.0
        for (a, b), pair in fit.pairs.items():
            basis = np.kron(contrasts(domain.size[a]), contrasts(domain.size[b]))
            sigmas = [(fit.spread.vectors[c] * fit.spread.values[c]) @ fit.spread.vectors[c].T for c in (a, b)]
            covariance = basis.T @ (fit.spread.scale[a, b] * np.kron(*sigmas)) @ basis + pair.noise**2 * np.eye(basis.shape[1])
            independent = np.outer(fit.one_way[a], fit.one_way[b]) / fit.total
            seen = basis.T @ (parts[a, b].values - independent).reshape(-1)
            likelihood -= (np.linalg.slogdet(covariance)[1] + seen @ np.linalg.solve(covariance, seen)) / 2
        found.append(likelihood)
    return np.array(found)


@pytest.mark.parametrize("seed", range(6))
def test_no_step_lowers_the_marginal_likelihood_of_tables_of_rows(seed, monkeypatch):
    """All spreads move at once, so this is no theorem: it holds on tables like these, not where strengths differ a thousandfold."""
    domain = domain_of(*np.random.default_rng(seed).integers(2, 6, 2 + seed % 3).tolist())
    found = likelihoods(domain, residuals(domain, noisy(domain, rows_of(domain, 500, 0.6, seed), 10.0, seed)), 12, monkeypatch)
    assert np.diff(found).min() > -0.02
    assert found[-1] > found[0] + 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32), st.sampled_from([0.3, 1.0, 10.0, 1e4]), st.sampled_from([0.1, 3.0, 1e5]))
def test_the_projection_is_the_nearest_table_of_that_total(size, seed, total, spread):
    """Brute force: on each set of cells kept positive the nearest point is a shift; the best feasible one is the projection."""
    values = np.random.default_rng(seed).normal(0, spread, size)
    best, distance = None, math.inf
    for kept in range(1, 1 << size):
        mask = np.array([kept >> i & 1 for i in range(size)], dtype=bool)
        point = np.where(mask, values - (values[mask].sum() - total) / mask.sum(), 0.0)
        if (point >= 0).all() and ((point - values) ** 2).sum() < distance:
            best, distance = point, ((point - values) ** 2).sum()
    np.testing.assert_allclose(simplex(values, total), best, atol=1e-9 * max(total, spread))


@pytest.mark.parametrize("total", [1.0, 7.0, 1000.0])
def test_one_way_tables_are_the_constrained_least_squares_solution(total):
    domain = domain_of(4)
    part = residuals(domain, [Measurement(("a",), np.array([900, -300, 20, -40]), 30.0)])["a",]
    target, floor = part.values + total / 4, min(0.5, total / 8)
    solved = minimize(
        lambda x: ((x - target) ** 2).sum() / total**2,
        np.full(4, total / 4),
        bounds=[(floor, None)] * 4,
        constraints={"type": "eq", "fun": lambda x: x.sum() / total - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    found = one_way_table(part, total, 4)
    np.testing.assert_allclose(found, solved.x, atol=1e-4 * total)
    assert found.sum() == pytest.approx(total)
    assert found.min() >= floor - 1e-12


def test_a_column_that_was_not_measured_is_even():
    assert one_way_table(None, 30.0, 4).tolist() == [7.5] * 4


@pytest.mark.parametrize(("noise", "share"), [(1.0, 1.1), (30.0, 0.85), (300.0, 0.7)])
def test_long_columns_come_closer_to_the_truth(noise, share):
    """8 fixed seeds of skewed cells: next to nothing is lost where there is little noise, much is won where there is much."""
    shrunk, plain = 0.0, 0.0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        true = rng.pareto(1.2, 200) * 20
        seen = true + rng.normal(0, noise, 200)
        found = posterior_means(seen, noise)
        assert found.min() >= 0
        shrunk += ((found - true) ** 2).sum()
        plain += ((np.maximum(seen, 0) - true) ** 2).sum()
    assert shrunk < share * plain


@pytest.mark.parametrize("sizes", [(2, 2), (5, 3, 4), (2, 60), (40, 3)])
def test_the_margins_of_each_table_are_the_one_way_tables(sizes):
    domain = domain_of(*sizes)
    found = denoise(domain, residuals(domain, noisy(domain, rows_of(domain, 300, 0.7, 3), 8.0, 4)))
    for (a, b), pair in found.pairs.items():
        np.testing.assert_allclose(pair.table.sum(axis=1), found.one_way[a], rtol=1e-9)
        np.testing.assert_allclose(pair.table.sum(axis=0), found.one_way[b], rtol=1e-9)
    assert {c: pytest.approx(found.total) for c in domain.columns} == {c: table.sum() for c, table in found.one_way.items()}


SIMULATED = {
    "independent": ((4, 5, 3), 2000, 0.0, 1.0),
    "strongly dependent": ((4, 5, 3), 2000, 0.98, 1.0),
    "binary": ((2, 2, 2, 2), 2000, 0.5, 1.0),
    "wide": ((2, 60), 2000, 0.5, 1.0),
    "sparse": ((12, 9, 10), 300, 0.8, 0.1),
}


@pytest.mark.parametrize("sigma", [2.0, 40.0])
@pytest.mark.parametrize("name", SIMULATED)
def test_denoised_tables_are_no_worse_than_the_noisy_ones_on_average(name, sigma):
    """12 fixed seeds; the plain table is made non-negative too, and 2 % are allowed where there is nothing to gain."""
    sizes, rows, dependence, sparsity = SIMULATED[name]
    domain = domain_of(*sizes)
    plain, clean = 0.0, 0.0
    for seed in range(12):
        codes = rows_of(domain, rows, dependence, seed, sparsity)
        measurements = noisy(domain, codes, sigma, seed + 100)
        found = denoise(domain, residuals(domain, measurements))
        for m in measurements:
            if len(m.clique) == 2:
                true = exact_table(domain, codes, m.clique).reshape(-1)
                plain += np.abs(np.maximum(m.values, 0) - true).sum()
                clean += np.abs(np.maximum(found.pairs[m.clique].table, 0).reshape(-1) - true).sum()
    assert clean < 1.02 * plain
    if name == "independent" or sigma > 10:
        assert clean < 0.9 * plain


def fitted(seed=0):
    domain = domain_of(3, 4, 2)
    return denoise(domain, residuals(domain, noisy(domain, rows_of(domain, 500, 0.6, seed), 10.0, seed))).spread


def test_predicted_errors_fall_and_are_convex():
    spread = fitted()
    for pair in spread.scale:
        grid = np.linspace(0, 0.5, 60)
        errors = np.array([predicted_error(spread, pair, w) for w in grid])
        steps = np.diff(errors)
        assert (steps < 0).all()
        assert (np.diff(steps) > 0).all()


def test_the_predicted_error_is_what_the_prior_expects():
    """40,000 interactions drawn from the prior and seen with noise: the mean error of the posterior mean is within 1 %."""
    spread, pair, precision = fitted(), ("a", "b"), 0.004
    rng = np.random.default_rng(5)
    left, right = spread.vectors["a"], spread.vectors["b"]
    prior = spread.scale[pair] * np.outer(spread.values["a"], spread.values["b"])
    true = rng.standard_normal((40_000, *prior.shape)) * np.sqrt(prior)
    seen = true + rng.standard_normal(true.shape) / math.sqrt(precision)
    error = left @ (seen * prior / (prior + 1 / precision) - true) @ right.T
    assert predicted_error(spread, pair, precision) == pytest.approx(np.abs(error).sum(axis=(1, 2)).mean(), rel=0.01)


@pytest.mark.parametrize("sigma", [0.1, 100.0, 1e7])
@pytest.mark.parametrize("rows", [0, 1, 10, 10**7])
@pytest.mark.parametrize("sizes", [(2,), (500,), (1, 3), (1, 1, 2), (2, 100), (3, 4, 2)])
def test_every_scale_gives_finite_tables(sizes, rows, sigma):
    """Warnings are errors here, so a division by zero or an overflow on the way fails too."""
    domain = domain_of(*sizes)
    counted = min(rows, 1000)
    codes = rows_of(domain, counted, 0.5, 1)
    measurements = noisy(domain, codes, sigma, 2, weight=rows / max(counted, 1))
    for sign in (1, -1):
        found = denoise(domain, residuals(domain, [Measurement(m.clique, sign * m.values, m.sigma) for m in measurements]))
        assert found.total >= 1
        assert math.isfinite(found.total)
        for table in found.one_way.values():
            assert table.min() > 0
            assert table.sum() == pytest.approx(found.total)
        assert set(found.pairs) == set(combinations(domain.columns, 2))
        for clique, pair in found.pairs.items():
            assert np.isfinite(pair.table).all()
            variance = posterior_variance(found.spread, clique, pair.noise**-2)
            assert np.isfinite(variance).all()
            assert (variance >= 0).all()
            assert math.isfinite(pair.freedom)
            assert 0 <= predicted_error(found.spread, clique, 1 / sigma**2) < math.inf


def test_pairs_without_their_own_one_way_tables_give_them():
    domain = domain_of(3, 4)
    codes = rows_of(domain, 5000, 0.5, 0)
    found = denoise(domain, residuals(domain, noisy(domain, codes, 1.0, 1, ones=False)))
    np.testing.assert_allclose(found.one_way["a"], exact_table(domain, codes, ("a",)), atol=15)
    assert found.one_way_noise["a"] == pytest.approx(2.0)  # sums of four cells of noise 1


def test_a_column_of_500_cells_beside_another_gives_finite_tables():
    domain = domain_of(2, 500)
    found = denoise(domain, residuals(domain, noisy(domain, rows_of(domain, 1000, 0.5, 1), 5.0, 2)))
    assert np.isfinite(found.pairs["a", "b"].table).all()
    assert found.pairs["a", "b"].table.sum() == pytest.approx(found.total)
