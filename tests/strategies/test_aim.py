"""AIM: the same choices as a plain slow reference with the same noise; its limits, its budget and its refusals."""

import math
from fractions import Fraction
from itertools import combinations, pairwise

import networkx as nx
import numpy as np
import pytest

from dpsynth.core.accountant import guarantee_for
from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import tree_cells
from dpsynth.inference.maxent import MaxEnt
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import LARGEST_PENALTY, MarginalQuestion, SelectionQuestion, score_estimate, total_cost
from dpsynth.strategies import aim
from dpsynth.strategies.aim import Aim
from dpsynth.strategies.penalty import PENALTIES, noise_alone
from dpsynth.transcript import Measurement
from dpsynth.workload import Workload, all_marginals, all_with, listed
from tests.strategies.exact import BlindAsker, ExactAsker

DOMAIN = Domain(("a", "b", "c", "d", "e"), (2, 3, 2, 4, 5))
CAP = guarantee_for(Fraction(1), Fraction(1, 10**9)).rho
HIGH = Rho(Fraction(1, 4))


def joint(seed, rows=20_000):
    """int64[sizes]: rows of a chain of dependent columns and of one that depends on two."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, rng.dirichlet(np.full(math.prod(DOMAIN.sizes), 0.2))).reshape(DOMAIN.sizes)


def asker_of(seed):
    """Exact answers with reproducible noise."""
    rng = np.random.default_rng(seed)
    return ExactAsker(DOMAIN, joint(seed), HIGH, noise=lambda counts, sigma: np.rint(counts + rng.normal(0, sigma, len(counts))))


def plain_penalty(penalty, table, sigma):
    """(factor of the weight, rows that are subtracted), written down without arrays."""
    typical = math.sqrt(math.pi / 2) * 0.1 * max(sum(table), 1) / sum(math.sqrt(max(m, 0)) for m in table)
    deviations = [typical * math.sqrt(max(m, 0)) for m in table]
    shrunk = math.sqrt(2 / math.pi) * sum(math.sqrt(v * v * sigma**2 / (v * v + sigma**2)) for v in deviations)
    unshrunk = math.sqrt(2 / math.pi) * sigma * len(table)
    left = shrunk / (0.1 * max(sum(table), 1))
    return {"discount": (1 - left, 0), "published": (1, unshrunk), "shrunk": (1, shrunk), "none": (1, 0)}[penalty]


def plain_aim(asker, penalty, model_cells=10**9, wanted=None):
    """AIM written down in one piece: cold fits, trees from nothing, no caches. Returns what was measured.

    wanted: weights of the tables of the workload; all of up to two columns count the same without it.
    """
    domain, cap = asker.domain, float(asker.remaining().value)
    singles = [(column,) for column in domain.columns]
    candidates = [clique for k in (1, 2) for clique in combinations(domain.columns, k)]
    wanted = dict.fromkeys(candidates, 1) if wanted is None else wanted
    candidates = [c for c in candidates if any(set(c) <= set(w) for w in wanted)]
    sigma_one = math.sqrt(len(singles) / (2 * 0.15 * cap))
    rounds, rest = 16 * len(singles), 0.85 * cap
    sigma, scale = math.sqrt(rounds / (2 * 0.9 * rest)), 32 * math.sqrt(rounds / (2 * 0.1 * rest))
    measured = [Measurement(c, asker.noise(asker.counts(c), sigma_one).astype(np.int64), sigma_one) for c in singles]
    spent, chosen, before = 0.15 * cap, None, None
    while True:
        model = MaxEnt(tolerance=aim.ROUND_TOLERANCE).fit(domain, measured)
        if chosen is not None and np.abs(model.marginal(chosen) - before).sum() <= noise_alone(before, sigma):
            sigma, scale = sigma / 2, scale / 2
        cost = 1 / (2 * sigma**2) + 32**2 / (2 * scale**2)
        last = cap - spent < 2 * cost
        if last:
            scale = 32 / math.sqrt(2 * 0.1 * (cap - spent))
        cliques = [m.clique for m in measured]
        room = max(int(model_cells * spent / cap), tree_cells(domain, cliques))
        fits = [c for c in candidates if len(c) == 1 or tree_cells(domain, [*cliques, c]) <= room]
        taken = [plain_penalty(penalty, model.marginal(c), sigma) for c in fits]
        worth = [
            sum(weight * len(set(c) & set(s)) for s, weight in wanted.items()) * factor for c, (factor, _) in zip(fits, taken, strict=True)
        ]
        weights = [max(1, round(32 * w / max(worth))) for w in worth]
        scores = [
            w * (int(np.abs((asker.counts(c) << 16) - score_estimate(model.marginal(c))).sum()) - round(rows * 65536))
            for c, w, (_, rows) in zip(fits, weights, taken, strict=True)
        ]
        chosen = fits[asker.choose(scores)]
        before = model.marginal(chosen)
        spent += 32**2 / (2 * scale**2)
        if last:
            sigma = 1 / math.sqrt(2 * (cap - spent))
        measured.append(Measurement(chosen, asker.noise(asker.counts(chosen), sigma).astype(np.int64), sigma))
        spent += 1 / (2 * sigma**2)
        if last:
            return [(m.clique, m.sigma) for m in measured]


def shared_noise(seed):
    """Noise by clique and size of sigma, so that two programs that ask the same get the same."""

    def noise(counts, sigma):
        rng = np.random.default_rng([seed, len(counts), round(float(np.sum(counts)) % 997), round(math.log(sigma) * 20)])
        return np.rint(counts + rng.normal(0, sigma, len(counts)))

    return noise


def with_noise(seed):
    """Exact answers and reproducible noise for tables and selections."""
    rng = np.random.default_rng(seed)
    noise = lambda scores: 0.1 * np.ptp(scores) * rng.normal(size=len(scores))  # noqa: E731
    choose = lambda scores: int(np.argmax(np.array(scores, dtype=float) + noise(np.array(scores, dtype=float))))  # noqa: E731
    return ExactAsker(DOMAIN, joint(seed), CAP, noise=shared_noise(seed), choose=choose)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_choices_are_those_of_a_plain_reference_with_the_same_noise(penalty, seed, monkeypatch):
    monkeypatch.setattr(aim, "ROUND_TOLERANCE", 1e-8)  # a warm fit then ends where a cold one does
    ours = [(m.clique, m.sigma) for m in Aim(workload=all_marginals(DOMAIN, 2), penalty=penalty).measure(with_noise(seed))]
    plain = plain_aim(with_noise(seed), penalty)
    assert [clique for clique, _ in ours] == [clique for clique, _ in plain]
    np.testing.assert_allclose([sigma for _, sigma in ours], [sigma for _, sigma in plain], rtol=1e-3)
    assert len(ours) > len(DOMAIN.columns) + 5


@pytest.mark.parametrize("cells", [36, 90])
def test_under_a_limit_that_binds_and_weights_the_choices_are_those_of_the_reference(cells, monkeypatch):
    monkeypatch.setattr(aim, "ROUND_TOLERANCE", 1e-8)
    weights = {("a", "b"): 1, ("a", "c"): 1, ("a", "d"): 1, ("b", "e"): 3, ("c", "d"): 2, ("c", "e"): 1, ("d", "e"): 1}
    asker = with_noise(7)
    ours = [(m.clique, m.sigma) for m in Aim(workload=Workload(weights), model_cells=cells).measure(asker)]
    plain = plain_aim(with_noise(7), "discount", cells, weights)
    assert [clique for clique, _ in ours] == [clique for clique, _ in plain]
    np.testing.assert_allclose([sigma for _, sigma in ours], [sigma for _, sigma in plain], rtol=1e-3)
    offered = [len(q.candidates) for q in asker.questions if isinstance(q, SelectionQuestion)]
    assert min(offered) < len(DOMAIN.columns) + len(weights), "the limit never bound: this test sees nothing of it"


@pytest.mark.parametrize("cap", [Rho.down(Fraction(1, 10**9)), CAP, HIGH, Rho(Fraction(100))], ids=str)
@pytest.mark.parametrize("unit", [PrivacyUnit(), PrivacyUnit("id", 5)], ids=["row", "person"])
def test_it_spends_all_of_its_cap_and_never_more(cap, unit):
    asker = BlindAsker(DOMAIN, cap, unit)
    Aim().measure(asker)
    assert total_cost(asker.questions, unit) <= cap
    assert asker.remaining().value < cap.value / 1000


@pytest.mark.parametrize("rounds_per_column", [1, 3, 25])
@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("cap", [Rho.down(Fraction(1, 10**9)), CAP, Rho(Fraction(5000))], ids=str)
def test_from_1_to_100_rounds_it_stays_within_its_cap(cap, columns, rounds_per_column, monkeypatch):
    monkeypatch.setattr(aim, "ROUNDS_PER_COLUMN", rounds_per_column)
    domain = Domain(DOMAIN.columns[:columns], DOMAIN.sizes[:columns])
    asker = BlindAsker(domain, cap, seed=columns)
    Aim().measure(asker)
    assert total_cost(asker.questions, asker.unit) <= cap
    assert sum(isinstance(q, SelectionQuestion) for q in asker.questions) <= max(rounds_per_column * columns, 1)
    assert sum(q.rho.value for q in Aim().plan(domain, asker.unit, cap).questions) <= cap.value


@pytest.mark.parametrize(("columns", "rounds_per_column"), [(12, 8), (30, 1), (30, 3)])
def test_thirty_columns_and_about_a_hundred_rounds_stay_within_the_cap(columns, rounds_per_column, monkeypatch):
    monkeypatch.setattr(aim, "ROUNDS_PER_COLUMN", rounds_per_column)
    domain = Domain(tuple(f"c{i:02}" for i in range(columns)), tuple(2 + i % 4 for i in range(columns)))
    asker = BlindAsker(domain, CAP, seed=columns)
    Aim(model_cells=1 << 12).measure(asker)
    assert total_cost(asker.questions, asker.unit) <= CAP
    assert asker.remaining().value < CAP.value / 1000
    assert 3 < sum(isinstance(q, SelectionQuestion) for q in asker.questions) <= columns * rounds_per_column


def test_a_round_is_a_selection_and_the_table_that_it_named():
    asker = asker_of(1)
    measured = Aim().measure(asker)
    first, *rounds = asker.questions
    assert isinstance(first, MarginalQuestion)
    assert first.cliques == tuple((column,) for column in DOMAIN.columns)
    selections, tables = rounds[::2], rounds[1::2]
    assert all(isinstance(question, SelectionQuestion) for question in selections)
    assert all(len(question.cliques) == 1 for question in tables)
    assert all(table.cliques[0] in selection.candidates for selection, table in zip(selections, tables, strict=True))
    assert [m.clique for m in measured] == [*first.cliques, *(question.cliques[0] for question in tables)]
    sigmas = [question.sigmas[0] for question in tables[:-1]]
    assert all(after in (before, before / 2) for before, after in pairwise(sigmas))
    assert sigmas[0] > sigmas[-1], "the noise was never lowered: this test sees no annealing"


def test_only_candidates_that_the_model_has_room_for_are_offered():
    limit = 40
    asker = asker_of(2)
    measured = Aim(model_cells=limit).measure(asker)
    for place, question in enumerate(asker.questions):
        if isinstance(question, SelectionQuestion):
            known = [c for q in asker.questions[:place] if isinstance(q, MarginalQuestion) for c in q.cliques]
            assert all(len(c) == 1 or tree_cells(DOMAIN, [*known, c]) <= limit for c in question.candidates)
            assert set(DOMAIN.columns) <= {c[0] for c in question.candidates if len(c) == 1}
    assert tree_cells(DOMAIN, [m.clique for m in measured]) <= limit
    assert any(len(m.clique) == 2 for m in measured)


def test_the_workload_decides_what_is_offered_and_how_it_counts():
    asker = BlindAsker(DOMAIN, HIGH)
    Aim(workload=all_with(DOMAIN, "c"), penalty="none").measure(asker)
    question = asker.questions[-2]
    assert set(question.candidates) == {(c,) for c in DOMAIN.columns} | {DOMAIN.clique(("c", x)) for x in "abde"}
    weights = dict(zip(question.candidates, question.weights, strict=True))
    assert weights[("a", "c")] == 32
    assert weights[("c",)] == round(32 * 5 / 6)
    assert weights[("a",)] == round(32 * 1 / 6)


def test_triples_limits_and_tables_that_must_be_measured():
    work = Workload({("a", "b", "c"): 3, ("d", "e"): 1}, must=(("a", "e"),), cells=12)
    plan = Aim(workload=work).plan(DOMAIN, PrivacyUnit(), HIGH)
    assert [q.columns for q in plan.questions if q.what == "table that must be measured"] == [("a", "e")]
    asker = asker_of(3)
    measured = Aim(workload=work).measure(asker)
    assert measured[len(DOMAIN.columns)].clique == ("a", "e")
    assert sum(q.rho.value for q in plan.questions) <= HIGH.value
    offered = {c for q in asker.questions if isinstance(q, SelectionQuestion) for c in q.candidates}
    assert ("a", "b", "c") in offered
    assert ("d", "e") not in offered


def test_columns_that_no_pair_can_join_get_the_whole_budget():
    domain = Domain(("a", "b"), (1 << 13, 1 << 13))
    asker = BlindAsker(domain, HIGH)
    assert [m.clique for m in Aim().measure(asker)] == [("a",), ("b",)]
    assert [q.what for q in Aim().plan(domain, PrivacyUnit(), HIGH).questions] == ["one-way table"] * 2


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_question_states_the_penalty_of_each_candidate_for_the_noise_it_would_get(penalty):
    asker = asker_of(5)
    Aim(penalty=penalty).measure(asker)
    _, question, table, *_ = asker.questions
    estimates = [estimate / 65536 for estimate in question.estimates]
    expected = [plain_penalty(penalty, estimate, table.sigmas[0]) for estimate in estimates]
    assert question.penalties == pytest.approx([65536 * rows for _, rows in expected], rel=1e-6, abs=1)
    assert question.weights == tuple(max(1, round(32 * factor / max(f for f, _ in expected))) for factor, _ in expected)
    assert any(question.penalties) == (penalty in ("published", "shrunk"))


def test_a_penalty_beyond_what_a_score_holds_is_the_largest_one():
    domain, cap = Domain(("a", "b"), (1 << 8, 1 << 7)), Rho(Fraction(1, 1 << 48))
    asker = BlindAsker(domain, cap)
    Aim(penalty="published").measure(asker)
    first = next(q for q in asker.questions if isinstance(q, SelectionQuestion))
    assert dict(zip(first.candidates, first.penalties, strict=True))[("a", "b")] == LARGEST_PENALTY
    assert total_cost(asker.questions, asker.unit) <= cap


def test_an_unknown_penalty_is_refused():
    with pytest.raises(SpecError, match=r"synthesis.penalty must be one of \['discount', 'published', 'shrunk', 'none'\], got 'dear'"):
        Aim(penalty="dear")


def test_a_budget_too_small_is_refused_in_the_plan():
    with pytest.raises(SpecError, match="too small to ask anything"):
        Aim().plan(DOMAIN, PrivacyUnit(), Rho(Fraction(1, 1 << 60)))


def test_a_workload_of_unknown_or_repeated_tables_is_refused():
    with pytest.raises(SpecError, match="unknown columns"):
        listed(DOMAIN, [(("a", "zip"), 1)])
    with pytest.raises(SpecError, match=r"lists \['a', 'b'\] twice"):
        listed(DOMAIN, [(("a", "b"), 1), (("b", "a"), 2)])


def test_the_graph_of_what_is_measured_covers_all_columns():
    measured = Aim().measure(asker_of(4))
    assert set().union(*(m.clique for m in measured)) == set(DOMAIN.columns)
    assert nx.Graph([m.clique for m in measured if len(m.clique) == 2]).number_of_edges() >= 4
