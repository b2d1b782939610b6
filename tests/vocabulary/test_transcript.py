"""Replay gives the answers on record, in order, to the same questions only, and counts the budget like the curator did."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.core.curator import Curator
from dpsynth.errors import ProtocolError
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, SelectionQuestion
from dpsynth.transcript import Answer, Measurement, Replay, Transcript, errors, measure, select
from tests.core.rows import TWO_BY_TWO, ListedRows

CAP = Rho(Fraction(1))
QUESTIONS = (
    MarginalQuestion((("a",), ("b",)), (9.0, 8.0)),
    SelectionQuestion((("a",), ("b",)), (np.zeros(2, dtype=np.int64),) * 2, (1, 1), 7.0),
    MarginalQuestion((("a", "b"),), (3.0,)),
    ErrorsQuestion((("a",), ("b",)), (np.zeros(2, dtype=np.int64),) * 2, 7.0),
)


@pytest.fixture
def recorded():
    """A transcript, with what remained before each question and in the end."""
    curator = Curator(ListedRows(TWO_BY_TWO, [(0, 0), (1, 0)]), PrivacyUnit(), CAP)
    remained = [curator.remaining()]
    for question in QUESTIONS:
        curator.ask(question)
        remained.append(curator.remaining())
    return curator.transcript(), remained


def test_the_same_questions_get_the_same_answers_at_the_same_budget(recorded):
    transcript, remained = recorded
    replay = Replay(transcript, TWO_BY_TWO, PrivacyUnit(), CAP)
    for question, exchange, before in zip(QUESTIONS, transcript.exchanges, remained, strict=False):
        assert not replay.finished()
        assert replay.remaining() == before
        assert replay.ask(question).digest() == exchange.answer.digest()
    assert replay.remaining() == remained[-1]
    assert replay.finished()
    with pytest.raises(ProtocolError, match="no more answers"):
        replay.ask(QUESTIONS[0])


@pytest.mark.parametrize(
    "question", [QUESTIONS[1], MarginalQuestion((("a",), ("b",)), (9.0, 8.5)), MarginalQuestion((("b",), ("a",)), (9.0, 8.0))]
)
def test_another_question_is_refused(recorded, question):
    replay = Replay(recorded[0], TWO_BY_TWO, PrivacyUnit(), CAP)
    with pytest.raises(ProtocolError, match="not the one on record"):
        replay.ask(question)


def test_a_transcript_is_named_by_all_that_is_in_it(recorded):
    transcript, _ = recorded
    first, last = transcript.exchanges[0], transcript.exchanges[3]
    changed = Measurement(("a",), first.answer.measurements[0].values + 1, 9.0)
    variants = [
        Transcript(transcript.exchanges[:2]),
        Transcript(transcript.exchanges[::-1]),
        Transcript((type(first)("0" * 64, first.answer, first.events), *transcript.exchanges[1:])),
        Transcript((type(first)(first.question, Answer((changed, first.answer.measurements[1])), first.events), *transcript.exchanges[1:])),
        Transcript((type(first)(first.question, first.answer, first.events[:1]), *transcript.exchanges[1:])),
        Transcript((*transcript.exchanges[:3], replace(last, answer=Answer(errors=last.answer.errors + np.array([0, 1]))))),
        Transcript((*transcript.exchanges[:3], replace(last, answer=Answer()))),
    ]
    assert len({each.digest() for each in [transcript, *variants]}) == 8
    assert transcript.spent().value == sum(question.cost(PrivacyUnit()).value for question in QUESTIONS)


def test_asking_in_words_gives_what_was_asked_for(recorded):
    replay = Replay(recorded[0], TWO_BY_TWO, PrivacyUnit(), CAP)
    assert [m.clique for m in measure(replay, [("a",), ("b",)], [9.0, 8.0])] == [("a",), ("b",)]
    assert select(replay, QUESTIONS[1]) == QUESTIONS[1].candidates[recorded[0].exchanges[1].answer.selected]


def test_errors_are_read_in_rows_and_one_a_clique(recorded):
    transcript, question = recorded[0], QUESTIONS[3]
    kept = transcript.exchanges[3].answer.errors
    replay = Replay(Transcript(transcript.exchanges[3:]), TWO_BY_TWO, PrivacyUnit(), CAP)
    assert errors(replay, question).tolist() == [float(Fraction(int(error), 1 << 16)) for error in kept]
    for other in (Answer(), Answer(errors=kept[:1]), Answer(selected=0)):
        short = Transcript((replace(transcript.exchanges[3], answer=other),))
        with pytest.raises(ProtocolError, match="without one a clique"):
            errors(Replay(short, TWO_BY_TWO, PrivacyUnit(), CAP), question)


def test_a_selection_answered_without_a_choice_is_refused(recorded):
    transcript = Transcript((type(recorded[0].exchanges[0])(QUESTIONS[1].digest(), Answer(), ()),))
    with pytest.raises(ProtocolError, match="without a choice"):
        select(Replay(transcript, TWO_BY_TWO, PrivacyUnit(), CAP), QUESTIONS[1])


def test_a_measurements_values_cannot_be_written():
    given = np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="read-only"):
        Measurement(("a",), given, 1.0).values[0] = 1
    given[0] = 1  # the caller's own array is left as it was
