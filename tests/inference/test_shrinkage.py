"""Denoised tables against direct posteriors, written down with dense matrices."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference import shrinkage
from dpsynth.inference.cell_prior import posterior
from dpsynth.inference.neighbours import predicted
from dpsynth.inference.residuals import interaction, residuals, table_of
from dpsynth.inference.shrinkage import shrunk
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
