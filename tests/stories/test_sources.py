"""Where rows may be: a spec that names a database, what it may not hold, and what is said where a driver is not installed."""

import sys

import duckdb
import pytest

import dpsynth as dp
from dpsynth.engines import postgres, spark
from dpsynth.engines.source import open_source
from dpsynth.errors import SourceError, SpecError
from dpsynth.spec import Spec

SPEC = """
[release]
name = "people"
purpose = "Test"
[data]
source = "{source}"
{table}
[budget]
ledger = "ledger"
epsilon = 1
delta = 1e-6
[synthesis]
strategy = "independent"
[columns.color]
kind = "categorical"
values = ["red", "blue"]
"""


def text(source, table="people"):
    return SPEC.format(source=source, table=f'table = "{table}"' if table else "")


@pytest.mark.parametrize("source", ["postgres://ann:s3cret@db/clinic", "postgres://db/clinic?password=s3cret", "host=db password=s3cret"])
def test_a_spec_with_a_password_is_refused_and_the_password_not_shown(source):
    with pytest.raises(SpecError) as caught:
        Spec.from_text(text(source))
    assert "s3cret" not in str(caught.value)
    assert "PGPASSWORD" in str(caught.value)


def test_an_address_is_no_path_and_comes_back_from_the_facts(tmp_path):
    spec = Spec.from_text(text("postgres://ann@db/clinic", "public.people"), tmp_path)
    assert (spec.source, spec.table) == ("postgres://ann@db/clinic", "public.people")
    assert Spec.from_facts(spec.facts()).facts() == spec.facts()


def test_a_release_from_a_duckdb_file(tmp_path):
    with duckdb.connect(str(tmp_path / "clinic.duckdb")) as connection:
        connection.execute("CREATE TABLE people AS SELECT CASE WHEN range % 3 = 0 THEN 'red' ELSE 'blue' END AS color FROM range(3000)")
    dp.Ledger.init(tmp_path / "ledger", epsilon=4.0, delta=1e-5, unit="")
    (tmp_path / "people.toml").write_text(text("clinic.duckdb"))
    release = dp.run(tmp_path / "people.toml", out=tmp_path / "out")
    assert abs((release.data["color"] == "red").sum() - 1000) < 200
    assert dp.verify(tmp_path / "out").ok


def test_a_table_for_a_file_is_refused_before_anything_is_charged(tmp_path):
    (tmp_path / "t.csv").write_text("color\nred\n")
    ledger = dp.Ledger.init(tmp_path / "ledger", epsilon=4.0, delta=1e-5, unit="")
    (tmp_path / "people.toml").write_text(text("t.csv"))
    before = len(ledger.read().entries)
    with pytest.raises(SpecError, match=r"data\.table is for databases"):
        dp.run(tmp_path / "people.toml", out=tmp_path / "out")
    assert len(ledger.read().entries) == before


@pytest.mark.parametrize(("source", "driver", "words"), [("postgres://", "psycopg", postgres), ("spark://", "pyspark.sql", spark)])
def test_a_driver_that_is_not_installed_is_named_with_the_command(source, driver, words, monkeypatch):
    for name in (driver, "ibis", f"ibis.backends.{'postgres' if words is postgres else 'pyspark'}"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SourceError, match=r"pip install \"dpsynth\[") as caught:
        open_source(source, table="people")
    assert str(caught.value) == words.MISSING_EXTRA


def test_the_driver_of_any_other_database_is_named_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(SourceError, match=r'pip install "ibis-framework\[mysql\]') as caught:
        open_source("mysql://ann@db.example.org/clinic", table="people")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("held", [None, "", "  ", "clinic.csv", "s3cret", "http://ann:s3cret@example.org/t.csv", "env://OTHER"])
def test_a_variable_that_holds_no_address_of_a_database_is_named_and_not_shown(held, monkeypatch):
    monkeypatch.delenv("CLINIC", raising=False)
    if held is not None:
        monkeypatch.setenv("CLINIC", held)
    with pytest.raises(
        SourceError, match=r"the environment variable 'CLINIC' (is not set|holds no address).*postgres://.*mysql://"
    ) as caught:
        open_source("env://CLINIC", table="people")
    assert "s3cret" not in str(caught.value)
