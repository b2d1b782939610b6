"""SQL and `rule.cell` agree on every text."""

import functools
import itertools
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.cells import EXACT_INTEGER, IntegerRule, LabelRule, NumberRule
from dpsynth.engines.lines import DELIMITERS, fields_sql, split_line
from dpsynth.engines.sql import cell_sql, double, literal, value_sql
from dpsynth.kinds import Boolean
from dpsynth.schema import column_from
from tests.contracts.engine_contract import COLUMNS, TEXTS

EDGES = column_from("n", {"kind": "number", "min": Decimal("-0.3"), "max": Decimal("0.7"), "bins": 10}).rule.edges
DAYS = {"kind": "date", "min": "1999-12-01", "max": "2024-03-01", "bins": 50, "missing": True}
MOMENTS = {"kind": "datetime", "min": "1970-01-01", "max": "2024-03-01T12:00:01", "missing": True}
SPANS = {"kind": "duration", "min": "-24:00:00", "max": "PT200H", "missing": True}
COLUMNS_OF_TIME = {
    "days": DAYS,
    "days of another format": {**DAYS, "format": "%d.%m.%Y", "outside": "clip"},
    "days without signs between": {**DAYS, "format": "%Y%m%d", "spikes": ["2000-02-29"]},
    "days with odd signs between": {**DAYS, "format": "%m|%d%%'%Y"},
    "moments": {**MOMENTS, "bins": 1000},
    "moments to the microsecond": {**MOMENTS, "format": "%d.%m.%Y %H:%M:%S.%f", "bins": 65535, "outside": "clip"},
    "moments by unequal edges": {**MOMENTS, "edges": ["1970-01-01", "2000-01-01T00:00:01", "2024-03-01T12:00:01"]},
    "durations": {**SPANS, "bins": 224, "spikes": [0]},
    "durations in hours": {**SPANS, "min": -24, "max": 200, "unit": "hours", "outside": "clip"},
}
RULES = {
    **{name: column.rule for name, column in COLUMNS.items()},
    "labels in a shuffled order": LabelRule((("b", 2), ("a", 0), ("c", 2)), False, 7, 9),
    "a repeated label": LabelRule((("a", 0), ("b", 1), ("a", 3)), False, 7, 9),
    "labels of odd letters": LabelRule((("a\x00b", 0), ("'", 1), ("\\", 2), ("\U0001f600", 3), ("\ud800", 4), ("a\nb", 5)), False, 6, 7),
    "a label of nothing but NUL": LabelRule((("\x00", 0), ("\x00'\x00", 1)), False, 2, 3),
    "folded": LabelRule((("éa", 0), ("Éa", 1), ("k", 2), ("B", 3)), True, 4, 5),
    "300 labels": LabelRule(tuple((f"l{i}", i) for i in range(300)), False, 300, 301),
    "widest integers": IntegerRule(-EXACT_INTEGER, EXACT_INTEGER, 1 << 16, None, 0),
    "widest integers, outside": IntegerRule(-EXACT_INTEGER, EXACT_INTEGER, 3, 3, 4),
    "one integer": IntegerRule(5, 5, 1, 1, 1),
    "numbers": NumberRule(EDGES, None, 0),
    "numbers, outside": NumberRule(EDGES, 11, 12),
    "one bin": NumberRule((0.0, 1.0), 1, 2),
    "two bins": NumberRule((-1.0, -0.0, 1.0), None, 2),
    "tiny and huge": NumberRule((-1e300, -5e-324, 0.0, 5e-324, 1e300), None, 9),
    "whole numbers by edges": NumberRule((0.0, 1.0, 5.0, 6.0, 99.0, 99.0), 7, 8, whole=True),
    "a point at the end": NumberRule((0.0, 1.0, 2.0, 2.0), None, 9),
    **{name: column_from("t", facts).rule for name, facts in COLUMNS_OF_TIME.items()},
    "3000 bins": NumberRule(tuple(i / 3 for i in range(3001)), 3001, 3002),
}


@functools.cache
def connection():
    return duckdb.connect(":memory:")


