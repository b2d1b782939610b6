"""PostgreSQL against the contract of every engine, and what only a server can do: write meanwhile, refuse, and know passwords."""

import datetime as dt
import decimal
import random

import psycopg
import pyarrow as pa
import pytest

import dpsynth as dp
from dpsynth.engines.postgres import PostgresDialect, PostgresSession
from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds import Categorical, Integer
from dpsynth.location import address
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema
from tests.contracts.engine_contract import COLUMNS, KEY, ONE_ROW_ONE_PERSON, WIDE, EngineContract, cliques_up_to, people, same
from tests.engines.test_contract import columns_of
from tests.engines.test_portable import cells_sql, disagreements
from tests.engines.test_sql import HARD, RULES
from tests.servers.postgres_server import PASSWORD, READER

HERE = "postgres://"
"""The server that the environment names."""


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def without_nul(rows):
    """Texts in PostgreSQL hold no NUL."""
    return [{name: text and text.replace("\0", "") for name, text in row.items()} for row in rows]


@pytest.fixture
def owner(postgres):
    with psycopg.connect(autocommit=True) as connection:
        yield connection


def fill(rows, columns, table="people", kind="text"):
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(table)} CASCADE")
        connection.execute(f"CREATE TABLE {quoted(table)} ({', '.join(f'{quoted(name)} {kind}' for name in columns)})")
        with connection.cursor().copy(f"COPY {quoted(table)} FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row[name] for name in columns])


@pytest.mark.usefixtures("postgres")
class TestPostgres(EngineContract):
    def as_stored(self, rows):
        return without_nul(rows)

    def build(self, rows, schema, unit, key, folder, threads=None):
        fill(without_nul(rows), columns_of(rows, schema, unit))
        source = open_source(HERE, table="people")
        engine = open_engine(source, schema, unit, key=key)
        fill([], ["gone"])  # what was opened is never read again
        return engine


def test_the_server_computes_what_the_rules_say(owner):
    fill(without_nul(people(10)), [*COLUMNS, "who"])
    open_source(HERE, table="people").check(WIDE, PrivacyUnit(id="who"))


def test_rows_that_are_written_meanwhile_do_not_count(owner):
    """A unit's rows are bounded once: were they read anew for each question, it could count in different places each time."""
    rows = without_nul(people(60))
    fill(rows, [*COLUMNS, "who"])
    engine = open_engine(open_source(HERE, table="people"), WIDE, PrivacyUnit(id="who"), key=KEY)
    before = engine.counts(cliques_up_to(WIDE, 1))
    owner.execute("INSERT INTO people SELECT * FROM people")
    owner.execute("UPDATE people SET code = '2'")
    assert same(before, engine.counts(cliques_up_to(WIDE, 1)))
    owner.execute("DROP TABLE people")
    assert same(before, engine.counts(cliques_up_to(WIDE, 1)))


def test_closing_leaves_nothing_on_the_server(owner):
    fill(without_nul(people(20)), [*COLUMNS, "who"])
    engine = open_engine(open_source(HERE, table="people"), WIDE, PrivacyUnit(id="who"))
    sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dpsynth'"
    assert len(owner.execute(sessions).fetchall()) == 1
    engine.close()
    for _ in range(200):
        if not owner.execute(sessions).fetchall():
            break
        owner.execute("SELECT pg_sleep(0.05)")
    assert owner.execute(sessions).fetchall() == []
    assert owner.execute("SELECT relname FROM pg_class WHERE relname = 'dpsynth_codes'").fetchall() == []


D, T = decimal.Decimal, dt.datetime.fromisoformat
TYPED = {
    "bigint": (pa.int64(), [1, -5, 2**53 + 1, None, 7]),
    "smallint": (pa.int16(), [1, -5, 300, None, 7]),
    "double precision": (pa.float64(), [1.0, -0.0, 0.1, float("nan"), 12345678901.0, float("inf"), -2.5e-3]),
    "real": (pa.float32(), [1.0, 0.5, 0.1, None, 100.0]),
    "numeric(10,2)": (pa.decimal128(10, 2), [D("1.50"), D("7.00"), None, D("-0.25"), D(5)]),
    "boolean": (pa.bool_(), [True, False, None, True, True]),
    "date": (pa.date32(), [dt.date(2026, 2, 28), dt.date(1, 1, 1), None, dt.date(1969, 12, 31), dt.date(9999, 12, 31)]),
    "timestamp": (pa.timestamp("us"), [T("2026-02-28T01:02:03.000004"), T("1900-01-01"), None, None, T("2026-01-01")]),
    "timestamptz": (pa.timestamp("us", tz="UTC"), [T("2026-02-28T23:30-02:00"), None, T("1969-01-01T00:00Z")]),
    "time": (pa.time64("us"), [dt.time(1, 2, 3, 4), dt.time(0, 0), None, None, dt.time(23, 59)]),
    "varchar(9)": (pa.string(), ["a", " a ", "", None, "é"]),
    "char(9)": (pa.string(), ["a", "b", "", None, "é"]),
}


@pytest.mark.parametrize("kind", TYPED)
def test_typed_columns_have_the_texts_of_parquet(kind, owner):
    """Each of the texts that the Arrow column has is a label: the counts are the same only where the texts are."""
    arrow, values = TYPED[kind]
    from dpsynth.engines.texts import array_texts

    texts = sorted({text.strip() for text in array_texts(pa.array(values, arrow)).to_pylist() if text and text.strip()})
    schema = Schema((Categorical(name="x", values=tuple(texts), missing=True),))
    fill([{"x": value, "who": str(i)} for i, value in enumerate(values)], ["x", "who"])
    owner.execute(f"ALTER TABLE people ALTER x TYPE {kind} USING nullif(x, '\\N')::{kind}")
    for timezone, style in (("UTC", "ISO"), ("Asia/Tokyo", "German")):
        owner.execute(f"ALTER ROLE owner SET timezone = '{timezone}'")
        owner.execute(f"ALTER ROLE owner SET datestyle = '{style}'")
        there = open_engine(open_source(HERE, table="people"), schema, ONE_ROW_ONE_PERSON).counts([("x",)])
        here = open_engine(open_source(pa.table({"x": pa.array(values, arrow)})), schema, ONE_ROW_ONE_PERSON).counts([("x",)])
        owner.execute("ALTER ROLE owner RESET ALL")
        assert same(there, here)


def test_types_without_a_text_are_named_and_refused(owner):
    owner.execute("DROP TABLE IF EXISTS people CASCADE")
    owner.execute("CREATE TABLE people (x bytea, y interval, z int[])")
    for name in "xyz":
        with pytest.raises(SpecError, match=f"'{name}'.*a view that casts"):
            open_source(HERE, table="people").check(Schema((Integer(name=name, least=0, most=9, bins=10),)), ONE_ROW_ONE_PERSON)


def test_views_and_odd_names_are_tables_too(owner):
    fill([{"a": "1"}, {"a": "2"}], ["a"])
    owner.execute('CREATE SCHEMA IF NOT EXISTS "my.schema"')
    owner.execute('CREATE OR REPLACE VIEW "my.schema"."it\'s ""one"" %s" AS SELECT a AS "a ""b"" %s", a AS x FROM people')
    source = open_source(HERE, table='"my.schema"."it\'s ""one"" %s"')
    schema = Schema((Integer(name='a "b" %s', least=0, most=9, bins=10),))
    source.check(schema, ONE_ROW_ONE_PERSON)
    assert open_engine(source, schema, ONE_ROW_ONE_PERSON).counts([()])[0].tolist() == [2]


def test_a_collation_that_ignores_case_changes_nothing(owner):
    owner.execute("DROP TABLE IF EXISTS people CASCADE")
    owner.execute("CREATE COLLATION IF NOT EXISTS no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    owner.execute("CREATE TABLE people (who text COLLATE no_case, x text COLLATE no_case)")
    owner.execute("INSERT INTO people VALUES ('ann', 'red'), ('ANN', 'RED'), ('Ann', 'Red')")
    schema = Schema((Categorical(name="x", values=("red", "RED")),))
    (count,) = open_engine(open_source(HERE, table="people"), schema, PrivacyUnit(id="who")).counts([("x",)])
    assert count.tolist() == [1, 1, 1]


@pytest.fixture
def reader(postgres, owner, monkeypatch):
    """A user with as few rights as do, at an address with a host and a port."""
    fill(without_nul(people(40)), [*COLUMNS, "who"])
    owner.execute("DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    owner.execute(psycopg.sql.SQL("ALTER ROLE reader PASSWORD {}").format(PASSWORD))
    owner.execute("GRANT SELECT ON people TO reader")
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return f"postgresql://{READER}@127.0.0.1:{postgres.port}/postgres"


def test_a_user_who_may_only_read_is_enough(reader, owner):
    source = open_source(reader, table="public.people")
    source.check(WIDE, PrivacyUnit(id="who"))
    counted = open_engine(source, WIDE, PrivacyUnit(id="who", max_rows=2), key=KEY).counts(cliques_up_to(WIDE, 1))
    assert counted[0][0] > 0


def test_the_password_may_be_in_the_drivers_own_file(reader, postgres, monkeypatch, tmp_path):
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:{READER}:{PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    open_source(reader, table="people").require(["who"])


def refusal(call):
    with pytest.raises((SourceError, SpecError)) as caught:
        call()
    assert caught.value.__context__ is None
    assert PASSWORD not in str(caught.value)
    assert "wrong" not in str(caught.value)
    return caught.value


def test_what_the_server_refuses_is_said_without_its_words(reader, owner, monkeypatch):
    assert refusal(lambda: open_source(reader, table="absent")).exit_code == 5
    owner.execute("CREATE TABLE IF NOT EXISTS closed (a text)")
    assert "SELECT" in str(refusal(lambda: open_source(reader, table="closed")))
    owner.execute("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    try:
        source = open_source(reader, table="people")
        assert "TEMPORARY" in str(refusal(lambda: source.check(WIDE, ONE_ROW_ONE_PERSON)))
        assert refusal(lambda: open_engine(source, WIDE, ONE_ROW_ONE_PERSON)).exit_code == 5
    finally:
        owner.execute("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    assert refusal(lambda: open_source(reader, table="people")).exit_code == 5


def test_a_value_that_the_server_cannot_read_is_never_told(owner):
    """Rows that the checks cannot see: a view whose own cast fails on a row."""
    fill([{"a": "CANARY"}], ["a"])
    owner.execute("CREATE OR REPLACE VIEW casting AS SELECT a::integer AS a FROM people")
    source = open_source(HERE, table="casting")
    schema = Schema((Integer(name="a", least=0, most=9, bins=10),))
    source.check(schema, ONE_ROW_ONE_PERSON)
    assert "CANARY" not in str(refusal(lambda: open_engine(source, schema, ONE_ROW_ONE_PERSON)))


SPEC = """
[release]
name = "people"
purpose = "Test"
[data]
source = "{source}"
table = "people"
[unit]
id = "who"
max_rows = 3
[budget]
ledger = "ledger"
epsilon = 1
delta = 1e-6
[synthesis]
strategy = "independent"
[columns.code]
kind = "code"
size = 3
[columns.flag]
kind = "boolean"
missing = true
"""


def test_a_release_from_a_database_by_a_user_with_a_password(reader, tmp_path):
    """From spec to bundle; nothing that is written names the password."""
    (tmp_path / "people.toml").write_text(SPEC.format(source=reader))
    dp.Ledger.init(tmp_path / "ledger", epsilon=4.0, delta=1e-5, unit="who", max_rows=3)
    release = dp.run(tmp_path / "people.toml", out=tmp_path / "out")
    assert list(release.data.columns) == ["code", "flag"]
    assert dp.verify(tmp_path / "out").ok
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in written


def test_order_of_rows_and_what_the_table_has_lived_through_do_not_matter(owner):
    rows, unit = without_nul(people(150, seed=4)), PrivacyUnit(id="who", max_rows=2)
    counted = []
    for shuffle in range(3):
        fill(random.Random(shuffle).sample(rows, len(rows)), [*COLUMNS, "who"])
        owner.execute("UPDATE people SET code = code WHERE whole = '1'")
        counted.append(open_engine(open_source(HERE, table="people"), WIDE, unit, key=KEY).counts(cliques_up_to(WIDE, 2)))
    assert same(counted[0], counted[1])
    assert same(counted[0], counted[2])


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_hard_text_gets_the_cell_of_the_reference(rule, owner):
    texts = [text and text.replace("\0", "") for text in HARD]
    fill([{"text": text, "place": place} for place, text in enumerate(texts)], ["text", "place"])
    session = PostgresSession.connect(address(HERE))
    query = cells_sql(rule, 'SELECT text COLLATE "C" AS text, place FROM people', PostgresDialect())
    assert disagreements(rule, texts, *session.counts(query)) == []
    session.close()
