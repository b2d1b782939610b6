"""The tree: spanning, the maximum one where noise is small, the best of each step otherwise; tables too large are never asked for."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.privacy import Rho
from dpsynth.questions import ROWS_LIMIT, MarginalQuestion, SelectionQuestion, total_cost
from dpsynth.strategies import mst
from dpsynth.strategies.independent import Independent
from dpsynth.strategies.mst import Mst, candidate_pairs, independent_tables
from dpsynth.transcript import Measurement
from dpsynth.workload import Workload
from tests.strategies.exact import BlindAsker, ExactAsker

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 2, 4, 2))
CAP = Rho(Fraction(10))


def joint(seed, rows=20_000):
    """int64[sizes]: counts of rows drawn from a random joint distribution."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(np.prod(DOMAIN.sizes), 0.3))
    return rng.multinomial(rows, p).reshape(DOMAIN.sizes)


def tree_of(asker):
    return [m.clique for m in Mst().measure(asker) if len(m.clique) == 2]


def l1_from_independence(table, pair):
    others = tuple(i for i, column in enumerate(DOMAIN.columns) if column not in pair)
    counts = table.sum(axis=others)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return np.abs(counts - expected).sum()


@pytest.mark.parametrize("seed", range(6))
def test_without_noise_it_is_the_maximum_spanning_tree_of_the_l1_errors(seed):
    table = joint(seed)
    graph = nx.Graph()
    for pair in candidate_pairs(DOMAIN):
        graph.add_edge(*pair, weight=l1_from_independence(table, pair))
    best = nx.maximum_spanning_tree(graph)
    assert {frozenset(edge) for edge in tree_of(ExactAsker(DOMAIN, table, CAP))} == {frozenset(edge) for edge in best.edges}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_noise_it_is_a_spanning_tree(seed):
    rng = np.random.default_rng(seed)
    asker = ExactAsker(
        DOMAIN,
        joint(seed, 50),
        CAP,
        noise=lambda counts, sigma: counts + rng.integers(-100, 100, len(counts)),
        choose=lambda scores: rng.integers(len(scores)),
    )
    tree = tree_of(asker)
    assert nx.is_tree(nx.Graph(tree))
    assert set(nx.Graph(tree)) == set(DOMAIN.columns)
    assert all(DOMAIN.clique(pair) == pair for pair in tree)


def test_every_selection_offers_the_pairs_that_join_two_parts_and_no_other():
    asker = ExactAsker(DOMAIN, joint(1), CAP)
    tree = tree_of(asker)
    selections = [question for question in asker.questions if isinstance(question, SelectionQuestion)]
    assert len(selections) == len(DOMAIN.columns) - 1
    for place, question in enumerate(selections):
        forest = nx.Graph(tree[:place])
        forest.add_nodes_from(DOMAIN.columns)
        assert set(question.candidates) == {p for p in candidate_pairs(DOMAIN) if not nx.has_path(forest, *p)}
        assert set(question.weights) == {1}


def test_the_rows_are_seen_through_questions_only():
    asker = ExactAsker(DOMAIN, joint(2), CAP)
    measurements = Mst().measure(asker)
    kinds = [type(question) for question in asker.questions]
    assert kinds == [MarginalQuestion, *[SelectionQuestion] * 4, MarginalQuestion]
    assert [m.clique for m in measurements[:5]] == [(column,) for column in DOMAIN.columns]


def test_one_column_gets_the_whole_budget():
    domain = Domain(("a",), (4,))
    asker = ExactAsker(domain, np.arange(4), CAP)
    assert [m.clique for m in Mst().measure(asker)] == [("a",)]
    assert asker.remaining().value < Fraction(1, 1 << 40)


def test_pairs_beyond_the_cell_limit_are_never_asked_for(monkeypatch):
    monkeypatch.setattr(mst, "CELL_LIMIT", 6)
    asker = BlindAsker(DOMAIN, CAP)
    plan = Mst().plan(DOMAIN, asker.unit, CAP)
    tree = tree_of(asker)
    assert max(map(DOMAIN.cells, tree)) <= 6
    assert nx.is_forest(nx.Graph(tree))
    assert len(tree) == 3  # d joins nothing: with any other column it has 8 cells or more
    assert sum(q.times for q in plan.questions if q.what.startswith("two-way")) == 3