def cells_by_sql(rule, texts):
    table = pa.table({"t": pa.array(texts, pa.string())})
    relation = connection().from_arrow(table)
    cells = relation.query("scan", f"SELECT {cell_sql(rule, 'v')} FROM (SELECT {value_sql(rule, 't')} AS v FROM scan)").fetchall()
    return [cell for (cell,) in cells]


def disagreements(rule, texts):
    return [(text, cell) for text, cell in zip(texts, cells_by_sql(rule, texts), strict=True) if cell != rule.cell(text)]


def near(number):
    """Texts of a number and of its neighbours among the doubles."""
    import math

    return [repr(x) for x in (number, math.nextafter(number, math.inf), math.nextafter(number, -math.inf))]


HARD = [
    *TEXTS,
    *("+", "-", ".", "e5", "1e", "1e+", "+.5", "5.", ".5", "-.5e-3", "1E5", "1e00005", "1e0005", "1e9999", "-1e9999", "1e-9999", "0e9999"),
    *(
        "-0",
        "-0.0",
        "00012",
        "0" * 400 + "7",
        "9" * 400,
        "-" + "9" * 400,
        "0." + "0" * 400 + "1e401",
        "1" + "0" * 330 + "e-330",
        "1" * 5000,
    ),
    *("--5", "+-5", "5 5", "5,5", "\n5\r\n", "\t5", "\v5", "\f5", "\u20035", "\u0665", "\uff15", "5\x00", "\x005", "\x00"),
    *("Infinity", "NaN", "-nan", "0b1", "0o7", "1e5.0", "1.2.3", "True", "NULL", "2.4703282292062327e-324", "2.4703282292062328e-324"),
    *("5e-324", "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740993", "9007199254740992", "9007199254740991"),
    *("-9007199254740993", "-9007199254740992", "18446744073709551616", "170141183460469231731687303715884105728"),
    *(
        "0.1",
        "0.10000000000000001",
        "0.09999999999999999",
        "k",
        "K",
        "\u212a",
        "\u0130",
        "\u0131",
        "ÉA",
        "éA",
        "b",
        "B",
        "a",
        "l299",
        "l300",
    ),
    *("\\", "'", "''", '"', "a\nb"),
    *("2000-02-29", "2001-02-29", "1900-02-29", "2100-02-29", "1999-12-01", "2024-03-01", "2024-03-02", "0001-01-01", "9999-12-31"),
    *("0000-01-01", "0000-02-29", "-001-01-01", "10000-01-01", "2020-1-1", "2020-13-01", "2020-04-31", "2020-00-00", "1999-11-30T23:59"),
    *("2000-01-01T00:00", "2000-01-01 00:00:01", "2000-01-01T24:00", "2000-01-01T23:59:60", "2000-01-01 12", "2000-01-01T00:00:00Z"),
    *("1999-12-01 00:00:00+23:59", "2024-03-01T23:59:59.999999999-00:01", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+2359"),
    *("2000-01-01T00:00+05", "2000-01-01T00:00 +05", "2000-01-01T00:00:00.", "2000-01-01T00:00:00,5", "2000-01-01t00:00", "2000-01-01 UTC"),
    *("29.02.2000", "29.2.2000", "29.02.2001", "1.1.2001", "01.01.2001 1:2:3.4", "01.01.2001 01:02:03.0000001", "1.1.20010", "1.1.201"),
    *(
        "20000229",
        "20010229",
        "2000229",
        "200002290",
        "02|29%'2000",
        "2|29%'2000",
        "02|30%'2000",
        "02|29%2000",
        "infinity",
        "epoch",
        "today",
    ),
    *(
        "00:00",
        "-00:30",
        "+00:30:59.9",
        "-00:00:00.1",
        "23:59:59.999",
        "25:00:00",
        "99999999:59:59",
        "100000000:00",
        "0:60",
        "1:2",
        "1:02:3",
    ),
    *("1 day", "-1 day", "3 days 00:00:01", "-1 days +23:59:59", "-1 day, 23:59:59", "-1 days -23:59:59", "1 day 1", "1 days,01:00", "day"),
    *("P1D", "-P1D", "PT1H", "P1DT2H3M4.5S", "-PT0.5S", "PT0,000001S", "P", "PT", "P1W", "P999999W", "P1M", "P1Y", "PT99999999999S", "PT1"),
    *itertools.chain.from_iterable(near(edge) for edge in EDGES),
    *itertools.chain.from_iterable(near(i / 3) for i in (1, 2, 1499, 2999, 3000)),
]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_hard_text_gets_the_cell_of_the_reference(rule):
    assert disagreements(rule, HARD) == []


numbers = st.one_of(
    st.from_regex(r"[ \t]*[+-]?[0-9]{0,25}\.?[0-9]{0,25}([eE][+-]?[0-9]{1,5})?[ \r\n]*", fullmatch=True),
    st.floats().map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(EDGES).map(repr),
    st.decimals(-1, 1, places=17).map(str),
)
times = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.dates().map(lambda day: f"{day.day}.{day.month}.{day.year:04d}"),
    st.dates().map(lambda day: f"{day.year:04d}{day.month:02d}{day.day:02d}"),
    st.timedeltas().map(str),
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,10})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?", fullmatch=True
    ),
    st.from_regex(r"(20[0-2][0-9]|1999)-[01][0-9]-[0-3][0-9]", fullmatch=True),
    st.from_regex(r"[+-]?P([0-9]{1,6}D)?(T([0-9]{1,3}H)?([0-9]{1,3}M)?([0-9]{1,3}S)?)?", fullmatch=True),
    st.from_regex(r"([+-]?[0-9] days?,? ?)?[+-]?[0-9]{1,3}:[0-5][0-9](:[0-6][0-9])?", fullmatch=True),
)
unicode_texts = st.text(st.characters(exclude_categories=["Cs"]))
texts = st.one_of(st.none(), numbers, times, st.sampled_from(HARD), unicode_texts, st.text(" \t\r\n.0123456789eE+-aB"))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@settings(max_examples=12, deadline=None)
@given(batch=st.lists(texts, min_size=1, max_size=60))
def test_any_text_gets_the_cell_of_the_reference(rule, batch):
    assert disagreements(rule, batch) == []


