"""Integer scores: one row moves a score by at most w 2^16, exactly, at any size; what would overflow is refused before a draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.core import noise
from dpsynth.core.curator import Curator
from dpsynth.core.mechanisms import l1_score, selection_scores
from dpsynth.errors import SpecError
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import LARGEST_PENALTY, LARGEST_WEIGHT, ROWS_LIMIT, SelectionQuestion, absolute_sum, score_estimate, score_penalty
from tests.core.rows import TWO_BY_TWO, GivenTables

SIZES = (1 << 24, (1 << 31) - 1, 1 << 31, (1 << 39) - 3, 1 << 39)
ONE_ROW = 1 << 16


def by_hand(counts, estimate, weight, penalty=0):
    return weight * (sum(abs(int(c) * ONE_ROW - int(e)) for c, e in zip(counts, estimate, strict=True)) - penalty)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weight", [1, 7, 32])
@pytest.mark.parametrize("off", [-ONE_ROW, -1, 0, 1, ONE_ROW // 2, ONE_ROW])
def test_one_row_moves_a_score_by_at_most_weight_times_two_to_the_16(size, weight, off):
    counts = np.array([size, 5, 0], dtype=np.int64)
    estimate = np.array([size * ONE_ROW + off, 0, 3], dtype=np.int64)
    before = l1_score(counts, estimate, weight)
    assert before == by_hand(counts, estimate, weight)
    for cell in range(3):
        counts[cell] += 1
        after = l1_score(counts, estimate, weight)
        assert after == by_hand(counts, estimate, weight)
        assert abs(after - before) <= weight * ONE_ROW
        counts[cell] -= 1


@pytest.mark.parametrize("size", SIZES)
def test_rows_at_any_size_move_a_score_by_the_full_amount_not_less(size):
    before, after = (l1_score(np.array([n], dtype=np.int64), np.zeros(1, dtype=np.int64), 1) for n in (size, size + 1))
    assert after - before == ONE_ROW


@given(
    st.lists(st.tuples(st.integers(0, 1 << 36), st.integers(-(1 << 52), 1 << 52)), min_size=1, max_size=8),
    st.integers(1, 32),
    st.integers(0, LARGEST_PENALTY),
)
def test_scores_are_exact(cells, weight, penalty):
    counts, estimate = (np.array(column, dtype=np.int64) for column in zip(*cells, strict=True))
    assert l1_score(counts, estimate, weight, penalty) == by_hand(counts, estimate, weight, penalty)


@pytest.mark.parametrize("penalties", [(), (0, 0), (1, 0), (3 * ONE_ROW + 7, ONE_ROW // 2), (LARGEST_PENALTY, 0)])
def test_a_penalty_moves_scores_and_never_their_sensitivity(penalties):
    tables = tuple(np.array(rows, dtype=np.int64) << 16 for rows in ([5, 1], [0, 9]))
    question = SelectionQuestion((("a",), ("b",)), tables, (3, 32), 10.0, penalties)
    plain = SelectionQuestion((("a",), ("b",)), tables, (3, 32), 10.0)
    counts = [np.array([4, 2], dtype=np.int64), np.array([1, 8], dtype=np.int64)]
    more = [table + np.array([0, 1]) for table in counts]
    expected = [by_hand(*each) for each in zip(counts, tables, (3, 32), penalties or (0, 0), strict=True)]
    assert selection_scores(counts, question).tolist() == expected
    moves = [(selection_scores(more, q) - selection_scores(counts, q)).tolist() for q in (question, plain)]
    assert moves[0] == moves[1] == [3 * ONE_ROW, -32 * ONE_ROW]
    for unit in (PrivacyUnit(), PrivacyUnit("id", 4)):
        assert question.sensitivity(unit) == plain.sensitivity(unit) == unit.max_rows * 32 * ONE_ROW
        assert question.cost(unit) == plain.cost(unit)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=6))
def test_absolute_sums_are_exact_where_int64_is_not(values):
    assert absolute_sum(np.array(values, dtype=np.int64)) == sum(map(abs, values))


def test_the_largest_score_that_can_be_asked_for_fits():
    most = np.array([ROWS_LIMIT - 1, 0], dtype=np.int64)
    estimate = np.array([0, -(ROWS_LIMIT << 16)], dtype=np.int64)
    score = l1_score(most, estimate, LARGEST_WEIGHT)
    assert score == by_hand(most, estimate, LARGEST_WEIGHT) <= noise.COUNT_LIMIT
    noise.noisy_argmax(np.array([score, 0], dtype=np.int64), 65536.0)


def test_the_least_score_that_can_be_asked_for_fits():
    counts, most = np.array([7, 0], dtype=np.int64), np.array([0, -(ROWS_LIMIT << 16)], dtype=np.int64)
    candidates, weights = (("a",), ("b",)), (LARGEST_WEIGHT, LARGEST_WEIGHT)
    question = SelectionQuestion(candidates, (counts << 16, most), weights, 65536.0, (LARGEST_PENALTY, 0))
    scores = selection_scores([counts, np.array([ROWS_LIMIT - 1, 0], dtype=np.int64)], question)
    assert scores.dtype == np.int64
    assert scores[0] == -LARGEST_WEIGHT * LARGEST_PENALTY == -(1 << 61)
    assert int(scores[1]) - int(scores[0]) == scores[1] - scores[0] < 1 << 63
    assert noise.noisy_argmax(scores, question.noise_scale()) == 1
    with pytest.raises(SpecError, match=r"the penalty of \['a'\] must be a whole number from 0 to 72057594037927936 \(2\^40 rows\)"):
        SelectionQuestion(candidates, (counts, counts), weights, 65536.0, (LARGEST_PENALTY + 1, 0))


@pytest.mark.parametrize("table", [[ROWS_LIMIT, 0], [1 << 62, 1 << 62], [-(1 << 63), 0], [(1 << 63) - 1, 1], [ROWS_LIMIT - 1, 1]])
def test_a_table_beyond_the_limit_is_refused_before_any_draw(table, monkeypatch):
    monkeypatch.setattr(noise, "noisy_argmax", lambda *_: pytest.fail("drawn"))
    curator = Curator(GivenTables(TWO_BY_TWO, {("a",): np.array(table, dtype=np.int64)}), PrivacyUnit(), Rho.up(Rho(1).value))
    question = SelectionQuestion((("a",),), (np.zeros(2, dtype=np.int64),), (1,), 10.0)
    with pytest.raises(OverflowError):
        curator.ask(question)
    assert curator.remaining() == Rho(1)
    assert curator.transcript().exchanges == ()


@pytest.mark.parametrize("estimate", [[(1 << 56) + 1], [1 << 55, (1 << 55) + 1], [-(1 << 63)], [1 << 62, 1 << 62, 1 << 62, 1 << 62]])
def test_an_estimate_beyond_two_to_the_40_rows_is_refused(estimate):
    with pytest.raises(SpecError, match=r"2\^40 rows"):
        SelectionQuestion((("a",),), (np.array(estimate, dtype=np.int64),), (1,), 10.0)


@pytest.mark.parametrize("value", [noise.COUNT_LIMIT + 1, -noise.COUNT_LIMIT - 1])
def test_noise_refuses_counts_whose_sums_would_not_be_exact(value):
    counts = np.array([0, value], dtype=np.int64)
    with pytest.raises(OverflowError):
        noise.discrete_gaussian(counts, 1.0)
    with pytest.raises(OverflowError):
        noise.noisy_argmax(counts, 1.0)


@pytest.mark.parametrize(
    "counts", [np.zeros(2), np.zeros(2, dtype=np.int32), np.zeros((2, 2), dtype=np.int64), np.zeros(2, dtype=np.uint64)]
)
def test_noise_refuses_anything_but_int64_cells(counts):
    with pytest.raises(TypeError, match="int64"):
        noise.discrete_gaussian(counts, 1.0)


def test_estimates_are_rounded_to_whole_parts_of_a_row():
    assert score_estimate(np.array([0.0, 1.0, 2.5, 1e-9, -3.25])).tolist() == [0, 65536, 163840, 0, -212992]


def test_penalties_are_rounded_to_whole_parts_of_a_row_and_kept_within_what_scores_hold():
    assert [score_penalty(rows) for rows in (0.0, 1.0, 2.5, 1e-9, -3.25)] == [0, 65536, 163840, 0, 0]
    assert [score_penalty(rows) for rows in (2.0**40, 2.0**41, float("inf"))] == [LARGEST_PENALTY] * 3
