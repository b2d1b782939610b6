"""Noisy errors: what they cost, how far a unit moves them, what is refused before a draw, and what leaves."""

from fractions import Fraction
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from dpsynth.core import mechanisms, noise
from dpsynth.core.curator import Curator
from dpsynth.domain import Domain
from dpsynth.errors import BudgetRefused, SpecError
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_rho
from dpsynth.questions import ROWS_LIMIT, SIGMA_LIMITS, ErrorsQuestion
from dpsynth.transcript import errors
from tests.core.rows import TWO_BY_TWO, GivenTables, ListedRows

ONE_ROW = 1 << 16
CLIQUES = ((), ("a",), ("b",), ("a", "b"))


def question_about(rows, sigma=10.0, cliques=CLIQUES):
    """rows: estimates in rows, one list a clique."""
    return ErrorsQuestion(cliques, tuple((np.array(each, dtype=np.float64) * ONE_ROW).astype(np.int64) for each in rows), sigma)


QUESTION = question_about(([1.5], [0, 0], [1.25, 0.5], [9, 0, 0.25, 1]))


@pytest.fixture
def exact(monkeypatch):
    """No noise: what the sampler was given, and with which scale, is seen."""
    drawn = []
    monkeypatch.setattr(noise, "discrete_gaussian", lambda counts, scale: (drawn.append((counts.tolist(), scale)), counts)[1])
    return drawn


