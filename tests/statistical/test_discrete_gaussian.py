"""The noise has the exact distribution the cost was computed for. Each test's false-alarm rate is stated, at most 1e-6."""

import math
import multiprocessing
import random
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dpsynth.core import noise
from dpsynth.core.curator import Curator
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import ErrorsQuestion
from tests.core.rows import TWO_BY_TWO, ListedRows

ROOT = Path(__file__).parents[2]
FALSE_ALARM = 1e-7
DRAWS = 20_000


def probabilities(sigma, reach):
    """P(Z = z) for z = -reach .. reach, and what is left outside: exp(-z^2 / (2 sigma^2)) over its sum."""
    z = np.arange(-reach, reach + 1, dtype=np.float64)
    far = np.arange(-reach - int(40 * sigma) - 40, reach + int(40 * sigma) + 41, dtype=np.float64)
    return np.exp(-(z**2) / (2 * sigma**2)) / np.exp(-(far**2) / (2 * sigma**2)).sum()


def grouped(draws, sigma, least_expected=200):
    """Observed and expected numbers in groups of neighbouring values, each expected at least `least_expected` times."""
    reach = math.ceil(8 * sigma) + 1
    chance = probabilities(sigma, reach)
    counts = np.bincount(np.clip(draws, -reach, reach) + reach, minlength=2 * reach + 1)
    observed, expected = [0], [0.0]
    for seen, p in zip(counts, chance, strict=True):
        if expected[-1] >= least_expected:
            observed.append(0)
            expected.append(0.0)
        observed[-1] += int(seen)
        expected[-1] += p * len(draws)
    if expected[-1] < least_expected and len(expected) > 1:
        observed[-2:], expected[-2:] = [sum(observed[-2:])], [sum(expected[-2:])]
    expected[-1] += len(draws) - sum(expected)
    return np.array(observed), np.array(expected)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5, 40.0])
def test_noise_has_the_discrete_gaussian_distribution(sigma):
    counts = np.full(DRAWS, 12_345, dtype=np.int64)
    observed, expected = grouped(noise.discrete_gaussian(counts, sigma) - counts, sigma)
    statistic = ((observed - expected) ** 2 / expected).sum()
    # The chi-square tail is off by a few per cent at 200 expected draws a group: a tenth of the rate covers that.
    assert stats.chi2.sf(statistic, len(expected) - 1) > FALSE_ALARM / 10


def test_the_check_tells_a_neighbouring_distribution_apart():
    rounded = np.rint(np.random.default_rng(1).normal(0, 1.0, DRAWS)).astype(np.int64)
    observed, expected = grouped(rounded, 1.0)
    assert stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - 1) < FALSE_ALARM / 10


def test_large_noise_has_the_declared_variance():
    sigma = 1e9
    draws = noise.discrete_gaussian(np.zeros(60_000, dtype=np.int64), sigma).astype(np.float64)
    statistic = (draws**2).sum() / sigma**2  # so many draws tell a sigma that is 3 % off
    assert stats.chi2.isf(1 - FALSE_ALARM, 60_000) < statistic < stats.chi2.isf(FALSE_ALARM, 60_000)


def test_noisy_errors_are_the_exact_ones_with_the_noise_of_the_question():
    """False alarms: 3e-7, a third of it in each test. Noise that is 4 % off, or an error that is 0.06 sigma off, would be noticed."""
    n, estimate = 15_000, np.array([5 << 16, 1], dtype=np.int64)
    question = ErrorsQuestion((("a",),) * n, (estimate,) * n, 6.5)
    curator = Curator(ListedRows(TWO_BY_TWO, [(0, 0), (0, 1), (1, 1)]), PrivacyUnit("id", 3), Rho(Fraction(10**6)), "gdp")
    exact = (3 << 16) + ((1 << 16) - 1)  # 2 rows against 5, 1 row against 2^-16
    z = (curator.ask(question).errors - exact) / (6.5 * 2**16)  # so fine a grid that the normal distribution describes it
    assert stats.kstest(z, "norm").pvalue > FALSE_ALARM
    assert stats.chi2.isf(1 - FALSE_ALARM / 2, n) < (z**2).sum() < stats.chi2.isf(FALSE_ALARM / 2, n)
    assert abs((z[1:] * z[:-1]).sum()) < stats.norm.isf(FALSE_ALARM / 4) * math.sqrt(n)  # each error has noise of its own


def test_neighbouring_cells_get_independent_noise():
    draws = noise.discrete_gaussian(np.zeros(DRAWS, dtype=np.int64), 3.0).reshape(-1, 2)
    signs = np.sign(draws)
    both = signs[(signs != 0).all(axis=1)]
    same = int((both[:, 0] == both[:, 1]).sum())
    assert stats.binomtest(same, len(both), 0.5).pvalue > FALSE_ALARM


def test_noise_is_added_to_each_count_where_it_stands():
    counts = np.array([0, 10**6, -(10**9), 1 << 40], dtype=np.int64)
    assert np.abs(noise.discrete_gaussian(counts, 1.0) - counts).max() < 40


def test_every_answer_is_a_whole_number():
    assert noise.discrete_gaussian(np.zeros(10, dtype=np.int64), 0.37).dtype == np.int64


def _draws(_=None):
    return tuple(noise.discrete_gaussian(np.zeros(4, dtype=np.int64), 1e9).tolist())


FORKING = """
import os
from tests.statistical.test_discrete_gaussian import _draws

_draws()  # the generator is warm: a copied state would now repeat itself
for _ in range(4):
    if (child := os.fork()) == 0:
        os.write(1, (repr(_draws()) + "\\n").encode())
        os._exit(0)
    os.waitpid(child, 0)
os.write(1, repr(_draws()).encode())
"""


def test_forked_processes_never_share_noise():
    # A process of its own: libraries that other tests load forbid forking.
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    drawn = done.stdout.splitlines()
    assert len(drawn) == 5
    assert len(set(drawn)) == len(drawn)  # equal by chance: below 1e-30


def test_two_new_processes_never_share_noise():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        drawn = pool.map(_draws, range(4), chunksize=1)
    assert len(set(drawn)) == len(drawn)


def test_seeds_change_nothing_and_are_not_changed():
    drawn = []
    for _ in range(2):
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002 - the global generator is what must not matter
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        drawn.append((_draws(), noise.noisy_argmax(np.zeros(1 << 16, dtype=np.int64), 1.0)))
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert drawn[0] != drawn[1]
