"""What the report says of targets, weights and the choice of pairs, and that it stays short for many of them."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.privacy import PrivacyUnit
from dpsynth.questions import ErrorsQuestion
from dpsynth.reports.accuracy import LISTED, accuracy_view
from dpsynth.reports.html import render
from dpsynth.reports.pairs import pairs_view
from dpsynth.reports.wording import DASH, TIMES
from dpsynth.transcript import Answer, Event, Exchange, Transcript
from dpsynth.wishes import Promise, TableWeight, Target
from tests.reports.made_up import Independent, made_up_bundle, noisy_tables
from tests.reports.test_html import SMALL, Page

PLANNED, TARGETED = "measured, as planned", "with an accuracy target were measured in any case"


class Dependent(Independent):
    """All columns equal the first one's cell, as far as they have it."""

    def marginal(self, clique):
        if len(clique) != 2:
            return super().marginal(clique)
        a, b = self.domain.shape(clique)
        strength = 1 / (1 + self.domain.position[clique[0]] + self.domain.position[clique[1]])
        apart = np.full((a, b), 1 / (a * b))
        together = np.zeros((a, b))
        together[np.arange(min(a, b)), np.arange(min(a, b))] = 1 / min(a, b)
        return self.total * (strength * together + (1 - strength) * apart).ravel()


def model(columns, cells=2, total=1000.0):
    names = tuple(f"c{i}" for i in range(columns))
    return Dependent(Domain(names, (cells,) * columns), {name: np.full(cells, 1 / cells) for name in names}, total)


def distances(pairs):
    """One exchange that tells how far pairs are from independence."""
    question = ErrorsQuestion(tuple(pairs), (np.zeros(1, dtype=np.int64),) * len(pairs), 50.0)
    cost = question.cost(PrivacyUnit())
    event = Event("gaussian-errors", (), question.sensitivity(PrivacyUnit()), Fraction(50) * 2**16, len(pairs), cost, question.digest())
    return Exchange(question.digest(), Answer(errors=np.zeros(len(pairs), dtype=np.int64)), (event,))


def view(fitted, *asked, strategy="all-pairs", targets=(), errors=False):
    """asked: one list of cliques for each exchange."""
    rng = np.random.default_rng(3)
    exchanges = [noisy_tables(fitted, cliques, rng, 20.0) for cliques in asked if cliques]
    extra = [distances(all_pairs(fitted))] if errors else []
    return pairs_view(strategy, targets, Transcript((*extra, *exchanges)), fitted)


def all_pairs(fitted):
    return list(combinations(fitted.domain.columns, 2))


def said(shown):
    return " ".join(shown.why)


def test_all_pairs_as_planned_are_counted_and_not_listed():
    fitted = model(5)
    once = view(fitted, all_pairs(fitted))
    assert once.why == (f"All 10 pairs of columns were {PLANNED}.",)
    twice = view(fitted, all_pairs(fitted), all_pairs(fitted)[:3])
    assert "3 of them got a second look" in said(twice)
    assert once.lines == twice.lines == ()


@pytest.mark.parametrize("errors", [False, True])
def test_a_thin_release_lists_what_was_worth_its_noise_by_dependence(errors):
    fitted = model(5)
    shown = view(fitted, [("c3", "c4"), ("c0", "c1"), ("c1", "c2")], errors=errors)
    assert said(shown).startswith("3 of 10 pairs were worth their noise: the noisy single columns showed too few rows")
    assert ("so that was not asked" in said(shown)) is not errors
    assert ("A noisy answer told how far" in said(shown)) is errors
    assert "The model holds the other 7 near independence" in said(shown)
    assert [line.what for line in shown.lines] == [f"c0 {TIMES} c1", f"c1 {TIMES} c2", f"c3 {TIMES} c4"]
    assert shown.lines[0].apart == "0.250"  # half of sum |joint - product|, with half of the rows on the diagonal
    assert shown.lines[0].sigma == "20.0"
    assert shown.lines[0].noise == "0.0319"  # 4 cells sqrt(2/pi) 20 / 2000
    assert PLANNED not in said(shown)


def test_all_pairs_may_be_worth_their_noise():
    fitted = model(4)
    shown = view(fitted, all_pairs(fitted), errors=True)
    assert said(shown).startswith("6 of 6 pairs were worth their noise")
    assert "near independence" not in said(shown)


