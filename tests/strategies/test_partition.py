"""Bins from noisy counts: the best histogram against all histograms, noise alone, steps, spikes, tails."""

import itertools
import math

import numpy as np
import pytest

from dpsynth.strategies.partition import EVEN, graded, halved, histogram, partition


def none_alone(cells):
    return np.zeros(cells, dtype=bool)


def objective(values, sigma, starts):
    bins = [values[a:b] for a, b in itertools.pairwise([*starts, len(values)])]
    return sum(((part - part.mean()) ** 2).sum() for part in bins) / sigma**2 + 3 * math.log(len(values)) * len(bins)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [2, 3, 7])
def test_the_histogram_is_the_best_of_all(seed, most):
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.choice([0, 20, 60], 7), 5)
    alone = none_alone(7)
    alone[rng.integers(7)] = seed % 2 == 0
    all_of_them = [
        (0, *rest)
        for bins in range(2, 8)
        for rest in itertools.combinations(range(1, 7), bins - 1)
        if all(not alone[a:b].any() or b - a == 1 for a, b in itertools.pairwise([0, *rest, 7]))
    ]
    fewest = min(map(len, all_of_them))
    allowed = [starts for starts in all_of_them if len(starts) <= max(most, fewest)]
    best = min(objective(values, 5.0, starts) for starts in allowed)
    found = histogram(values, 5.0, most, alone)
    assert found in allowed
    assert objective(values, 5.0, found) == pytest.approx(best, rel=1e-9)


def test_noise_alone_makes_no_bins_but_the_least():
    found = [histogram(np.random.default_rng(seed).normal(0, 30, 256), 30.0, 32, none_alone(256)) for seed in range(20)]
    sizes = [len(starts) for starts in found]
    assert sizes.count(2) >= 18  # two there are always; with these, one further cut is enough to set the largest noise apart
    assert max(sizes) <= 3


def test_steps_beyond_the_noise_are_found_where_they_are():
    exact = np.repeat([500.0, 20.0, 900.0, 300.0], [10, 40, 6, 44])
    for seed in range(10):
        noisy = exact + np.random.default_rng(seed).normal(0, 30, 100)
        assert histogram(noisy, 30.0, 16, none_alone(100)) == (0, 10, 50, 56)


def test_lone_cells_are_bins_of_their_own_even_beyond_the_most():
    alone = none_alone(40)
    alone[[0, 7, 8, 39]] = True
    found = partition(np.random.default_rng(0).normal(0, 1, 40), 1.0, 2, alone)
    assert {0, 7, 8, 39} <= set(found)
    assert {1, 9} <= set(found)


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_few_cells_are_no_fault(cells):
    assert len(histogram(np.ones(cells), 1.0, 8, none_alone(cells))) == min(cells, 2)


def test_a_tail_that_noise_hides_is_graded():
    found = graded((0, 8), 512, 20, none_alone(512))
    widths = np.diff([*found, 512])
    assert (np.maximum(widths[1:], widths[:-1]) <= EVEN * np.minimum(widths[1:], widths[:-1])).all()
    assert found[:3] == (0, 8, 24)
    assert graded((0, 504), 512, 20, none_alone(512))[-1] == 504
    assert graded((0, 8), 512, 3, none_alone(512)) == (0, 8, 24)  # no more bins than there may be
    assert graded((0, 200), 512, 20, none_alone(512)) == (0, 200)


def test_grading_leaves_lone_cells_out():
    alone = none_alone(100)
    alone[0] = True
    assert graded((0, 1), 100, 20, alone) == (0, 1)


def test_the_fullest_bin_is_cut_in_halves_while_its_rows_stand_out():
    values = np.array([90.0, 90, 90, 90, 5, 5, 5, 5, 40])
    assert halved((0, 4, 8), values, 1.0) == 2
    assert halved((0, 2, 4, 8), values, 1.0) == 3  # of two as full the last
    assert halved((0, 1, 2, 3, 4, 8), values, 1.0) == 6
    assert halved((0, 1, 2, 3, 4, 8), values, 2.5) is None  # 20 rows, and noise of 5
    assert halved((0, *range(1, 9)), values, 1.0) is None


@pytest.mark.parametrize("shape", ["bell", "falling"])
def test_slopes_get_bins_where_rows_are(shape):
    """Each cut of a slope explains little: the best histogram alone has a few bins, which lose two to three times as much."""
    x = np.linspace(0, 1, 512)
    density = np.exp(-(((x - 0.4) / 0.1) ** 2) / 2) if shape == "bell" else np.exp(-12 * x)
    exact, sigma, lost = 50_000 * density / density.sum(), 100.0, {"found": [], "histogram": []}
    for seed in range(5):
        noisy = exact + np.random.default_rng(seed).normal(0, sigma, 512)
        found = {"found": partition(noisy, sigma, 32, none_alone(512)), "histogram": histogram(noisy, sigma, 32, none_alone(512))}
        assert len(found["found"]) <= 32
        for name, starts in found.items():
            widths = np.diff([*starts, 512])
            lost[name].append(np.abs(np.repeat(np.add.reduceat(exact, starts) / widths, widths) - exact).sum())
    assert np.mean(lost["found"]) < 0.6 * np.mean(lost["histogram"])
