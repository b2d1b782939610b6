"""Workloads, tables that must be measured, limits and structural zeros, for every strategy."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import tree_cells
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import MarginalQuestion, SelectionQuestion
from dpsynth.strategies import mst
from dpsynth.strategies.all_pairs import AllPairs
from dpsynth.strategies.emphasis import OUTSIDE, emphasised
from dpsynth.strategies.registry import STRATEGIES, strategy_named
from dpsynth.wishes import NO_WISHES, TableWeight, Wishes
from dpsynth.workload import MANY, MustHave, Workload, WorkloadTable, all_marginals, all_with, workload_of
from tests.strategies.exact import BlindAsker, ExactAsker

DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 4, 2))
CAP = Rho(Fraction(1, 4))
ONE = PrivacyUnit()
PAIRS = [c for c in all_marginals(DOMAIN, 2).cliques if len(c) == 2]


def asked(strategy, cap=CAP):
    """The cliques of all measured tables, and the questions."""
    asker = BlindAsker(DOMAIN, cap, rows=100_000)
    return [m.clique for m in strategy.measure(asker)], asker.questions


def sigmas(strategy):
    plan = strategy.plan(DOMAIN, ONE, CAP)
    return {q.columns: q.scale for q in plan.questions if q.columns}


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_where_single_columns_matter_only_they_are_measured(name):
    for work in (all_marginals(DOMAIN, 1), Workload({("b",): 3})):
        cliques, questions = asked(strategy_named(name, workload=work))
        assert cliques == [(c,) for c in DOMAIN.columns]
        assert len(questions) == 1
        plan = strategy_named(name, workload=work).plan(DOMAIN, ONE, CAP)
        assert {q.columns for q in plan.questions} == set(cliques)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_tables_that_must_be_measured_are(name):
    work = Workload(all_marginals(DOMAIN, 2).weights, must=(("a", "c"), ("b",)))
    assert ("a", "c") in asked(strategy_named(name, workload=work))[0]
    assert "table that must be measured" in {q.what for q in strategy_named(name, workload=work).plan(DOMAIN, ONE, CAP).questions} or (
        name == "all-pairs"
    )


def test_all_pairs_measures_a_must_have_pair_even_where_noise_drowns_the_others():
    work = Workload(all_marginals(DOMAIN, 2).weights, must=(("b", "c"),))
    asker = BlindAsker(DOMAIN, Rho.down(Fraction(1, 10**6)), rows=100)
    measured = AllPairs(workload=work).measure(asker)
    planned = {q.columns: q.scale for q in AllPairs(workload=work).plan(DOMAIN, ONE, Rho.down(Fraction(1, 10**6))).questions}
    first = next(m for m in measured if m.clique == ("b", "c"))
    assert first.sigma == planned["b", "c"]


def test_all_pairs_refuses_to_promise_a_table_of_three():
    work = Workload({}, must=(("a", "b", "c"),))
    with pytest.raises(SpecError, match=r"\['a', 'b', 'c'\] must be measured, but all-pairs measures columns and pairs"):
        AllPairs(workload=work).plan(DOMAIN, ONE, CAP)


@pytest.mark.parametrize("name", ["aim", "all-pairs", "mst"])
def test_tables_beyond_the_limit_of_cells_are_not_asked_for_but_where_they_must(name):
    work = Workload(all_marginals(DOMAIN, 2).weights, must=(("b", "c"),), cells=6)
    cliques, questions = asked(strategy_named(name, workload=work))
    joint = {c for c in cliques if len(c) > 1}
    assert ("b", "c") in joint
    assert all(DOMAIN.cells(c) <= 6 for c in joint - {("b", "c")})
    assert len(joint) > 1
    offered = {c for q in questions if isinstance(q, SelectionQuestion) for c in q.candidates if len(c) > 1}
    assert all(DOMAIN.cells(c) <= 6 for c in offered)


def test_all_marginals_of_two_or_three_columns_change_nothing():
    plain = sigmas(AllPairs())
    for degree in (2, 3):
        assert sigmas(AllPairs(workload=all_marginals(DOMAIN, degree))) == plain
        assert emphasised(NO_WISHES, all_marginals(DOMAIN, degree), [*PAIRS, *((c,) for c in DOMAIN.columns)]) == NO_WISHES


def test_pairs_with_a_column_get_less_noise_and_the_others_more():
    plain, told = sigmas(AllPairs()), sigmas(AllPairs(workload=all_with(DOMAIN, "c")))
    for pair in PAIRS:
        assert (told[pair] < plain[pair]) == ("c" in pair)
    assert told["c",] < plain["c",]


def test_independent_gives_less_noise_to_columns_of_weight():
    plain, told = sigmas(strategy_named("independent")), sigmas(strategy_named("independent", workload=Workload({("a",): 1, ("b",): 9})))
    assert told["b",] < plain["b",] < told["a",]


def test_weights_are_supports_relative_to_their_mean():
    work = Workload({("a", "b", "c"): 2, ("c", "d"): 4})
    found = {w.columns: w.weight for w in emphasised(NO_WISHES, work, [("a", "b"), ("c", "d"), ("a", "d"), ("a",), ("c",)]).weights}
    assert found == {
        ("a", "b"): Fraction(2, 3), ("c", "d"): Fraction(4, 3), ("a", "d"): OUTSIDE, ("a",): Fraction(1, 2), ("c",): Fraction(3, 2)
    }  # fmt: skip
    assert work.support(("a", "b")) == 2
    assert work.relevance(("a", "c")) == 2 + 6


def test_weights_of_the_spec_come_on_top():
    wishes = Wishes(weights=(TableWeight(("a", "b"), Fraction(5)), TableWeight(("b", "d"), Fraction(100))))
    found = {w.columns: w.weight for w in emphasised(wishes, Workload({("a", "b"): 1, ("b", "d"): 3}), [("a", "b"), ("b", "d")]).weights}
    assert found == {("a", "b"): Fraction(5, 2), ("b", "d"): Fraction(100)}
    assert emphasised(wishes, None, PAIRS) is wishes


def test_what_a_spec_lists_makes_the_workload():
    made = workload_of(DOMAIN, 2, ["c"], [WorkloadTable(("a", "b"), 3), WorkloadTable(("c",), 7)], [("b", "d")], 100)
    assert made.weights == {("c",): 7, ("a", "c"): 1, ("b", "c"): 1, ("c", "d"): 1, ("a", "b"): 3}
    assert (made.must, made.cells) == ((("b", "d"),), 100)
    assert workload_of(DOMAIN, 3).weights == all_marginals(DOMAIN, 3).weights
    assert workload_of(Domain(("a",), (2,)), 3).weights == {("a",): 1}
    assert MustHave(("a",)).columns == ("a",)
    for weight in (0, 1001, True, 1.5):
        with pytest.raises(SpecError, match="whole number from 1 to 1000"):
            WorkloadTable(("a",), weight)


def test_a_workload_of_too_many_marginals_is_refused():
    wide = Domain(tuple(f"c{i:03}" for i in range(200)), (2,) * 200)
    with pytest.raises(SpecError, match=f"at most {MANY} marginals, got 1333500"):
        all_marginals(wide, 3)
    assert len(all_with(wide, "c007", 3).weights) == 1 + 199 + 199 * 198 // 2


RULE = (StructuralZeros(("a", "c"), np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)),)


def ruled_table(seed=0, rows=20_000):
    """int64[sizes]: a and c depend by the rule alone, b and d in other ways."""
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.full(48, 2.0)).reshape(DOMAIN.sizes)
    joint[:, :2, :, 0] *= 3
    joint = joint.sum(axis=(0, 2))[None, :, None, :] * np.where(RULE[0].allowed, 1 / 4, 0)[:, None, :, None]
    return rng.multinomial(rows, (joint / joint.sum()).reshape(-1)).reshape(DOMAIN.sizes)


@pytest.mark.parametrize("name", ["aim", "mst"])
def test_dependence_that_a_rule_explains_is_not_bought(name):
    def first(zeros):
        asker = ExactAsker(DOMAIN, ruled_table(), CAP)
        strategy_named(name, zeros=zeros).measure(asker)
        question = next(q for q in asker.questions if isinstance(q, SelectionQuestion))
        chosen = next(q for q in asker.questions[asker.questions.index(question) + 1 :] if isinstance(q, MarginalQuestion)).cliques[0]
        return chosen, dict(zip(question.candidates, question.estimates, strict=True))

    assert first(())[0] == ("a", "c")
    chosen, estimates = first(RULE)
    assert chosen == ("b", "d")
    assert not estimates["a", "c"].reshape(2, 4)[~RULE[0].allowed].any()


def test_the_tree_counts_the_columns_that_zeros_join(monkeypatch):
    limit = tree_cells(DOMAIN, [("a", "c")])
    monkeypatch.setattr(mst, "MODEL_LIMIT", limit + 3)
    tree = [c for c in asked(strategy_named("mst", zeros=RULE))[0] if len(c) == 2]
    assert tree_cells(DOMAIN, [*tree, ("a", "c")]) <= limit + 3
    assert nx.is_forest(nx.Graph(tree))
    monkeypatch.setattr(mst, "MODEL_LIMIT", 1)
    assert [c for c in asked(strategy_named("mst", zeros=RULE))[0] if len(c) == 2] == []


@pytest.mark.parametrize("name", ["aim", "mst"])
def test_rules_that_contradict_each_other_are_refused_in_the_plan(name):
    never = (*RULE, StructuralZeros(("c",), np.array([1, 0, 0, 0], dtype=bool)), StructuralZeros(("a",), np.array([0, 1], dtype=bool)))
    with pytest.raises(SpecError, match="contradict each other"):
        strategy_named(name, zeros=never).plan(DOMAIN, ONE, CAP)
