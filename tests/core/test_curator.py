"""The curator's rules: a filter that never passes its cap, refusals that change nothing, no way round the charge."""

import copy
import os
import pickle
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core import mechanisms, noise
from dpsynth.core.curator import Curator
from dpsynth.domain import Domain
from dpsynth.errors import BudgetRefused, ProtocolError, SpecError
from dpsynth.privacy import GDP, NOTHING, ZCDP, PrivacyUnit, Rho, gaussian_rho, noisy_max_rho
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, SelectionQuestion, sigma_for, total_cost
from tests.core.rows import TWO_BY_TWO, GivenTables, ListedRows

ROWS = [(0, 0), (0, 1), (1, 1)]
CLIQUES = [(), ("a",), ("b",), ("a", "b")]


def curator_of(cap, unit=PrivacyUnit(), rows=ROWS, track=ZCDP):
    return Curator(ListedRows(TWO_BY_TWO, rows), unit, cap, track)


def selection(scale=10.0, weights=(1, 1), estimates=None):
    tables = estimates or (np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
    return SelectionQuestion((("a",), ("b",)), tables, weights, scale)


def errors(sigma=10.0):
    return ErrorsQuestion((("a",), ("b",)), (np.zeros(2, dtype=np.int64), np.ones(2, dtype=np.int64)), sigma)


def state(curator):
    return curator.remaining(), curator.transcript().digest(), len(curator._charged)


@pytest.fixture
def no_noise(monkeypatch):
    for name in ("discrete_gaussian", "noisy_argmax"):
        monkeypatch.setattr(noise, name, lambda *_: pytest.fail("noise was drawn"))


sigmas = st.floats(0.01, 1e6)
marginals = st.lists(st.tuples(st.sampled_from(CLIQUES), sigmas), max_size=3).map(
    lambda pairs: MarginalQuestion(tuple(c for c, _ in pairs), tuple(s for _, s in pairs))
)
selections = st.builds(lambda scale, weight: selection(scale, (weight, 1)), sigmas, st.integers(1, 32))
comparisons = st.builds(errors, sigmas)
caps = st.one_of(st.fractions(0, Fraction(1, 10**6)), st.fractions(0, 2), st.just(Fraction(10**6))).map(Rho.down)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(marginals, selections, comparisons), max_size=8), caps, st.integers(1, 3))
def test_the_exact_sum_of_costs_never_passes_the_cap(questions, cap, k):
    unit = PrivacyUnit("id", k)
    curator = curator_of(cap, unit)
    for question in questions:
        before = state(curator)
        fits = question.cost(unit) <= curator.remaining()
        try:
            curator.ask(question)
        except BudgetRefused:
            assert not fits
            assert state(curator) == before
        else:
            assert fits
            assert curator.remaining() == before[0] - question.cost(unit)
    transcript = curator.transcript()
    assert transcript.spent() + curator.remaining() == cap
    formula = {"discrete-gaussian": gaussian_rho, "gaussian-errors": gaussian_rho, "noisy-max": noisy_max_rho}
    for event in transcript.events:
        times = event.outcomes if event.mechanism == "gaussian-errors" else 1
        assert event.rho.value == formula[event.mechanism](event.sensitivity, event.scale).value * times


def test_a_budget_can_be_used_to_the_last_bit_and_not_beyond():
    question = MarginalQuestion((("a",),), (7.3,))
    curator = curator_of(Rho(question.cost(PrivacyUnit()).value * 3))
    for _ in range(3):
        curator.ask(question)
    assert curator.remaining() == NOTHING
    with pytest.raises(BudgetRefused):
        curator.ask(MarginalQuestion(((),), (float(2**40),)))