def test_a_column_beyond_the_cell_limit_is_refused_by_name():
    domain = Domain(("a", "big"), (2, 1 << 25))
    for strategy in (Independent(), Mst()):
        with pytest.raises(SpecError, match=r"table of \['big'\] would have 33554432 cells"):
            strategy.plan(domain, BlindAsker(domain, CAP).unit, CAP)


def test_independent_tables_are_products_of_the_shares_and_the_total():
    tables = independent_tables(
        (Measurement(("a",), np.array([30, 10]), 2.0), Measurement(("b",), np.array([-5, 20, 20]), 2.0)), [("a", "b")]
    )
    weights = np.array([1 / 2, 1 / 3])
    total = (weights * [40, 35]).sum() / weights.sum()
    assert tables["a", "b"] == pytest.approx(total * np.array([0, 0.375, 0.375, 0, 0.125, 0.125]))


@pytest.mark.parametrize("value", [-5, 0])
def test_tables_without_a_positive_count_give_an_empty_estimate(value):
    ones = tuple(Measurement((c,), np.full(2, value), 2.0) for c in "ab")
    assert independent_tables(ones, [("a", "b")])["a", "b"].tolist() == [0, 0, 0, 0]


def test_a_total_of_pure_noise_never_makes_a_question_that_is_refused():
    ones = tuple(Measurement((c,), np.full(2, 1 << 42), float(1 << 40)) for c in "ab")
    (table,) = independent_tables(ones, [("a", "b")]).values()
    assert table.sum() <= ROWS_LIMIT / 2


def test_the_independent_strategy_asks_once_for_all_columns():
    table = joint(3)
    asker = ExactAsker(DOMAIN, table, CAP)
    measurements = Independent().measure(asker)
    assert len(asker.questions) == 1
    for axis, m in enumerate(measurements):
        assert m.values.tolist() == table.sum(axis=tuple(i for i in range(5) if i != axis)).tolist()
    assert len({m.sigma for m in measurements}) == 1


def test_tables_that_must_be_measured_are_part_of_the_tree_and_weights_follow_the_workload():
    work = Workload({("a", "b"): 5, ("c", "d"): 1}, must=(("a", "b", "c"), ("d",)))
    plan = Mst(workload=work).plan(DOMAIN, BlindAsker(DOMAIN, CAP).unit, CAP)
    asker = ExactAsker(DOMAIN, joint(3), CAP)
    tree = [m.clique for m in Mst(workload=work).measure(asker) if len(m.clique) > 1]
    assert tree[0] == ("a", "b", "c")
    assert nx.is_tree(nx.Graph([("a", "b"), ("b", "c"), *tree[1:]]))
    selections = [question for question in asker.questions if isinstance(question, SelectionQuestion)]
    assert len(selections) == 2 == sum(q.times for q in plan.questions if q.what.startswith("selection"))
    assert dict(zip(selections[0].candidates, selections[0].weights, strict=True))["a", "d"] == 19  # (5 + 1) / 10 of 32
    assert total_cost(asker.questions, asker.unit) <= CAP
    assert float(sum(q.rho.value for q in plan.questions) / CAP.value) == pytest.approx(1, abs=1e-9)


def test_where_the_tables_that_must_be_measured_join_all_columns_nothing_is_selected():
    work = Workload({}, must=(("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")))
    asker = ExactAsker(DOMAIN, joint(3), CAP)
    assert [m.clique for m in Mst(workload=work).measure(asker)][5:] == list(work.must)
    assert not any(isinstance(question, SelectionQuestion) for question in asker.questions)
    assert asker.remaining().value < CAP.value / 1000


def test_independent_measures_what_must_be_with_the_noise_of_the_columns():
    work = Workload({}, must=(("a", "b"),))
    asker = ExactAsker(DOMAIN, joint(3), CAP)
    measured = Independent(workload=work).measure(asker)
    assert [m.clique for m in measured][5:] == [("a", "b")]
    assert len({m.sigma for m in measured}) == 1
    assert [q.what for q in Independent(workload=work).plan(DOMAIN, asker.unit, CAP).questions][-1] == "table that must be measured"
