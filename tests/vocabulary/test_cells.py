"""Every text has a cell; decoded values stand for the cell they came from; unlisted and missing values go where the schema says."""

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import SpecError
from dpsynth.readings import parsed
from dpsynth.schema import column_from

RNG = np.random.default_rng(5)


def column(**facts):
    return column_from("x", facts)


def encoded(col, decoded):
    """Cells of decoded values, by way of the text a reader would see."""
    return [col.rule.cell(None if gone else text(value)) for value, gone in zip(decoded.values, decoded.absent, strict=True)]


def text(value):
    """As a file holds it: truth in lower case, doubles with all their digits."""
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
        assert (col.starts[cell], col.starts[cell + 1]) == (members[0], members[-1] + 1)
    codes = np.repeat(np.arange(col.size), 5)
    assert encoded(col, col.decode(codes, RNG)) == codes.tolist()


@settings(max_examples=80, deadline=None)
@given(st.decimals(-(10**6), 10**6, places=3), st.decimals("0.001", 10**6, places=3), st.integers(2, 100), st.booleans())
def test_every_number_comes_back_to_its_bin(least, width, bins, missing):
    col = column(kind="number", min=least, max=least + width, bins=bins, missing=missing)
    codes = np.repeat(np.arange(col.size), 20)
    assert encoded(col, col.decode(codes, RNG)) == codes.tolist()
    assert all(col.rule.cell(repr(edge)) == min(i, bins - 1) for i, edge in enumerate((*col.starts, float(col.most))))


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
def test_numbers_written_with_few_digits_lie_in_their_bin(decimals, bins):
    col = column(kind="number", min=0, max=10, bins=bins, decimals=decimals)
    codes = np.repeat(np.arange(col.size), 200)
    decoded = col.decode(codes, RNG)
    assert all(value == round(value, decimals) for value in decoded.values)
    assert encoded(col, decoded) == codes.tolist()
    assert set(decoded.values[codes == 0]) <= {i / 10**decimals for i in range(10 ** (decimals + 1))}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 3), st.integers(1, 40))
def test_numbers_of_few_digits_come_back_whatever_the_bounds_and_bins(data, decimals, bins):
    least = data.draw(st.decimals(-1000, 1000, places=4))
    most = least + data.draw(st.decimals("0.01", 100, places=3))
    try:
        col = column(kind="number", min=least, max=most, bins=bins, decimals=decimals, missing=True)
    except SpecError:
        return  # fewer such numbers than bins
    codes = np.repeat(np.arange(col.size), 20)
    assert encoded(col, col.decode(codes, RNG)) == codes.tolist()
    points = [k / 10**decimals for k in range(int(least * 10**decimals) - 2, int(most * 10**decimals) + 3)]
    assert {col.rule.cell(repr(point)) for point in points if col.starts[0] <= point <= float(most)} == set(range(col.own_cells))


