"""Reading: one row or value never changes more than its own cells; nothing is left behind and nothing is said."""

import datetime as dt
import decimal
import gzip
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.engines import lines, reader
from dpsynth.engines.reader import UNREADABLE, columns_needed, open_engine
from dpsynth.engines.source import open_source
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds import Categorical, Code, Integer
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema
from tests.contracts.engine_contract import COLUMNS

CANARY = "CANARY"
SCHEMA = Schema((Categorical(name="a", values=("x", "y")), Integer(name="b", least=0, most=9, bins=10, missing=True)))
BAD = (2, 10)
"""Cells of a row that says nothing readable: other, missing."""


def rows_of(data, schema=SCHEMA, unit=PrivacyUnit(), **options):
    """The multiset of coded rows that count."""
    engine = open_engine(open_source(data), schema, unit, **options)
    (joint,) = engine.counts([schema.domain.columns])
    shape = schema.domain.shape(schema.domain.columns)
    return sorted(tuple(map(int, np.unravel_index(cell, shape))) for cell in np.repeat(np.arange(len(joint)), joint))


def rows_of_bytes(content, folder, name="t.csv", **options):
    (folder / name).write_bytes(content)
    return rows_of(folder / name, **options)


MALFORMED = {
    "too few fields": (b"x", (0, 10)),
    "too many fields": (b"x,1,2,3,4,5", (0, 1)),
    "open quote first": (b'"x,1', BAD),
    "open quote last": (b'x,"1', (0, 1)),
    "quote in the middle": (b'x"x,1"', BAD),
    "spaces before quotes": (b'  "x",  "1"', (0, 1)),
    "text after a quote": (b'"x"y,"1"0', (0, 1)),
    "only quotes": (b'""""""""', BAD),
    "only delimiters": (b"," * 5000, BAD),
    "NUL": (b"x\0,1\0", BAD),
    "only NUL": (b"\0", BAD),
    "unit separator": (b"x\x1f,1\x1f", BAD),
    "not UTF-8": (b"\xff\xfe,\xff1", BAD),
    "a sequence that is cut": (b"x,1\xe2\x82", (0, 10)),
    "a surrogate": (b"x,\xed\xa0\x80", (0, 10)),
    "UTF-16": (b"x\0,\x001\0", BAD),
    "carriage returns": (b"x\rx,1\r\r", (2, 1)),
    "SQL": (b"'); DROP TABLE coded; --,1", (2, 1)),
    "backslashes": (b'x\\,"1\\"', (2, 10)),
    "a number past all doubles": (b"x,1e9999", (0, 10)),
    "NaN": (b"x,nan", (0, 10)),
    "a long field": (b"x," + b"1" * 100_000, (0, 10)),
    "a long row": (b'"' + b"x" * (lines.LINE_LIMIT + 1), None),
    "two million quotes": (b'"' * 2_000_000, None),
    "blanks": (b" \t \r", None),
    "nothing": (b"", None),
    "the header again": (b"a,b", BAD),
    "byte order mark": (b"\xef\xbb\xbfx,1", (2, 1)),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_row_changes_no_row_but_itself(name, place, tmp_path):
    line, cells = MALFORMED[name]
    others = [b"x,1", b'"y","2"']
    content = b"\n".join([b"a,b", *others[:place], line, *others[place:]])
    expected = sorted([(0, 1), (1, 2), *([cells] if cells else [])])
    assert rows_of_bytes(content, tmp_path) == expected
    assert rows_of_bytes(gzip.compress(content + b"\n"), tmp_path, "t.csv.gz") == expected


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_blocks_of_any_length_give_the_same_rows(block, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LINE_LIMIT", 20)
    pieces = [b"x,1", "é,2".encode(), b"y" * 21, b"y" * 20, b"", b"x,\xe2\x82", b'"x,y",3', b"z" * 100, b"x,4\r"]
    content = b"a,b\n" + b"\n".join(pieces)
    whole = rows_of_bytes(content, tmp_path)
    monkeypatch.setattr(lines, "BLOCK", block)
    assert rows_of_bytes(content, tmp_path) == whole
    assert len(whole) == len(pieces) - 3


def test_a_file_of_many_blocks_is_read_whole(tmp_path):
    rng = random.Random(0)
    table = [(rng.choice("xyz"), rng.randrange(10)) for _ in range(300_000)]
    content = "a,b\n" + "".join(f"{a}{' ' * 30},{b}\n" for a, b in table)
    assert len(content) > lines.BLOCK
    assert rows_of_bytes(content.encode(), tmp_path) == sorted(("xyz".index(a), b) for a, b in table)


@pytest.mark.parametrize("header", [b"a,b", b"a,b\n", b'\xef\xbb\xbf"a" , "b"\r\n', b"a,b\n\n\r\n"])
def test_a_header_alone_is_an_empty_table(header, tmp_path):
    assert rows_of_bytes(header, tmp_path) == []


def test_a_blank_line_is_no_row_even_in_a_table_of_one_column(tmp_path):
    schema = Schema((SCHEMA.columns[1],))
    assert rows_of_bytes(b'b\n1\n\n \n""\n,\n', tmp_path, schema=schema) == [(1,), (10,), (10,)]


NAMES = [
    *('a"b', "a'b", "a b", "a;b", '"; DROP TABLE coded; --', "'); ATTACH 'x.db'; --"),
    *("t0", "c0", "unit", "scan", "line", "é", "A", "a", "select", "a.b"),
]


@pytest.mark.parametrize("write", ["csv", "parquet", "frame"])
def test_column_names_are_never_read_as_sql(write, tmp_path):
    schema = Schema(tuple(Code(name=name, codes=20) for name in NAMES))
    frame = pd.DataFrame([range(len(NAMES))], columns=NAMES)
    if write == "csv":
        frame.to_csv(tmp_path / "t.csv", index=False)
    if write == "parquet":
        parquet.write_table(pa.Table.from_pandas(frame), tmp_path / "t.parquet")
    engine = open_engine(open_source(frame if write == "frame" else tmp_path / f"t.{write}"), schema, PrivacyUnit(id="A"))
    assert [int(np.argmax(count)) for count in engine.counts([(name,) for name in NAMES])] == list(range(len(NAMES)))


@pytest.mark.parametrize(("columns", "read"), [(2000, 3), (300, 300)])
def test_wide_files(columns, read, tmp_path):
    names = [f"k{i}" for i in range(columns)]
    schema = Schema(tuple(Code(name=name, codes=3) for name in names[-read:]))
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + ("1," * (columns - 1) + "2\n") * 3)
    engine = open_engine(open_source(tmp_path / "t.csv"), schema, PrivacyUnit())
    assert [count.tolist() for count in engine.counts([(names[-2],), (names[-1],)])] == [[0, 3, 0], [0, 0, 3]]


class Hostile:
    """A value whose every method fails with a cell in its text."""

    __hash__ = None

    def __str__(self):
        raise RuntimeError(CANARY)

    def __eq__(self, other):
        raise KeyError(CANARY)

    def __ne__(self, other):
        raise KeyError(CANARY)


MALICE = [
    *(None, float("nan"), pd.NA, pd.NaT, np.nan, "", "nan", "1e9999", float("inf"), -1e308, 2**80, -(10**5000), True, b"1", b"\xff"),
    *("\ud800", "\x00", CANARY, CANARY * 300_000, [1], np.array([1, 2]), {"k": CANARY}, object(), Hostile(), 1j, type),
    *(np.float32(0.1), np.datetime64("NaT"), dt.date(9999, 12, 31), pd.Timestamp("2020-01-01").to_pydatetime(), dt.time(1)),
    *(pd.Timestamp("2020-01-01", tz="UTC"), pd.Period("2020"), decimal.Decimal("sNaN")),
]


@pytest.mark.parametrize("value", MALICE, ids=lambda value: type(value).__name__)
def test_one_odd_value_of_a_frame_moves_one_cell_of_each_column(value):
    schema = Schema(tuple(COLUMNS.values()))
    without = [1, 2.0, "3", "red", 17]
    tables = [pd.DataFrame({name: pd.Series(values, dtype=object) for name in COLUMNS}) for values in (without, [*without, value])]
    before, after = (open_engine(open_source(table), schema, PrivacyUnit()) for table in tables)
    assert before.domain == after.domain
    for was, now in zip(*(engine.counts([(name,) for name in COLUMNS]) for engine in (before, after)), strict=True):
        assert was.dtype == now.dtype
        assert sorted((now - was).tolist()) == [*[0] * (len(was) - 1), 1]


@pytest.mark.parametrize("text", ["CANARY", "nan", "-1e9999", "9" * 40, "\x00", "", "'", '"', "é", "1e5"])
@pytest.mark.parametrize("write", ["csv", "parquet"])
def test_one_odd_value_of_a_file_moves_one_cell_of_each_column(write, text, tmp_path):
    schema = Schema(tuple(COLUMNS.values()))
    frame = pd.DataFrame({name: ["1", "2", text] for name in COLUMNS})
    counts = []
    for rows in (2, 3):
        path = tmp_path / f"{rows}.{write}"
        frame[:rows].to_csv(path, index=False) if write == "csv" else parquet.write_table(pa.Table.from_pandas(frame[:rows]), path)
        engine = open_engine(open_source(path), schema, PrivacyUnit())
        assert engine.domain == schema.domain
        counts.append(engine.counts([(name,) for name in COLUMNS]))
    for was, now in zip(*counts, strict=True):
        assert sorted((now - was).tolist()) == [*[0] * (len(was) - 1), 1]


TYPED = {
    "int8": pa.array([1, None, 7], pa.int8()),
    "uint64": pa.array([1, None, 7], pa.uint64()),
    "double": pa.array([1.0, None, 7.0]),
    "double with NaN": pa.array([1.0, float("nan"), 7.0]),
    "float": pa.array([1.0, None, 7.0], pa.float32()),
    "half": pa.array([np.float16(1), None, np.float16(7)], pa.float16()),
    "decimal": pa.array([decimal.Decimal("1.00"), None, decimal.Decimal("7.00")]),
    "decimal256": pa.array([decimal.Decimal("1.00"), None, decimal.Decimal("7.00")], pa.decimal256(50, 2)),
    "text": pa.array(["1", None, " 7.0"]),
    "large text": pa.array(["1", None, "7"], pa.large_string()),
    "text view": pa.array(["1", None, "7"], pa.string_view()),
    "bytes": pa.array([b"1", None, b"7"]),
    "large bytes": pa.array([b"1", None, b"7"], pa.large_binary()),
    "fixed bytes": pa.array([b"1", None, b"7"], pa.binary(1)),
    "bytes view": pa.array([b"1", None, b"7"], pa.binary_view()),
    "dictionary of integers": pa.array([1, None, 7]).dictionary_encode(),
    "dictionary of doubles": pa.array([1.0, None, 7.0]).dictionary_encode(),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3]), pa.array([1, None, 7])),
}