@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize("sigma", [0.01, 1.0, 12.75, 1e6])
def test_errors_cost_one_error_each_and_no_less_than_opendp_says(k, sigma):
    unit, question = PrivacyUnit("id", k), question_about(([1], [0, 0], [0, 0], [1, 1, 0, 0]), sigma)
    events = []
    mechanisms.errors([np.zeros(n, dtype=np.int64) for n in (1, 2, 2, 4)], question, unit, events.append)
    (event,) = events
    scale = Fraction(sigma) * ONE_ROW
    assert (event.mechanism, event.clique, event.outcomes) == ("gaussian-errors", (), 4)
    assert (event.sensitivity, event.scale, event.question) == (k * ONE_ROW, scale, question.digest())
    assert event.rho == question.cost(unit) == Rho(gaussian_rho(k * ONE_ROW, scale).value * 4)
    exact = Fraction(k) ** 2 / (2 * Fraction(sigma) ** 2) * (1 + 1 / (9 * scale**2)) * 4
    assert 0 <= event.rho.value - exact < Fraction(4, 1 << 60)
    # Together they move by k 2^16 sqrt(4) in L2: that is what the sampler's own map is asked for.
    theirs = noise._gaussian(float(scale)).map(2.0 * k * ONE_ROW)
    assert float(event.rho.value) == pytest.approx(theirs * (1 + 1 / (9 * float(scale) ** 2)), rel=1e-12, abs=2.0**-57)
    assert float(event.rho.value) >= theirs * (1 - 1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_one_unit_moves_each_error_by_at_most_its_rows_and_the_bound_is_met(k, exact):
    unit, domain = PrivacyUnit("id", k), Domain(("a", "b"), (2, 2))
    cells = list(product(range(2), range(2)))
    reached = np.zeros(len(CLIQUES), dtype=np.int64)
    together = 0.0
    for size, more in product(range(3), range(1, k + 1)):
        for table in combinations_with_replacement(cells, size):
            for extra in combinations_with_replacement(cells, more):
                before, after = (errors_of(domain, rows, unit) for rows in (table, (*table, *extra)))
                moved = np.abs(after - before)
                assert np.all(moved <= QUESTION.sensitivity(unit))
                reached = np.maximum(reached, moved)
                together = max(together, float(np.linalg.norm(moved)))
    assert reached.tolist() == [k * ONE_ROW] * len(CLIQUES)
    assert together == k * ONE_ROW * len(CLIQUES) ** 0.5  # so that no less than the sum of four costs would be true


def errors_of(domain, rows, unit):
    return Curator(ListedRows(domain, rows), unit, Rho(Fraction(10))).ask(QUESTION).errors


def test_what_is_drawn_has_the_scale_of_the_event_and_answers_read_in_rows(exact):
    curator = Curator(ListedRows(TWO_BY_TWO, [(0, 0), (1, 1), (1, 1)]), PrivacyUnit(), Rho(Fraction(1)))
    found = errors(curator, QUESTION)
    assert found.tolist() == [1.5, 3.0, 0.25 + 1.5, 8.0 + 0 + 0.25 + 1.0]
    ((_, scale),) = exact
    (event,) = curator.transcript().events
    assert Fraction(scale) == event.scale == Fraction(10) * ONE_ROW
    assert curator.transcript().exchanges[0].answer.errors.dtype == np.int64


def test_errors_on_record_cannot_be_changed():
    curator = Curator(ListedRows(TWO_BY_TWO, []), PrivacyUnit(), Rho(Fraction(1)))
    with pytest.raises(ValueError, match="read-only"):
        curator.ask(QUESTION).errors[0] = 0


@pytest.mark.parametrize("table", [[ROWS_LIMIT, 0], [1 << 62, 1 << 62], [-(1 << 63), 0], [ROWS_LIMIT - 1, 1]])
def test_a_table_beyond_the_limit_is_refused_before_any_draw(table, monkeypatch):
    monkeypatch.setattr(noise, "discrete_gaussian", lambda *_: pytest.fail("drawn"))
    curator = Curator(GivenTables(TWO_BY_TWO, {("a",): np.array(table, dtype=np.int64)}), PrivacyUnit(), Rho(Fraction(1)))
    with pytest.raises(OverflowError):
        curator.ask(question_about(([0, 0],), cliques=(("a",),)))
    assert curator.remaining() == Rho(Fraction(1))
    assert curator.transcript().exchanges == ()


def test_the_largest_errors_with_the_largest_noise_can_be_asked_for():
    """Up to 2^57 with noise of scale 2^56: nothing wraps around. It passes 2^61 with probability below 1e-100."""
    estimate = np.array([0, -(ROWS_LIMIT << 16)], dtype=np.int64)
    question = ErrorsQuestion((("a",),) * 50, (estimate,) * 50, SIGMA_LIMITS[1])
    curator = Curator(GivenTables(TWO_BY_TWO, {("a",): np.array([ROWS_LIMIT - 1, 0], dtype=np.int64)}), PrivacyUnit(), Rho(Fraction(1)))
    found = curator.ask(question).errors
    exact = (ROWS_LIMIT - 1 << 16) + (ROWS_LIMIT << 16)
    assert np.abs(found - exact).max() < 1 << 61
    assert len(set(found.tolist())) == 50


def test_a_budget_for_all_but_one_error_answers_none(monkeypatch):
    monkeypatch.setattr(noise, "discrete_gaussian", lambda *_: pytest.fail("drawn"))
    cap = Rho(QUESTION.cost(PrivacyUnit()).value - Fraction(1, 1 << 60))
    curator = Curator(ListedRows(TWO_BY_TWO, []), PrivacyUnit(), cap)
    with pytest.raises(BudgetRefused, match="ask with more noise or fewer tables"):
        curator.ask(QUESTION)
    assert curator.remaining() == cap


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (question_about(([0, 0],), cliques=(("z",),)), "unknown columns \\['z'\\]"),
        (question_about(([0, 0],), cliques=(("a", "b"),)), "\\['a', 'b'\\] must have 4 cells, got 2"),
        (question_about(([0, 0, 0, 0],), cliques=(("b", "a"),)), "in the order of the domain"),
    ],
)
def test_errors_of_tables_outside_the_domain_are_refused_for_free(question, words, monkeypatch):
    monkeypatch.setattr(noise, "discrete_gaussian", lambda *_: pytest.fail("drawn"))
    curator = Curator(ListedRows(TWO_BY_TWO, []), PrivacyUnit(), Rho(Fraction(1)))
    with pytest.raises(SpecError, match=words):
        curator.ask(question)
    assert curator.remaining() == Rho(Fraction(1))
