"""Every text has a cell; decoded values stand for the cell they came from; unlisted and missing values go where the schema says."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.cells import parsed
from dpsynth.schema import column_from

RNG = np.random.default_rng(5)


def column(**facts):
    return column_from("x", facts)


def encoded(col, decoded):
    """Cells of decoded values, by way of the text a reader would see."""
    return [col.rule.cell(None if gone else text(value)) for value, gone in zip(decoded.values, decoded.absent, strict=True)]


def text(value):
    return str(value).lower() if isinstance(value, bool | np.bool_) else repr(float(value)) if isinstance(value, float) else str(value)


spans = st.tuples(st.integers(-(2**53), 2**53), st.integers(0, 2000)).filter(lambda t: t[0] + t[1] <= 2**53)


@settings(max_examples=60, deadline=None)
@given(spans, st.data(), st.booleans())
def test_every_integer_lies_in_one_cell_and_comes_back_to_it(span, data, missing):
    least, width = span
    bins = data.draw(st.integers(1 if missing or width == 0 else 2, min(width + 1, 64)))
    if bins + missing < 2:
        return
    col = column(kind="integer", min=least, max=least + width, bins=bins, missing=missing)
    cells = [col.rule.cell(str(v)) for v in range(least, least + width + 1)]
    assert cells == sorted(cells)
    assert set(cells) == set(range(bins))
    for cell in range(bins):
        members = [least + i for i, c in enumerate(cells) if c == cell]
        assert (col.first_value(cell), col.first_value(cell + 1)) == (members[0], members[-1] + 1)
    codes = np.repeat(np.arange(col.size), 5)
    assert encoded(col, col.decode(codes, RNG)) == codes.tolist()


@settings(max_examples=80, deadline=None)
@given(st.decimals(-(10**6), 10**6, places=3), st.decimals("0.001", 10**6, places=3), st.integers(2, 100), st.booleans())
def test_every_number_comes_back_to_its_bin(least, width, bins, missing):
    col = column(kind="number", min=least, max=least + width, bins=bins, missing=missing)
    codes = np.repeat(np.arange(col.size), 20)
    assert encoded(col, col.decode(codes, RNG)) == codes.tolist()
    assert all(col.rule.cell(repr(edge)) == min(i, bins - 1) for i, edge in enumerate(col.edges))


class Highest:
    """A generator at the end of its range: the largest double below 1."""

    def random(self, n):
        return np.full(n, 1 - 2.0**-53)


@pytest.mark.parametrize(("least", "most", "bins"), [("0", "1", 3), ("0.1", "0.7", 7), ("-1e300", "1e300", 5), ("1000000", "1000000.5", 9)])
def test_the_largest_number_of_a_bin_is_not_the_first_of_the_next(least, most, bins):
    from decimal import Decimal

    col = column(kind="number", min=Decimal(least), max=Decimal(most), bins=bins)
    codes = np.arange(bins)
    assert encoded(col, col.decode(codes, Highest())) == codes.tolist()


@pytest.mark.parametrize(("decimals", "bins"), [(0, 4), (0, 7), (1, 30), (2, 64)])
def test_numbers_written_with_few_digits_stay_in_a_bin_that_holds_one(decimals, bins):
    col = column(kind="number", min=0, max=10, bins=bins, decimals=decimals)
    codes = np.repeat(np.arange(bins), 200)
    decoded = col.decode(codes, RNG)
    assert all(f"{v:.{decimals}f}" == f"{v:.12f}".rstrip("0").ljust(len(f"{v:.{decimals}f}"), "0").rstrip(".") for v in decoded.values)
    edges = col.edges
    grid = [any(a <= round(i * 10.0**-decimals, decimals) < b for i in range(10 ** (decimals + 1) + 1)) for a, b in pairwise(edges)]
    for code, cell in zip(codes, encoded(col, decoded), strict=True):
        assert cell == code or not grid[code]


LABELS = {"kind": "categorical", "values": ["a", "b"]}
AGES = {"kind": "integer", "min": 10, "max": 19, "bins": 5}
SIZES = {"kind": "number", "min": 0, "max": 1, "bins": 4}
CODES = {"kind": "code", "size": 3}
FLAGS = {"kind": "boolean"}

RULES = [
    # facts, cells of: a listed value, an unlisted one, one that cannot be read, a missing one
    (LABELS, "b", 1, "z", 2, "", 2),
    ({**LABELS, "missing": True}, "b", 1, "z", 2, "", 3),
    ({**LABELS, "missing": True, "other": False}, "b", 1, "z", 2, "", 2),
    ({**LABELS, "missing": True, "outside": "missing"}, "b", 1, "z", 3, "", 3),
    ({**LABELS, "other": False}, "b", 1, "z", 0, "", 0),
    ({**LABELS, "outside": "first"}, "b", 1, "z", 0, "", 0),
    ({**LABELS, "other_label": "b"}, "a", 0, "z", 1, "", 1),
    ({**LABELS, "other_label": "rest"}, "rest", 2, "other", 2, "", 2),
    (AGES, "12", 1, "99", 4, "", 0),
    (AGES, " 12.0 ", 1, "-99", 0, "12.5", 0),
    ({**AGES, "missing": True}, "19", 4, "99", 5, "", 5),
    ({**AGES, "missing": True, "outside": "clip"}, "1.9e1", 4, "1e400", 4, "nan", 5),
    (SIZES, "0.25", 1, "7", 3, "", 0),
    ({**SIZES, "missing": True}, "1", 3, "1.0001", 4, "inf", 4),
    ({**SIZES, "missing": True, "outside": "clip"}, ".5", 2, "-3", 0, "0x1", 4),
    (CODES, "2", 2, "3", 0, "x", 0),
    ({**CODES, "missing": True}, "2", 2, "-1", 3, "", 3),
    ({**CODES, "missing": True, "outside": "first"}, "1", 1, "7", 0, "", 3),
    (FLAGS, "YES", 1, "maybe", 0, "", 0),
    ({**FLAGS, "missing": True}, " t ", 1, "maybe", 2, "", 2),
    ({**FLAGS, "missing": True, "outside": "first"}, "0", 0, "maybe", 0, "", 2),
]


@pytest.mark.parametrize(("facts", "listed", "its_cell", "outside", "outside_cell", "unread", "unread_cell"), RULES)
def test_listed_unlisted_and_missing_values_go_where_the_schema_says(facts, listed, its_cell, outside, outside_cell, unread, unread_cell):
    rule = column(**facts).rule
    assert [rule.cell(each) for each in (listed, outside, unread)] == [its_cell, outside_cell, unread_cell]
    assert rule.cell(None) == rule.cell(" \t\r\n ") == rule.cell("")


@pytest.mark.parametrize("facts", [row[0] for row in RULES])
@given(
    st.one_of(
        st.none(), st.text(), st.floats().map(str), st.integers().map(str), st.from_regex(r"[+-]?[0-9]{0,5}\.?[0-9]{0,400}e?[0-9]{0,4}")
    )
)
def test_no_value_raises_and_every_one_has_a_cell(facts, value):
    col = column(**facts)
    assert 0 <= col.rule.cell(value) < col.size


@pytest.mark.parametrize("facts", [row[0] for row in RULES])
def test_labels_name_every_cell_and_decoded_values_come_back(facts):
    col = column(**facts)
    assert len(col.cell_labels()) == col.size
    assert len(set(col.cell_labels())) == col.size
    codes = np.repeat(np.arange(col.size), 10)
    decoded = col.decode(codes, RNG)
    assert decoded.absent.tolist() == [col.missing and code == col.size - 1 for code in codes]
    assert encoded(col, decoded) == [col.rule.cell(None) if gone else code for code, gone in zip(codes, decoded.absent, strict=True)]


@pytest.mark.parametrize("facts", [row[0] for row in RULES])
def test_columns_come_back_from_their_facts(facts):
    from dpsynth.schema import Schema, schema_from

    schema = Schema((column(**facts),))
    assert schema_from(schema.facts()).facts() == schema.facts()
    assert schema_from(schema.facts()).columns[0].rule == schema.columns[0].rule


@pytest.mark.parametrize(
    "value", ["nan", "NaN", "inf", "Infinity", "1e", "1e99999", "1_000", "0x10", "--1", "1,5", "\u0661", "1 2", ".", "e5", "+"]
)
def test_what_is_no_number_is_unreadable(value):
    assert parsed(value) is None


@pytest.mark.parametrize(
    ("value", "number"), [("1e999", math.inf), ("-1e999", -math.inf), ("+.5", 0.5), ("5.", 5.0), (" 7\r\n", 7.0), ("1E2", 100.0)]
)
def test_what_is_a_number_is_read(value, number):
    assert parsed(value) == number
