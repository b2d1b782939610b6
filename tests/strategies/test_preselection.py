"""Thin releases: which tables are worth their noise, decided by noisy distances from independence and nothing else."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dpsynth.domain import Domain
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.residuals import residuals
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, total_cost
from dpsynth.strategies.all_pairs import ERRORS_SHARE, AllPairs, first_look, rows_needed
from dpsynth.strategies.preselection import independent, one_way_curve, pair_curve, settled, worthwhile
from dpsynth.transcript import Measurement
from dpsynth.wishes import NO_WISHES, TableWeight, Target, Wishes
from tests.strategies.exact import BlindAsker, ExactAsker

DOMAIN = Domain(("a", "b", "c", "d"), (4, 5, 6, 3))
LARGE = Domain(("a", "b", "c", "d"), (20, 18, 16, 14))
ONE = PrivacyUnit()


def one_ways(rows=4000.0, sigma=30.0, domain=DOMAIN):
    rng = np.random.default_rng(3)
    tables = [rng.dirichlet(np.full(size, 2.0)) * rows for size in domain.sizes]
    measured = [Measurement((c,), np.rint(t).astype(np.int64), sigma) for c, t in zip(domain.columns, tables, strict=True)]
    return denoise(domain, residuals(domain, measured))


def copied_columns(domain, rows, seed=0):
    """A joint table in which b repeats a, as far as it has cells, and the other columns stand alone."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, size, rows) for size in domain.sizes]
    codes[1] = codes[0] % domain.sizes[1]
    table = np.zeros(domain.sizes, dtype=np.int64)
    np.add.at(table, tuple(codes), 1)
    return table


def noisy(table, cap, seed=1, domain=DOMAIN):
    rng = np.random.default_rng(seed)
    return ExactAsker(domain, table, cap, noise=lambda counts, s: counts + np.rint(rng.normal(0, s, counts.shape)))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(1e-3, 1e6))
def test_settled_errors_keep_their_order_and_mean_and_lose_spread(values, sigma):
    errors = np.array(values)
    moved = settled(errors, sigma)
    assert (np.diff(moved[np.argsort(errors)]) >= -1e-6).all()
    assert moved.mean() == pytest.approx(errors.mean(), rel=1e-9, abs=1e-6)
    assert np.ptp(moved) <= np.ptp(errors) + 1e-6


def test_errors_that_are_mere_noise_become_their_mean_and_exact_ones_stay():
    errors = np.random.default_rng(0).normal(500, 100, 40)
    assert np.ptp(settled(errors, 200.0)) == 0
    assert settled(errors, 1e-9) == pytest.approx(errors)


@pytest.mark.parametrize("curve", ["pair", "one-way"])
def test_remaining_errors_fall_and_bend_upwards_to_nothing(curve):
    denoised, grid = one_ways(), np.concatenate([[0.0], np.geomspace(1e-8, 1e6, 60)])
    if curve == "pair":
        values = pair_curve(independent(denoised, ("a", "b")), 700.0, grid)
        assert values[0] == pytest.approx(700.0)
    else:
        values = one_way_curve(denoised, "b", grid)
        assert values[0] == pytest.approx(np.sqrt(2 / np.pi) * 5 * 30, rel=0.02)
    slopes = np.diff(values) / np.diff(grid)
    assert (slopes < 0).all()
    assert (np.diff(slopes) > 0).all()
    assert values[-1] < 0.01


def test_the_division_is_as_good_as_a_numerical_optimum():
    denoised = one_ways()
    errors = {pair: 100.0 * (1 + i) for i, pair in enumerate(combinations(DOMAIN.columns, 2))}
    budget = 4e-3
    ones = {c: one_way_curve(denoised, c, np.zeros(1))[0] for c in DOMAIN.columns}
    total = {p: np.sqrt(e**2 + sum(ones[c] ** 2 for c in p)) for p, e in errors.items()}
    tables = [*errors, *((c,) for c in DOMAIN.columns)]

    def objective(given):
        value = 0.0
        for table, w in zip(tables, given, strict=True):
            at = np.array([max(w, 0.0)])
            if len(table) == 2:
                value += errors[table] / total[table] * pair_curve(independent(denoised, table), errors[table], at)[0]
            else:
                share = sum(ones[table[0]] / total[p] for p in errors if table[0] in p)
                value += share * one_way_curve(denoised, table[0], at)[0]
        return value

    start = np.full(len(tables), budget / len(tables))
    found = minimize(
        lambda x: objective(x * budget),
        start / budget,
        bounds=[(0, 1)] * len(tables),
        constraints=[{"type": "eq", "fun": lambda x: x.sum() - 1}],
        options={"maxiter": 500, "ftol": 1e-12},
    )
    given = worthwhile(denoised, errors, budget, {})
    ours = objective(np.array([given.get(table, 0.0) for table in tables]))
    assert sum(given.values()) == pytest.approx(budget)
    assert ours <= found.fun * 1.01
    assert ours < objective(start) * 0.995


