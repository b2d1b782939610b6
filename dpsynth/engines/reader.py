"""One pass over a source: texts to cells, each unit's rows bounded, nothing kept but codes.

1. Each part's texts become codes by the schema's rules, compiled to SQL; only the columns of the schema and the unit's id are read.
2. Rows without an id are dropped, and of each unit those with the least order hash are kept (`dpsynth.core.bounding`).
3. The codes are copied into arrays and the connection, its memory and its private temporary folder are gone before this returns.
A failure says that it failed and nothing of what was read.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled
from dpsynth.core.bounding import SEPARATOR, fresh_key
from dpsynth.core.engine import Engine
from dpsynth.engines.catalog import Declared, Source, require_names
from dpsynth.engines.codes import CodesEngine, Texts, code_dtype
from dpsynth.engines.parts import NOT_NULL, SCAN, Part, Scan
from dpsynth.engines.pieces import Pieces
from dpsynth.engines.sql import cell_sql, literal, trimmed_sql, value_sql
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds.open import Open
from dpsynth.labels import LABEL_LETTERS
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema

MEMORY_MIB = 2048
"""What DuckDB may hold before it spills to its private folder, in the clear: its encryption of spills needs an extension."""

ROOM = 8
"""Rows are sorted by unit in parts of an eighth of the memory: DuckDB's windows spill, and fail all the same where they need much more."""

ID_BYTES = 64
"""Of a row that is being sorted, beside its codes."""

FETCH_ROWS = 1 << 17
UNREADABLE = (
    "the source could not be read to its end: it is damaged, it changed meanwhile, or memory or temporary disk space ran out. "
    "No details are shown, for they could hold private values"
)


def read_columns(schema: Schema) -> tuple[Modelled | Open, ...]:
    """The schema's modelled and open columns, in their order."""
    modelled = schema.domain.position
    return tuple(c for c in schema.columns if isinstance(c, Open) or (isinstance(c, Modelled) and c.name in modelled))


def columns_needed(schema: Schema, unit: PrivacyUnit) -> tuple[str, ...]:
    """The columns that are read: the schema's modelled and open ones, then the unit's id where it is not one of them."""
    names = tuple(column.name for column in read_columns(schema))
    return names if not unit.id or unit.id in names else (*names, unit.id)


@dataclass(frozen=True)
class RowSource:
    """A source whose rows are read here, part by part; the order of the parts does not matter."""

    parts: tuple[Part, ...]

    def require(self, columns: Sequence[str]) -> None:
        for part in self.parts:
            require_names(part.title, part.names, columns, part.typed_names)

    def declared(self, known: Sequence[str]) -> tuple[Declared, ...]:
        """The columns that every part has, in the first one's order; where parts declare different types, nobody says which it is."""
        untyped = [part.title for part in self.parts if not part.typed_names]
        if untyped and not known:
            raise SpecError(
                f"{untyped[0]} may begin with a row, so its first line is not shown: name a column of its header (--column NAME)"
            )
        self.require(known)
        types = [dict(zip(part.names, part.types or [""] * len(part.names), strict=True)) for part in self.parts]
        shared = [name for name in self.parts[0].names if name and all(name in part for part in types)]
        return tuple(_declared(name, {part[name] for part in types}) for name in shared)

    def check(self, schema: Schema, unit: PrivacyUnit) -> None:
        self.require(columns_needed(schema, unit))
        check_ready()

    def engine(self, schema: Schema, unit: PrivacyUnit, key: str, threads: int | None) -> CodesEngine:
        self.require(columns_needed(schema, unit))
        held = None
        with suppress(Exception):  # whatever it says may quote a row, so it is forgotten, and is no context of what is raised below
            held = _codes(self.parts, schema, unit, key, threads)
        if held is None:
            raise SourceError(UNREADABLE)
        return CodesEngine(schema.domain, *held)


def _declared(name: str, types: set[str]) -> Declared:
    """types: what each part calls it."""
    words = {one.removesuffix(NOT_NULL) for one in types}
    if len(words) > 1 or words == {""}:
        return Declared(name)
    return Declared(name, words.pop(), not all(one.endswith(NOT_NULL) for one in types))


def open_engine(source: Source, schema: Schema, unit: PrivacyUnit, key: str | None = None, threads: int | None = None) -> Engine:
    """The source's engine. key: of the order hash; only tests give one. Raises SpecError or SourceError."""
    return source.engine(schema, unit, fresh_key() if key is None else key, threads)


