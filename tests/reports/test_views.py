"""The numbers behind the page."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.kinds import Code
from dpsynth.reports.charts import LETTER, Profile, Scale, columns_chart, rows_chart
from dpsynth.reports.comparison import combined, compared, dependence, largest_first, most_dependent, profile_of
from dpsynth.reports.costs import cost_view, expected_error_rows
from dpsynth.reports.guarantee import found_at_most
from dpsynth.reports.heat import LEVELS, heat_map
from dpsynth.reports.wording import DASH, MINUS, TIMES, axis_number, count, factor_up, letters, percent, percent_up, shortened, shown
from dpsynth.transcript import Measurement
from tests.reports.made_up import Independent, noisy_tables, selection

DOMAIN = Domain(("a", "b", "c"), (2, 3, 2))


class Joint:
    """A model given by its whole table."""

    def __init__(self, table, total):
        self.domain, self.table, self.total = DOMAIN, table / table.sum() * total, total

    def marginal(self, clique):
        away = tuple(i for i, column in enumerate(DOMAIN.columns) if column not in clique)
        return self.table.sum(axis=away).ravel()


def profile(values, measured=None, sigma=1.0):
    labels = tuple(f"cell {i}" for i in range(len(values)))
    noisy = None if measured is None else np.array(measured, dtype=float)
    return Profile("p", labels, np.array(values, dtype=float), noisy, None if noisy is None else np.full(len(values), sigma))


@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(1, 1000), Fraction(1), Fraction(5, 2), Fraction(13)])
def test_the_factor_is_rounded_up_to_three_digits(epsilon):
    printed = float(factor_up(epsilon).replace(",", ""))
    assert math.exp(epsilon) <= printed * (1 + 1e-12)
    assert printed <= math.exp(epsilon) * 1.01


@pytest.mark.parametrize("epsilon", [14, 20, 600])
def test_a_huge_factor_is_rounded_up_to_a_power_of_ten(epsilon):
    power = int(factor_up(Fraction(epsilon)).removeprefix("10^"))
    assert 10.0 ** (power - 1) < math.exp(epsilon) <= 10.0**power


@pytest.mark.parametrize("epsilon", [Fraction(1, 10), Fraction(1), Fraction(6)])
@pytest.mark.parametrize("alarms", [0.0, 0.01, 0.3, 0.9, 1.0])
def test_no_test_finds_more_than_both_orders_of_the_neighbours_allow(epsilon, alarms):
    delta, e = 1e-3, math.exp(epsilon)
    found = found_at_most(epsilon, Fraction(1, 1000), alarms)
    missed = 1 - found
    assert alarms + e * missed >= 1 - delta - 1e-9
    assert e * alarms + missed >= 1 - delta - 1e-9
    tight = [abs(alarms + e * missed - (1 - delta)), abs(e * alarms + missed - (1 - delta)), missed]
    assert min(tight) < 1e-9


def test_randomised_response_reaches_the_bound():
    truth = math.exp(1) / (1 + math.exp(1))
    assert found_at_most(Fraction(1), Fraction(0), 1 - truth) == pytest.approx(truth)


def test_costs_add_up_and_equal_selections_stand_together():
    rng, model = np.random.default_rng(0), Independent(DOMAIN, {"a": np.ones(2), "b": np.ones(3), "c": np.ones(2)}, 12.0)
    exchanges = [
        noisy_tables(model, [("a",), ("b", "c")], rng, 10.0),
        *(selection(("a", "b"), n, 20.0) for n in (3, 2)),
        selection(("a", "c"), 3, 40.0),
    ]
    events = [event for exchange in exchanges for event in exchange.events]
    cap = 2 * sum(event.rho.value for event in events)
    view = cost_view(events, cap)
    assert [line.what for line in view.lines] == [
        "a",
        f"b {TIMES} c",
        "2 selections of a table to measure",
        "1 selection of a table to measure",
    ]
    assert [line.size for line in view.lines] == ["2", "6", f"2{DASH}3 candidates", "3 candidates"]
    assert [line.sigma for line in view.lines] == ["10.0", "10.0", "20.0", "40.0"]
    assert [part.kind for part in view.parts] == ["one", "pair", "choice", "unspent"]
    assert sum(part.width for part in view.parts) == pytest.approx(100, abs=0.01)
    assert view.parts[-1].share == "50.0%"
    assert view.answers == "5 answers"


def test_expected_error_is_the_mean_of_absolute_noise():
    draws = np.abs(np.random.default_rng(3).normal(0, 7, 1_000_000))
    assert expected_error_rows(7) == pytest.approx(draws.mean(), rel=0.005)


def test_answers_to_the_same_question_are_averaged_by_precision():
    found = combined([Measurement(("a",), np.array([10, 0]), 1.0), Measurement(("a",), np.array([20, 5]), 2.0)])
    values, sigma = found["a",]
    assert values.tolist() == pytest.approx([12, 1])
    assert sigma == pytest.approx(math.sqrt(1 / 1.25))


def test_distance_is_half_the_absolute_difference_over_the_rows():
    model = Joint(np.ones((2, 3, 2)), 120.0)
    apart = compared(("a",), np.array([70.0, 40.0]), 6.0, model)
    assert apart.distance == pytest.approx((10 + 20) / 2 / 120)
    assert apart.noise == pytest.approx(2 * expected_error_rows(6.0) / 2 / 120)
    assert not apart.far
    assert compared(("a",), np.array([120.0, 0.0]), 6.0, model).far


def test_noise_alone_is_rarely_marked():
    rng, model = np.random.default_rng(5), Joint(np.ones((2, 3, 2)), 6000.0)
    marked = sum(compared(("a", "b"), 1000 + rng.normal(0, 30, 6), 30.0, model).far for _ in range(2000))
    assert marked < 20


def test_the_most_dependent_pairs_come_first():
    table = np.ones((2, 3, 2))
    table[0, :, 0] = 9
    table[0, 0, 0] = 4
    model = Joint(table, 100.0)
    assert dependence(("a", "c"), model) > dependence(("b", "c"), model) > 0
    assert most_dependent([("b", "c"), ("a",), ("a", "c"), ("a", "b", "c")], model)[0] == ("a", "c")
    assert dependence(("a", "b"), Joint(np.ones((2, 3, 2)), 5.0)) == pytest.approx(0)


def test_joined_cells_keep_rows_and_variance():
    column = Code(name="a", codes=5)
    joined = profile_of(column, (np.array([1.0, 2, 3, 4, 5]), 2.0), np.arange(5.0), 3)
    assert joined.labels == ("0 … 1", "2 … 3", "4")
    assert joined.modelled.tolist() == [1, 5, 4]
    assert joined.measured.tolist() == [3, 7, 5]
    assert joined.sigmas.tolist() == pytest.approx([2 * math.sqrt(2), 2 * math.sqrt(2), 2])


def test_largest_first_moves_everything_together():
    ordered = largest_first(profile([1, 5, 3], [2, 6, 4]))
    assert ordered.labels == ("cell 1", "cell 2", "cell 0")
    assert ordered.measured.tolist() == [6, 4, 2]


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-30, 12_345), (0, 3e6), (-5, 0.4)])
def test_ticks_are_few_and_lie_on_the_scale(root, low, high):
    scale = Scale(low, high, 0, 100, root)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert all(-0.1 <= scale.place(tick) <= 100.1 for tick in ticks)
    assert 0.0 in ticks
    assert scale.place(low) == 0
    assert scale.place(high) == 100


@pytest.mark.parametrize("draw", [columns_chart, rows_chart])
@pytest.mark.parametrize("values", [[3], [0, 0], [0, 5, 1], [1] * 30, [1000, *[0] * 99]])
def test_a_chart_has_a_bar_a_dot_and_a_whisker_for_each_cell(draw, values):
    chart = draw(profile(values, [-2.0] * len(values)))
    assert chart.bars.count("M") == chart.dots.count("M") == chart.whiskers.count("M") == len(chart.spots) == len(values)
    alone = draw(profile(values))
    assert alone.dots == alone.whiskers == ""
    assert alone.bars.count("M") == len(values)


@pytest.mark.parametrize("cells", [1, 2, 7, 9, 40, 120])
@pytest.mark.parametrize("width", [1, 6, 30])
def test_labels_below_do_not_overlap(cells, width):
    labels = tuple(f"{i}".rjust(width, "x") for i in range(cells))
    chart = columns_chart(Profile("p", labels, np.ones(cells), None, None))
    below = sorted((text.x, letters(text.text) * LETTER / 2) for text in chart.texts if text.y > 180)
    assert below
    assert all(b - a >= half + other for (a, half), (b, other) in pairwise(below))


def test_shades_cover_exactly_the_positive_cells():
    table = np.array([[0.0, 4, 4], [-3, 100, 0.001]])
    found = heat_map(table, 100.0, ("x", "y"), ("p", "q", "r"))
    assert found.shades == ((round(2 / LEVELS, 3), "M1 0h2v1h-2z"), (1.0, "M1 1h1v1h-1z"))


def test_a_table_of_no_rows_has_no_shades():
    assert heat_map(np.zeros((2, 2)), 0.0, ("x", "y"), ("p", "q")).shades == ()


def test_numbers_for_people():
    assert [count(v) for v in (0, 0.004, 0.85, 12.34, 48842.4, -3.2)] == ["0", "0", "0.85", "12.3", "48,842", f"{MINUS}3.20"]
    assert [axis_number(v) for v in (0, -500, 20_000, 1.5e6)] == ["0", f"{MINUS}500", "20k", "1.5M"]
    assert [percent(v) for v in (0.0, 1e-9, 0.123, 0.9999, 1.0)] == ["0.0%", "under 0.1%", "12.3%", "over 99.9%", "100.0%"]
    assert [percent_up(v) for v in (0.0271, 0.5, 1.0)] == ["2.8%", "50%", "100%"]


def test_invisible_characters_are_spelled_out():
    assert shown("a\nb\u202e\x00\ud800") == "a\\nb\\u202e\\x00\\ud800"
    assert shown("Zürich 東京") == "Zürich 東京"
    assert shown(3) == 3


def test_wide_letters_count_twice():
    assert shortened("東京都千代田区", 8) == "東京都…"
    assert shortened("abcdefgh", 8) == "abcdefgh"
    assert shortened("abcdefghi", 8) == "abcdefg…"
    assert letters(shortened("東京都千代田区", 8)) <= 8
