"""Databases that are read through Ibis, against the contract of every engine: SQLite, and PostgreSQL as any other database."""

import sqlite3

import polars as pl
import psycopg
import pyarrow as pa
import pytest

import dpsynth as dp
from dpsynth.engines.catalog import Declared
from dpsynth.engines.reader import RowSource, open_engine
from dpsynth.engines.source import open_source
from dpsynth.engines.texts import array_texts
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds import Boolean, Categorical
from dpsynth.schema import Schema
from tests.contracts.engine_contract import ONE_ROW_ONE_PERSON, EngineContract, same
from tests.engines.test_contract import arrow_table, columns_of
from tests.servers.test_postgres import HERE, PASSWORD, SPEC, TYPED, fill, quoted, without_nul

ibis = pytest.importorskip("ibis")


def sqlite_file(rows, columns, folder, kind="text"):
    """The rows in the table "people" of a file, whose address is returned."""
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute(f"CREATE TABLE people ({', '.join(f'{quoted(name)} {kind}' for name in columns)})")
        places = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO people VALUES ({places})", [[row[name] for name in columns] for row in rows])
    connection.close()
    return f"sqlite://{folder / 't.db'}"


class TestAddress(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        source = open_source(sqlite_file(rows, columns_of(rows, schema, unit), folder), table="people")
        engine = open_engine(source, schema, unit, key=key, threads=threads)
        (folder / "t.db").unlink()  # what was opened is never opened again
        return engine


class TestTableOfPostgres(EngineContract):
    """In the caller's own connection."""

    @pytest.fixture(autouse=True)
    def _server(self, postgres):
        self.connection = ibis.postgres.connect(host=str(postgres.folder), port=postgres.port, user="owner", database="postgres")
        yield
        self.connection.disconnect()

    def as_stored(self, rows):
        return without_nul(rows)

    def build(self, rows, schema, unit, key, folder, threads=None):
        fill(without_nul(rows), columns_of(rows, schema, unit), table="rows of people")
        return open_engine(open_source(self.connection.table("rows of people")), schema, unit, key=key, threads=threads)


@pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")  # Ibis calls DuckDB by names that it is giving up
class TestTableOfDuckdb(EngineContract):
    """Whose cursor is the connection itself."""

    @pytest.fixture(autouse=True)
    def _connection(self):
        self.connection = ibis.duckdb.connect()
        yield
        self.connection.disconnect()

    def build(self, rows, schema, unit, key, folder, threads=None):
        self.connection.con.register("given", arrow_table(rows, columns_of(rows, schema, unit)))
        self.connection.con.execute("CREATE OR REPLACE TABLE people AS SELECT * FROM given")
        engine = open_engine(open_source(self.connection.table("people")), schema, unit, key=key, threads=threads)
        self.connection.con.execute("DROP TABLE people")  # the connection still serves, and what was opened is never opened again
        return engine


class TestTableOfPolars(EngineContract):
    """Without a cursor: Ibis gives batches of Arrow."""

    def build(self, rows, schema, unit, key, folder, threads=None):
        connection = ibis.polars.connect({"people": pl.from_arrow(arrow_table(rows, columns_of(rows, schema, unit)))})
        return open_engine(open_source(connection.table("people")), schema, unit, key=key, threads=threads)


@pytest.mark.parametrize("kind", TYPED)
def test_typed_columns_have_the_texts_of_parquet(kind, postgres):
    arrow, values = TYPED[kind]
    texts = sorted({text.strip() for text in array_texts(pa.array(values, arrow)).to_pylist() if text and text.strip()})
    schema = Schema((Categorical(name="x", values=tuple(texts), missing=True),))
    connection = ibis.postgres.connect(host=str(postgres.folder), port=postgres.port, user="owner", database="postgres")
    fill([{"x": value} for value in values], ["x"], table="typed")
    connection.raw_sql(f"ALTER TABLE typed ALTER x TYPE {kind} USING nullif(x, '\\N')::{kind}").close()
    there = open_engine(open_source(connection.table("typed")), schema, ONE_ROW_ONE_PERSON).counts([("x",)])
    here = open_engine(open_source(pa.table({"x": pa.array(values, arrow)})), schema, ONE_ROW_ONE_PERSON).counts([("x",)])
    connection.disconnect()
    assert same(there, here)


def test_what_a_column_holds_may_differ_from_what_it_declares(tmp_path):
    """SQLite keeps any value in any column: a row is never the reason to stop."""
    values = [1, 0, None, "CANARY", 2.5, b"\xff\x00", True]
    address = sqlite_file([{"x": value} for value in values], ["x"], tmp_path, kind="boolean")
    source = open_source(address, table="people")
    assert source.declared(()) == (Declared("x", "boolean", nullable=True),)
    (count,) = open_engine(source, Schema((Boolean(name="x", missing=True),)), ONE_ROW_ONE_PERSON).counts([("x",)])
    assert count.sum() == len(values)
    assert count[:2].tolist() == [1, 2]


def test_what_ibis_computes_is_a_source(tmp_path):
    address = sqlite_file([{"x": str(i % 3), "y": str(i)} for i in range(30)], ["x", "y"], tmp_path)
    table = ibis.connect(address).table("people")
    schema = Schema((Categorical(name="which", values=("0", "1", "2")),))
    source = open_source(table.filter(table.y.cast("int64") < 9).select(which=table.x))
    assert open_engine(source, schema, ONE_ROW_ONE_PERSON).counts([("which",)])[0].tolist()[:3] == [3, 3, 3]


def test_an_ibis_table_without_a_database_is_refused():
    with pytest.raises(SourceError, match="connection to a database") as caught:
        open_source(ibis.table({"x": "string"}, name="nowhere"))
    assert caught.value.__context__ is None


DRAFTED = "age integer, income double precision, fee numeric(8,2), born date, seen timestamp, member boolean, note text"
KINDS = ["integer", "number", "number", "date", "datetime", "boolean", "categorical"]


def test_a_draft_takes_kinds_from_any_catalog(postgres, tmp_path):
    """PostgreSQL's own, and SQLite's; no row is read, so none has to be there."""
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS drafted; CREATE TABLE drafted ({DRAFTED})")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute(f"CREATE TABLE drafted ({DRAFTED})")
    connection.close()
    for source in (HERE, f"sqlite://{tmp_path / 't.db'}"):
        drafted = dp.draft_spec(source, table="drafted")
        assert [column.kind for column in drafted.columns] == KINDS


def refusal(call):
    with pytest.raises((SourceError, SpecError)) as caught:
        call()
    assert caught.value.__context__ is None
    assert "s3cret" not in str(caught.value)
    return caught.value


def test_a_variable_may_hold_the_address_and_its_secrets(tmp_path, postgres, monkeypatch):
    """Of PostgreSQL too, which then counts in place."""
    monkeypatch.setenv("CLINIC", sqlite_file([{"x": "a"}], ["x"], tmp_path))
    assert isinstance(open_source("env://CLINIC", table="people"), RowSource)
    fill([{"x": "a"}], ["x"])
    monkeypatch.setenv("CLINIC", f"postgresql://owner:s3cret@/postgres?host={postgres.folder}&port={postgres.port}")
    assert open_source("env://CLINIC", table="people").title == "the PostgreSQL table 'people'"


def test_nothing_of_an_address_is_shown(tmp_path, monkeypatch):
    refused = [
        ("sqlite:///absent/s3cret.db", "cannot be read: check the environment variable 'CLINIC'"),
        (sqlite_file([], ["x"], tmp_path).replace("t.db", "s3cret.db"), "cannot be read"),
        ("mysql://ann:s3cret@127.0.0.1:1/x", "ibis-framework\\[mysql\\]"),
        ("spark://ann:s3cret@host/x", "password"),
        ("postgres://ann:s3cret@127.0.0.1:1/x", "does not take the connection"),
        ("s3cret", "no address of a database"),
        ("env://s3cret", "no address of a database"),
        ("file://s3cret", "no address of a database"),
        ("", "is not set"),
    ]
    for url, words in refused:
        monkeypatch.setenv("CLINIC", url)
        assert words.replace("\\", "") in str(refusal(lambda: open_source("env://CLINIC", table="people")))
    assert "password" in str(refusal(lambda: open_source("mysql://ann:s3cret@host/x", table="people")))


def test_a_release_from_a_variable_writes_its_name_alone(postgres, tmp_path, monkeypatch):
    rows = [{"code": str(i % 3), "flag": "yes", "who": str(i)} for i in range(30)]
    (tmp_path / "s3cret").mkdir()
    monkeypatch.setenv("CLINIC", sqlite_file(rows, ["code", "flag", "who"], tmp_path / "s3cret"))
    (tmp_path / "people.toml").write_text(SPEC.format(source="env://CLINIC"))
    dp.Ledger.init(tmp_path / "ledger", epsilon=4.0, delta=1e-5, unit="who", max_rows=3)
    release = dp.run(tmp_path / "people.toml", out=tmp_path / "out")
    assert list(release.data.columns) == ["code", "flag"]
    assert dp.verify(tmp_path / "out").ok
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".db")
    assert b"s3cret" not in written
    assert PASSWORD.encode() not in written