def _codes(
    parts: Sequence[Part], schema: Schema, unit: PrivacyUnit, key: str, threads: int | None
) -> tuple[dict[str, NDArray[np.integer]], dict[str, Texts]]:
    """The codes of modelled columns and the texts of open ones."""
    columns = read_columns(schema)
    cells = [f"c{i}" for i in range(len(columns))]
    pieces = Pieces([column.size for column in columns])
    with _private_connection(threads) as connection:
        if not unit.id:
            for scan in _scans(parts, schema, unit):
                with _coded(connection, scan, schema, unit) as query:
                    _fetch(connection, query, cells, pieces)
        else:
            types = [f"{cell} {_sql_type(column.size)}" for cell, column in zip(cells, columns, strict=True)]
            connection.execute(f"CREATE TABLE coded ({', '.join(types)}, unit VARCHAR)")
            for scan in _scans(parts, schema, unit):
                with _coded(connection, scan, schema, unit) as query:
                    connection.execute(f"INSERT INTO coded {query}")
            ((rows,),) = connection.execute("SELECT count(*) FROM coded").fetchall()
            for some in _some_units(rows, ID_BYTES + sum(code_dtype(column.size).itemsize for column in columns)):
                _fetch(connection, _bounded_sql(f"SELECT * FROM coded WHERE {some}", cells, key, unit.max_rows), cells, pieces)
    arrays = pieces.joined()
    held = {column.name: array for column, array in zip(columns, arrays, strict=True)}
    texts = {name: array for name, array in held.items() if isinstance(array, Texts)}
    return {name: array for name, array in held.items() if not isinstance(array, Texts)}, texts


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
            "memory_limit": literal(f"{MEMORY_MIB}MiB"),
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


def _scans(parts: Sequence[Part], schema: Schema, unit: PrivacyUnit) -> Iterator[Scan]:
    names = columns_needed(schema, unit)
    for part in parts:
        yield from part.scans([part.names.index(name) for name in names])


@contextmanager
def _coded(connection: Any, scan: Scan, schema: Schema, unit: PrivacyUnit) -> Iterator[str]:
    """The query for the codes of the rows of one scan, good for one pass."""
    import pyarrow as pa

    connection.register(SCAN, pa.RecordBatchReader.from_batches(scan.schema, scan.batches))
    yield _coded_sql(scan.query, schema, unit)
    connection.unregister(SCAN)


def _coded_sql(texts: str, schema: Schema, unit: PrivacyUnit) -> str:
    """From texts t0, t1, ... to codes c0, c1, ... and the unit's id (NULL: missing)."""
    who = trimmed_sql(f"t{columns_needed(schema, unit).index(unit.id)}") if unit.id else "NULL"
    values = [f"{_value_sql(column, f't{i}')} AS v{i}" for i, column in enumerate(read_columns(schema))]
    codes = [f"CAST({_code_sql(column, f'v{i}')} AS {_sql_type(column.size)}) AS c{i}" for i, column in enumerate(read_columns(schema))]
    return f"SELECT {', '.join(codes)}, unit FROM (SELECT {', '.join(values)}, {who} AS unit FROM ({texts}))"


def _value_sql(column: Modelled | Open, text: str) -> str:
    return trimmed_sql(text) if isinstance(column, Open) else value_sql(column.rule, text)


def _code_sql(column: Modelled | Open, value: str) -> str:
    """Of an open column the text itself, too long a one cut where it is still seen to be too long; empty where it is missing."""
    return f"coalesce(left({value}, {LABEL_LETTERS + 1}), '')" if isinstance(column, Open) else cell_sql(column.rule, value)


def _some_units(rows: int, row_bytes: int) -> Iterator[str]:
    """Conditions on the unit: each row with an id meets one of them, together with all rows of its unit, so that no part is too large."""
    parts = 1 + ROOM * rows * row_bytes // (MEMORY_MIB << 20)
    return (f"unit IS NOT NULL AND hash(unit) % {parts} = {part}" for part in range(parts))


def _bounded_sql(rows: str, cells: Sequence[str], key: str, max_rows: int) -> str:
    """The `max_rows` rows of each unit with the least `order_hash`; units with no more rows than that keep them all."""
    listed = ", ".join(cells)
    message = f"concat_ws({literal(SEPARATOR)}, {literal(key)}, unit, {listed}, duplicate)"
    sizes = f"SELECT *, count(*) OVER (PARTITION BY unit) AS total FROM ({rows})"
    numbered = f"SELECT *, row_number() OVER (PARTITION BY unit, {listed}) AS duplicate FROM ({sizes}) WHERE total > {max_rows}"
    placed = f"SELECT *, row_number() OVER (PARTITION BY unit ORDER BY sha256({message})) AS place FROM ({numbered})"
    return f"SELECT {listed} FROM ({sizes}) WHERE total <= {max_rows} UNION ALL SELECT {listed} FROM ({placed}) WHERE place <= {max_rows}"


def _fetch(connection: Any, query: str, cells: Sequence[str], pieces: Pieces) -> None:
    for batch in connection.sql(f"SELECT {', '.join(cells)} FROM ({query})").to_arrow_reader(FETCH_ROWS):
        pieces.add(batch)


def _sql_type(size: int) -> str:
    """The unsigned type as wide as `code_dtype`; of no cells, text."""
    return "VARCHAR" if size == 0 else {1: "UTINYINT", 2: "USMALLINT", 4: "UINTEGER", 8: "UBIGINT"}[code_dtype(size).itemsize]
