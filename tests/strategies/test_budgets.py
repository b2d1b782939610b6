"""Every strategy plans what it then asks, within the budget, for any number of columns and any budget that allows a question."""

from fractions import Fraction

import pytest

from dpsynth.core.accountant import guarantee_for
from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, total_cost
from dpsynth.strategies.registry import DEFAULT_STRATEGY, STRATEGIES, strategy_named
from tests.strategies.exact import BlindAsker

CAPS = {
    "tiny": Rho.down(Fraction(1, 10**9)),
    "epsilon 0.1": guarantee_for(Fraction(1, 10), Fraction(1, 10**9)).rho,
    "epsilon 1": guarantee_for(Fraction(1), Fraction(1, 10**9)).rho,
    "huge": guarantee_for(Fraction(1000), Fraction(1, 10)).rho,
}
FIXED = ("independent", "mst")
"""Strategies whose scales do not depend on answers: their plan is what is asked, to the last bit. Others state a bound."""
UNITS = (PrivacyUnit(), PrivacyUnit("id", 5))


def scale_of(question):
    return question.sigma if isinstance(question, ErrorsQuestion) else question.scale


def domain_of(columns):
    return Domain(tuple(f"c{i:02}" for i in range(columns)), tuple(2 + i % 4 for i in range(columns)))


@pytest.mark.parametrize("cap", CAPS.values(), ids=CAPS)
@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_what_is_asked_fits_the_budget_and_is_what_was_planned(name, cap):
    strategy = strategy_named(name)
    for columns in (*range(1, 13), 20, 30):
        unit = UNITS[columns % 2]
        domain = domain_of(columns)
        plan = strategy.plan(domain, unit, cap)
        asker = BlindAsker(domain, cap, unit, seed=columns)
        measurements = strategy.measure(asker)
        spent = total_cost(asker.questions, unit)
        assert spent <= cap
        assert sum(question.rho.value for question in plan.questions) <= cap.value
        if name in FIXED:
            assert spent.value == sum(question.rho.value for question in plan.questions)
        least = min(min(q.sigmas, default=2.0) if isinstance(q, MarginalQuestion) else scale_of(q) for q in asker.questions)
        whole = spent.value > cap.value * Fraction(999, 1000) or spent.value > cap.value - Fraction(3 * columns, 1 << 59)
        assert whole or least <= 1  # budgets beyond all use need not be spent
        assert len(measurements) == sum(len(q.cliques) for q in asker.questions if isinstance(q, MarginalQuestion))
        assert {column for m in measurements for column in m.clique} == set(domain.columns)


@pytest.mark.parametrize("name", FIXED)
def test_a_plan_states_each_kind_of_question_with_its_scale_and_number(name):
    domain, unit = domain_of(6), UNITS[1]
    plan = strategy_named(name).plan(domain, unit, CAPS["epsilon 1"])
    asker = BlindAsker(domain, CAPS["epsilon 1"], unit)
    strategy_named(name).measure(asker)
    asked = []
    for question in asker.questions:
        if isinstance(question, MarginalQuestion):
            asked += [("discrete-gaussian", sigma) for sigma in question.sigmas]
        else:
            asked.append(("noisy-max", question.scale))
    planned = [(q.mechanism, q.scale) for q in plan.questions for _ in range(q.times)]
    assert sorted(planned) == sorted(asked)
    assert plan.cells >= sum(domain.cells(c) for q in asker.questions if isinstance(q, MarginalQuestion) for c in q.cliques)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_plans_are_named_by_what_they_hold(name):
    plans = [strategy_named(name).plan(domain_of(n), UNITS[0], cap) for n in (2, 3) for cap in (CAPS["epsilon 1"], CAPS["epsilon 0.1"])]
    assert len({plan.digest() for plan in plans}) == len(plans)
    assert plans[0].digest() == strategy_named(name).plan(domain_of(2), UNITS[0], CAPS["epsilon 1"]).digest()


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_budget_too_small_for_the_questions_is_refused_before_any_is_asked(name):
    smallest = Rho(Fraction(1, 1 << 60))
    with pytest.raises(SpecError, match="too small to ask anything"):
        strategy_named(name).plan(domain_of(5), UNITS[0], smallest)
    asker = BlindAsker(domain_of(5), smallest)
    with pytest.raises(SpecError, match="too small to ask anything"):
        strategy_named(name).measure(asker)
    assert asker.questions == []


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_same_answers_lead_to_the_same_questions(name):
    runs = []
    for _ in range(2):
        asker = BlindAsker(domain_of(7), CAPS["epsilon 1"], seed=3)
        strategy_named(name).measure(asker)
        runs.append([question.digest() for question in asker.questions])
    assert runs[0] == runs[1]


def test_strategies_go_by_the_names_a_spec_writes():
    assert [strategy_named(name).name for name in STRATEGIES] == list(STRATEGIES)
    assert DEFAULT_STRATEGY in STRATEGIES
    with pytest.raises(SpecError, match=r"must be one of \[.*'independent', 'mst'.*\], got 'magic'"):
        strategy_named("magic")
