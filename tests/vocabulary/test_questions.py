"""Questions refuse what cannot be charged or answered exactly; equal questions have equal names."""

from fractions import Fraction

import numpy as np
import pytest

from dpsynth.errors import SpecError
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, gaussian_rho
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, SelectionQuestion, sigma_for

ZEROS = np.zeros(2, dtype=np.int64)


def selection(estimates=(ZEROS, ZEROS), weights=(1, 2), scale=5.0, penalties=()):
    return SelectionQuestion((("a",), ("b",)), estimates, weights, scale, penalties)


def errors(estimates=(ZEROS, ZEROS), sigma=5.0, cliques=(("a",), ("b",))):
    return ErrorsQuestion(cliques, estimates, sigma)


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.009, 2.0**41, float("nan"), float("inf"), 1, True, Fraction(1), "5.0", None, np.float32(5)])
def test_scales_that_are_no_sensible_float_are_refused(scale):
    with pytest.raises(SpecError, match=r"must be a float from 0\.01 to"):
        MarginalQuestion((("a",),), (scale,))
    with pytest.raises(SpecError, match=r"must be a float from 0\.01 to"):
        selection(scale=scale)
    with pytest.raises(SpecError, match=r"must be a float from 0\.01 to"):
        errors(sigma=scale)


def test_numpys_floats_are_taken_as_the_number_they_are():
    question = MarginalQuestion((("a",),), (np.float64(5),))
    assert type(question.sigmas[0]) is float
    assert question == MarginalQuestion((("a",),), (5.0,))
    assert type(errors(sigma=np.float64(5)).sigma) is float


@pytest.mark.parametrize("weight", [0, -1, 33, 1.0, True, np.int64(1), "1", None, Fraction(1)])
def test_weights_that_are_no_small_whole_number_are_refused(weight):
    with pytest.raises(SpecError, match="must be a whole number from 1 to 32"):
        selection(weights=(1, weight))


@pytest.mark.parametrize("penalty", [-1, (1 << 56) + 1, 1.0, True, np.int64(1), "1", None, Fraction(1), float("nan")])
def test_penalties_that_are_no_whole_number_of_at_most_two_to_the_40_rows_are_refused(penalty):
    with pytest.raises(SpecError, match=r"the penalty of \['b'\] must be a whole number from 0 to 72057594037927936 \(2\^40 rows\)"):
        selection(penalties=(1, penalty))


def test_penalties_are_one_a_candidate_or_none_and_cost_nothing():
    for some in ((1,), (1, 2, 3)):
        with pytest.raises(SpecError, match="one penalty or none at all"):
            selection(penalties=some)
    assert selection().penalties == selection(penalties=[0, 0]).penalties == (0, 0)
    given = [7, 8]
    question = selection(penalties=given)
    given[0] = 0
    assert question.penalties == (7, 8)
    assert question.cost(PrivacyUnit()) == selection().cost(PrivacyUnit())


def test_a_question_without_penalties_is_named_as_before_there_were_any():
    """The digest that releases made before penalties have on record."""
    asked = selection(estimates=(ZEROS, np.array([0, 1], dtype=np.int64)))
    assert asked.digest() == "85bb4a5946b78672461107f4fb4e22b7ab6a1f65d0b30fa2263a5cf8a84fe5cb"
    assert selection(penalties=(0, 0)).digest() == selection().digest()


@pytest.mark.parametrize("estimate", [np.zeros(2), np.zeros(2, dtype=np.int32), np.zeros((1, 2), dtype=np.int64), [0, 0], None, 5])
def test_estimates_that_are_no_int64_cells_are_refused(estimate):
    with pytest.raises(SpecError, match="must be int64"):
        selection(estimates=(ZEROS, estimate))
    with pytest.raises(SpecError, match="must be int64"):
        errors(estimates=(ZEROS, estimate))


def test_errors_need_tables_and_one_estimate_for_each_of_at_most_two_to_the_40_rows():
    with pytest.raises(SpecError, match="errors are measured of at least one table"):
        errors((), cliques=())
    with pytest.raises(SpecError, match="tables with an estimate each, got 1 tables and 2 estimates"):
        errors(cliques=(("a",),))
    most = np.array([1 << 55, -(1 << 55)], dtype=np.int64)
    errors((ZEROS, most))
    for beyond in (most + np.array([1, 0]), np.array([-(1 << 63), 0]), np.array([1 << 62, 1 << 62])):
        with pytest.raises(SpecError, match=r"the estimate of \['b'\] holds more than 2\^40 rows"):
            errors((ZEROS, beyond))