LABELS = {"kind": "categorical", "values": ["a", "b"]}
AGES = {"kind": "integer", "min": 10, "max": 19, "bins": 5}
SIZES = {"kind": "number", "min": 0, "max": 1, "bins": 4}
CODES = {"kind": "code", "size": 3}
FLAGS = {"kind": "boolean"}
DAYS = {"kind": "date", "min": date(2020, 1, 1), "max": date(2020, 12, 31), "bins": 12}
SECONDS = {"kind": "datetime", "min": "2020-01-01T00:00:00", "max": "2020-01-01T23:59:59", "bins": 24}
SPANS = {"kind": "duration", "min": 0, "max": "10:00:00", "bins": 10}
SPIKED = {"kind": "integer", "min": 0, "max": 99, "bins": 4, "spikes": [0, 30, 99]}
EDGED = {"kind": "integer", "min": 0, "max": 99, "edges": [0, 10, 99]}
TAILED = {"kind": "number", "min": 0, "max": 1000, "edges": [0, 1, 10, 100, 1000], "spikes": [0, 500, 1000]}
FOLDED = {**LABELS, "unfold": {"nun": 1, "monk": 3}}

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
    ({**FLAGS, "words": ["Male", "Female"]}, "female", 1, "maybe", 0, "", 0),
    ({**FLAGS, "words": ["1", "2"], "missing": True}, "1", 0, "3", 2, "", 2),
    ({**LABELS, "ordered": True}, "b", 1, "z", 2, "", 2),
    (FOLDED, "monk", 2, "z", 2, "", 2),
    ({**FOLDED, "missing": True, "outside": "missing", "ordered": True}, "nun", 2, "z", 3, "", 3),
    (SPIKED, "0", 0, "-1", 0, "x", 0),
    ({**SPIKED, "missing": True}, "30", 3, "100", 8, "7.5", 8),
    ({**EDGED, "spikes": [0, 30, 99], "inside": "linear", "missing": True}, "10", 2, "100", 6, "", 6),
    (TAILED, "1000", 7, "2e3", 7, "x", 0),
    ({**TAILED, "missing": True, "inside": "linear"}, "1.5e-5", 1, "-1", 8, "", 8),
    ({**TAILED, "decimals": 1, "missing": True, "outside": "clip"}, "0.05", 1, "1e9", 7, "", 8),
    (DAYS, "2020-02-01", 1, "2021-01-01", 11, "2020-02-30", 0),
    ({**DAYS, "format": "%d.%m.%Y", "missing": True}, "1.2.2020", 1, "1.2.1920", 12, "1/2/2020", 12),
    ({**DAYS, "spikes": ["2020-12-31"], "missing": True, "outside": "clip"}, "2020-12-31T08:00:00Z", 12, "1999-01-01", 0, "31.12.2020", 13),
    (SECONDS, "2020-01-01 13:59:59.999999", 13, "2020-01-02", 23, "13:00", 0),
    ({**SECONDS, "format": "%Y-%m-%dT%H:%M", "missing": True}, "2020-01-01T07:30+01:00", 6, "2019-12-31T23:59", 24, "", 24),
    ({**SECONDS, "format": "%Y%m%d%H%M%S%f", "inside": "linear"}, "20200101235959999999", 23, "2020-01-02", 23, "2020", 0),
    (SPANS, "01:30:00", 1, "11:00:00", 9, "1h", 0),
    ({**SPANS, "format": "ISO 8601", "missing": True}, "PT9H", 8, "-PT1S", 10, "P1M", 10),
    ({**SPANS, "format": "number", "unit": "minutes", "spikes": [0]}, "61.9", 2, "1e400", 10, "", 0),
]


@pytest.mark.parametrize(("facts", "listed", "its_cell", "outside", "outside_cell", "unread", "unread_cell"), RULES)
def test_listed_unlisted_and_missing_values_go_where_the_schema_says(facts, listed, its_cell, outside, outside_cell, unread, unread_cell):
    rule = column(**facts).rule
    assert [rule.cell(each) for each in (listed, outside, unread)] == [its_cell, outside_cell, unread_cell]
    assert rule.cell(None) == rule.cell(" \t\r\n ") == rule.cell("")


@pytest.mark.parametrize("facts", [row[0] for row in RULES])
@settings(deadline=None)
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


@pytest.mark.parametrize("facts", [row[0] for row in RULES if "spikes" in row[0]])
def test_spikes_have_cells_of_their_own_that_give_nothing_else(facts):
    col = column(**facts)
    cells = [col.rule.cell(str(spike)) for spike in facts["spikes"]]
    assert np.flatnonzero(col.lone).tolist() == cells
    codes = np.repeat(np.arange(col.own_cells), 300)
    decoded = col.decode(codes, RNG)
    spikes = [col.exact(str(spike)).values[0] for spike in facts["spikes"]]
    for spike, cell in zip(spikes, cells, strict=True):
        assert set(codes[decoded.values == spike]) == {cell}
        assert set(decoded.values[codes == cell]) == {spike}


def test_the_labels_of_a_shared_cell_are_drawn_by_their_weights():
    """20,000 draws at 1 : 3: a share off by 0.02 is 6.5 standard deviations."""
    col = column(**FOLDED)
    drawn = col.decode(np.full(20_000, 2), np.random.default_rng(1)).values
    assert set(drawn) == {"nun", "monk"}
    assert abs(np.mean(drawn == "nun") - 0.25) < 0.02


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