@settings(max_examples=200, deadline=None)
@given(text=unicode_texts, number=st.floats(allow_nan=False, allow_infinity=False))
def test_literals_read_back_as_they_are(text, number):
    row = connection().execute(f"SELECT {literal(text)}, {double(number)}").fetchall()
    assert row == [(text, number)]


def test_a_label_cannot_leave_its_quotes():
    rule = LabelRule((("a'); SELECT 1; --", 0), ("'", 1)), False, 2, 2)
    assert cells_by_sql(rule, ["a'); SELECT 1; --", "'", "a"]) == [0, 1, 2]


def test_boolean_texts_ignore_case_of_ascii_letters_only():
    rule = Boolean(name="b", missing=True).rule
    assert disagreements(rule, ["TRUE", "YeS", "\uff34\uff32\uff35\uff25", "\u017f", "FAL\u017fE", "N", "0.0", "1.0", "1.00"]) == []


@pytest.mark.parametrize("delimiter", DELIMITERS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_fields_by_sql_are_those_of_split_line(delimiter, data):
    letters = st.text(st.sampled_from([*'"""', delimiter, delimiter, "a", "é", " ", "\r", "\x00", "\x1f", "\\", "|", "."]), max_size=20)
    lines = data.draw(st.lists(letters, min_size=1, max_size=20))
    scan = connection().from_arrow(pa.table({"line": pa.array([line + "\n" for line in lines], pa.string())}))
    found = scan.query("scan", fields_sql(range(25), delimiter, "scan")).fetchall()
    split = [split_line(line + "\n", delimiter) for line in lines if line.strip(" \t\r\n")]
    assert found == [tuple([*fields, *[None] * 25][:25]) for fields in split]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", [""]),
        (",", ["", ""]),
        ('a,"b,c",d', ["a", "b,c", "d"]),
        ('"a""b","",c', ['a"b', "", "c"]),
        ('"a"x,b', ["a", "b"]),
        ('a,  "b,c" ,d', ["a", "b,c", "d"]),
        ('a"b,c"', ['a"b', 'c"']),
        ('a,"b,c', ["a", "b,c"]),
        ('a,"b"",c', ["a", 'b",c']),
    ],
)
def test_a_line_is_split_by_the_written_rule(line, fields):
    assert split_line(line, ",") == fields
