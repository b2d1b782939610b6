"""Costs round up, budgets round down, and the unit is one that is proved."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import SpecError
from dpsynth.privacy import GDP, NOTHING, RHO_UNIT, ZCDP, Guarantee, PrivacyUnit, Rho, gaussian_charge, gaussian_rho, noisy_max_rho, plain

amounts = st.fractions(0, 10**6)
GRID = Fraction(1, RHO_UNIT)


@given(amounts)
def test_costs_round_up_and_budgets_down_by_less_than_one_step(exact):
    up, down = Rho.up(exact).value, Rho.down(exact).value
    assert down <= exact <= up
    assert up - down in (0, GRID)
    assert (up == down) == ((exact / GRID).denominator == 1)


@given(amounts, amounts)
def test_sums_and_differences_are_exact(one, other):
    a, b = Rho.up(one), Rho.up(other)
    assert (a + b).value == a.value + b.value
    assert (a + b) - b == a


@given(amounts, st.integers(1, 50))
def test_shares_never_add_up_to_more(budget, parts):
    whole = Rho.down(budget)
    assert whole.share(Fraction(1, parts)).value * parts <= whole.value


@pytest.mark.parametrize("value", [Fraction(-1), Fraction(1, 3), Fraction(1, 1 << 61)])
def test_a_cost_off_the_grid_or_below_zero_is_refused(value):
    with pytest.raises(SpecError, match="multiple of 2\\^-60"):
        Rho(value)


def test_more_cannot_be_taken_than_there_is():
    with pytest.raises(SpecError):
        NOTHING - Rho.up(GRID)


@given(st.integers(1, 1 << 20), st.floats(0.01, 2.0**40))
def test_the_cost_of_noise_is_never_below_the_exact_one(sensitivity, scale):
    exact = Fraction(sensitivity) ** 2 / (2 * Fraction(scale) ** 2)
    more = exact * (1 + 1 / (9 * Fraction(scale) ** 2))
    assert 0 <= gaussian_rho(sensitivity, Fraction(scale)).value - more < GRID
    assert 0 <= noisy_max_rho(sensitivity, Fraction(scale)).value - exact < GRID
    assert gaussian_charge(scale) == pytest.approx(float(2 * more / sensitivity**2), rel=1e-12)


@pytest.mark.parametrize("max_rows", [0, -1, 1.0, True, "2", (1 << 20) + 1])
def test_units_that_make_no_sense_are_refused_with_what_to_do(max_rows):
    with pytest.raises(SpecError, match=r"unit.max_rows must be a whole number from 1 to 1048576"):
        PrivacyUnit("person", max_rows)


def test_several_rows_need_a_column_that_names_the_person():
    with pytest.raises(SpecError, match=r"name the person's column in unit\.id"):
        PrivacyUnit("", 2)


def test_other_neighbours_are_refused():
    with pytest.raises(SpecError, match=r'unit\.neighbours must be "add-remove"'):
        PrivacyUnit(neighbours="change-one")


@given(st.fractions(Fraction(1, 10**30), 10**20))
def test_printed_claims_are_never_below_the_true_ones(value):
    printed = Fraction(plain(value))
    assert value <= printed <= value * Fraction(100001, 100000)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1", "1"), ("0", "0"), ("1e-9", "1e-9"), ("0.1", "0.1"), ("1000", "1000"), ("1e400", "1e+400"), ("1.0000001", "1.00001")],
)
def test_claims_are_printed_as_people_write_them(value, text):
    assert plain(Fraction(value)) == text


def test_a_guarantee_reads_as_a_sentence_that_rounds_up():
    epsilon, rho = Fraction(10000001, 10000000), Rho.up(Fraction(1, 3))
    claim = Guarantee(epsilon, Fraction(1, 10**9), rho, Fraction(10), ZCDP, epsilon)
    assert claim.sentence() == "(1.00001, 1e-9)-differential privacy, by 0.333334-zCDP"
    claim = Guarantee(epsilon, Fraction(1, 10**9), rho, Fraction(10), GDP, Fraction(4, 3))
    assert claim.sentence() == "(1.00001, 1e-9)-differential privacy, by mu-GDP with mu^2 = 0.666667 (zCDP alone: epsilon 1.33334)"


def test_units_read_as_sentences():
    assert PrivacyUnit().sentence() == "one row, taken to be one person"
    assert "at most 3 rows of each" in PrivacyUnit("id", 3).sentence()
    assert "at most one row" in PrivacyUnit("id", 1).sentence()
