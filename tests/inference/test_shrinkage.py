"""Denoised tables against direct posteriors, written down with dense matrices."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference import shrinkage
from dpsynth.inference.cell_prior import posterior
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.neighbours import predicted
from dpsynth.inference.residuals import Residual, interaction, residuals, table_of
from dpsynth.inference.shrinkage import effects, shrunk, weights
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, measured, table


def onto(domain, clique, part):
    """float64[cells of the part, cells of the clique]: sums a table of the clique to the part."""
    return np.stack(
        [table(Domain(clique, domain.shape(clique)), e.reshape(domain.shape(clique)), part) for e in np.eye(domain.cells(clique))], axis=1
    )


def with_margins(mean, variance, margins):
    """Posterior mean and deviation of cells N(mean, variance) whose sums were seen: (matrix, values, variance) of each margin."""
    precision, right = np.diag(1 / variance), mean / variance
    for matrix, values, noise in margins:
        precision = precision + matrix.T @ matrix / noise
        right = right + matrix.T @ values / noise
    covariance = np.linalg.inv(precision)
    return covariance @ right, np.sqrt(covariance.diagonal())


@pytest.mark.parametrize("clique", [("a", "b"), ("b", "c"), ("a", "b", "c"), ("a", "b", "c", "d")])
@pytest.mark.parametrize("noise", [0.5, 5.0, 40.0, 1e3])
def test_cells_meet_their_margins_as_the_posterior_says(clique, noise):
    rng = np.random.default_rng(len(clique))
    shape = DOMAIN.shape(clique)
    mean, variance = rng.normal(100, 50, shape), rng.uniform(1, 400, shape)
    truth = (mean + rng.normal(0, np.sqrt(variance))).reshape(-1)
    margins = []
    for part in combinations(clique, len(clique) - 1):
        matrix = onto(DOMAIN, clique, part)
        margins.append((part, matrix, matrix @ truth + rng.normal(0, noise, len(matrix)), noise**2))
    found = shrinkage._met(clique, mean, variance, [(p, y.reshape(DOMAIN.shape(p)), 1 / v) for p, _, y, v in margins])
    expected, deviation = with_margins(mean.reshape(-1), variance.reshape(-1), [(m, y, v) for _, m, y, v in margins])
    # Sweeps end before the last digit; margins that bind most (half a row, where cells vary by twenty) are met most slowly.
    assert (np.abs(found.reshape(-1) - expected) / deviation).max() < (0.05 if noise > 1 else 0.3)


def test_a_margin_that_says_nothing_more_changes_nothing():
    mean, variance = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    np.testing.assert_array_equal(shrinkage._met(("a", "b"), mean, variance, [(("a",), np.full(2, 99.0), 0.0)]), mean)


@pytest.mark.parametrize("sigma", [3.0, 30.0, 300.0])
def test_a_pair_with_its_columns_is_the_posterior_of_prior_table_and_margins(sigma):
    """Everything `shrunk` does to one pair, from the measurements: prior of the cells, then what the columns know beyond the pair."""
    domain = Domain(("a", "b"), (3, 5))
    rng = np.random.default_rng(4)
    rows = rng.multinomial(3000, rng.dirichlet(np.full(15, 0.5))).reshape(3, 5)
    given = [
        Measurement(c, np.rint(table(domain, rows, c) + rng.normal(0, sigma, domain.cells(c))).astype(np.int64), sigma)
        for c in [("a",), ("b",), ("a", "b")]
    ]
    parts = residuals(domain, given)
    values = {clique: part.values for clique, part in parts.items()}
    noisy, s = table_of(values, ("a", "b")), np.sqrt(parts["a", "b"].variance)
    independent = np.maximum(np.outer(table_of(values, ("a",)), table_of(values, ("b",))) / float(values[()]), 0)
    expected = predicted(noisy, s, independent).reshape(-1)
    found, left = posterior(noisy.reshape(-1), s, expected)
    trust = 1 - 2 / 8
    mean, variance = trust * found + (1 - trust) * noisy.reshape(-1), trust * left + (1 - trust) * s**2
    margins = []
    for column in ("a", "b"):
        # the column's own table and the pair's sums are one measurement; the pair's share of it is in the cells already
        own, of_pair = parts[(column,)].variance, s**2 * 15 / domain.size[column]
        margins.append((onto(domain, ("a", "b"), (column,)), table_of(values, (column,)), 1 / (1 / own - 1 / of_pair)))
    joint = with_margins(mean, variance, margins)[0].reshape(3, 5)
    ours = shrunk(parts, 2, lambda clique: independent.reshape(-1))["a", "b"]
    np.testing.assert_allclose(ours.values, interaction(joint), atol=max(0.05, 2e-3 * sigma))
    assert ours.variance == pytest.approx(float(variance.mean()))


def test_a_table_of_two_degrees_of_freedom_is_left_as_it_was_measured():
    domain = Domain(("a", "b"), (2, 3))
    parts = residuals(domain, measured(DOMAIN, [("a", "b")]))
    ours = shrunk(parts, 2, lambda clique: np.full(6, 1.0))["a", "b"]
    np.testing.assert_allclose(ours.values, parts["a", "b"].values)
    assert ours.variance == parts["a", "b"].variance


@pytest.mark.parametrize("deviation", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("noise", [1.0, 300.0])
def test_the_variance_of_effects_is_the_one_behind_the_residuals(deviation, noise):
    """Hundreds of residuals of potentials with this deviation, each with noise of its own."""
    rng, total, parts = np.random.default_rng(1), 1e5, []
    for place in range(300):
        shape = (2 + place % 3, 2 + place % 4)
        rows, variance = total / np.prod(shape), noise**2 * (1 + place % 5)
        effect = interaction(rng.normal(0, deviation, shape)) * rows
        parts.append(Residual(("a", "b"), effect + interaction(rng.normal(0, np.sqrt(variance), shape)), variance))
    assert np.sqrt(effects(parts, total)) == pytest.approx(deviation, rel=0.15)


def test_residuals_of_pure_noise_show_no_effects():
    rng = np.random.default_rng(2)
    parts = [Residual(("a", "b"), interaction(rng.normal(0, 40, (3, 4))), 1600.0) for _ in range(50)]
    assert np.sqrt(effects(parts, 12_000.0)) * 1000 < 20  # rows of a cell, of which noise moves each by 40


def test_what_is_evident_is_pulled_less_and_nothing_more_than_before():
    parts = residuals(DOMAIN, measured(DOMAIN, [("a", "b"), ("c", "d")], rows=10**5, sigma=200.0))
    targets = [*shrunk(parts, 2, lambda clique: np.full(DOMAIN.cells(clique), 1e5 / DOMAIN.cells(clique))).values()]
    found = dict(zip([t.clique for t in targets], weights(targets, parts, 1e5).tolist(), strict=True))
    for target in targets:
        least, most = np.sqrt(target.variance) / shrinkage.STEEPEST, shrinkage.SOFTNESS * target.variance
        pull = target.variance * target.values.size / (1e5 * effects([p for c, p in parts.items() if len(c) == len(target.clique)], 1e5))
        assert found[target.clique] == pytest.approx(max(least, min(most, pull)))


def test_small_dependent_tables_under_much_noise_are_no_worse_than_their_projection():
    """Four cells of 1,000 to 13,000 rows, noise of 2,000: what shrinkage took off twice here cost a third of the accuracy."""
    domain, exact = Domain(("a", "b"), (2, 2)), np.array([13_000, 2_500, 1_000, 5_000])
    rng, ours, plain = np.random.default_rng(3), [], []
    for _ in range(60):
        given = [Measurement(("a", "b"), np.rint(exact + rng.normal(0, 2000, 4)).astype(np.int64), 2000.0)]
        model = MaxEnt().fit(domain, given).marginal(("a", "b"))
        ours.append(np.abs(model / model.sum() - exact / exact.sum()).sum() / 2)
        positive = np.maximum(given[0].values, 0)
        plain.append(np.abs(positive / positive.sum() - exact / exact.sum()).sum() / 2)
    assert np.mean(ours) < 1.05 * np.mean(plain)