def test_a_second_answer_makes_a_pair_more_precise_and_is_no_second_pair():
    fitted = model(3)
    shown = view(fitted, [("c0", "c1")], [("c0", "c1")])
    assert said(shown).startswith("1 of 3 pairs was worth its noise")
    assert [line.sigma for line in shown.lines] == ["14.1"]


def test_no_pair_at_all():
    shown = view(model(3), [("c0",)])
    assert said(shown).startswith("None of 3 pairs was worth its noise")
    assert "holds all pairs independent" in said(shown)
    assert shown.lines == ()


def test_targets_on_pairs_are_named_as_a_reason():
    fitted = model(4)
    assert TARGETED in said(view(fitted, [("c0", "c1")], targets=[("c0", "c1")]))
    assert TARGETED not in said(view(fitted, [("c0", "c1")], targets=[("c0",)]))


def test_wide_tables_say_so_and_stay_short():
    fitted = model(26)
    shown = view(fitted, all_pairs(fitted)[:100], errors=True)
    assert said(shown).startswith("100 of 325 pairs were worth their noise: of more than 300, most depend too little")
    assert len(shown.lines) == 40
    assert shown.left == 60


def test_no_distances_where_the_noisy_total_is_not_positive():
    shown = view(model(3, total=0.0), [("c0", "c1")])
    assert (shown.lines[0].noise, shown.lines[0].apart) == (DASH, DASH)


@pytest.mark.parametrize("columns", [1, 2])
def test_tables_without_a_choice_of_pairs(columns):
    fitted = model(columns)
    shown = view(fitted, [("c0",), *all_pairs(fitted)])
    assert said(shown) == ("" if columns == 1 else f"The only pair of columns was {PLANNED}.")


def test_strategies_that_choose_tables_are_not_said_to_plan_them(tmp_path):
    text = Page(render(made_up_bundle(tmp_path, SMALL))).words
    assert "2 of 3 pairs of columns were measured, chosen by 2 noisy selections." in text
    alone = view(model(3), [("c0",)], strategy="independent")
    assert said(alone) == "None of the 3 pairs of columns was measured by itself."


# --- targets and weights ----------------------------------------------------------------------------------------------------------------


def promise(*columns, within="0.02", kept="0.0173301", confidence="0.95"):
    return Promise(Target(columns, Fraction(within), Fraction(confidence)), Fraction(kept))


def test_targets_and_weights_are_shown_where_there_are_any(tmp_path):
    weights = (TableWeight(("age",), Fraction(1, 5)), TableWeight(("age", "member"), Fraction(4)))
    bundle = made_up_bundle(tmp_path, SMALL, promises=(promise("age", "color"),), weights=weights, rows_about=30_000)
    text = Page(render(bundle)).words
    assert f"age {TIMES} color 2% 1.74% 95%" in text  # rounded up
    assert f"age {TIMES} member: an error counts 4 times age: an error counts 0.2 times" in text
    assert "the guess of 30000 rows in the source" in text


def test_neither_is_mentioned_where_there_are_none(tmp_path):
    text = Page(render(made_up_bundle(tmp_path, SMALL))).words
    assert "Accuracy that was asked for" not in text
    assert "Tables that count more" not in text


def test_hundreds_of_targets_are_counted(tmp_path):
    many = (promise("age"),) * (LISTED + 200)
    weights = tuple(TableWeight((f"c{i}",), Fraction(i + 1, 10)) for i in range(LISTED + 7))
    bundle = made_up_bundle(tmp_path, SMALL, promises=many, weights=weights, rows_about=10)
    shown = accuracy_view(bundle.facts)
    assert (len(shown.targets), shown.targets_left) == (LISTED, 200)
    assert (len(shown.weights), shown.weights_left) == (LISTED, 7)
    assert shown.weights[0] == (f"c{LISTED + 6}", "4.7")
    assert "and 200 more, listed in release.json" in Page(render(bundle)).words


def test_a_kept_share_is_never_rounded_below_the_truth():
    facts = {"targets": [promise("age", kept="1/3").facts(), promise("age", kept="1/3000000").facts()], "weights": []}
    assert [line.kept for line in accuracy_view(facts).targets] == ["33.4%", "3.34e-05%"]
