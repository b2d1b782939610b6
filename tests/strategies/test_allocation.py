"""Divisions of a budget: exact to the last 2^-60 and never above it; the least predicted error as a numerical optimiser finds it."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dpsynth.errors import SpecError
from dpsynth.inference.kronecker import contrasts, predicted_error
from dpsynth.inference.spread import Spread
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_charge
from dpsynth.questions import MarginalQuestion
from dpsynth.strategies.allocation import SMALLEST_GAIN, least_error, sigmas_by_weight

UNITS = (PrivacyUnit(), PrivacyUnit("id", 7))


def cost_of(sigmas, unit):
    return MarginalQuestion(tuple((f"c{i}",) for i in range(len(sigmas))), tuple(sigmas)).cost(unit)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=12),
    st.fractions(min_value=Fraction(1, 10**6), max_value=Fraction(100)),
    st.sampled_from(UNITS),
)
def test_divisions_never_cost_more_than_the_budget_and_next_to_nothing_is_left(weights, budget, unit):
    rho = Rho.down(budget)
    try:
        sigmas = sigmas_by_weight(rho, unit, weights)
    except SpecError as refusal:
        assert min(weights) / sum(weights) * float(budget) < 1e-17
        assert "too small" in str(refusal)  # noqa: PT017
        return
    cost = cost_of(sigmas, unit)
    assert cost <= rho
    assert rho.value - cost.value < rho.value * Fraction(1, 2**40) + Fraction(2 * len(weights), 2**60)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=8), st.sampled_from(UNITS))
def test_precisions_are_in_proportion_to_the_weights(weights, unit):
    charged = np.array([gaussian_charge(sigma) for sigma in sigmas_by_weight(Rho.down(Fraction(1, 10)), unit, weights)])
    np.testing.assert_allclose(charged / sum(charged), np.array(weights) / sum(weights), rtol=1e-6)


def test_a_tiny_weight_gets_a_tiny_share_and_not_nothing():
    sigmas = sigmas_by_weight(Rho(Fraction(1)), UNITS[0], [1.0, 1e-300])
    assert gaussian_charge(sigmas[1]) == pytest.approx(gaussian_charge(sigmas[0]) * 2**-40, rel=1e-6)
    assert cost_of(sigmas, UNITS[0]) <= Rho(Fraction(1))


def test_a_share_too_small_to_ask_with_is_refused_with_what_to_do():
    with pytest.raises(SpecError, match=r"too small to ask anything: raise budget\.epsilon"):
        sigmas_by_weight(Rho(Fraction(1, 1 << 60)), UNITS[0], [1.0, 1.0])


def made_up_spread(seed, sizes=(3, 4, 2)):
    """A spread as denoising gives it: per column rotated contrasts with eigenvalues that sum to 1, per pair a scale."""
    rng = np.random.default_rng(seed)
    names = "abcdef"[: len(sizes)]
    vectors, values = {}, {}
    for name, size in zip(names, sizes, strict=True):
        turned, _ = np.linalg.qr(rng.normal(size=(size - 1, size - 1)))
        vectors[name], values[name] = contrasts(size) @ turned, rng.dirichlet(np.ones(size - 1))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return Spread(vectors, values, {pair: float(10 ** rng.uniform(1, 5)) for pair in pairs})


def whole_error(spread, known, added, weights):
    return sum(weights.get(p, 1.0) * predicted_error(spread, p, known[p] + added.get(p, 0.0)) for p in known)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weights", [{}, {("a", "b"): 5.0, ("b", "c"): 0.2}], ids=["plain", "weighted"])
def test_the_division_is_within_a_piece_of_what_an_optimiser_finds(seed, weights):
    spread = made_up_spread(seed)
    rng = np.random.default_rng(seed)
    known = {pair: float(10 ** rng.uniform(-4, -2)) for pair in spread.scale}
    budget = 0.5 * sum(known.values())
    found = least_error(spread, known, budget, weights)
    pairs = list(known)
    best = min(
        minimize(
            lambda x: whole_error(spread, known, dict(zip(pairs, x * budget, strict=True)), weights) / 100,
            start,
            bounds=[(0, 1)] * len(pairs),
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
            options={"ftol": 1e-12, "maxiter": 300},
        ).fun
        for start in (np.full(len(pairs), 1 / len(pairs)), np.array([found.get(p, 0.0) for p in pairs]) / budget)
    )
    none, even = whole_error(spread, known, {}, weights), whole_error(spread, known, dict.fromkeys(pairs, budget / len(pairs)), weights)
    reached = whole_error(spread, known, found, weights)
    assert reached <= even * (1 + 1e-9)
    assert none - reached >= 0.97 * (none - 100 * best)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.floats(-8, 8), st.floats(-8, 2))
def test_what_is_added_sums_to_the_budget_or_is_nothing_at_all(seed, scale, level):
    spread = made_up_spread(seed, (2, 3, 5, 2))
    rng = np.random.default_rng(seed)
    known = {pair: 10**level * float(10 ** rng.uniform(-1, 1)) for pair in spread.scale}
    budget = 10**scale * sum(known.values())
    added = least_error(spread, known, budget, {})
    assert set(added) <= set(known)
    if added:
        assert math.fsum(added.values()) == pytest.approx(budget, rel=1e-9)
        assert all(precision >= SMALLEST_GAIN * known[pair] * (1 - 1e-9) for pair, precision in added.items())
    else:
        assert budget < SMALLEST_GAIN * sum(known.values())


def test_a_pair_that_has_nothing_to_gain_gets_nothing():
    spread = made_up_spread(0)
    still = Spread(spread.vectors, spread.values, {**spread.scale, ("a", "b"): 1e-9})
    known = dict.fromkeys(spread.scale, 0.01)
    assert ("a", "b") not in least_error(still, known, 0.01, {})


@pytest.mark.parametrize("pair", [("a", "b"), ("a", "c"), ("b", "c")])
def test_weights_move_the_budget_to_what_matters(pair):
    spread = made_up_spread(1)
    known = dict.fromkeys(spread.scale, 0.001)
    plain, weighted, most = (least_error(spread, known, 0.003, w).get(pair, 0.0) for w in ({}, {pair: 10.0}, {pair: 1e6}))
    assert plain <= weighted <= most
    assert most > max(plain * 0.999, 0.0029)


def test_the_order_of_pairs_does_not_matter():
    spread = made_up_spread(2)
    known = {pair: 0.001 * (i + 1) for i, pair in enumerate(spread.scale)}
    forward = least_error(spread, known, 0.002, {})
    assert least_error(spread, dict(reversed(known.items())), 0.002, {}) == forward