@pytest.mark.parametrize("name", TYPED)
def test_numbers_of_every_type_reach_their_cells(name):
    schema = Schema((SCHEMA.columns[1],))
    assert rows_of(pa.table({"b": TYPED[name]}), schema) == [(1,), (7,), (10,)]


OTHER_TYPES = {
    "seconds": pa.array([0, 2**62, -(2**62)], pa.int64()).view(pa.timestamp("s")),
    "nanoseconds": pa.array([0, 2**62, -(2**62)], pa.int64()).view(pa.timestamp("ns", "Europe/Paris")),
    "no such zone": pa.array([0, 1], pa.int64()).view(pa.timestamp("us", "No/Where")),
    "days": pa.array([0, 2**31 - 1, -(2**31)], pa.int32()).view(pa.date32()),
    "milliseconds": pa.array([0, 2**62], pa.int64()).view(pa.date64()),
    "time": pa.array([0, 2**62, -5], pa.int64()).view(pa.time64("us")),
    "duration": pa.array([0, 2**62], pa.int64()).view(pa.duration("s")),
    "list": pa.array([[1], None, []]),
    "list of odd times": pa.array([[2**62]], pa.list_(pa.int64())).cast(pa.list_(pa.timestamp("s"))),
    "struct": pa.array([{"k": CANARY}, None]),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    "text that is not UTF-8": pa.array([b"x", b"\xff"]).view(pa.string()),
    "bytes that are not UTF-8": pa.array([b"x", b"\xff"]),
    "nulls": pa.nulls(3),
    "bool": pa.array([True, False, None]),
    "months": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "extension": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
}


