"""Neighbouring cells predict each other where a column is ordered, and only there."""

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.neighbours import DECAY, alike, from_neighbours, predicted
from dpsynth.transcript import Measurement


def smooth(rows, shape):
    """float64[shape]: a hill along each axis."""
    table = np.ones(())
    for size in shape:
        table = np.multiply.outer(table, np.exp(-(((np.arange(size) - 0.4 * size) / (0.2 * size)) ** 2)) + 0.05)
    return rows * table / table.sum()


def test_the_prediction_is_the_formula_written_out():
    rng = np.random.default_rng(0)
    plain, noise = rng.uniform(5, 20, (9, 3)), 4.0
    noisy = plain + rng.normal(0, 9, plain.shape)
    spread = max(0.5, ((noisy - plain) ** 2 - noise**2).sum() / (plain**2).sum())
    kernel = [[0.0 if i == j else DECAY ** abs(i - j) for j in range(9)] for i in range(9)]
    left = noise**2 * np.mean([sum(k**2 for k in row) for row in kernel])
    found = from_neighbours(noisy, noise, plain, 0)
    for i in range(9):
        for j in range(3):
            c = sum(kernel[i][k] * noisy[k, j] for k in range(9))
            b = sum(kernel[i][k] * plain[k, j] for k in range(9))
            ratio = (spread * b * c + left) / (spread * b**2 + left)
            assert found[i, j] == pytest.approx(plain[i, j] * max(ratio, 0.02))


def test_a_cell_does_not_predict_itself():
    plain = np.full(12, 50.0)
    noisy = plain.copy()
    noisy[4] += 1e-3
    assert from_neighbours(noisy, 1.0, plain, 0)[4] == pytest.approx(50.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(40,), (30, 4), (4, 30)])
def test_smooth_tables_are_predicted_by_neighbours_and_shuffled_ones_are_not(shape):
    exact, noise = smooth(5000, shape), 12.0
    plain = np.full(shape, exact.mean())
    rng = np.random.default_rng(1)
    for seed in range(5):
        noisy = exact + np.random.default_rng(seed).normal(0, noise, shape)
        found = predicted(noisy, noise, plain)
        assert np.abs(found - exact).sum() < 0.6 * np.abs(plain - exact).sum()
        shuffled = rng.permutation(noisy.reshape(-1)).reshape(shape)
        assert np.abs(predicted(shuffled, noise, plain) - plain).sum() < 0.5 * np.abs(found - plain).sum()


def test_what_is_predicted_already_stays():
    exact = smooth(5000, (40,))
    for seed in range(20):
        noisy = exact + np.random.default_rng(seed).normal(0, 12, 40)
        assert predicted(noisy, 12.0, exact) is exact
    assert abs(np.mean([alike(np.random.default_rng(s).normal(size=(50, 3)), 0) for s in range(200)])) < 5 / np.sqrt(200)


def test_short_axes_are_left_alone():
    plain = np.full((7, 2), 10.0)
    assert predicted(np.outer(np.arange(7), [10, 10]).astype(float), 0.1, plain) is plain


def test_an_ordered_column_is_fitted_with_less_error():
    domain, exact = Domain(("a",), (60,)), smooth(10_000, (60,))
    errors = {True: [], False: []}
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(0, 60, 60)
        order = np.random.default_rng(seed + 99).permutation(60)
        for ordered in (True, False):
            counts = exact if ordered else exact[order]
            found = MaxEnt().fit(domain, [Measurement(("a",), np.rint(counts + noise).astype(np.int64), 60.0)]).marginal(("a",))
            errors[ordered].append(np.abs(found - counts).sum())
    assert np.mean(errors[True]) < 0.8 * np.mean(errors[False])