def test_pairs_that_independence_explains_get_nothing_and_weights_count():
    denoised = one_ways()
    errors = dict.fromkeys(combinations(DOMAIN.columns, 2), 0.0) | {("a", "b"): 900.0, ("c", "d"): 900.0}
    given = worthwhile(denoised, errors, 1e-3, {})
    assert {table for table in given if len(table) == 2} == {("a", "b"), ("c", "d")}
    weighted = worthwhile(denoised, errors, 1e-3, {("a", "b"): 10.0})
    assert weighted["a", "b"] > given["a", "b"]
    assert weighted.get(("c", "d"), 0.0) < given["c", "d"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e12), min_size=6, max_size=6), st.floats(1e-12, 1e3))
def test_any_errors_and_any_budget_are_divided_whole(values, budget):
    given = worthwhile(one_ways(), dict(zip(combinations(DOMAIN.columns, 2), values, strict=True)), budget, {})
    assert given
    assert all(precision > 0 for precision in given.values())
    assert sum(given.values()) == pytest.approx(budget)


def cap_for(rows, domain=DOMAIN):
    """A budget at which the plan asks for that many rows, to a percent."""
    low, high = Fraction(1, 10**9), Fraction(1000)
    for _ in range(60):
        middle = (low + high) / 2
        pairs = {c: s for c, s in first_look(domain, ONE, Rho.down(middle), NO_WISHES).sigmas.items() if len(c) == 2}
        low, high = (middle, high) if rows_needed(domain, pairs) > rows else (low, middle)
    return Rho.down(high)


def test_with_rows_enough_every_pair_is_asked_as_planned():
    cap = cap_for(2000)
    asker = noisy(copied_columns(DOMAIN, 4000), cap)
    AllPairs().measure(asker)
    assert [type(q) for q in asker.questions] == [MarginalQuestion] * 3
    planned = {q.columns: q.scale for q in AllPairs().plan(DOMAIN, ONE, cap).questions if len(q.columns) == 2}
    assert dict(zip(asker.questions[1].cliques, asker.questions[1].sigmas, strict=True)) == planned


def test_with_too_few_rows_distances_are_asked_and_the_dependent_pair_is_chosen():
    cap = cap_for(30_000, LARGE)
    asker = noisy(copied_columns(LARGE, 10_000), cap, domain=LARGE)
    AllPairs().measure(asker)
    kinds = [type(q) for q in asker.questions]
    assert kinds == [MarginalQuestion, ErrorsQuestion, MarginalQuestion, MarginalQuestion]
    assert total_cost(asker.questions[1:2], ONE) <= cap.share(ERRORS_SHARE)
    assert cap.value * (1 - Fraction(1, 10**6)) < total_cost(asker.questions, ONE).value <= cap.value
    chosen = dict(zip(asker.questions[2].cliques, asker.questions[2].sigmas, strict=True))
    assert ("a", "b") in chosen
    assert chosen["a", "b"] == min(sigma for table, sigma in chosen.items() if len(table) == 2)
    assert len([table for table in chosen if len(table) == 2]) < 6


def test_distances_that_would_be_mere_noise_are_not_asked_for():
    cap = cap_for(400_000)
    asker = noisy(copied_columns(DOMAIN, 400), cap)
    AllPairs().measure(asker)
    assert ErrorsQuestion not in {type(q) for q in asker.questions}
    assert total_cost(asker.questions, ONE) <= cap


def test_a_pair_with_a_target_is_measured_as_planned_however_few_rows_there_are():
    cap = cap_for(8000)
    wishes = Wishes((Target(("c", "d"), Fraction(99, 100)),), (TableWeight(("a", "c"), Fraction(3)),), rows_about=4000)
    planned = {q.columns: q.scale for q in AllPairs(wishes).plan(DOMAIN, ONE, cap).questions if len(q.columns) == 2}
    asker = noisy(copied_columns(DOMAIN, 4000), cap)
    AllPairs(wishes).measure(asker)
    asked = [dict(zip(q.cliques, q.sigmas, strict=True)) for q in asker.questions if isinstance(q, MarginalQuestion)]
    assert any(tables.get(("c", "d")) == planned["c", "d"] for tables in asked)
    assert total_cost(asker.questions, ONE) <= cap


def test_the_plan_says_from_how_many_rows_on_all_pairs_are_measured_and_what_a_guess_means():
    cap = cap_for(8000)
    for about, word in ((4000, "second"), (9000, "first")):
        note = AllPairs(Wishes(rows_about=about)).plan(DOMAIN, ONE, cap).notes[0]
        assert f"With {about} rows the {word} is to be expected." in note
    assert " 8000 rows or more" in note


def test_of_many_columns_only_some_pairs_are_measured_however_many_rows_there_are():
    columns = 26
    domain = Domain(tuple(f"c{i:02}" for i in range(columns)), (3,) * columns)
    plan = AllPairs(Wishes(rows_about=10**9)).plan(domain, ONE, Rho.down(Fraction(1, 10)))
    assert plan.notes[0].startswith("325 pairs are more than 300")
    asker = BlindAsker(domain, Rho.down(Fraction(1, 10)), rows=10**7)
    AllPairs().measure(asker)
    assert isinstance(asker.questions[1], ErrorsQuestion)
    assert len([clique for clique in asker.questions[2].cliques if len(clique) == 2]) < 325
