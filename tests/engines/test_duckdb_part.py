"""DuckDB's own files: read-only, one table, nothing else of the machine."""

import datetime as dt
import decimal

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds import Categorical, Integer
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema
from tests.contracts.engine_contract import EngineContract
from tests.engines.test_contract import arrow_table, columns_of

CANARY = "CANARY"


def write(folder, table, name="people"):
    with duckdb.connect(str(folder / "t.duckdb")) as connection:
        connection.register("arrow", table)
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM arrow')
    return folder / "t.duckdb"


class TestDuckdbFile(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        path = write(folder, arrow_table(rows, columns_of(rows, schema, unit)))
        engine = open_engine(open_source(path, table="people"), schema, unit, key=key, threads=threads)
        path.unlink()
        return engine


TYPED = {
    "a": pa.array([1, None, 2**53 + 1], pa.int64()),
    "b": pa.array([1.0, 0.1, float("nan")], pa.float64()),
    "c": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("7.00")], pa.decimal128(10, 2)),
    "d": pa.array([True, False, None], pa.bool_()),
    "e": pa.array([dt.date(2026, 2, 28), None, dt.date(1, 1, 1)], pa.date32()),
    "f": pa.array([dt.datetime.fromisoformat("2026-02-28T01:02:03"), None, None], pa.timestamp("us")),
    "g": pa.array(["red", " ", None], pa.string()),
}


def test_typed_columns_have_the_texts_of_parquet(tmp_path):
    table = pa.table(TYPED)
    parquet.write_table(table, tmp_path / "t.parquet")
    labels = (
        "1",
        "9007199254740993",
        "0.1",
        "1.50",
        "7.00",
        "true",
        "false",
        "2026-02-28",
        "0001-01-01",
        "red",
        "2026-02-28 01:02:03.000000",
    )
    schema = Schema(tuple(Categorical(name=name, values=labels, missing=True) for name in TYPED))
    sources = open_source(write(tmp_path, table), table="people"), open_source(tmp_path / "t.parquet")
    here, there = (open_engine(source, schema, PrivacyUnit()).counts([(name,) for name in TYPED]) for source in sources)
    assert [a.tolist() for a in here] == [b.tolist() for b in there]
    assert all(count[len(labels)] == 0 for count in here)  # each text is one of the labels


def test_integers_of_128_bits_keep_their_digits(tmp_path):
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT '170141183460469231731687303715884105727'::HUGEINT AS x")
    schema = Schema((Categorical(name="x", values=("170141183460469231731687303715884105727", "no")),))
    assert open_engine(open_source(tmp_path / "t.duckdb", table="t"), schema, PrivacyUnit()).counts([("x",)])[0].tolist() == [1, 0, 0]


def refusal(call):
    with pytest.raises((SourceError, SpecError)) as caught:
        call()
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None
    return caught.value


def test_what_does_not_open_is_the_data_owners_fault(tmp_path):
    path = write(tmp_path, pa.table({"a": [CANARY]}))
    (tmp_path / "other.duckdb").write_bytes(b"CANARY" * 1000)
    (tmp_path / "0.duckdb").write_bytes(b"")
    for name, table in (
        (path, "absent"),
        (tmp_path / "other.duckdb", "people"),
        (tmp_path / "0.duckdb", "people"),
        ("no.duckdb", "people"),
    ):
        assert refusal(lambda name=name, table=table: open_source(name, table=table)).exit_code == 5


def test_a_database_needs_a_table_and_a_file_has_none(tmp_path):
    path = write(tmp_path, pa.table({"a": [CANARY]}))
    (tmp_path / "t.csv").write_text("a\nCANARY\n")
    assert "data.table" in str(refusal(lambda: open_source(path)))
    assert "data.table" in str(refusal(lambda: open_source(tmp_path / "t.csv", table="people")))
    assert "no column 'b': it has 'a'" in str(refusal(lambda: open_source(path, table="people").require(["b"])))


def test_a_view_cannot_reach_other_files(tmp_path):
    """A database file may come from anywhere: what its views name is not opened."""
    (tmp_path / "other.csv").write_text("a\nCANARY\n")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute(f"CREATE VIEW people AS SELECT * FROM read_csv('{tmp_path / 'other.csv'}')")
        connection.execute(f"CREATE VIEW words AS SELECT content AS a FROM read_text('{tmp_path / 'other.csv'}')")
    for view in ("people", "words"):
        assert refusal(lambda view=view: open_source(tmp_path / "t.duckdb", table=view)).exit_code == 5


def test_a_row_that_a_view_cannot_compute_is_never_told(tmp_path):
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE people AS SELECT 'CANARY' AS a")
        connection.execute("CREATE VIEW casting AS SELECT a::INTEGER AS a FROM people")
    source = open_source(tmp_path / "t.duckdb", table="casting")
    schema = Schema((Integer(name="a", least=0, most=9, bins=10),))
    source.check(schema, PrivacyUnit())
    assert refusal(lambda: open_engine(source, schema, PrivacyUnit())).exit_code == 5