@pytest.mark.parametrize("name", OTHER_TYPES)
def test_no_type_and_no_value_of_it_raises(name):
    array = OTHER_TYPES[name]
    assert len(rows_of(pa.table({"a": array, "b": array}))) == len(array)


def test_seven_and_seven_point_nought_are_one_person(tmp_path):
    parquet.write_table(pa.table({"who": [7, 7], "b": [1, 1]}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"who": [7.0, None], "b": [1, 1]}), tmp_path / "2.parquet")
    schema = Schema((SCHEMA.columns[1],))
    assert rows_of(str(tmp_path / "*.parquet"), schema, PrivacyUnit(id="who")) == [(1,)]
    mixed = pd.DataFrame({"who": pd.Series([7, 7.0, "7", np.float64(7), np.int8(7), " 7 "], dtype=object), "b": 1})
    assert rows_of(mixed, schema, PrivacyUnit(id="who")) == [(1,)]
    zeros = pd.DataFrame({"who": [0.0, -0.0], "b": 1})
    assert rows_of(zeros, schema, PrivacyUnit(id="who")) == [(1,)]


def test_frames_and_files_of_pandas_agree(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 17], dtype="Int64"),
            "flag": [True, False, True],
            "number": [0.1, np.nan, -0.3],
            "label": pd.Categorical(["red", None, "é"]),
            "code": np.array([0, 1, 2], dtype=np.uint8),
        }
    )
    schema = Schema(tuple(COLUMNS[name] for name in frame.columns))
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    expected = rows_of(tmp_path / "t.csv", schema)
    assert rows_of(tmp_path / "t.parquet", schema) == rows_of(frame, schema) == rows_of(frame.astype(object), schema) == expected
    assert rows_of(frame.set_index(pd.Index([5, 5, 5])), schema) == expected