def test_a_refusal_draws_nothing_and_does_not_poison_a_smaller_question(no_noise, monkeypatch):
    curator = curator_of(Rho.down(Fraction(1, 100)))
    before = state(curator)
    for question in (MarginalQuestion((("a",), ("b",)), (1e6, 1.0)), selection(1.0), errors(1.0)):
        with pytest.raises(BudgetRefused, match="ask with more noise"):
            curator.ask(question)
        assert state(curator) == before
    assert curator._engine.asked == []
    monkeypatch.undo()
    assert curator.ask(MarginalQuestion((("a",),), (50.0,))).measurements[0].values.shape == (2,)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (MarginalQuestion((("a",), ("z",)), (9.0, 9.0)), "unknown columns \\['z'\\] in \\['z'\\]: the domain has \\['a', 'b'\\]"),
        (MarginalQuestion((("b", "a"),), (9.0,)), "in the order of the domain, got \\['b', 'a'\\]"),
        (MarginalQuestion((("a", "a"),), (9.0,)), "names a column twice"),
        (SelectionQuestion((("z",),), (np.zeros(2, dtype=np.int64),), (1,), 9.0), "unknown columns \\['z'\\]"),
        (SelectionQuestion((("a", "b"),), (np.zeros(2, dtype=np.int64),), (1,), 9.0), "\\['a', 'b'\\] must have 4 cells, got 2"),
    ],
)
def test_questions_outside_the_domain_are_refused_by_name_for_free(question, words, no_noise):
    curator = curator_of(Rho(Fraction(1)))
    before = state(curator)
    with pytest.raises(SpecError, match=words):
        curator.ask(question)
    assert state(curator) == before


def test_a_closed_curator_has_no_rows_and_answers_nothing(no_noise):
    curator = curator_of(Rho(Fraction(1)))
    engine = curator._engine
    curator.close()
    curator.close()
    assert engine.closed
    with pytest.raises(ProtocolError, match="the rows are gone"):
        curator.ask(MarginalQuestion((("a",),), (9.0,)))


