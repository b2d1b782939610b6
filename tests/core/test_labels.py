"""Labels above a noisy threshold: exact output distributions on neighbours, tails against the true ones, and what a curator charges."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats

from dpsynth.core import mechanisms
from dpsynth.core.accountant import best_alpha, delta_bound, gaussian_delta, guarantee_for
from dpsynth.core.curator import Curator
from dpsynth.domain import Domain
from dpsynth.engines.codes import CodesEngine, Texts
from dpsynth.errors import BudgetRefused, ProtocolError, SpecError
from dpsynth.labels import LABEL_LETTERS, is_label
from dpsynth.privacy import GDP, NOTHING, ZCDP, PrivacyUnit, Rho, gaussian_rho, threshold_delta
from dpsynth.questions import LabelsQuestion, MarginalQuestion, threshold_for

FALSE_ALARM = 1e-7
TEXTS_DRAWN = 20_000


def unit_of(rows):
    return PrivacyUnit("id", rows) if rows > 1 else PrivacyUnit()


def shown_as(count, sigma, threshold):
    """Outcome -> probability of one text: None where it does not show, else its noisy count. Exact to the rounding of floats."""
    reach = range(-math.ceil(12 * sigma), math.ceil(12 * sigma) + 1)
    weights = {z: math.exp(-z * z / (2 * sigma**2)) for z in reach}
    total = math.fsum(weights.values())
    shown = {count + z: weight / total for z, weight in weights.items() if count + z >= threshold}
    return {None: 1 - math.fsum(shown.values()), **shown}


def answers(counts, sigma, threshold, at_most, texts="abc"):
    """Answer -> probability, over all that may leave: (text, noisy count) pairs as the mechanism orders them."""
    each = [shown_as(counts[text], sigma, threshold) if counts.get(text) else {None: 1.0} for text in texts]
    found: dict[tuple, float] = {}
    for outcome in product(*each):
        told = sorted(((text, n) for text, n in zip(texts, outcome, strict=True) if n is not None), key=lambda pair: (-pair[1], pair[0]))
        key = tuple(told[:at_most])
        found[key] = found.get(key, 0.0) + math.prod(part[n] for part, n in zip(each, outcome, strict=True))
    return found


def advantage(p, q, epsilon):
    """The least delta at which p is (epsilon, delta)-close to q."""
    return sum(max(0.0, mass - math.exp(epsilon) * q.get(answer, 0.0)) for answer, mass in p.items())


def conversion(rho, epsilon, track):
    exact = Fraction(epsilon).limit_denominator(1000)
    bound = gaussian_delta(rho.value, exact) if track == GDP else None
    return float(delta_bound(best_alpha(rho.value, exact), rho.value, exact) if bound is None else bound)


NEIGHBOURS = [
    (1, {}, {"a": 1}),
    (1, {"a": 6}, {"a": 7}),
    (1, {"a": 6, "b": 4}, {"a": 6, "b": 4, "c": 1}),
    (2, {}, {"a": 2}),
    (2, {}, {"a": 1, "b": 1}),
    (2, {"a": 7}, {"a": 8, "b": 1}),
    (2, {"a": 7, "b": 5}, {"a": 7, "b": 5, "c": 2}),
    (2, {"a": 7, "b": 5}, {"a": 9, "b": 5}),
]
SETTINGS = [(1.0, 5), (1.5, 8), (1.5, 6)]


@pytest.mark.parametrize(("rows", "without", "with_one"), NEIGHBOURS)
@pytest.mark.parametrize(("sigma", "beyond"), SETTINGS)
def test_no_two_neighbours_are_told_apart_better_than_claimed(rows, without, with_one, sigma, beyond):
    threshold = rows + beyond
    rho, given = gaussian_rho(rows, Fraction(sigma)), float(threshold_delta(rows, Fraction(sigma), threshold))
    for at_most in (1, 3):
        p, q = (answers(counts, sigma, threshold, at_most) for counts in (without, with_one))
        for epsilon in (0.0625, 0.5, 2.0, 5.0, 10.0):
            apart = max(advantage(p, q, epsilon), advantage(q, p, epsilon))
            assert apart <= conversion(rho, epsilon, GDP) + given
            assert apart <= conversion(rho, epsilon, ZCDP) + given


def test_without_its_delta_the_claim_would_be_false():
    p, q = (answers(counts, 1.5, 7, 3) for counts in ({}, {"a": 1}))
    rho = gaussian_rho(1, Fraction(3, 2))
    assert advantage(q, p, 10.0) > 1000 * conversion(rho, 10.0, GDP)
    assert advantage(q, p, 10.0) > float(threshold_delta(1, Fraction(3, 2), 7)) / 5  # what is charged is not far above the truth


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 17.3])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_delta_of_a_threshold_is_no_less_than_the_true_one(sigma, rows):
    for z in (2, 3.5, 6):
        threshold = math.ceil(rows + 1 + z * sigma)
        claimed = threshold_delta(rows, Fraction(sigma), threshold)
        true = rows * (1 - shown_as(rows, sigma, threshold)[None])
        tail = math.fsum(p for n, p in shown_as(rows, sigma, threshold).items() if n is not None)
        assert float(claimed) >= rows * tail
        assert float(claimed) <= max(rows * stats.norm.sf((threshold - rows - 1) / sigma), true) * (1 + 1e-5)


def test_a_delta_is_a_short_decimal_whatever_the_threshold():
    for threshold in (60, 100, 1000, 1 << 40):
        delta = threshold_delta(1, Fraction(10), threshold)
        assert delta > 0
        assert len(str(delta.denominator)) < 340
    assert threshold_delta(1, Fraction(10), 1000) == threshold_delta(1, Fraction(10), 1 << 40) == Fraction(1, 10**320)


def test_a_threshold_that_hides_nobody_is_refused():
    with pytest.raises(SpecError, match="hides nobody"):
        threshold_delta(1, Fraction(10), 21)
    assert threshold_delta(1, Fraction(10), 22) < Fraction(1, 40)


@pytest.mark.parametrize("delta", [Fraction(1, 50), Fraction(1, 10**6), Fraction(1, 10**10), Fraction(1, 10**300)])
@pytest.mark.parametrize("sigma", [1.0, 30.0])
def test_the_threshold_for_a_delta_is_the_least(delta, sigma):
    for rows in (1, 7):
        threshold = threshold_for(delta, unit_of(rows), sigma)
        assert threshold_delta(rows, Fraction(sigma), threshold) <= delta
        below = threshold - 1
        assert (below - rows - 1) / sigma < 2 or threshold_delta(rows, Fraction(sigma), below) > delta
    with pytest.raises(SpecError, match="too small"):
        threshold_for(Fraction(0), unit_of(1), sigma)


def found(counts, sigma=1.5, threshold=8, at_most=1 << 16, rows=1):
    return mechanisms.labels(counts, LabelsQuestion("c", sigma, threshold, at_most), unit_of(rows), lambda event: None)


def test_labels_show_as_often_as_the_noise_says():
    """20,000 texts of each count: how often they show, and with which noisy counts."""
    for count in (1, 6, 8):
        expected = shown_as(count, 1.5, 6)
        labels = found({f"t{i}": count for i in range(TEXTS_DRAWN)}, threshold=6)
        seen = dict(zip(*np.unique(labels.counts, return_counts=True), strict=True))
        assert min(seen, default=6) >= 6
        for noisy, probability in expected.items():
            times = TEXTS_DRAWN - len(labels.texts) if noisy is None else seen.get(noisy, 0)
            low, high = stats.binom.interval(1 - FALSE_ALARM / 300, TEXTS_DRAWN, probability)
            assert low <= times <= high


def test_a_text_that_nobody_holds_or_that_is_no_label_never_shows():
    odd = [
        "",
        "\0",
        "a\0b",
        "\x1b[31m",
        "a\nb",
        "\ud800",
        " padded",
        "padded ",
        "x" * (LABEL_LETTERS + 1),
        "\u200b",
        "a\u2028b",
        "nbsp\u00a0",
    ]
    labels = found({**dict.fromkeys(odd, 10**6), "nobody": 0, "real, 'text' \"<b>\"": 10**6, "x" * LABEL_LETTERS: 10**6})
    assert sorted(labels.texts) == sorted(["real, 'text' \"<b>\"", "x" * LABEL_LETTERS])
    assert not any(map(is_label, odd))


def test_labels_come_by_noisy_count_and_no_more_than_asked_for():
    counts = {f"t{i:03}": 1000 * (1 + i % 7) for i in range(200)}
    labels = found(counts, at_most=50)
    assert len(labels.texts) == 50
    assert all(counts[text] >= 6000 for text in labels.texts)
    order = list(zip((-labels.counts).tolist(), labels.texts, strict=True))
    assert order == sorted(order)
    with pytest.raises(ValueError, match="read-only"):
        labels.counts[0] = 1


def test_nothing_is_found_among_no_texts_and_it_is_charged():
    events = []
    labels = mechanisms.labels({}, LabelsQuestion("c", 2.0, 30, 5), unit_of(3), events.append)
    assert (labels.texts, len(labels.counts)) == ((), 0)
    (event,) = events
    assert (event.mechanism, event.clique, event.sensitivity, event.scale) == ("gaussian-threshold", ("c",), 3, 2)
    assert (event.outcomes, event.threshold) == (5, 30)
    assert (event.rho, event.delta) == (gaussian_rho(3, Fraction(2)), threshold_delta(3, Fraction(2), 30))


def test_a_refused_charge_draws_nothing(monkeypatch):
    def refuse(event):
        raise BudgetRefused("no")

    monkeypatch.setattr("dpsynth.core.noise.above_threshold", lambda *given: pytest.fail("noise was drawn"))
    with pytest.raises(BudgetRefused):
        mechanisms.labels({"a": 5}, LabelsQuestion("c", 2.0, 30, 5), unit_of(1), refuse)


DOMAIN = Domain(("a",), (2,))
TEXTS = Texts(("x", "y", None), np.array([0] * 500 + [1] * 3 + [2] * 100, dtype=np.uint32))


def engine():
    return CodesEngine(DOMAIN, {"a": np.arange(603) % 2}, {"c": TEXTS})


def question(sigma=2.0, threshold=30, column="c"):
    return LabelsQuestion(column, sigma, threshold, 5)


def test_deltas_are_charged_to_a_cap_of_their_own():
    unit, asked = PrivacyUnit(), question()
    cap, delta = Rho.up(asked.cost(unit).value * 10), asked.delta(unit)
    curator = Curator(engine(), unit, cap, GDP, delta)
    with pytest.raises(BudgetRefused, match="delta"):
        curator.ask(question(threshold=29))  # a lower threshold gives away more
    assert curator.remaining() == cap
    assert curator.ask(asked).labels.texts == ("x",)
    for again in (asked, question(threshold=1000)):
        with pytest.raises(BudgetRefused, match="delta"):
            curator.ask(again)
    assert curator.transcript().given() == delta
    curator.ask(MarginalQuestion((("a",),), (20.0,)))  # what gives nothing away goes on
    with pytest.raises(BudgetRefused, match="delta"):
        Curator(engine(), unit, cap).ask(asked)  # without a delta there is nothing to give


def test_a_search_costs_what_a_table_costs_and_is_refused_beyond_the_cap():
    unit, asked = PrivacyUnit(), question()
    assert asked.cost(unit) == MarginalQuestion((("a",),), (2.0,)).cost(unit)
    curator = Curator(engine(), unit, Rho(asked.cost(unit).value - Fraction(1, 1 << 60)), ZCDP, Fraction(1, 2))
    with pytest.raises(BudgetRefused, match="costs rho"):
        curator.ask(asked)
    assert curator.transcript().spent() == NOTHING


def test_noise_below_the_gaussian_tracks_proof_is_refused_there():
    sharp = LabelsQuestion("c", 0.5, 30, 5)
    with pytest.raises(ProtocolError, match="Gaussian"):
        Curator(engine(), PrivacyUnit(), Rho(Fraction(100)), GDP, Fraction(1, 2)).ask(sharp)
    assert Curator(engine(), PrivacyUnit(), Rho(Fraction(100)), ZCDP, Fraction(1, 2)).ask(sharp).labels.texts == ("x",)


def test_only_open_columns_have_labels():
    curator = Curator(engine(), PrivacyUnit(), Rho(Fraction(100)), ZCDP, Fraction(1, 2))
    for column in ("a", "unknown"):
        with pytest.raises(ProtocolError, match="open columns"):
            curator.ask(question(column=column))
    assert curator.transcript().spent() == NOTHING
    assert curator.transcript().given() == 0


@pytest.mark.parametrize("odd", [{"x": 2.5}, {b"x": 2}, {"x": -1}, {"x": True}])
def test_an_engine_that_counts_no_rows_of_texts_is_noticed_before_a_draw(odd, monkeypatch):
    held = engine()
    monkeypatch.setattr(held, "labels", lambda column: odd)
    curator = Curator(held, PrivacyUnit(), Rho(Fraction(100)), ZCDP, Fraction(1, 2))
    with pytest.raises(ProtocolError, match="nothing was drawn"):
        curator.ask(question())
    assert curator.transcript().given() == 0


@pytest.mark.parametrize(
    "facts", [("c", 2, 30, 5), ("c", 2.0, 0, 5), ("c", 2.0, 30.0, 5), ("c", 2.0, True, 5), ("c", 2.0, 30, 0), ("c", 2.0, 30, 1 << 17)]
)
def test_a_question_for_labels_has_sensible_numbers(facts):
    with pytest.raises(SpecError):
        LabelsQuestion(*facts)


def test_a_guarantee_is_converted_at_what_thresholds_leave_of_delta():
    epsilon, delta = Fraction(1), Fraction(1, 10**9)
    for track in (ZCDP, GDP):
        whole, less = guarantee_for(epsilon, delta, track), guarantee_for(epsilon, delta, track, delta / 10)
        assert less.rho == guarantee_for(epsilon, delta * 9 / 10, track).rho < whole.rho
        assert (less.given, less.delta, whole.given) == (delta / 10, delta, 0)
        assert "found labels" in less.sentence()
        assert "found labels" not in whole.sentence()