def damaged(folder):
    """Files that open, and break off or go wrong in their rows."""
    packed = gzip.compress(b"a,b\n" + os.urandom(1000).hex().encode() + b"CANARY,1\n" * 1000)
    (folder / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "check.csv.gz").write_bytes(packed[:-8] + b"\0" * 8)
    parquet.write_table(pa.table({"a": [CANARY] * 1000, "b": range(1000)}), folder / "p.parquet")
    raw = (folder / "p.parquet").read_bytes()
    (folder / "p.parquet").write_bytes(raw[:20] + b"\xff" * 60 + raw[80:])
    return [folder / name for name in ("cut.csv.gz", "check.csv.gz", "p.parquet")]


def test_a_damaged_file_says_the_same_words_whatever_it_holds(tmp_path, capfd):
    for path in damaged(tmp_path):
        with pytest.raises(SourceError) as caught:
            open_engine(open_source(path), SCHEMA, PrivacyUnit())
        assert str(caught.value) == UNREADABLE
        assert caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_gone_says_the_same_words(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\nx,1\n")
    source = open_source(tmp_path / "t.csv")
    (tmp_path / "t.csv").unlink()
    with pytest.raises(SourceError, match="could not be read") as caught:
        open_engine(source, SCHEMA, PrivacyUnit())
    assert str(caught.value) == UNREADABLE


def test_absent_columns_are_found_before_reading():
    with pytest.raises(SpecError, match="'who'"):
        open_engine(open_source(pd.DataFrame({"a": [CANARY], "b": [1]})), SCHEMA, PrivacyUnit(id="who"))
    assert columns_needed(SCHEMA, PrivacyUnit(id="who")) == ("a", "b", "who")
    assert columns_needed(SCHEMA, PrivacyUnit(id="b")) == ("a", "b")


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    """Even where DuckDB must spill, no file stays, and none is ever made in the working folder."""
    spill, work = tmp_path / "spill", tmp_path / "work"
    spill.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    monkeypatch.setattr(reader, "MEMORY_MIB", 64)
    seen, spilled, fetch = [], [], reader._fetch

    def watched(*given):
        seen.extend(folder.stat().st_mode & 0o777 for folder in spill.iterdir())
        spilled.extend(path.stat().st_size for path in spill.rglob("*") if path.is_file())
        return fetch(*given)

    monkeypatch.setattr(reader, "_fetch", watched)
    rng = np.random.default_rng(0)
    people = rng.integers(100_000, size=900_000)
    frame = pd.DataFrame({"who": [f"{who:060}" for who in people], "a": "x", "b": rng.integers(10, size=900_000)})
    engine = open_engine(open_source(frame), SCHEMA, PrivacyUnit(id="who"), threads=2)
    assert engine.counts([()])[0].tolist() == [len(set(people))]
    assert set(seen) == {0o700}
    assert sum(spilled) > 0
    assert list(spill.iterdir()) == list(work.iterdir()) == []
    for path in damaged(tmp_path):
        with pytest.raises(SourceError):
            open_engine(open_source(path), SCHEMA, PrivacyUnit())
    assert list(spill.iterdir()) == list(work.iterdir()) == []


def test_sorting_units_in_parts_keeps_the_same_rows(monkeypatch):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"who": rng.integers(50, size=2_000).astype(object), "a": "x", "b": rng.integers(10, size=2_000)})
    frame.loc[:9, "who"] = None
    unit = PrivacyUnit(id="who", max_rows=3)
    at_once = rows_of(frame, unit=unit, key="5e" * 32)
    fetched, fetch = [], reader._fetch
    monkeypatch.setattr(reader, "_fetch", lambda *given: (fetched.append(given), fetch(*given)))
    monkeypatch.setattr(reader, "ROOM", 1 << 17)
    assert rows_of(frame, unit=unit, key="5e" * 32) == at_once
    assert len(fetched) > 5
    assert len(at_once) == 150


