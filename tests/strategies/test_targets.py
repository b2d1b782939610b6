"""Targets and weights: the division of a budget against a convex solver, promises against draws, refusals against what they offer."""

import math
import re
import warnings
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from dpsynth.core.accountant import guarantee_for
from dpsynth.domain import Domain
from dpsynth.errors import SpecError, TargetsRefused
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_charge
from dpsynth.questions import MarginalQuestion, total_cost
from dpsynth.strategies import misplaced as quantiles
from dpsynth.strategies.misplaced import CONVOLVED, _by_chernoff, _by_convolution, _magnitudes, largest_sigma, misplaced
from dpsynth.strategies.registry import strategy_named
from dpsynth.strategies.targets import FLOOR, _times, divided
from dpsynth.wishes import NO_WISHES, TableWeight, Target, Wishes
from tests.strategies.exact import BlindAsker

DOMAIN = Domain(("age", "sex", "job", "area"), (30, 2, 9, 17))
CAP = guarantee_for(Fraction(1), Fraction(1, 10**9)).rho
UNITS = (PrivacyUnit(), PrivacyUnit("id", 5))
STRATEGIES = ("all-pairs", "independent", "mst")


def target(*columns, within="0.02", confidence="0.95"):
    return Target(columns, Fraction(within), Fraction(confidence))


def wishes(*targets, weights=None, rows=30_000):
    return Wishes(targets, tuple(TableWeight(c, Fraction(w)) for c, w in (weights or {}).items()), rows)


def plain(cap=CAP, unit=UNITS[0], strategy="all-pairs"):
    """Sigma of every table of the first batch where nothing is wished."""
    return {q.columns: q.scale for q in strategy_named(strategy).plan(DOMAIN, unit, cap).questions if q.columns}


def draws(sigma, shape, rng):
    """Discrete Gaussian noise by inversion of its exact distribution."""
    z = np.arange(-math.ceil(12 * sigma) - 1, math.ceil(12 * sigma) + 2)
    mass = np.exp(-(z**2) / (2 * sigma**2))
    return z[np.searchsorted(np.cumsum(mass / mass.sum()), rng.random(shape))]


# --- how much the noise misplaces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.49, 0.5, 0.51, 0.7, 0.99, 1.0, 1.5, 2.5, 7.3, 40.0])
def test_the_lemma_bounds_every_tail_of_the_discrete_gaussian(sigma):
    z = np.arange(math.ceil(40 * sigma) + 5)
    mass = np.exp(-(z**2) / (2 * sigma**2)) * np.where(z > 0, 2, 1)
    exact = 1 - np.cumsum(mass / mass.sum())
    bound = 1 - np.cumsum(_magnitudes(sigma, 1))
    shared = min(len(exact), len(bound))
    assert np.all(exact[:shared] <= bound[:shared] + 1e-14)
    assert bound[-1] < 1e-14


