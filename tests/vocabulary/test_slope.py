"""Densities inside bins lean as their neighbours suggest, never below 0, and keep each bin's rows in its bin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dpsynth.kinds.slope import places, slopes

EQUAL = np.arange(7.0)


def lean(counts, cuts=None):
    cuts = np.arange(len(counts) + 1.0) if cuts is None else np.array(cuts, dtype=float)
    return slopes(np.array(counts, dtype=float), cuts[:-1], cuts[1:])


def test_a_straight_density_is_followed_exactly_inside():
    """Density 10, 20, 30: the slope over a bin is 10, so 10 / 20 of the middle one's density."""
    assert lean([10, 20, 30]) == pytest.approx([1, 0.5, 1 / 3])
    assert lean([10, 40, 90], [0, 1, 3, 6])[1] == pytest.approx((30 - 10) / (4.5 - 0.5) * 2 / 20)


def test_a_bin_fuller_or_emptier_than_both_neighbours_stays_flat():
    assert lean([1, 9, 2])[1] == lean([9, 1, 9])[1] == 0
    assert lean([5, 5, 5, 5]).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("counts", [[], [3], [0, 0], [0, 7, 0, 0, 9]])
def test_few_or_empty_bins_lean_nowhere_or_finitely(counts):
    found = lean(counts)
    assert found.shape == (len(counts),)
    assert np.isfinite(found).all()


@settings(deadline=None)
@given(arrays(np.int64, st.integers(2, 8), elements=st.integers(0, 10**6)), st.data())
def test_slopes_are_within_two_and_edges_between_the_neighbours(counts, data):
    widths = data.draw(arrays(np.int64, len(counts), elements=st.integers(1, 1000)))
    cuts = np.concatenate([[0], np.cumsum(widths)])
    found, density = lean(counts, cuts), counts / widths
    assert (np.abs(found) <= 2).all()
    for i in range(1, len(counts) - 1):
        for edge, other in ((density[i] * (1 - found[i] / 2), density[i - 1]), (density[i] * (1 + found[i] / 2), density[i + 1])):
            low, high = sorted((density[i], other))
            assert low - 1e-9 * high <= edge <= high + 1e-9 * high


@settings(deadline=None)
@given(st.floats(-2, 2), arrays(np.float64, 5, elements=st.floats(0, 1, exclude_max=True)))
def test_places_turn_shares_of_the_rows_into_shares_of_the_width(s, share):
    t = places(share, np.full(5, s))
    assert ((t >= 0) & (t <= 1)).all()
    assert t + s * (t**2 - t) / 2 == pytest.approx(share, abs=1e-9)
    assert (np.diff(places(np.sort(share), np.full(5, s))) >= 0).all()


def test_a_falling_density_is_followed_more_closely_than_by_flat_bins():
    """1e5 draws of an exponential density in bins of width 1: the mean of a bin leans to its lower end, about as it should."""
    rng = np.random.default_rng(3)
    cells = np.minimum(rng.exponential(1.0, 100_000).astype(int), 5)
    counts = np.bincount(cells, minlength=6)
    drawn = cells + places(rng.random(len(cells)), slopes(counts.astype(float), EQUAL[:-1], EQUAL[1:])[cells])
    exact = 1 / np.expm1(-1.0) + 2  # mean of an exponential density within [0, 1)
    inside = drawn[cells == 1] - 1
    assert abs(inside.mean() - exact) < 0.02 < abs(0.5 - exact)
