"""Penalties: the expected errors that they are, against draws and by their limits."""

import math

import numpy as np
import pytest

from dpsynth.strategies.penalty import PENALTIES, TYPICAL, left_after, noise_alone, noise_unshrunk

TABLE = np.array([1000.0, 10.0, 0.0, 300.0])


def test_what_measuring_leaves_of_an_error_is_a_share_that_grows_with_the_noise():
    shares = [left_after(TABLE, sigma) for sigma in (0.01, 10.0, 100.0, 1e9)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0, abs=1e-3)
    assert shares[-1] == pytest.approx(1)
    assert left_after(np.zeros(3), 10.0) <= 1


def test_shrinking_costs_less_than_the_published_penalty_and_never_more_than_a_typical_error():
    for sigma in (0.01, 10.0, 100.0, 1e9):
        assert noise_alone(TABLE, sigma) <= noise_unshrunk(TABLE, sigma) == math.sqrt(2 / math.pi) * sigma * 4
        assert noise_alone(TABLE, sigma) <= 2 * TYPICAL * 1310 * (1 + 1e-12)


@pytest.mark.parametrize("sigma", [3.0, 60.0, 500.0])
def test_they_are_the_errors_that_draws_show(sigma):
    """Cells stray from the estimate by what is typical, get noise, and are shrunk by their variances; or are used as they come."""
    rng, draws = np.random.default_rng(1), 20_000
    deviations = np.sqrt(TABLE) * (math.sqrt(math.pi / 2) * 2 * TYPICAL * TABLE.sum() / np.sqrt(TABLE).sum())
    stray = rng.normal(size=(draws, len(TABLE))) * deviations
    noisy = stray + rng.normal(size=stray.shape) * sigma
    shrunk = noisy * deviations**2 / (deviations**2 + sigma**2)
    assert np.abs(shrunk - stray).sum(axis=1).mean() == pytest.approx(noise_alone(TABLE, sigma), rel=0.05)
    assert np.abs(noisy - stray).sum(axis=1).mean() == pytest.approx(noise_unshrunk(TABLE, sigma), rel=0.05)
    assert np.abs(stray).sum(axis=1).mean() == pytest.approx(2 * TYPICAL * TABLE.sum(), rel=0.05)


@pytest.mark.parametrize("rows", [0.0, 1.0, 1e9])
def test_a_factor_stays_above_nothing_and_every_number_finite(rows):
    for table in (np.array([rows, 0.0]), np.full(3, rows / 3)):
        for sigma in (0.01, 1e7, 2.0**40):
            for penalty in PENALTIES.values():
                assert 0 < penalty.factor(table, sigma) <= 1
                assert 0 <= penalty.rows(table, sigma) < math.inf


def test_each_is_a_factor_or_rows_that_are_subtracted():
    left = left_after(TABLE, 60.0)
    found = {name: (penalty.factor(TABLE, 60.0), penalty.rows(TABLE, 60.0)) for name, penalty in PENALTIES.items()}
    assert found == {
        "discount": (1 - left, 0),
        "published": (1, noise_unshrunk(TABLE, 60.0)),
        "shrunk": (1, noise_alone(TABLE, 60.0)),
        "none": (1, 0),
    }
