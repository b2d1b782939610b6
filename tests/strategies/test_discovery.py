"""What completes a schema: columns that could have been declared, cells that agree with them, nothing lost, and the same from a record."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.core.accountant import guarantee_for
from dpsynth.core.curator import Curator
from dpsynth.engines.codes import CodesEngine, Texts
from dpsynth.errors import ProtocolError, SpecError
from dpsynth.kinds.open import Open
from dpsynth.privacy import GDP, PrivacyUnit, Rho, gaussian_rho
from dpsynth.schema import Schema, column_from, schema_from
from dpsynth.strategies.changes import RARE, labelled, merged, rebinned
from dpsynth.strategies.discovery import MOST, completed, discovery, given_away
from dpsynth.strategies.known import Known
from dpsynth.transcript import Labels, Measurement, Replay, measure

CAP, GIVEN = Rho(Fraction(1, 16)), Fraction(1, 10**7)


def columns_of(**declared):
    return Schema(tuple(column_from(name, facts) for name, facts in declared.items()))


ORDERED = {
    "years": {"kind": "integer", "min": 17, "max": 90, "missing": True},
    "few": {"kind": "integer", "min": 0, "max": 9, "spikes": [0, 4, 9]},
    "amount": {"kind": "number", "min": Decimal("-0.3"), "max": Decimal("17.7"), "grid": 64, "spikes": [0, Decimal("3.3")]},
    "price": {"kind": "number", "min": 0, "max": 5, "decimals": 1, "grid": 40, "missing": True, "outside": "missing"},
    "day": {"kind": "date", "min": date(2020, 1, 1), "max": date(2021, 3, 4), "spikes": [date(2020, 2, 2)]},
    "span": {"kind": "duration", "min": 0, "max": 5000, "grid": 100},
}
TEXTS = [
    None,
    "",
    "x",
    "-1e400",
    "1e400",
    "nan",
    "0",
    "3.3",
    "4",
    "9",
    "17",
    "90",
    "2020-02-02",
    "2020-01-01",
    "2021-03-04",
    "5000",
    "-0.3",
]
TEXTS += (
    [str(v) for v in range(-3, 95, 4)]
    + [f"{v / 7:.3f}" for v in range(-3, 130, 3)]
    + [f"2020-{m:02d}-{d:02d}" for m in range(1, 13) for d in (1, 3)]
)


@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize("binning", ["adaptive", "quantiles"])
def test_found_bins_are_bins_that_could_have_been_declared_and_every_value_agrees(name, binning):
    column = column_from(name, {**ORDERED[name], "binning": binning, "bins": 8})
    rng = np.random.default_rng(1)
    for _ in range(20):
        first = (0, *sorted(rng.choice(np.arange(1, column.own_cells), size=rng.integers(1, 8), replace=False).tolist()))
        values = rng.integers(0, 99, column.size)
        change = rebinned(column, first, Measurement((name,), values, 3.0))
        complete = change.column
        assert not complete.discovers
        assert Schema((complete,)).facts() == schema_from(Schema((complete,)).facts()).facts()
        assert [int(change.recoding[column.rule.cell(text)]) for text in TEXTS] == [complete.rule.cell(text) for text in TEXTS]
        assert len(first) <= complete.own_cells <= len(first) + 2 * len(column.spikes) + 1
        assert complete.size <= column.largest or len(first) > column.at_most
        assert np.array_equal(change.known.values, np.bincount(change.recoding, weights=values, minlength=complete.size))
        assert np.array_equal(change.known.variances, 9 * np.bincount(change.recoding, minlength=complete.size))


LABELS = {
    "open end": {"values": ["a", "b", "c", "d"], "missing": True},
    "no other": {"values": ["a", "b", "c", "d"], "other": False},
    "first": {"values": ["a", "b", "c", "d"], "other": False, "outside": "first"},
    "a prior": {"values": ["a", "b", "c", "d"], "prior": {"b": 9, "other": 3}},
    "closed, with an other": {"values": ["a", "b", "c", "other"], "other": False, "missing": True},
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("counts", [(900, 1, 2, 800), (1, 2, 900, 3), (0, 0, 0, 0), (900, 900, 900, 900), (900, 900, 1, 900)])
def test_rare_labels_share_a_cell_and_every_value_agrees(name, counts):
    column = column_from("x", {"kind": "categorical", "merge_rare": True, **LABELS[name]})
    noisy = np.array([*counts, *[5] * (column.size - 4)], dtype=np.int64)
    change = merged(column, Measurement(("x",), noisy, 10.0))
    complete = change.column
    texts = [None, "", "a", "b", "c", "d", "other", "zzz", " b "]
    assert [int(change.recoding[column.rule.cell(text)]) for text in texts] == [complete.rule.cell(text) for text in texts]
    assert schema_from(Schema((complete,)).facts()).facts() == Schema((complete,)).facts()
    rare = [v for v, n in zip(column.values, counts, strict=True) if n < RARE * 10]
    assert set(complete.values) | set(dict(complete.unfold)) >= set(column.values)
    assert max(counts) < RARE * 10 or set(dict(complete.unfold)) - {"other"} <= set(rare)
    drawn = set(complete.decode(np.arange(complete.size), np.random.default_rng(0)).values[: complete.size - complete.missing].tolist())
    assert drawn <= {*column.values, column.other_text}


def test_merged_labels_are_unfolded_by_the_declared_prior():
    column = column_from("x", {"kind": "categorical", "values": ["a", "b", "c"], "merge_rare": True, "prior": {"b": 98}})
    complete = merged(column, Measurement(("x",), np.array([900, 1, 2, 3]), 10.0)).column
    assert dict(complete.unfold) == {"b": 98, "c": 1, "other": 1}
    drawn = complete.decode(np.full(4000, 1), np.random.default_rng(0)).values.tolist()
    assert drawn.count("b") > 3800
    assert {"c", "other"} <= set(drawn)


def test_what_cannot_be_merged_is_refused():
    for facts in ({"values": ["a", "other"]}, {"values": ["a", "b"], "unfold": {"c": 1}}, {"values": ["a", "b"], "prior": {"z": 1}}):
        with pytest.raises(SpecError):
            column_from("x", {"kind": "categorical", "merge_rare": True, **facts})
    with pytest.raises(SpecError, match="merge_rare"):
        column_from("x", {"kind": "categorical", "values": ["a", "b"], "prior": {"a": 1}})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"binning": "clever"}, "binning must be one of"),
        ({"binning": "adaptive", "edges": [0, 5, 9999]}, "not both"),
        ({"binning": "quantiles", "bins": 33}, "from 2 to 32"),
        ({"binning": "adaptive", "bins": 1}, "from 2 to 128"),
        ({"binning": "adaptive", "grid": 4096}, "at most 1024"),
        ({"grid": 5}, "grid is for bins that are found"),
    ],
)
def test_bins_that_cannot_be_found_are_refused(facts, words):
    with pytest.raises(SpecError, match=words):
        column_from("x", {"kind": "integer", "min": 0, "max": 9999, **facts})


@pytest.mark.parametrize(
    "facts", [{"at_most": 0}, {"at_most": 1 << 16}, {"other_label": ""}, {"other_label": "a\0b"}, {"other_label": "x" * 101}]
)
def test_an_open_column_says_something_possible(facts):
    with pytest.raises(SpecError):
        column_from("x", {"kind": "open", **facts})


def test_nothing_is_merged_where_only_one_label_is_rare_and_there_is_no_other():
    column = column_from("x", {"kind": "categorical", "values": ["a", "b"], "other": False, "merge_rare": True})
    change = merged(column, Measurement(("x",), np.array([900, 1]), 10.0))
    assert change.column.values == ("a", "b")
    assert not change.column.discovers
    assert change.recoding.tolist() == [0, 1]


@pytest.mark.parametrize("texts", [(), ("other",), ("b", "a"), ("b", "other", "a")])
def test_found_labels_make_a_categorical_column(texts):
    column = Open(name="x", missing=True, at_most=5)
    change = labelled(column, Labels(texts, np.array([500, 400, 300][: len(texts)], dtype=np.int64)), 10.0)
    complete = change.column
    assert complete.values == (tuple(text for text in texts if text != "other") or ("other",))
    assert schema_from(Schema((complete,)).facts()).facts() == Schema((complete,)).facts()
    assert complete.size <= column.largest
    known = dict(zip(complete.cell_labels(), change.known.variances, strict=True))
    assert {label for label, variance in known.items() if np.isfinite(variance)} == set(texts) - {"other"}
    assert complete.rule.cell("never seen") == complete.rule.cell("other")


def test_tables_known_are_joined_cell_by_cell_by_inverse_variance():
    known = Known(np.array([100.0, 200.0, 0.0]), np.array([4.0, 100.0, np.inf]))
    joined = known.joined(Measurement(("x",), np.array([130, 180, 50]), 10.0))
    expected = 1 / (1 / known.variances + 1 / 100)
    assert joined.values.tolist() == [round(100 + 30 * 4 / 104), 190, 50]
    assert joined.values.dtype == np.int64
    assert joined.sigma**2 == pytest.approx(expected.mean() + 1 / 12)


SCHEMA = columns_of(
    town={"kind": "open", "at_most": 10, "missing": True},
    age={"kind": "integer", "min": 0, "max": 199, "binning": "adaptive", "bins": 12},
    job={"kind": "categorical", "values": [f"j{i}" for i in range(20)], "merge_rare": True},
    sex={"kind": "code", "size": 2},
)
TOWNS = Texts(("Ely", "Rye", "Wem", None), np.array([0] * 3000 + [1] * 2500 + [2] * 5 + [3] * 495, dtype=np.uint32))


def engine():
    rng = np.random.default_rng(3)
    job = np.minimum(rng.geometric(0.5, 6000) - 1, 19)
    codes = {"age": np.minimum(rng.geometric(0.05, 6000), 199), "job": job, "sex": rng.integers(2, size=6000)}
    return CodesEngine(SCHEMA.domain, codes, {"town": TOWNS})


def found():
    curator = Curator(engine(), PrivacyUnit(), CAP, GDP, GIVEN)
    return curator, *completed(SCHEMA, curator, GIVEN)


def test_a_schema_is_completed_within_its_share_of_the_budget():
    curator, schema, asker = found()
    asked = discovery(SCHEMA, PrivacyUnit(), CAP, GIVEN)
    assert len(curator.transcript().exchanges) == asked.exchanges == 2
    assert curator.transcript().spent().value <= CAP.value * MOST
    assert 0 < curator.transcript().given() <= GIVEN
    assert schema.column("town").values == ("Ely", "Rye")
    assert not any(column.discovers for column in schema.columns)
    assert asker.domain == curator.domain == schema.domain
    assert {name: schema.domain.size[name] <= size for name, size in SCHEMA.largest.size.items()} == dict.fromkeys(
        SCHEMA.largest.columns, True
    )
    assert [column.name for column in schema.columns] == list(SCHEMA.largest.columns)


def test_what_was_paid_for_is_joined_to_the_first_table_of_its_column_and_to_no_other():
    _, schema, asker = found()
    cliques = [(name,) for name in schema.domain.columns]
    first, again = (measure(asker, cliques, [30.0] * 4) for _ in range(2))
    by_name = {m.clique[0]: m.sigma for m in first}
    assert {name for name, sigma in by_name.items() if sigma < 30.0} == {"town", "age", "job"}
    assert by_name["sex"] == 30.0
    assert {m.sigma for m in again} == {30.0}
    exact = engine()
    exact.recode(schema.domain, dict.fromkeys(()) | recodings(schema))
    for m, counts in zip(first, exact.counts(cliques), strict=True):
        assert np.abs(m.values - counts).max() < 8 * 30


def recodings(schema):
    by_text = {"town": schema.column("town").rule}
    by_cell = {
        name: np.array([schema.column(name).rule.cell(value(name, cell)) for cell in range(SCHEMA.domain.size[name])])
        for name in ("age", "job")
    }
    return {**by_text, **by_cell}


def value(name, cell):
    return str(cell) if name == "age" else ([*SCHEMA.column("job").values, "unlisted"])[cell]


def test_a_record_completes_the_schema_in_the_same_way():
    curator, schema, _ = found()
    replay = Replay(curator.transcript(), SCHEMA.domain, PrivacyUnit(), CAP)
    again, asker = completed(SCHEMA, replay, GIVEN)
    assert again == schema
    assert asker.domain == schema.domain
    assert asker.remaining() == curator.remaining()
    assert replay.finished()


@pytest.mark.parametrize(("columns", "share"), [(1, "1/20"), (2, "1/20"), (4, "1/40"), (5, "1/50"), (15, "1/50"), (60, "1/200")])
def test_each_column_has_its_share(columns, share):
    schema = columns_of(**{f"x{i}": {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive"} for i in range(columns)})
    asked = discovery(schema, PrivacyUnit(), CAP, Fraction(0))
    each = asked.tables.cost(PrivacyUnit()).value / columns
    assert 0.999 < float(each / (CAP.value * Fraction(share))) <= 1


def test_nothing_is_asked_where_all_is_declared():
    whole = columns_of(sex={"kind": "code", "size": 2}, age={"kind": "integer", "min": 0, "max": 9})
    assert whole.largest == whole.domain
    assert discovery(whole, PrivacyUnit(), CAP, Fraction(0)).exchanges == 0
    assert given_away(whole, Fraction(1, 10**6)) == 0
    curator = Curator(CodesEngine(whole.domain, {"sex": np.zeros(3, int), "age": np.zeros(3, int)}), PrivacyUnit(), CAP)
    assert completed(whole, curator, Fraction(0)) == (whole, curator)


def test_quantiles_split_rows_evenly_beside_spikes():
    schema = columns_of(
        gain={"kind": "integer", "min": 0, "max": 999, "binning": "quantiles", "bins": 5, "spikes": [0]}, sex={"kind": "code", "size": 2}
    )
    rng = np.random.default_rng(0)
    amounts = np.where(rng.random(40_000) < 0.9, 0, rng.integers(1, 500, 40_000))
    cells = np.array([schema.column("gain").rule.cell(str(v)) for v in range(1000)])
    curator = Curator(CodesEngine(schema.domain, {"gain": cells[amounts], "sex": amounts % 2}), PrivacyUnit(), Rho(Fraction(1, 4)))
    column = completed(schema, curator, Fraction(0))[0].column("gain")
    edges = np.array(column.edges[1:-1])
    assert len(curator.transcript().exchanges) == 4
    assert all(np.abs(np.array([100, 200, 300, 400]) - edge).min() < 40 for edge in edges if edge > 1)
    assert curator.transcript().spent().value <= Fraction(1, 4) * MOST


def test_a_budget_that_is_too_small_is_refused_before_anything_is_asked():
    with pytest.raises(SpecError, match="too small"):
        discovery(SCHEMA, PrivacyUnit(), Rho(Fraction(1, 1 << 60)), GIVEN)
    with pytest.raises(SpecError, match="too small"):
        discovery(SCHEMA, PrivacyUnit(), CAP, Fraction(0))


def test_noise_of_a_plan_is_noise_of_the_run():
    guarantee = guarantee_for(Fraction(1), Fraction(1, 10**6), GDP, GIVEN)
    shown = discovery(SCHEMA, PrivacyUnit(), guarantee.rho, GIVEN).planned(SCHEMA, PrivacyUnit())
    assert [(q.mechanism, q.columns, q.cells) for q in shown] == [
        ("discrete-gaussian", ("age",), 200),
        ("discrete-gaussian", ("job",), 21),
        ("gaussian-threshold", ("town",), 10),
    ]
    assert {q.rho for q in shown} == {gaussian_rho(1, Fraction(shown[0].scale))}


def test_a_recoding_that_does_not_fit_is_refused_and_changes_nothing():
    held = engine()
    schema = found()[1]
    good = recodings(schema)
    before = held.counts([("age",)])[0]
    bad = [
        {name: recoding for name, recoding in good.items() if name != "town"},
        {**good, "age": good["age"][:-1]},
        {**good, "age": good["age"] + 500},
        {**good, "sex": schema.column("town").rule},
        {**good, "age": schema.column("town").rule},
    ]
    for recoding in bad:
        with pytest.raises(ProtocolError):
            held.recode(schema.domain, recoding)
        assert held.domain == SCHEMA.domain
        assert np.array_equal(held.counts([("age",)])[0], before)
        assert held.labels("town")["Ely"] == 3000
    held.recode(schema.domain, good)
    with pytest.raises(ProtocolError, match="open columns"):
        held.labels("town")


def test_a_curator_refuses_a_recoding_that_does_not_fit_whatever_the_rows_hold():
    """An engine would notice a wrong cell only where a row has it: that would tell whether there is such a row."""
    _, schema, _ = found()
    good = recodings(schema)
    town = schema.column("town").rule
    beyond = np.where(np.arange(200) == 150, schema.domain.size["age"], good["age"])  # few rows, or none, are 150
    bad = [
        {**good, "age": beyond},
        {**good, "age": np.where(np.arange(200) == 150, -1, good["age"])},
        {**good, "age": good["age"].astype(np.int32)},
        {**good, "age": good["age"][None, :]},
        {**good, "town": replace(town, cells=(*town.cells, ("nowhere", 99)))},
        {**good, "town": replace(town, missing=99)},
        {**good, "town": good["age"]},
        {**good, "age": town},
        {name: recoding for name, recoding in good.items() if name != "age"},
    ]
    curator = Curator(engine(), PrivacyUnit(), CAP, GDP, GIVEN)
    for recoding in bad:
        with pytest.raises(ProtocolError, match=r"recoding of|new domain"):
            curator.recode(schema.domain, recoding)
        assert curator.domain == SCHEMA.domain
    with pytest.raises(ProtocolError, match="new domain"):
        curator.recode(columns_of(sex={"kind": "code", "size": 2}).domain, {})
    curator.recode(schema.domain, good)
    assert curator.domain == schema.domain


def test_the_cells_of_a_closed_curator_cannot_change():
    curator, schema, _ = found()
    curator.close()
    with pytest.raises(ProtocolError, match="rows are gone"):
        curator.recode(schema.domain, {})


def test_rules_about_cells_that_are_yet_to_be_found_are_refused():
    """A rule might not fit what is found, and no run may fail by what is found."""
    found = {
        "job": {"kind": "categorical", "values": ["a", "b", "c"], "merge_rare": True},
        "age": {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive"},
    }
    declared = {"sex": {"kind": "categorical", "values": ["f", "m"]}, "end": {"kind": "integer", "min": 0, "max": 99}}
    rules = [{"kind": "only", "columns": ["job", "sex"], "values": [["a", "f"]]}, {"kind": "at-most", "columns": ["age", "end"]}]
    for rule in rules:
        with pytest.raises(SpecError, match=r"\[\[rules\]\] 1"):
            Schema.from_columns({**found, **declared}, [rule])
