"""One pass over a source: texts to cells, each unit's rows bounded, nothing kept but codes.

1. Each part's texts become codes by the schema's rules, compiled to SQL; only the columns of the schema and the unit's id are read.
2. Rows without an id are dropped, and of each unit those with the least order hash are kept (`dpsynth.core.bounding`).
3. The codes are copied into arrays and the connection, its memory and its private temporary folder are gone before this returns.
A failure says that it failed and nothing of what was read.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.bounding import SEPARATOR, fresh_key
from dpsynth.engines.codes import CodesEngine, code_dtype
from dpsynth.engines.parts import SCAN, Part
from dpsynth.engines.source import Source
from dpsynth.engines.sql import cell_sql, literal, trimmed_sql, value_sql
from dpsynth.errors import SourceError
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema

MEMORY_LIMIT = "2GiB"
"""What DuckDB may hold before it spills to its private folder, in the clear: its encryption of spills needs an extension."""

FETCH_ROWS = 1 << 17
UNREADABLE = (
    "the source could not be read to its end: it is damaged, it changed meanwhile, or memory or temporary disk space ran out. "
    "No details are shown, for they could hold private values"
)


def columns_needed(schema: Schema, unit: PrivacyUnit) -> tuple[str, ...]:
    """The columns that are read: the schema's, then the unit's id where it is not one of them."""
    names = schema.domain.columns
    return names if not unit.id or unit.id in names else (*names, unit.id)


def open_engine(source: Source, schema: Schema, unit: PrivacyUnit, key: str | None = None, threads: int | None = None) -> CodesEngine:
    """Exact counts of the source's rows with each unit's contribution bounded; the source is not needed afterwards.

    key: of the order hash; only tests give one. threads: of the reading, by default all; counts do not depend on it.
    Raises SpecError where a column is absent; SourceError, always with the same words, where reading fails.
    """
    source.require(columns_needed(schema, unit))
    codes = None
    with suppress(Exception):  # whatever it says may quote a row, so it is forgotten, and is no context of what is raised below
        codes = _codes(source, schema, unit, fresh_key() if key is None else key, threads)
    if codes is None:
        raise SourceError(UNREADABLE)
    return CodesEngine(schema.domain, codes)


def _codes(source: Source, schema: Schema, unit: PrivacyUnit, key: str, threads: int | None) -> dict[str, NDArray[np.integer]]:
    cells = [f"c{i}" for i in range(len(schema.columns))]
    with _private_connection(threads) as connection:
        types = [f"{cell} {_sql_type(column.size)}" for cell, column in zip(cells, schema.columns, strict=True)]
        connection.execute(f"CREATE TABLE coded ({', '.join(types)}, unit VARCHAR)")
        for part in source.parts:
            _append(connection, part, schema, unit)
        if unit.id:
            connection.execute(f"CREATE TABLE kept AS {_bounded_sql('coded', cells, key, unit.max_rows)}")
        arrays = _fetch(connection, "kept" if unit.id else "coded", cells, schema.domain.sizes)
    return dict(zip(schema.domain.columns, arrays, strict=True))


def check_ready() -> None:
    """Sets up what reading needs and closes it again: a fault of the machine shows before anything is charged. Raises SourceError."""
    try:
        with _private_connection(None):
            pass
    except Exception as error:
        raise SourceError(f"the embedded engine cannot start on this machine ({type(error).__name__}); nothing was charged") from None


@contextmanager
def _private_connection(threads: int | None) -> Iterator[Any]:
    """DuckDB in memory that opens no file and loads no extension; what it spills goes to a folder of its own and is removed."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="dpsynth-", ignore_cleanup_errors=True) as folder:
        settings = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "preserve_insertion_order": "false",
            "memory_limit": literal(MEMORY_LIMIT),
            "temp_directory": literal(folder),
            **({} if threads is None else {"threads": str(threads)}),
            "enable_external_access": "false",
            "lock_configuration": "true",
        }
        with duckdb.connect(":memory:") as connection:
            ((bar,),) = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
            if bar:  # where it is off already, in a notebook, DuckDB refuses to set it at all
                connection.execute("SET enable_progress_bar = false")
            for name, value in settings.items():
                connection.execute(f"SET {name} = {value}")
            yield connection


def _append(connection: Any, part: Part, schema: Schema, unit: PrivacyUnit) -> None:
    """Codes of one part's rows, added to the table `coded`."""
    import pyarrow as pa

    names = columns_needed(schema, unit)
    scan = part.scan([part.names.index(name) for name in names])
    connection.register(SCAN, pa.RecordBatchReader.from_batches(scan.schema, scan.batches))
    connection.execute(f"INSERT INTO coded {_coded_sql(scan.query, schema, unit)}")
    connection.unregister(SCAN)


def _coded_sql(texts: str, schema: Schema, unit: PrivacyUnit) -> str:
    """From texts t0, t1, ... to codes c0, c1, ... and the unit's id (NULL: missing)."""
    who = trimmed_sql(f"t{columns_needed(schema, unit).index(unit.id)}") if unit.id else "NULL"
    values = [f"{value_sql(column.rule, f't{i}')} AS v{i}" for i, column in enumerate(schema.columns)]
    codes = [f"CAST({cell_sql(column.rule, f'v{i}')} AS {_sql_type(column.size)}) AS c{i}" for i, column in enumerate(schema.columns)]
    return f"SELECT {', '.join(codes)}, unit FROM (SELECT {', '.join(values)}, {who} AS unit FROM ({texts}))"


def _bounded_sql(table: str, cells: Sequence[str], key: str, max_rows: int) -> str:
    """The `max_rows` rows of each unit with the least `order_hash`; units with no more rows than that keep them all."""
    listed = ", ".join(cells)
    message = f"concat_ws({literal(SEPARATOR)}, {literal(key)}, unit, {listed}, duplicate)"
    sizes = f"SELECT *, count(*) OVER (PARTITION BY unit) AS total FROM {table} WHERE unit IS NOT NULL"
    numbered = f"SELECT *, row_number() OVER (PARTITION BY unit, {listed}) AS duplicate FROM ({sizes}) WHERE total > {max_rows}"
    placed = f"SELECT *, row_number() OVER (PARTITION BY unit ORDER BY sha256({message})) AS place FROM ({numbered})"
    return f"SELECT {listed} FROM ({sizes}) WHERE total <= {max_rows} UNION ALL SELECT {listed} FROM ({placed}) WHERE place <= {max_rows}"


def _fetch(connection: Any, table: str, cells: Sequence[str], sizes: Sequence[int]) -> list[NDArray[np.integer]]:
    """One array per column, filled batch by batch so that no second copy of the table is held."""
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # a result left open would block the next query
    arrays: list[NDArray[np.integer]] = [np.empty(rows, dtype=code_dtype(size)) for size in sizes]
    start = 0
    for batch in connection.sql(f"SELECT {', '.join(cells)} FROM {table}").to_arrow_reader(FETCH_ROWS):
        for array, column in zip(arrays, batch.columns, strict=True):
            array[start : start + batch.num_rows] = column.to_numpy(zero_copy_only=False)
        start += batch.num_rows
    if start != rows:
        raise ValueError("rows were lost on the way out of DuckDB")
    return arrays


def _sql_type(size: int) -> str:
    """The unsigned type as wide as `code_dtype`."""
    return {1: "UTINYINT", 2: "USMALLINT", 4: "UINTEGER", 8: "UBIGINT"}[code_dtype(size).itemsize]
