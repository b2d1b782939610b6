"""Quantiles: scores on all small tables and their neighbours, exact leakage, and how often each cut is chosen."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats

from dpsynth.core.curator import Curator
from dpsynth.core.mechanisms import cut, quantile_scores
from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.privacy import GDP, NOTHING, ZCDP, PrivacyUnit, Rho
from dpsynth.questions import ROWS_LIMIT, QuantileQuestion
from tests.core.rows import GivenTables, ListedRows

ORDERS = (1.01, 1.5, 2.0, 4.0, 16.0, 64.0)
PARTS = [(1, 2), (1, 3), (2, 3), (1, 32), (31, 32), (3, 7)]
FALSE_ALARM = 1e-7


def unit_of(rows):
    return PrivacyUnit("id", rows) if rows > 1 else PrivacyUnit()


def tables(cells, rows):
    return [np.array(t, dtype=np.int64) for t in product(range(rows + 1), repeat=cells) if sum(t) <= rows]


def neighbours(cells, rows, k):
    return [(table, table + more) for table in tables(cells, rows) for more in tables(cells, k) if more.any()]


@pytest.mark.parametrize(("part", "parts"), PARTS)
@pytest.mark.parametrize("k", [1, 2])
def test_one_unit_moves_a_score_by_at_most_what_is_charged_and_the_bound_is_met(part, parts, k):
    question = QuantileQuestion("a", 4, part, parts, 10.0)
    moves = [np.abs(quantile_scores(b, part, parts) - quantile_scores(a, part, parts)).max() for a, b in neighbours(4, 3, k)]
    assert max(moves) == question.sensitivity(unit_of(k)) == k * max(part, parts - part) << 16


def test_a_score_is_best_where_the_share_is_met_and_exact_at_any_size():
    counts = np.array([10, 30, 40, 20], dtype=np.int64)
    assert (quantile_scores(counts, 2, 5) >> 16).tolist() == [-150, 0, -200]
    huge = np.array([ROWS_LIMIT - 2, 1], dtype=np.int64)
    assert quantile_scores(huge, 1, 32).tolist() == [-((31 * (ROWS_LIMIT - 2) - 1) << 16)]
    assert quantile_scores(np.array([0, ROWS_LIMIT - 1]), 31, 32).tolist() == [-(31 * (ROWS_LIMIT - 1) << 16)]


def log_softmax(scores, scale):
    x = scores.astype(np.float64) / scale
    return x - x.max() - math.log(np.exp(x - x.max()).sum())


def renyi(p, q, order):
    terms = order * p - (order - 1) * q
    return (terms.max() + math.log(np.exp(terms - terms.max()).sum())) / (order - 1)


@pytest.mark.parametrize(("part", "parts"), PARTS)
@pytest.mark.parametrize("k", [1, 2])
def test_a_cut_leaks_no_more_than_its_event_claims(part, parts, k):
    worst = 0.0
    for scale in (0.7, 3.0):
        question = QuantileQuestion("a", 3, part, parts, scale * max(part, parts - part))
        rho = float(question.cost(unit_of(k)).value)
        for pair in neighbours(3, 3, k):
            p, q = (log_softmax(quantile_scores(table, part, parts), question.noise_scale()) for table in pair)
            worst = max(worst, *(max(renyi(p, q, order), renyi(q, p, order)) / (order * rho) for order in ORDERS))
    assert worst <= 1 + 1e-12
    assert worst > 0.2  # the bound is not vacuous


def test_cuts_fall_as_often_as_the_exponential_mechanism_says():
    rows = [(cell,) for cell, times in enumerate((3, 1, 4, 2)) for _ in range(times)]
    domain = Domain(("a",), (5,))
    question = QuantileQuestion("a", 4, 1, 3, 6.0)
    curator = Curator(ListedRows(domain, [*rows, (4,), (4,)]), PrivacyUnit(), Rho.up(question.cost(PrivacyUnit()).value * 4000))
    picks = [curator.ask(question).selected for _ in range(4000)]
    expected = 4000 * np.exp(log_softmax(quantile_scores(np.array([3, 1, 4, 2]), 1, 3), question.noise_scale()))
    assert stats.chisquare(np.bincount(picks, minlength=3), expected).pvalue > FALSE_ALARM


def test_spikes_and_cells_after_the_ordered_ones_take_no_part():
    events = []
    question = QuantileQuestion("a", 4, 1, 2, 0.02, apart=(0,))
    counts = np.array([10**6, 100, 1, 100], dtype=np.int64)
    assert {cut(counts, question, PrivacyUnit(), events.append) for _ in range(20)} <= {1, 2}
    assert counts[0] == 10**6  # the exact table is not changed
    event = events[0]
    assert (event.mechanism, event.clique, event.sensitivity, event.outcomes) == ("noisy-max", (), 1 << 16, 3)
    assert (event.rho, event.delta) == (question.cost(PrivacyUnit()), 0)


def test_a_table_beyond_the_limit_is_refused_before_any_draw():
    domain = Domain(("a",), (2,))
    curator = Curator(GivenTables(domain, {("a",): np.array([ROWS_LIMIT, 0])}), PrivacyUnit(), Rho(Fraction(10)))
    with pytest.raises(OverflowError):
        curator.ask(QuantileQuestion("a", 2, 1, 2, 9.0))
    assert curator.transcript().spent() == NOTHING


def test_a_quantile_is_no_gaussian_answer_and_of_cells_that_are_there():
    domain = Domain(("a", "b"), (2, 3))
    asked = QuantileQuestion("a", 2, 1, 2, 9.0)
    with pytest.raises(Exception, match="Gaussian"):
        Curator(ListedRows(domain, []), PrivacyUnit(), Rho(Fraction(10)), GDP).ask(asked)
    curator = Curator(ListedRows(domain, []), PrivacyUnit(), Rho(Fraction(10)), ZCDP)
    for question in (QuantileQuestion("a", 3, 1, 2, 9.0), QuantileQuestion("c", 2, 1, 2, 9.0)):
        with pytest.raises(SpecError):
            curator.ask(question)
    assert curator.transcript().spent() == NOTHING


@pytest.mark.parametrize("facts", [(4, 0, 2), (4, 2, 2), (4, 1, 33), (1, 1, 2), (4, 1.0, 2), (4, 1, 2, 9), (4, True, 2)])
def test_a_question_for_a_quantile_has_sensible_numbers(facts):
    cells, part, parts, *apart = facts
    with pytest.raises(SpecError):
        QuantileQuestion("a", cells, part, parts, 9.0, tuple(apart))