@pytest.mark.parametrize("question", [MarginalQuestion((("a",), ("b",)), (9.0, 8.0)), selection(), errors()])
def test_the_charge_comes_before_the_draw(question, monkeypatch):
    order = []
    monkeypatch.setattr(noise, "discrete_gaussian", lambda counts, _: order.append("draw") or counts)
    monkeypatch.setattr(noise, "noisy_argmax", lambda *_: order.append("draw") or 0)
    curator = curator_of(Rho(Fraction(1)))
    charge = curator._charge
    monkeypatch.setattr(curator, "_charge", lambda event: order.append("charge") or charge(event))
    curator.ask(question)
    assert order == ["charge", "draw"] * (len(order) // 2)


@pytest.mark.parametrize("question", [MarginalQuestion((("a",), ("b",)), (9.0, 8.0)), selection(), errors()])
def test_a_crash_in_the_draw_stays_charged_and_gives_no_answer(question, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(noise, "discrete_gaussian", broken)
    monkeypatch.setattr(noise, "noisy_argmax", broken)
    curator = curator_of(Rho(Fraction(1)))
    with pytest.raises(KeyboardInterrupt):
        curator.ask(question)
    assert curator.remaining() < Rho(Fraction(1))
    assert curator.transcript().exchanges == ()
    monkeypatch.undo()
    curator.ask(question)
    assert len(curator.transcript().exchanges) == 1
    assert curator.transcript().spent() == question.cost(PrivacyUnit())


def test_a_mechanism_that_charges_less_than_was_announced_gives_no_answer(monkeypatch):
    monkeypatch.setattr(mechanisms, "gaussian_rho", lambda *_: Rho(Fraction(1, 1 << 60)))
    curator = curator_of(Rho(Fraction(1)))
    with pytest.raises(ProtocolError, match="the answer is withheld"):
        curator.ask(MarginalQuestion((("a",),), (9.0,)))
    assert curator.transcript().exchanges == ()


def test_a_mechanism_that_charges_more_than_is_left_never_draws(monkeypatch, no_noise):
    monkeypatch.setattr(mechanisms, "gaussian_rho", lambda *_: Rho(Fraction(2)))
    curator = curator_of(Rho(Fraction(1)))
    with pytest.raises(BudgetRefused, match="nothing was drawn"):
        curator.ask(MarginalQuestion((("a",),), (9.0,)))
    assert curator.remaining() == Rho(Fraction(1))


class CheaperMarginal(MarginalQuestion):
    def cost(self, unit):
        return NOTHING


class LessSensitive(SelectionQuestion):
    def sensitivity(self, unit):
        return 1


class LessSensitiveErrors(ErrorsQuestion):
    def sensitivity(self, unit):
        return 1


@pytest.mark.parametrize(
    "question",
    [
        CheaperMarginal((("a",),), (0.02,)),
        LessSensitive((("a",),), (np.zeros(2, dtype=np.int64),), (1,), 0.02),
        LessSensitiveErrors((("a",),), (np.zeros(2, dtype=np.int64),), 0.02),
        "rows?",
        None,
    ],
)
def test_only_the_known_questions_are_answered(question, no_noise):
    with pytest.raises(ProtocolError, match="SelectionQuestion, LabelsQuestion and QuantileQuestion"):
        curator_of(Rho(Fraction(1))).ask(question)


class Understated(float):
    """A float that says it is a billion when asked for its exact value."""

    def as_integer_ratio(self):
        return (10**9, 1)


def test_a_sigma_that_lies_about_itself_is_charged_what_it_is():
    marginal = MarginalQuestion((("a",),), (Understated(0.5),))
    assert marginal.cost(PrivacyUnit()) == Rho.up(Fraction(2) * (1 + Fraction(4, 9)))
    assert type(marginal.sigmas[0]) is float
    assert selection(Understated(0.5)).cost(PrivacyUnit()) == Rho(Fraction(2))
    assert errors(Understated(0.5)).cost(PrivacyUnit()) == errors(0.5).cost(PrivacyUnit()) > Rho(Fraction(4))


def test_an_estimate_changed_after_the_question_was_made_changes_nothing():
    estimate = np.zeros(2, dtype=np.int64)
    question = selection(estimates=(estimate, np.zeros(2, dtype=np.int64)))
    digest = question.digest()
    estimate[:] = 1 << 62
    assert question.digest() == digest
    with pytest.raises(ValueError, match="read-only"):
        question.estimates[0][0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        question.estimates[0].setflags(write=True)


class Spy(np.ndarray):
    """An array that keeps what it is computed with."""

    seen = ()

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        Spy.seen += tuple(np.asarray(each).tolist() for each in inputs)
        return getattr(ufunc, method)(*map(np.asarray, inputs))


def test_an_estimate_cannot_look_at_the_counts_it_is_compared_with():
    question = selection(estimates=(np.zeros(2, dtype=np.int64).view(Spy), np.zeros(2, dtype=np.int64)))
    curator_of(Rho(Fraction(1))).ask(question)
    curator_of(Rho(Fraction(1))).ask(ErrorsQuestion(question.candidates, (np.zeros(2, dtype=np.int64).view(Spy),) * 2, 9.0))
    assert Spy.seen == ()


def test_lists_given_for_cliques_and_sigmas_are_copied():
    cliques, sigmas = [["a"], ["b"]], [9.0, 9.0]
    question = MarginalQuestion(cliques, sigmas)
    sigmas[0], cliques[0][0] = 0.01, "z"
    assert (question.cliques, question.sigmas) == ((("a",), ("b",)), (9.0, 9.0))


def test_an_answer_on_record_cannot_be_changed():
    curator = curator_of(Rho(Fraction(1)))
    answer = curator.ask(MarginalQuestion((("a",),), (9.0,)))
    with pytest.raises(ValueError, match="read-only"):
        answer.measurements[0].values[0] = 0


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_curator_cannot_be_copied_with_its_budget(duplicate):
    with pytest.raises(ProtocolError, match="cannot be copied"):
        duplicate(curator_of(Rho(Fraction(1))))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_cannot_spend_the_budget_again():
    curator = curator_of(Rho(Fraction(1)))
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            curator.ask(MarginalQuestion((("a",),), (9.0,)))
        except ProtocolError:
            os.write(writer, b"refused")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"refused"
    os.waitpid(child, 0)


def test_threads_share_one_budget():
    question = MarginalQuestion((("a",),), (9.0,))
    curator = curator_of(Rho(question.cost(PrivacyUnit()).value * 5))
    start, outcomes = threading.Barrier(8), []

    def ask():
        start.wait()
        try:
            outcomes.append(curator.ask(question) is not None)
        except BudgetRefused:
            outcomes.append(False)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 3 + [True] * 5
    assert curator.remaining() == NOTHING
    assert [len(exchange.events) for exchange in curator.transcript().exchanges] == [1] * 5


@pytest.mark.parametrize(
    "table",
    [
        np.zeros(3, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros((2, 1), dtype=np.int64),
        np.zeros(2, dtype=np.int32),
        np.array([0.0, np.nan]),
    ],
)
def test_an_engines_table_of_another_size_or_type_is_noticed_before_a_draw(table, no_noise):
    tables = {("a",): table, ("b",): np.zeros(2, dtype=np.int64)}
    curator = Curator(GivenTables(TWO_BY_TWO, tables), PrivacyUnit(), Rho(Fraction(1)))
    before = state(curator)
    for question in (MarginalQuestion((("b",), ("a",)), (9.0, 9.0)), selection(), errors()):
        with pytest.raises(ProtocolError, match="nothing was drawn"):
            curator.ask(question)
    assert state(curator) == before


def test_an_engine_that_answers_fewer_tables_is_noticed_before_a_draw(no_noise, monkeypatch):
    curator = curator_of(Rho(Fraction(1)))
    monkeypatch.setattr(curator._engine, "counts", lambda _: [np.zeros(2, dtype=np.int64)])
    with pytest.raises(ProtocolError, match="nothing was drawn"):
        curator.ask(MarginalQuestion((("a",), ("b",)), (9.0, 9.0)))


def test_what_is_measured_is_what_the_event_says():
    curator = curator_of(Rho(Fraction(10)), PrivacyUnit("id", 3), [(0, 0)] * 1000)
    (measurement,) = curator.ask(MarginalQuestion((("a", "b"),), (2.5,))).measurements
    (event,) = curator.transcript().events
    assert np.abs(measurement.values - [1000, 0, 0, 0]).max() < 25 * 2.5
    assert (event.mechanism, event.clique, event.sensitivity, event.scale, event.outcomes) == (
        "discrete-gaussian", ("a", "b"), 3, Fraction(5, 2), 4,
    )  # fmt: skip
    assert event.rho == Rho.up(Fraction(9, 2) / Fraction(25, 4) * (1 + Fraction(4, 25 * 9)))


def test_budgets_divided_into_equal_questions_are_never_passed():
    for questions in range(1, 40):
        for cap in (Rho.down(Fraction(1, 10**9)), Rho.down(Fraction(1, 3)), Rho.down(Fraction(1000, 7))):
            for k in (1, 7):
                unit = PrivacyUnit("id", k)
                sigma = sigma_for(cap, unit, questions)
                assert total_cost([MarginalQuestion(((),), (sigma,))] * questions, unit) <= cap


@pytest.mark.parametrize("domain", [Domain(("a",), (2,))])
def test_no_error_message_holds_a_count(domain):
    secret = 987_654_321
    curator = Curator(GivenTables(domain, {("a",): np.array([secret, secret, secret], dtype=np.int64)}), PrivacyUnit(), Rho(Fraction(1)))
    with pytest.raises(ProtocolError) as caught:
        curator.ask(MarginalQuestion((("a",),), (9.0,)))
    assert str(secret) not in str(caught.value)
    assert caught.value.__cause__ is None


LITTLE_NOISE = float(np.nextafter(1.0, 0.0))


@pytest.mark.parametrize(
    "question", [selection(), MarginalQuestion((("a",),), (LITTLE_NOISE,)), MarginalQuestion((("a",), ("b",)), (9.0, LITTLE_NOISE))]
)
def test_on_the_gaussian_track_nothing_but_gaussian_noise_is_drawn(question, no_noise, monkeypatch):
    curator = curator_of(Rho(Fraction(10)), track=GDP)
    before = state(curator)
    with pytest.raises(ProtocolError, match="tables, errors and labels with noise of at least 1"):
        curator.ask(question)
    assert state(curator) == before
    assert curator._engine.asked == []
    monkeypatch.undo()
    curator.ask(errors(0.5))  # of 2^15 in the integers that are noisy
    curator.ask(MarginalQuestion((("a",), ("b",)), (9.0, 1.0)))
    assert [event.mechanism for event in curator.transcript().events] == ["gaussian-errors", *["discrete-gaussian"] * 2]
    assert curator.remaining().value == 10 - sum(event.rho.value for event in curator.transcript().events)
    assert curator_of(Rho(Fraction(10))).ask(question) is not None  # on the other track it is answered


@pytest.mark.parametrize("track", ["", "GDP", "pure", None])
def test_costs_are_accounted_on_a_track_that_is_proved(track):
    with pytest.raises(ProtocolError, match="on the track 'zcdp' or 'gdp'"):
        curator_of(Rho(Fraction(1)), track=track)


def test_a_question_cannot_say_of_itself_that_it_is_gaussian(no_noise):
    question = selection()
    object.__setattr__(question, "gaussian", lambda: True)
    with pytest.raises(ProtocolError, match="accounted as Gaussian"):
        curator_of(Rho(Fraction(1)), track=GDP).ask(question)
