"""The engine of databases, without a server: the contract, and what a server may see, say and keep."""

import pytest

from dpsynth.engines.database import DatabaseSource
from dpsynth.engines.reader import UNREADABLE, open_engine
from dpsynth.errors import SourceError, SpecError
from dpsynth.privacy import PrivacyUnit
from tests.contracts.duckdb_session import DuckdbDialect, DuckdbSession
from tests.contracts.engine_contract import COLUMNS, KEY, ONE_ROW_ONE_PERSON, WIDE, EngineContract, cliques_up_to, people
from tests.engines.test_contract import arrow_table, columns_of

CANARY = "CANARY"


def sessions_over(rows, schema, unit, session=DuckdbSession):
    """A source, and the sessions it has opened so far."""
    table, opened = arrow_table(rows, columns_of(rows, schema, unit)), []

    def connect():
        opened.append(session(table))
        return opened[-1]

    return DatabaseSource.open("test", ("people",), DuckdbDialect(), connect), opened


class TestDatabase(EngineContract):
    def build(self, rows, schema, unit, key, folder, threads=None):
        source, _ = sessions_over(rows, schema, unit)
        return open_engine(source, schema, unit, key=key, threads=threads)


def test_a_server_that_agrees_passes_the_check():
    unit = PrivacyUnit(id="who")
    source, opened = sessions_over(people(3), WIDE, unit)
    source.check(WIDE, unit)
    assert len(opened) == 2


class LowerLetters(DuckdbDialect):
    """A collation that takes no notice of case."""

    def plain(self, text):
        return f"lower({text})"

    def text(self, column, kind):
        return f"lower({column}::VARCHAR)"


def test_a_server_that_computes_other_cells_is_refused_before_anything_is_charged():
    source, _ = sessions_over([], WIDE, ONE_ROW_ONE_PERSON)
    odd = DatabaseSource("the table", ("people",), source.columns, LowerLetters(), source.connect)
    with pytest.raises(SourceError, match=r"other cells than other engines in columns \['label; other'"):
        odd.check(WIDE, ONE_ROW_ONE_PERSON)


def test_nothing_but_counts_of_groups_is_fetched():
    unit = PrivacyUnit(id="who", max_rows=2)
    source, opened = sessions_over(people(40), WIDE, unit)
    engine = open_engine(source, WIDE, unit, key=KEY)
    engine.counts(cliques_up_to(WIDE, 2))
    asked = [(how, query) for session in opened for how, query in session.queries]
    assert {how for how, _ in asked} == {"keep", "counts"}
    assert all(query.endswith("GROUP BY cell") and "people" not in query for how, query in asked if how == "counts")


def test_the_table_is_read_once():
    """Rows that are written between two questions would otherwise count in one and not in the other."""
    unit = PrivacyUnit(id="who", max_rows=2)
    source, opened = sessions_over(people(40), WIDE, unit)
    engine = open_engine(source, WIDE, unit, key=KEY)
    before = engine.counts([("code",)])[0].tolist()
    opened[-1].connection.execute("DELETE FROM people")
    assert engine.counts([("code",)])[0].tolist() == before
    assert sum("people" in query for session in opened for _, query in session.queries) == 1


class Failing(DuckdbSession):
    def keep(self, query, name):
        raise ValueError(f"invalid input syntax: {CANARY}")


def test_a_servers_words_are_never_passed_on():
    source, _ = sessions_over([{**dict.fromkeys(COLUMNS), "who": CANARY}], WIDE, PrivacyUnit(id="who"), Failing)
    for call in (lambda: open_engine(source, WIDE, PrivacyUnit(id="who")), lambda: source.check(WIDE, PrivacyUnit(id="who"))):
        with pytest.raises(SourceError) as caught:
            call()
        assert CANARY not in str(caught.value)
        assert caught.value.__context__ is None


def test_a_failing_count_always_says_the_same():
    source, opened = sessions_over(people(3), WIDE, ONE_ROW_ONE_PERSON)
    engine = open_engine(source, WIDE, ONE_ROW_ONE_PERSON)
    opened[-1].connection.execute("DROP TABLE dpsynth_codes")
    with pytest.raises(SourceError) as caught:
        engine.counts([("code",)])
    assert str(caught.value) == UNREADABLE
    assert caught.value.__context__ is None


def test_closing_ends_the_session():
    source, opened = sessions_over(people(3), WIDE, ONE_ROW_ONE_PERSON)
    open_engine(source, WIDE, ONE_ROW_ONE_PERSON).close()
    with pytest.raises(Exception, match="closed"):
        opened[-1].connection.execute("SELECT 1")


def test_a_column_that_is_absent_is_named():
    source, _ = sessions_over([], WIDE, ONE_ROW_ONE_PERSON)
    with pytest.raises(SpecError, match="no column 'who': it has 'code'"):
        source.check(WIDE, PrivacyUnit(id="who"))
