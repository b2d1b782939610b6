"""All pairs in two batches: what is planned is what is asked, within the budget, and nothing but noisy tables decides."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from dpsynth.core.curator import Curator
from dpsynth.domain import Domain
from dpsynth.errors import ProtocolError, SpecError
from dpsynth.inference.pairs import LatentClass
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_charge
from dpsynth.questions import MarginalQuestion, total_cost
from dpsynth.sampling.records import draw_codes
from dpsynth.strategies import all_pairs as module
from dpsynth.strategies.all_pairs import AllPairs, all_pairs, batches
from dpsynth.transcript import Answer, Measurement, Replay, Transcript
from tests.core.rows import ListedRows
from tests.strategies.exact import BlindAsker, ExactAsker

DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 4, 5))
CAP = Rho.down(Fraction(1, 10))
ONE = PrivacyUnit()
UNITS = (ONE, PrivacyUnit("id", 3))
BUDGETS = [Fraction(1, 10**6), Fraction(1, 1000), Fraction(1), Fraction(1000), Fraction(10**4), Fraction(3 * 10**4), Fraction(10**6)]


def joint(domain=DOMAIN, seed=0, rows=5000):
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, rng.dirichlet(np.full(np.prod(domain.sizes), 0.2))).reshape(domain.sizes)


def noisy_asker(seed=0, cap=CAP, unit=ONE, domain=DOMAIN):
    rng = np.random.default_rng(seed + 100)
    return ExactAsker(domain, joint(domain, seed), cap, unit, noise=lambda counts, s: counts + np.rint(rng.normal(0, s, counts.shape)))


def wide(columns):
    return Domain(tuple(f"c{i:02}" for i in range(columns)), tuple(2 + i % 4 for i in range(columns)))


@pytest.mark.parametrize("unit", UNITS, ids=["one row", "three rows"])
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_what_was_planned_can_be_asked_to_the_end_within_the_budget(budget, unit):
    """A budget is refused in the plan or spent whole: no strategy stops half-way, when its budget is already charged.

    More than noise of a scale of 1 costs is not spent: less noise nobody would notice, and its cost as Gaussian is not proved.
    """
    cap = Rho.down(budget)
    for columns in range(1, 13):
        domain = wide(columns)
        askers = [BlindAsker(domain, cap, unit, seed=columns)]
        if columns <= 4:
            askers.append(noisy_asker(columns, cap, unit, domain))
        try:
            plan = AllPairs().plan(domain, unit, cap)
        except SpecError as refusal:
            assert budget > 1000
            assert "less is no protection" in str(refusal)  # noqa: PT017
            assert "change budget.epsilon" in str(refusal)  # noqa: PT017
            continue
        for asker in askers:
            AllPairs().measure(asker)
            spent = total_cost(asker.questions, unit)
            assert spent <= cap
            assert spent.value > cap.value * (1 - Fraction(1, 10**9)) or 1.0 in asker.questions[-1].sigmas
            batch, planned = (
                total_cost(asker.questions[: -1 if columns > 1 else 1], unit).value,
                sum(q.rho.value for q in plan.questions if q.columns),
            )
            assert planned * (1 - Fraction(1, 10**9)) - Fraction(100, 1 << 60) <= batch <= planned
            if columns > 1:
                assert total_cost(asker.questions[-1:], unit).value <= plan.questions[-1].rho.value * (1 + Fraction(1, 10**9)) + Fraction(
                    100, 1 << 60
                )


@pytest.mark.parametrize("seed", range(4))
def test_one_concentrated_pair_never_asks_for_more_than_was_planned(seed):
    """Two equal columns among independent ones draw the whole second batch to one pair, near the least noise that may be asked for."""
    domain = wide(6)
    table = np.zeros(domain.sizes, dtype=np.int64)
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, size, 2000) for size in domain.sizes]
    codes[4] = codes[0]
    np.add.at(table, tuple(codes), 1)
    for budget in (9_000, 17_000, 30_000, 60_000):
        cap = Rho(Fraction(budget))
        try:
            AllPairs().plan(domain, ONE, cap)
        except SpecError:
            continue
        AllPairs().measure(ExactAsker(domain, table, cap))


def test_the_batches_are_of_the_stated_shares_and_of_the_whole_budget():
    one_way, first, second = batches(CAP)
    assert one_way + first + second == CAP
    assert float(one_way.value / CAP.value) == pytest.approx(0.1)
    assert float(first.value / CAP.value) == pytest.approx(0.9 * 0.7)


def test_every_column_then_every_pair_then_some_pairs_again():
    asker = noisy_asker()
    measurements = AllPairs().measure(asker)
    first, second, third = asker.questions
    assert first.cliques == tuple((c,) for c in DOMAIN.columns)
    assert second.cliques == all_pairs(DOMAIN) == tuple(combinations(DOMAIN.columns, 2))
    assert set(third.cliques) <= set(second.cliques)
    assert len(set(third.cliques)) == len(third.cliques) > 0
    assert [m.clique for m in measurements] == [*first.cliques, *second.cliques, *third.cliques]
    assert [m.sigma for m in measurements] == [*first.sigmas, *second.sigmas, *third.sigmas]


def test_noise_in_the_first_batch_falls_with_the_size_of_the_table():
    asker = noisy_asker()
    AllPairs().measure(asker)
    precisions = {pair: gaussian_charge(sigma) for pair, sigma in zip(asker.questions[1].cliques, asker.questions[1].sigmas, strict=True)}
    ratios = [precision / DOMAIN.cells(pair) ** 0.25 for pair, precision in precisions.items()]
    assert max(ratios) == pytest.approx(min(ratios), rel=1e-9)


def test_the_second_look_goes_where_there_is_most_to_learn():
    """a and b are equal, everything else is independent: their table gets more than its even share."""
    table = np.zeros((4, 4, 4, 4), dtype=np.int64)
    table[np.arange(4), np.arange(4)] = 100
    domain = Domain(("a", "b", "c", "d"), (4, 4, 4, 4))
    rng = np.random.default_rng(0)
    asker = ExactAsker(domain, table, CAP, noise=lambda counts, s: counts + np.rint(rng.normal(0, s, counts.shape)))
    AllPairs().measure(asker)
    third = asker.questions[2]
    precision = dict(zip(third.cliques, np.array(third.sigmas) ** -2.0, strict=True))
    assert precision.get(("a", "b"), 0) > 2 * sum(precision.values()) / 6


def test_the_same_answers_lead_to_the_same_questions_and_others_to_others():
    runs = []
    for seed in (0, 0, 1):
        asker = noisy_asker(seed, domain=wide(5))
        AllPairs().measure(asker)
        runs.append([question.digest() for question in asker.questions])
    assert runs[0] == runs[1]
    assert runs[0][:2] == runs[2][:2]
    assert runs[0][2] != runs[2][2]


def test_no_thread_setting_changes_a_question(monkeypatch):
    """Whatever the process allows, the second look is computed on one thread of the linear algebra library."""
    limits = []
    real = module.threadpool_limits
    monkeypatch.setattr(module, "threadpool_limits", lambda n: (limits.append(n), real(n))[1])
    AllPairs().measure(noisy_asker())
    assert set(limits) == {1}


def test_a_single_column_gets_the_whole_budget():
    domain = Domain(("a",), (4,))
    asker = ExactAsker(domain, np.arange(4), CAP)
    assert [m.clique for m in AllPairs().measure(asker)] == [("a",)]
    assert asker.remaining().value < Fraction(1, 1 << 40)


def test_a_column_of_one_cell_is_no_obstacle():
    domain = Domain(("a", "b", "c"), (1, 3, 1))
    asker = BlindAsker(domain, CAP)
    AllPairs().measure(asker)
    assert len(asker.questions) == 3


@pytest.mark.parametrize("budget", [Fraction(1, 1 << 60), Fraction(1, 1 << 55), Fraction(1, 1 << 50)])
def test_a_budget_too_small_to_reach_the_end_is_refused_in_the_plan(budget):
    with pytest.raises(SpecError, match=r"too small to ask anything: raise budget\.epsilon"):
        AllPairs().plan(wide(6), ONE, Rho(budget))


def test_a_pair_beyond_the_cell_limit_is_refused_by_name_before_anything_is_asked():
    domain = Domain(("a", "big", "c", "wide"), (2, 1 << 13, 3, 1 << 12))
    with pytest.raises(SpecError, match=r"table of \['big', 'wide'\] would have 33554432 cells, more than 16777216: use fewer bins"):
        AllPairs().plan(domain, ONE, CAP)


class Rows:
    """An engine over counts; what it hands out is overwritten as soon as it is answered from."""

    def __init__(self, table, domain):
        self.table, self.domain, self.handed = table, domain, []

    def counts(self, cliques):
        others = [tuple(i for i, c in enumerate(self.domain.columns) if c not in clique) for clique in cliques]
        found = [self.table.sum(axis=axes).reshape(-1).astype(np.int64) for axes in others]
        self.handed += found
        return found

    def poison(self):
        for array in self.handed:
            array[:] = -(10**15)
        self.table = None

    def close(self):
        self.poison()


class Watched:
    """Between the strategy and the curator: after each answer the exact counts are overwritten; only measurements may have passed."""

    def __init__(self, curator, engine):
        self.curator, self.engine, self.passed = curator, engine, []

    domain = property(lambda self: self.curator.domain)
    unit = property(lambda self: self.curator.unit)

    def remaining(self):
        return self.curator.remaining()

    def ask(self, question):
        assert type(question) is MarginalQuestion
        before = len(self.engine.handed)
        answer = self.curator.ask(question)
        for exact in self.engine.handed[before:]:
            assert not any(np.shares_memory(exact, m.values) for m in answer.measurements)
            exact[:] = -(10**15)
        assert type(answer) is Answer
        assert all(type(m) is Measurement for m in answer.measurements)
        self.passed += answer.measurements
        return answer


def test_exact_counts_reach_neither_strategy_nor_model_nor_records():
    """Every exact table is overwritten with -10^15 once its noise is drawn: what follows is the same as from the transcript alone."""
    engine = Rows(joint(), DOMAIN)
    curator = Curator(engine, ONE, CAP)
    watched = Watched(curator, engine)
    measurements = AllPairs().measure(watched)
    assert list(measurements) == watched.passed
    curator.close()
    assert engine.table is None
    assert all(np.abs(m.values).max() < 10**6 for m in measurements)
    model = LatentClass().fit(DOMAIN, measurements)
    records = draw_codes(model, 500, 3)
    replay = Replay(curator.transcript(), DOMAIN, ONE, CAP)
    again = AllPairs().measure(replay)
    assert replay.finished()
    other = draw_codes(LatentClass().fit(DOMAIN, again), 500, 3)
    assert all(np.array_equal(records[c], other[c]) for c in DOMAIN.columns)
    exact = joint()
    assert any(
        not np.array_equal(m.values, exact.sum(axis=tuple(i for i, c in enumerate(DOMAIN.columns) if c not in m.clique)).reshape(-1))
        for m in measurements
    )


def test_a_thin_table_is_measured_as_gaussian_and_replayed_from_its_transcript():
    """Where pairs would drown in noise, noisy errors say what to measure; what follows needs nothing but the transcript."""
    domain = Domain(("a", "b", "c", "d"), (20, 18, 16, 14))
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.integers(0, size, 1000) for size in domain.sizes])
    rows[:, 1] = rows[:, 0] % 18
    curator = Curator(ListedRows(domain, [tuple(row) for row in rows.tolist()]), ONE, CAP, "gdp")
    measurements = AllPairs().measure(curator)
    curator.close()
    transcript = curator.transcript()
    assert [event.mechanism for event in transcript.exchanges[1].events] == ["gaussian-errors"]
    assert len(transcript.exchanges[1].answer.errors) == len(all_pairs(domain))
    assert {event.mechanism for event in transcript.events} == {"gaussian-errors", "discrete-gaussian"}
    assert float(transcript.spent().value / CAP.value) == pytest.approx(1)
    replay = Replay(transcript, domain, ONE, CAP)
    again = AllPairs().measure(replay)
    assert replay.finished()
    assert [(m.clique, m.sigma, m.values.tolist()) for m in again] == [(m.clique, m.sigma, m.values.tolist()) for m in measurements]
    other = replace(transcript.exchanges[1], answer=Answer(errors=transcript.exchanges[1].answer.errors[::-1]))
    changed = Transcript((transcript.exchanges[0], other, *transcript.exchanges[2:]))
    with pytest.raises(ProtocolError, match="not the one on record"):
        AllPairs().measure(Replay(changed, domain, ONE, CAP))


def test_one_more_row_in_an_answer_may_change_the_second_look_but_never_the_first():
    class Shifted(ExactAsker):
        def ask(self, question):
            answer = super().ask(question)
            return Answer(tuple(replace(m, values=m.values + 40 * (np.arange(m.values.size) == 0)) for m in answer.measurements))

    plain, shifted = noisy_asker(), Shifted(DOMAIN, joint(), CAP)
    AllPairs().measure(plain)
    AllPairs().measure(shifted)
    assert [q.digest() for q in plain.questions[:2]] == [q.digest() for q in shifted.questions[:2]]


def test_too_many_cells_of_all_columns_together_are_refused_in_the_plan_with_what_to_do():
    wide = Domain(("a", "b", "c"), (4096, 4000, 97))
    with pytest.raises(SpecError, match=r"at most 8192 cells of all columns together, got 8193.*fewer bins.*mst"):
        AllPairs().plan(wide, ONE, CAP)
    assert AllPairs().plan(Domain(("a", "b", "c"), (4096, 4000, 96)), ONE, CAP).questions
