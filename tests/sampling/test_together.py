"""Values that rules relate: none breaks a rule, and inside their cells they are distributed as they should be."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import SpecError
from dpsynth.inference.latent_class import LatentClassModel
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.model import FitReport
from dpsynth.inference.zeros import zeros_of
from dpsynth.sampling.records import sample_records
from dpsynth.sampling.table import decode
from dpsynth.schema import Schema
from dpsynth.transcript import Measurement
from tests.rules.keeping import violations
from tests.rules.made_up import COLUMNS, RULES, schema_with

REPORT = FitReport("latent-class", True, 12, 0.25, 0.4, 55, certified=False)


def mixture(schema, seed=0, classes=3):
    """A mixture of random columns, kept to the schema's rules."""
    rng = np.random.default_rng(seed)
    emissions = np.concatenate([rng.dirichlet(np.full(size, 0.7), classes).T for size in schema.domain.sizes]) + 1e-3
    starts = np.cumsum([0, *schema.domain.sizes[:-1]])
    emissions /= np.repeat(np.add.reduceat(emissions, starts), schema.domain.sizes, axis=0)
    return LatentClassModel(schema.domain, 1000.0, rng.dirichlet(np.ones(classes)), emissions, REPORT, None, zeros_of(schema))


def tree(schema, seed=0):
    rng = np.random.default_rng(seed)
    tables = [Measurement((c,), rng.integers(0, 200, size), 10.0) for c, size in schema.domain.size.items()]
    return MaxEnt().fit(schema.domain, tables, zeros_of(schema))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(RULES), min_size=1, max_size=5, unique_by=str), st.integers(0, 1000), st.sampled_from([mixture, tree]))
def test_no_record_of_any_model_breaks_a_rule(rules, seed, model):
    try:
        schema = schema_with(*rules)
    except SpecError:
        return  # rules that contradict each other are refused, see tests/rules
    frame = sample_records(model(schema, seed), schema, 1000, seed, {})
    assert len(frame) == 1000
    assert list(frame.columns) == [column.name for column in schema.columns]
    assert not violations(schema, frame)


@pytest.mark.parametrize("model", [mixture, tree])
def test_no_record_breaks_a_rule_where_most_rules_hold_together(model):
    schema = Schema.from_columns(COLUMNS, [RULES[i] for i in (0, 1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14)])
    assert not violations(schema, sample_records(model(schema), schema, 3000, 5, {}))


WHERE = [{"start": 33}, {"end": "12"}, {"middle": 25, "start": 7}, {"opened": "2021-02-03"}, {"x": True, "city": "Rome"}, {"closed": ""}]


@pytest.mark.parametrize("where", WHERE, ids=str)
def test_records_with_values_that_were_asked_for_keep_the_rules_beside_them(where):
    schema = Schema.from_columns(COLUMNS, [RULES[i] for i in (9, 10, 11, 12, 14)])
    frame = sample_records(mixture(schema), schema, 700, 1, where)
    assert len(frame) == 700
    assert not violations(schema, frame)
    for name, value in where.items():
        held = {str(v)[:10] for v in frame[name]} if value else {frame[name].isna().all()}
        assert held == ({str(value)} if value else {True})


def test_a_condition_that_contradicts_the_rules_is_refused():
    schema = Schema.from_columns(COLUMNS, [RULES[i] for i in (0, 9, 13)])
    model = mixture(schema)
    with pytest.raises(SpecError, match="probability 0"):
        sample_records(model, schema, 5, 1, {"age": 3, "status": "married"})
    with pytest.raises(SpecError, match="keeps the rules with"):
        sample_records(model, schema, 5, 1, {"start": 15, "end": 12})
    with pytest.raises(SpecError, match=r"follows by a rule .age determines group"):
        sample_records(model, schema, 5, 1, {"group": "child"})


TWO = {name: {"kind": "integer", "min": 0, "max": 9, "bins": 1} for name in "ab"}


def one_bin(columns, rules, rows):
    """Rows whose modelled columns all have one cell: everything is left to the draw inside it."""
    schema = Schema.from_columns({**columns, "k": {"kind": "boolean"}}, rules)
    return decode(schema, {c: np.zeros(rows, dtype=np.int64) for c in schema.domain.columns}, 4)


def two_cells(columns):
    """A column of one cell is refused: a missing cell makes two."""
    return {name: {**facts, "missing": True} for name, facts in columns.items()}


