"""The SQL of databases and `rule.cell` agree on every text that `dpsynth.engines.sql` is tried on."""

import pyarrow as pa
import pytest

from dpsynth.engines.database import DatabaseSource
from dpsynth.engines.portable import cell_sql, inputs_sql, map_sql, value_sql
from tests.contracts.duckdb_session import DuckdbDialect, DuckdbSession
from tests.engines.test_sql import HARD, RULES


def cells_sql(rule, texts, dialect):
    """A query for cells and the places of the texts (SQL: of columns text and place)."""
    inputs = inputs_sql(rule, "text", dialect)
    named = [f"p{i}" for i in range(len(inputs))]
    parts = ", ".join(f"{sql} AS {name}" for sql, name in zip(inputs, named, strict=True))
    cell = cell_sql(rule, "v", dialect)
    steps = f"SELECT {dialect.trimmed('text')} AS text, place FROM ({texts}) AS texts {dialect.fence}"
    steps = f"SELECT {parts}, place FROM ({steps}) AS step {dialect.fence}"
    steps = f"SELECT {value_sql(rule, named, dialect)} AS v, place FROM ({steps}) AS step {dialect.fence}"
    return f"SELECT {dialect.whole(f'({cell})')} AS cell, {dialect.whole('place')} AS n FROM ({steps}) AS step"


def disagreements(rule, texts, cells, places):
    assert sorted(places.tolist()) == list(range(len(texts)))
    found = zip(cells.tolist(), places.tolist(), strict=True)
    return [(texts[place], cell) for cell, place in found if cell != rule.cell(texts[place])]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_hard_text_gets_the_cell_of_the_reference(rule):
    session = DuckdbSession(pa.table({"text": pa.array(HARD, pa.string()), "place": range(len(HARD))}))
    cells, places = session.counts(cells_sql(rule, "SELECT text, place FROM people", DuckdbDialect()))
    assert disagreements(rule, HARD, cells, places) == []


def test_a_map_of_cells_is_itself():
    import numpy as np

    for cells in ([0], [3, 3, 1, 0, 0, 2], list(range(300)), [1] * 50):
        session = DuckdbSession(pa.table({"c0": range(len(cells))}))
        found, places = session.counts(f"SELECT {map_sql(np.array(cells), 'c0')} AS cell, c0 AS n FROM people")
        assert dict(zip(places.tolist(), found.tolist(), strict=True)) == dict(enumerate(cells))


def test_a_source_is_printed_without_rows():
    assert "CANARY" not in repr(
        DatabaseSource("the table", ("t",), (), DuckdbDialect(), lambda: DuckdbSession(pa.table({"a": ["CANARY"]})))
    )