@pytest.mark.parametrize(
    ("cells", "sigma", "confidence"),
    [(1, 5.0, 0.95), (2, 0.8, 0.9), (2, 50.0, 0.99), (7, 3.0, 0.5), (64, 10.0, 0.95), (400, 30.0, 0.95), (5000, 2.0, 0.95)],
)
def test_the_promised_confidence_holds_and_little_is_given_away(cells, sigma, confidence):
    rng, trials = np.random.default_rng(cells), 20_000 if cells < 1000 else 2_000
    sums = np.concatenate([np.abs(draws(sigma, (500, cells), rng)).sum(axis=1) for _ in range(trials // 500)])
    beyond = int((sums > misplaced(cells, sigma, confidence)).sum())
    assert beyond <= binom.isf(1e-7, trials, 1 - confidence)  # false alarms: 1e-7
    if cells <= CONVOLVED and sigma > 2:  # by 3 % less would be too little: the bound is no loose one
        assert (sums > 0.97 * misplaced(cells, sigma, confidence)).mean() > 1 - confidence


@pytest.mark.parametrize("cells", [1, 3, 64, 1000, CONVOLVED, CONVOLVED + 1, 1 << 20])
def test_limits_on_sigma_are_tight_and_grow_with_what_is_allowed(cells):
    sigmas = [largest_sigma(cells, rows, 0.95) for rows in (0, 10, 1000, 123_456, 10**9)]
    assert sigmas == sorted(sigmas)
    for rows, sigma in zip((1000, 123_456, 10**9), sigmas[2:], strict=True):
        assert misplaced(cells, sigma, 0.95) <= rows < misplaced(cells, sigma * (1 + 2**-14), 0.95)
        mean, spread = math.sqrt(2 / math.pi), math.sqrt((1 - 2 / math.pi) / cells)
        if sigma > 5:  # the normal approximation
            assert sigma == pytest.approx(rows / cells / (mean + 1.645 * spread), rel={1: 0.1, 3: 0.06}.get(cells, 0.012))


def test_both_ways_to_a_quantile_agree_where_they_meet():
    for sigma in (0.7, 3.0, 100.0, 1e7):
        assert _by_chernoff(CONVOLVED, sigma, 0.05) == pytest.approx(_by_convolution(CONVOLVED, sigma, 0.05), rel=0.02)
        assert _by_chernoff(50, sigma, 0.05) >= _by_convolution(50, sigma, 0.05)


# --- the division ------------------------------------------------------------------------------------------------------------------------


def weights_of(wished):
    return {weight.columns: float(weight.weight) for weight in wished.weights}


def limits_of(wished, sigmas):
    """The least precision of each table, as it is charged: a share of its plain one, and what its targets ask."""
    least = {clique: gaussian_charge(sigma / math.sqrt(FLOOR)) for clique, sigma in sigmas.items()}
    for t in wished.targets:
        asked = largest_sigma(DOMAIN.cells(t.columns), wished.rows(t.within), float(t.confidence))
        least[t.columns] = max(least[t.columns], gaussian_charge(asked))
    return least


def solved(sigmas, wished):
    """The program of `targets` by a general convex solver: precisions and the least objective, both with the plain total as the unit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about solvers that are not installed
        import cvxpy as cp

        total = sum(map(gaussian_charge, sigmas.values()))
        p = np.array([gaussian_charge(sigma) / total for sigma in sigmas.values()])
        v = np.array([weights_of(wished).get(clique, 1.0) for clique in sigmas])
        w = cp.Variable(len(p))
        error = cp.sum(cp.multiply(v * p ** (4 / 3), cp.power(w, -1 / 3)))
        least = np.array(list(limits_of(wished, sigmas).values())) / total
        problem = cp.Problem(cp.Minimize(error), [cp.sum(w) <= 1, w >= least])
        problem.solve(solver=cp.CLARABEL)
    return dict(zip(sigmas, w.value, strict=True)), problem.value


def objective(sigmas, found, wished):
    total = sum(map(gaussian_charge, sigmas.values()))
    p, w = ({clique: gaussian_charge(sigma) / total for clique, sigma in table.items()} for table in (sigmas, found))
    return sum(weights_of(wished).get(c, 1.0) * p[c] ** (4 / 3) * w[c] ** (-1 / 3) for c in p), w


WISHED = {
    "nothing binds": wishes(target("age", "sex", within="0.9")),
    "one target": wishes(target("age", "sex")),
    "several": wishes(target("age", "sex"), target("job", within="0.002"), target("sex", within="0.001", confidence="0.999")),
    "twice on a table": wishes(target("age", confidence="0.5"), target("age", within="0.03", confidence="0.99")),
    "weights": wishes(weights={("job", "area"): 9, ("age",): "0.2"}),
    "a weight beyond the floor": wishes(weights={("sex",): 100, ("age", "area"): 100}),
    "both": wishes(target("age", "sex", within="0.015"), weights={("age", "job"): 20, ("age", "sex"): 3, ("area",): "0.01"}),
    "nearly all": wishes(target("age", "sex", within="0.0105")),
}


@pytest.mark.parametrize("wished", WISHED.values(), ids=WISHED)
def test_the_direct_solution_is_the_convex_solvers(wished):
    sigmas = plain()
    found = divided(DOMAIN, UNITS[0], sigmas, wished).sigmas
    reached, w = objective(sigmas, found, wished)
    expected, least = solved(sigmas, wished)
    assert reached == pytest.approx(least, rel=1e-5)
    assert [w[clique] for clique in sigmas] == pytest.approx([expected[clique] for clique in sigmas], rel=5e-3, abs=2e-5)


@pytest.mark.parametrize("wished", WISHED.values(), ids=WISHED)
def test_the_direct_solution_satisfies_the_conditions_of_an_optimum(wished):
    sigmas = plain()
    found = divided(DOMAIN, UNITS[0], sigmas, wished).sigmas
    limits = limits_of(wished, sigmas)
    reached, plainly = ({c: gaussian_charge(sigma) for c, sigma in table.items()} for table in (found, sigmas))
    level = {c: reached[c] / plainly[c] / weights_of(wished).get(c, 1.0) ** 0.75 for c in sigmas}
    free = [c for c in sigmas if reached[c] > limits[c] * (1 + 1e-9)]
    assert all(reached[c] >= limits[c] * (1 - 1e-12) for c in sigmas)
    assert [level[c] for c in free] == pytest.approx([level[free[0]]] * len(free), rel=1e-9)
    assert all(level[c] >= level[free[0]] * (1 - 1e-9) for c in sigmas)  # no limit is paid for that does not bind
    assert sum(reached.values()) == pytest.approx(sum(plainly.values()), rel=1e-9)


def test_the_law_of_predicted_errors_makes_the_plain_division_the_optimum():
    sigmas = plain()
    shares = [gaussian_charge(sigma) / DOMAIN.cells(pair) ** 0.25 for pair, sigma in sigmas.items() if len(pair) == 2]
    assert shares == pytest.approx([shares[0]] * len(shares))
    expected, _ = solved(sigmas, NO_WISHES)
    total = sum(map(gaussian_charge, sigmas.values()))
    assert list(expected.values()) == pytest.approx([gaussian_charge(sigma) / total for sigma in sigmas.values()], rel=1e-3)


TABLES = [(a,) for a in DOMAIN.columns] + [(a, b) for i, a in enumerate(DOMAIN.columns) for b in DOMAIN.columns[i + 1 :]]
WISHES = st.builds(
    lambda targets, weights, rows: Wishes(tuple(targets), tuple(TableWeight(c, w) for c, w in weights.items()), rows),
    st.lists(
        st.builds(
            Target,
            st.sampled_from(TABLES),
            st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=1000),
            st.sampled_from([Fraction(1, 2), Fraction(19, 20), Fraction(999, 1000)]),
        ),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(TABLES), st.fractions(Fraction(1, 100), Fraction(100), max_denominator=100), max_size=4),
    st.integers(10, 10**6),
)
CAPS = st.integers(1, 10**6).map(lambda n: Rho.down(Fraction(n, 10**6)))


@contextmanager
def coarse_quantiles():
    """Quantiles of the noise on a grid 16 times as coarse: bounds as ever, a little wider, and found 10 times as fast."""
    cached = (quantiles.misplaced, quantiles.largest_sigma)
    for function in cached:
        function.cache_clear()
    try:
        with patch.object(quantiles, "LENGTH", 1 << 14):
            yield
    finally:
        for function in cached:
            function.cache_clear()


@coarse_quantiles()  # how tight they are is tested above
@settings(max_examples=40, deadline=None)
@given(wished=WISHES, cap=CAPS, unit=st.sampled_from(UNITS))
def test_budgets_are_never_exceeded_targets_always_hold_and_what_a_refusal_says_is_true(wished, cap, unit):
    strategy = strategy_named("all-pairs", wished)
    before = plain(cap, unit)
    budget = total_cost([MarginalQuestion(tuple(before), tuple(before.values()))], unit)
    try:
        found = strategy.plan(DOMAIN, unit, cap)
    except TargetsRefused as refused:
        enough = Rho.up(cap.value * refused.times)
        assert enough > cap
        needs = strategy.plan(DOMAIN, unit, enough).needs
        assert float(needs.value) == pytest.approx(float(enough.value), rel=1e-6)
        return
    sigmas = {q.columns: q.scale for q in found.questions if q.columns}
    cost = total_cost([MarginalQuestion(tuple(sigmas), tuple(sigmas.values()))], unit)
    assert cost <= budget
    assert cost.value > budget.value * Fraction(999_999, 1_000_000)
    assert [promise.target for promise in found.promises] == list(wished.targets)
    assert all(promise.within <= promise.target.within for promise in found.promises)
    assert all(sigmas[c] <= before[c] / math.sqrt(FLOOR) * (1 + 1e-12) for c in sigmas)
    if wished.targets:
        assert found.needs.value <= cap.value * Fraction(1_000_001, 1_000_000)
        with pytest.raises(TargetsRefused):
            strategy.plan(DOMAIN, unit, Rho.up(found.needs.value * Fraction(999, 1000)))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("unit", UNITS)
def test_what_is_asked_is_what_was_planned(name, unit):
    wished = wishes(target("age", within="0.1"), weights={("job",): 5}, rows=100_000)
    strategy = strategy_named(name, wished)
    found = strategy.plan(DOMAIN, unit, CAP)
    asker = BlindAsker(DOMAIN, CAP, unit, rows=100_000)
    strategy.measure(asker)
    assert total_cost(asker.questions, unit) <= CAP
    asked = [pair for q in asker.questions if isinstance(q, MarginalQuestion) for pair in zip(q.cliques, q.sigmas, strict=True)]
    planned = [(q.columns, q.scale) for q in found.questions if q.columns]
    assert asked[: len(planned)] == planned
    assert dict(planned) != plain(unit=unit, strategy=name)
    assert found.promises[0].within <= Fraction("0.1")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_public_number_of_rows_alone_changes_nothing(name):
    told = strategy_named(name, Wishes(rows_about=1000)).plan(DOMAIN, UNITS[0], CAP)
    assert replace(told, notes=()) == replace(strategy_named(name).plan(DOMAIN, UNITS[0], CAP), notes=())


@pytest.mark.parametrize(
    ("name", "columns"), [("mst", ("age", "sex")), ("independent", ("age", "sex")), ("all-pairs", ("age", "sex", "job"))]
)
@pytest.mark.parametrize("kind", ["target", "weight"])
def test_a_table_that_is_not_planned_is_refused(name, columns, kind):
    wished = wishes(target(*columns)) if kind == "target" else wishes(weights={columns: 2})
    with pytest.raises(SpecError, match="does not plan it before it has seen answers"):
        strategy_named(name, wished).plan(DOMAIN, UNITS[0], CAP)


def test_nothing_is_asked_where_the_targets_are_out_of_reach():
    asker = BlindAsker(DOMAIN, CAP)
    with pytest.raises(TargetsRefused):
        strategy_named("all-pairs", wishes(target("age", "area", within="0.001"))).measure(asker)
    assert asker.questions == []


def test_a_weighted_pair_gains_in_both_batches():
    pair, spent = ("sex", "job"), {}
    for weight in ("1", "50"):
        asker = BlindAsker(DOMAIN, CAP, seed=4, rows=100_000)
        strategy_named("all-pairs", wishes(weights={pair: weight})).measure(asker)
        first, second = asker.questions[1:]
        spent[weight] = [sum(s**-2 for c, s in zip(q.cliques, q.sigmas, strict=True) if c == pair) for q in (first, second)]
    assert spent["50"][0] > 2 * spent["1"][0]
    assert sum(spent["50"]) > 2 * sum(spent["1"])


# --- refusals ----------------------------------------------------------------------------------------------------------------------------

FAR = {
    "one": wishes(target("age", "sex", within="0.001")),
    "three": wishes(target("age", "sex", within="0.001"), target("job", within="0.0007"), target("area", confidence="0.99", within="0.01")),
    "with weights": wishes(target("age", "sex", within="0.002"), weights={("job",): 50}),
    "many cells": wishes(target("age", "area", within="0.01")),
}


def offered(message):
    """The targets that a refusal offers, as it writes them."""
    nearest = message.partition("The nearest it can meet")[2]
    found = re.findall(r"[:;] ([^;:]+) within (\S+) at (\S+) %", nearest)
    return [target(*columns.split(" x "), within=within, confidence=Fraction(percent) / 100) for columns, within, percent in found]


@pytest.mark.parametrize("wished", FAR.values(), ids=FAR)
@pytest.mark.parametrize("strategy", ["all-pairs", "independent"])
def test_a_refusal_offers_the_nearest_targets_and_they_are_accepted(wished, strategy):
    if strategy == "independent":
        wished = Wishes(tuple(Target(t.columns[:1], t.within / 30, t.confidence) for t in wished.targets), (), wished.rows_about)
    with pytest.raises(TargetsRefused, match="the budget is too small for the targets") as refused:
        strategy_named(strategy, wished).plan(DOMAIN, UNITS[0], CAP)
    found = offered(str(refused.value))
    assert [(t.columns, t.confidence) for t in found] == [(t.columns, t.confidence) for t in wished.targets]
    factors = [near.within / asked.within for near, asked in zip(found, wished.targets, strict=True)]
    assert min(factors) > 1
    assert max(factors) / min(factors) < 1.011  # one factor, rounded up to three digits
    plan = strategy_named(strategy, Wishes(tuple(found), wished.weights, wished.rows_about)).plan(DOMAIN, UNITS[0], CAP)
    assert all(promise.within <= promise.target.within for promise in plan.promises)
    closer = tuple(Target(t.columns, t.within * Fraction(98, 100), t.confidence) for t in found)
    with pytest.raises(TargetsRefused):
        strategy_named(strategy, Wishes(closer, wished.weights, wished.rows_about)).plan(DOMAIN, UNITS[0], CAP)


def test_a_target_that_nothing_can_save_is_offered_to_be_left_out():
    with pytest.raises(TargetsRefused, match="no target on age x area"):
        strategy_named("all-pairs", wishes(target("age", "area"), rows=50)).plan(DOMAIN, UNITS[0], CAP)


def test_a_target_below_the_floor_is_no_burden():
    sigmas = plain()
    alone = _times(sigmas, {("age", "sex"): 20.0})
    assert _times(sigmas, {("age", "sex"): 20.0, ("job",): 1e9}) == alone