def test_without_a_key_the_choice_differs_from_run_to_run():
    schema = Schema((Integer(name="b", least=0, most=9999, bins=10_000),))
    frame = pd.DataFrame({"who": 1, "b": range(10_000)})
    drawn = {tuple(rows_of(frame, schema, PrivacyUnit(id="who", max_rows=3))) for _ in range(3)}
    assert len(drawn) == 3  # a repetition has a chance of 1e-11


def test_the_choice_is_uniform_over_a_persons_rows():
    schema = Schema((Integer(name="b", least=0, most=3, bins=4),))
    frame = pd.DataFrame({"who": np.repeat(np.arange(4000), 4), "b": [0, 1, 2, 3] * 4000})
    (count,) = open_engine(open_source(frame), schema, PrivacyUnit(id="who")).counts([("b",)])
    assert count.sum() == 4000
    assert np.abs(count - 1000).max() < 7 * np.sqrt(750)  # a false alarm in 1e11 runs


def test_the_package_does_not_pay_for_engines_it_does_not_use():
    code = "import sys, dpsynth.engines.reader, dpsynth.engines.madeup; print({'duckdb', 'pandas', 'pyarrow'} & set(sys.modules))"
    here = {**os.environ, "PYTHONPATH": str(Path(reader.__file__).parents[2])}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=here)
    assert shown.stdout.strip() == "set()"