@pytest.mark.parametrize("strict", [False, True])
def test_two_values_of_one_bin_are_evenly_spread_over_all_that_keep_their_order(strict):
    """Each of the 55 (45) ordered pairs has the same probability; chance beyond 6 sigma: 1e-7 for all of them."""
    rows = 40_000
    frame = one_bin(two_cells(TWO), [{"kind": "at-most", "columns": ["a", "b"], "strict": strict}], rows)
    counts = np.zeros((10, 10))
    np.add.at(counts, (frame.a.astype(int), frame.b.astype(int)), 1)
    allowed = np.triu(np.ones((10, 10), dtype=bool), 1 if strict else 0)
    assert not counts[~allowed].any()
    share = 1 / allowed.sum()
    assert np.abs(counts[allowed] - rows * share).max() < 6 * np.sqrt(rows * share)


def test_what_rounds_of_drawing_leave_is_drawn_one_column_after_the_other():
    """Of eight dates of one month hardly any eight are in order: the last step has to do it, also with missing ones between."""
    names = list("abcdefgh")
    columns = {name: {"kind": "date", "min": "2020-01-01", "max": "2020-01-31", "bins": 1, "missing": True} for name in names}
    schema = Schema.from_columns({**columns, "k": {"kind": "boolean"}}, [{"kind": "at-most", "columns": names, "strict": True}])
    codes = {c: np.zeros(500, dtype=np.int64) for c in schema.domain.columns}
    codes["d"] = np.arange(500) % 2
    frame = decode(schema, codes, 9)
    assert not violations(schema, frame)
    assert frame.d.isna().sum() == 250
    assert frame.a.nunique() > 5


def test_sums_are_exact_in_the_decimals_of_the_total():
    columns = {"a": {"kind": "number", "min": 0, "max": 1, "bins": 2, "decimals": 1}, "total": COLUMNS["total"],
               "b": {"kind": "number", "min": 0, "max": 3, "bins": 2, "decimals": 2},
               "c": {"kind": "integer", "min": 0, "max": 9}}  # fmt: skip
    schema = Schema.from_columns(columns, [{"kind": "sum", "total": "total", "parts": ["a", "b", "c"]}])
    frame = sample_records(mixture(schema), schema, 2000, 3, {})
    exact = [Decimal(str(a)) + Decimal(str(b)) + int(c) for a, b, c in zip(frame.a, frame.b, frame.c, strict=True)]
    assert [Decimal(str(total)) for total in frame.total] == exact
    assert list(frame.columns) == list(columns)


def test_labels_that_share_a_cell_are_looked_up_one_by_one():
    columns = {"town": {"kind": "categorical", "values": ["Paris"], "unfold": {"Nice": 3, "Bari": 1}}, "country": COLUMNS["country"]}
    schema = Schema.from_columns(columns, [{"kind": "determines", "from": "town", "column": "country",
                                            "mapping": {"Paris": "France", "Nice": "France", "Bari": "Italy"}}])  # fmt: skip
    frame = decode(schema, {"town": np.arange(400) % 2}, 1)
    assert {*zip(frame.town, frame.country, strict=True)} == {("Paris", "France"), ("Nice", "France"), ("Bari", "Italy")}


def test_derived_columns_of_every_kind_have_the_type_that_measured_ones_have():
    columns = {
        "k": {"kind": "categorical", "values": ["u", "v"], "missing": True},
        "day": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "missing": True},
        "written": {"kind": "date", "min": "2020-01-01", "max": "2020-12-31", "format": "%d.%m.%Y", "missing": True},
        "level": {"kind": "integer", "min": 1, "max": 99, "bins": 3, "missing": True},
        "price": {"kind": "number", "min": 0, "max": 9, "missing": True},
        "code": {"kind": "code", "size": 5, "missing": True},
        "flag": {"kind": "boolean", "words": ["No", "Yes"], "missing": True},
    }
    targets = {"day": "2020-02-03", "written": "2020-02-03", "level": 17, "price": Decimal("2.5"), "code": 3, "flag": "Yes"}
    rules = [
        {"kind": "determines", "from": "k", "column": name, "mapping": {"u": t, "v": ""}, "otherwise": t} for name, t in targets.items()
    ]
    free, bound = Schema.from_columns(columns), Schema.from_columns(columns, rules)
    codes = np.array([0, 1, 2, 3])
    frame = decode(bound, {"k": codes}, 0)
    types = decode(free, {name: codes % free.domain.size[name] for name in columns}, 0).dtypes
    assert frame.dtypes.equals(types)
    assert [str(frame[name][0]) for name in targets] == ["2020-02-03", "03.02.2020", "17", "2.5", "3", "Yes"]
    assert frame.loc[[1, 3], list(targets)].isna().all(axis=None)
