"""What is public about a source is checked for nothing, and no message shows a cell."""

import gzip
import os

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.engines.source import open_source
from dpsynth.errors import SourceError, SpecError

CANARY = "CANARY"


def refusal(data, columns=("a", "b"), **options):
    """The error of opening and checking a source, seen to hold no cell and no library's error."""
    with pytest.raises((SourceError, SpecError)) as caught:
        open_source(data, **options).require(columns)
    error = caught.value
    assert CANARY not in str(error)
    assert error.__context__ is None
    return error


def file(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


UNOPENABLE = {
    "0.csv": b"",
    "0.csv.gz": b"",
    "nothing.csv.gz": gzip.compress(b""),
    "no.csv.gz": b"a,b\nCANARY,1\n",
    "cut header.csv.gz": gzip.compress(b"a,b\nCANARY,1\n")[:10],
    "0.parquet": b"",
    "no.parquet": b"a,b\nCANARY,1\n",
    "magic.parquet": b"PAR1CANARYPAR1",
    "utf16.csv": "a,b\nCANARY,1\n".encode("utf-16"),
    "utf32.csv": "a,b\nCANARY,1\n".encode("utf-32"),
    "latin header.csv": "a,b,é\nCANARY,1,2\n".encode("latin-1"),
    "nul header.csv": b"a,b\0\nCANARY,1\n",
    "old mac.csv": b"a,b\rCANARY,1\rCANARY,2\r",
    "one long line.csv": b"a,b" + b",CANARY" * 200_000,
    "table.txt": b"a,b\nCANARY,1\n",
    "no ending": b"a,b\nCANARY,1\n",
}


@pytest.mark.parametrize("name", UNOPENABLE)
def test_a_file_that_does_not_open_is_the_data_owners_fault(name, tmp_path):
    assert refusal(file(tmp_path, name, UNOPENABLE[name])).exit_code == 5


def test_a_cut_parquet_does_not_open(tmp_path):
    parquet.write_table(pa.table({"a": [CANARY], "b": [1]}), tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    for cut in (5, len(whole) // 2, len(whole) - 1):
        assert refusal(file(tmp_path, "cut.parquet", whole[:cut])).exit_code == 5


@pytest.mark.parametrize(
    "name", ["none.csv", "none.parquet", "*.csv", "**/none*.csv.gz", "", "x\0.csv", "y" * 5000 + ".csv", "no/such/folder.csv"]
)
def test_what_is_not_there_does_not_open(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(name).exit_code == 5


def test_directories_and_pipes_do_not_open(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("folder.csv", "pipe.csv", ".", "*.csv"):
        assert refusal(tmp_path / name).exit_code == 5


WITHOUT_COLUMN = {
    "absent.csv": (b"a,c,d\nCANARY,1,2\n", "'b'", "'a', 'c', 'd'"),
    "twice.csv": (b"a,b,b\nCANARY,1,2\n", "'b'", "more than once"),
    "twice with blanks.csv": (b'a, b,"b"\nCANARY,1,2\n', "'b'", "more than once"),
    "other case.csv": (b"a,B\nCANARY,1\n", "'b'", "'a', 'B'"),
    "semicolons.csv": (b"a;b\nCANARY;1\n", "'a', 'b'", "not shown"),
    "no header.csv": (b"CANARY,1\nx,2\n", "'a', 'b'", "not shown"),
    "blank header.csv": (b"\nCANARY,1\n", "'a', 'b'", "not shown"),
}


@pytest.mark.parametrize("name", WITHOUT_COLUMN)
def test_a_column_that_is_absent_or_there_twice_is_the_spec_authors_fault(name, tmp_path):
    content, *words = WITHOUT_COLUMN[name]
    error = refusal(file(tmp_path, name, content))
    assert error.exit_code == 2
    assert all(word in str(error) for word in words)


def test_catalogs_are_names_for_certain(tmp_path):
    table = pa.table({"x": [CANARY], "y": [CANARY]})
    parquet.write_table(table, tmp_path / "t.parquet")
    for data in (table, table.to_pandas(), tmp_path / "t.parquet"):
        assert "it has 'x', 'y'" in str(refusal(data))


def test_doubled_columns_of_tables_are_refused():
    assert refusal(pd.DataFrame([[CANARY, 1, 2]], columns=["a", "b", "b"])).exit_code == 2
    assert refusal(pa.table([["x"], ["y"], ["z"]], names=["a", "b", "b"])).exit_code == 2


def test_doubled_columns_that_nobody_needs_are_no_fault(tmp_path):
    open_source(file(tmp_path, "t.csv", b"a,b,c,c,,\n")).require(["a", "b"])


def test_every_file_of_a_glob_needs_the_columns(tmp_path):
    file(tmp_path, "1.csv", b"a,b\n1,2\n")
    file(tmp_path, "2.csv", b"b,z\nCANARY,2\n")
    error = refusal(str(tmp_path / "*.csv"))
    assert error.exit_code == 2
    assert "'2.csv'" in str(error)
    assert "'1.csv'" not in str(error)


def test_a_name_with_magic_letters_is_a_file_before_it_is_a_glob(tmp_path):
    open_source(file(tmp_path, "t[1].csv", b"a,b\n")).require(["a", "b"])


def test_long_headers_are_listed_in_part(tmp_path):
    names = [f"column{i}" for i in range(2000)]
    error = refusal(file(tmp_path, "wide.csv", ",".join(names).encode()), ["column7", "no such column"])
    assert "and 1950 more" in str(error)
    assert len(str(error)) < 2000


@pytest.mark.parametrize("data", [3, None, ["a.csv"], {"a": [1]}, b"t.csv"])
def test_other_things_than_tables_are_wrong_usage(data):
    assert refusal(data).exit_code == 2


def test_only_listed_delimiters_are_possible(tmp_path):
    path = file(tmp_path, "t.csv", b"a;b\n1;2\n")
    open_source(path, delimiter=";").require(["a", "b"])
    assert refusal(path, delimiter="\n").exit_code == 2


def test_a_source_is_printed_without_its_rows():
    for data in (pd.DataFrame({"a": [CANARY]}), pa.table({"a": [CANARY]})):
        assert CANARY not in repr(open_source(data))
