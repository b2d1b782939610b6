import numpy as np
import pytest

from dpsynth.inference import cell_prior, mixture_kernel
from dpsynth.inference.cell_prior import posterior


def direct(noisy, noise, predicted, shares, far):
    """Mean and variance of one cell by adding up the posterior on a fine grid: the mixture's density times the likelihood."""
    grid = np.linspace(-6 * noise - 50, max(noisy, predicted) + 8 * noise + 50, 40_001)
    centres = np.concatenate([[0.0], predicted * cell_prior.RATIOS, [predicted]])
    spreads = np.concatenate([[0.0], cell_prior.WIDTH * predicted * cell_prior.RATIOS, [far]])
    step = grid[1] - grid[0]
    density = np.zeros_like(grid)
    for share, centre, spread in zip(shares, centres, spreads, strict=True):
        if spread < 4 * step:
            density[np.argmin(abs(grid - centre))] += share / step
        else:
            density += share * np.exp(-0.5 * ((grid - centre) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
    weight = density * np.exp(-0.5 * ((noisy - grid) / noise) ** 2)
    weight /= weight.sum()
    mean = float(weight @ grid)
    return mean, float(weight @ (grid - mean) ** 2)


def slow(noisy, noise, predicted, steps):
    """Log likelihood of each cell under each component, and shares after EM, by the formulas of the module."""
    far = max(abs(noisy).max(), predicted.max(), noise)
    column = predicted[:, None]
    centres = np.hstack([0 * column, column * cell_prior.RATIOS, column])
    total = np.hstack([0 * column, (cell_prior.WIDTH * column * cell_prior.RATIOS) ** 2, 0 * column + far**2]) + noise**2
    logs = -0.5 * ((noisy[:, None] - centres) ** 2 / total + np.log(total))
    shares = np.full(logs.shape[1], 1 / logs.shape[1])
    for _ in range(steps):
        weights = np.exp(logs - logs.max(axis=1, keepdims=True)) * shares
        shares = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    return logs, shares


def test_likelihoods_mixture_and_evidence_are_those_of_the_formulas():
    rng = np.random.default_rng(6)
    predicted = rng.uniform(0, 300, 50)
    noisy = predicted * rng.gamma(1, 1, 50) + rng.normal(0, 9, 50)
    logs, shares = slow(noisy, 9.0, predicted, cell_prior.COMPARED_STEPS)
    found, tops = cell_prior._likelihood(noisy, 9.0, predicted, max(abs(noisy).max(), predicted.max(), 9.0))
    np.testing.assert_allclose(found, np.exp(logs - tops[:, None]), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(mixture_kernel.mixture(found, cell_prior.COMPARED_STEPS), shares, rtol=1e-9, atol=1e-30)
    highest = logs.max(axis=1)
    expected = float((np.log(np.exp(logs - highest[:, None]) @ shares) + highest).sum())
    assert cell_prior.evidence(noisy, 9.0, predicted) == pytest.approx(expected)


def test_it_is_the_posterior_under_its_mixture():
    rng = np.random.default_rng(0)
    predicted = rng.uniform(20, 400, 60)
    noisy = predicted * rng.gamma(2, 0.5, 60) + rng.normal(0, 25, 60)
    far = max(abs(noisy).max(), predicted.max(), 25.0)
    shares = mixture_kernel.mixture(cell_prior._likelihood(noisy, 25.0, predicted, far)[0], cell_prior.EM_STEPS)
    assert shares.sum() == pytest.approx(1)
    mean, variance = posterior(noisy, 25.0, predicted)
    for i in range(0, 60, 7):
        expected = direct(noisy[i], 25.0, predicted[i], shares, far)
        assert mean[i] == pytest.approx(max(expected[0], 0), abs=0.5)
        assert variance[i] == pytest.approx(min(expected[1], 625), rel=0.03)


def test_cells_that_follow_the_prediction_are_shrunk_onto_it():
    rng = np.random.default_rng(1)
    predicted = rng.uniform(50, 500, 2000)
    mean, variance = posterior(predicted + rng.normal(0, 100, 2000), 100.0, predicted)
    assert np.abs(mean - predicted).mean() < 0.25 * np.sqrt(2 / np.pi) * 100
    assert variance.mean() < 0.3 * 100**2


def test_empty_cells_are_found_empty():
    rng = np.random.default_rng(2)
    truth = np.where(np.arange(1000) % 10 == 0, 1000.0, 0.0)
    mean, _ = posterior(truth + rng.normal(0, 20, 1000), 20.0, np.full(1000, 100.0))
    assert mean[truth == 0].max() < 5
    np.testing.assert_allclose(mean[truth > 0], 1000, atol=90)


def test_a_table_far_from_its_prediction_is_left_as_it_is():
    noisy = np.random.default_rng(3).uniform(1e5, 1e6, 50)
    mean, variance = posterior(noisy, 3.0, np.full(50, 1e-6))
    np.testing.assert_allclose(mean, noisy, rtol=1e-4)
    assert (variance <= 9).all()


@pytest.mark.parametrize("noise", [0.1, 1e7])
@pytest.mark.parametrize("rows", [0.0, 1.0, 1e9])
def test_extreme_scales_give_finite_cells(rows, noise):
    noisy = np.random.default_rng(4).normal(rows / 20, noise, 20)
    mean, variance = posterior(noisy, noise, np.full(20, rows / 20))
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()
    assert np.isfinite(variance).all()
    assert (variance >= 0).all()


def test_large_tables_are_fitted_by_a_sample_and_in_parts(monkeypatch):
    rng = np.random.default_rng(5)
    predicted = rng.uniform(1, 100, 5000)
    noisy = predicted * rng.gamma(1, 1, 5000) + rng.normal(0, 20, 5000)
    whole, _ = posterior(noisy, 20.0, predicted)
    monkeypatch.setattr(cell_prior, "CHUNK", 999)
    parts, _ = posterior(noisy, 20.0, predicted)
    np.testing.assert_allclose(parts, whole)
    monkeypatch.setattr(cell_prior, "SAMPLE", 2500)
    sampled, _ = posterior(noisy, 20.0, predicted)
    assert np.abs(sampled - whole).mean() < 1