def test_an_estimate_changed_after_errors_were_asked_for_changes_nothing():
    estimate = np.zeros(2, dtype=np.int64)
    question = errors((ZEROS, estimate))
    before = question.digest()
    estimate[:] = 7
    assert question.digest() == before
    with pytest.raises(ValueError, match="WRITEABLE"):
        question.estimates[1].setflags(write=True)


def test_a_selection_needs_candidates_and_one_estimate_and_weight_for_each():
    with pytest.raises(SpecError, match="a selection chooses from at least one table"):
        SelectionQuestion((), (), (), 5.0)
    with pytest.raises(SpecError, match="tables with an estimate each, got 1 tables and 2 estimates"):
        SelectionQuestion((("a",),), (ZEROS, ZEROS), (1,), 5.0)
    with pytest.raises(SpecError, match="needs one weight a candidate"):
        SelectionQuestion((("a",),), (ZEROS,), (1, 1), 5.0)
    with pytest.raises(SpecError, match="a sigma is needed for each"):
        MarginalQuestion((("a",), ("b",)), (5.0,))


def test_costs_follow_the_formulas():
    unit = PrivacyUnit("id", 3)
    two, four = Fraction(9, 8) * (1 + Fraction(1, 36)), Fraction(9, 32) * (1 + Fraction(1, 144))
    assert MarginalQuestion((("a",), ("b",)), (2.0, 4.0)).cost(unit) == Rho.up(two) + Rho.up(four)
    assert selection(weights=(1, 4), scale=8.0).cost(unit).value == Fraction((3 * 4) ** 2, 2 * 8**2)
    assert MarginalQuestion((), ()).cost(unit) == NOTHING
    each = gaussian_rho(3 << 16, Fraction(8 << 16))
    assert errors(sigma=8.0).cost(unit).value == 2 * each.value
    assert each.value == Rho.up(Fraction(9, 128) * (1 + Fraction(1, 9 * (8 << 16) ** 2))).value


def test_only_gaussian_noise_of_a_scale_of_at_least_one_is_gaussian():
    less = float(np.nextafter(1.0, 0.0))
    gaussian = [MarginalQuestion((("a",), ("b",)), (1.0, 2.0)), MarginalQuestion((), ()), errors(sigma=0.01)]
    others = [MarginalQuestion((("a",), ("b",)), (2.0, less)), selection(), selection(scale=1e6)]
    assert [question.gaussian() for question in gaussian + others] == [True] * 3 + [False] * 3


def test_digests_tell_questions_apart():
    other = np.array([0, 1], dtype=np.int64)
    questions = [
        MarginalQuestion((("a",),), (5.0,)),
        MarginalQuestion((("b",),), (5.0,)),
        MarginalQuestion((("a",),), (5.000000000000001,)),
        MarginalQuestion((("a",), ("b",)), (5.0, 5.0)),
        MarginalQuestion((("a", "b"),), (5.0,)),
        selection(),
        selection(estimates=(ZEROS, other)),
        selection(estimates=(other, ZEROS)),
        selection(weights=(2, 1)),
        selection(scale=5.5),
        selection(penalties=(0, 1)),
        selection(penalties=(1, 0)),
        selection(penalties=(1, 1)),
        errors(),
        errors(sigma=5.5),
        errors((ZEROS, other)),
        errors((other, ZEROS)),
        errors((ZEROS,), cliques=(("a",),)),
    ]
    assert len({question.digest() for question in questions}) == len(questions)
    assert selection().digest() == selection(estimates=(ZEROS.copy(), ZEROS.astype(np.int64)[::1])).digest()


def test_a_strided_estimate_is_read_in_order():
    strided = np.arange(6, dtype=np.int64)[::3]
    assert selection(estimates=(ZEROS, strided)).estimates[1].tolist() == [0, 3]


def test_a_budget_too_small_to_ask_anything_is_refused():
    with pytest.raises(SpecError, match=r"too small to ask anything: raise budget.epsilon"):
        sigma_for(Rho.up(Fraction(1, 10**30)), PrivacyUnit(), 2)


def test_the_sigma_of_a_budget_is_the_least_that_fits():
    for cap in (Fraction(1, 10**6), Fraction(1, 7), Fraction(50)):
        sigma = sigma_for(Rho.down(cap), PrivacyUnit())
        assert MarginalQuestion(((),), (sigma,)).cost(PrivacyUnit()).value <= cap
        assert MarginalQuestion(((),), (sigma * (1 - 1e-12),)).cost(PrivacyUnit()) > Rho.down(cap)
