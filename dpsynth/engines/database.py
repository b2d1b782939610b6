"""A table in a database: checked by what is public about it, read once, by the database itself, into codes that only its session sees.

1. The table's columns become texts, the texts become codes by the schema's rules, and each unit's rows are bounded, all in one statement:
   it sees one state of the table, and nothing that it reads leaves the database.
2. Whether this server computes the cells of `dpsynth.cells` is tried before, on public texts.
3. Every count is a GROUP BY of those codes (`dpsynth.engines.grouped`).
A failure says that it failed and nothing of what was read.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dpsynth.cells import LabelRule
from dpsynth.column import Modelled
from dpsynth.core.bounding import SEPARATOR
from dpsynth.engines.catalog import Declared, Source, require_names
from dpsynth.engines.dialect import Dialect, Session
from dpsynth.engines.grouped import CODES, GroupedEngine
from dpsynth.engines.ibis_part import IbisPart
from dpsynth.engines.portable import cell_sql, cuts_of, inputs_sql, is_storable, value_sql
from dpsynth.engines.postgres import PostgresDialect, PostgresSession
from dpsynth.engines.reader import UNREADABLE, RowSource, columns_needed, read_columns
from dpsynth.engines.spark import SparkDialect, SparkSession
from dpsynth.errors import SourceError, SpecError
from dpsynth.kinds.open import Open
from dpsynth.labels import LABEL_LETTERS
from dpsynth.location import SCHEMES, Address, address
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema

PROBES = (
    *("", "0", "1", "-1", "+2", " 39 ", "39.0", "1e1", "\t5\r\n", "5.", ".5", "-.5e-3", "1E5", "1e00005", "00012", "0.1"),
    *("0.30000000000000004", "nan", "inf", "1e400", "-1e9999", "1e-9999", "5e-324", "2.4e-324", "1.7976931348623159e308"),
    *("9007199254740993", "9" * 400, "1_0", "0x1", "1e", "--5", "5 5", "1,5", "\v5", "\u20035", "5\u2028", "\u0665", "\uff15"),
    *("true", "T", "YES", "no", "\u017f", "\u212a", "red", "Red", "it's", 'a "b", c', "é", "e\u0301", "\U0001f600", "\\", "\\n"),
    *("''", "a\nb", "${x}", "%s", "'; DROP TABLE x; --", "\x1f", "Z", "a", "2024-02-29", "2023-02-29", "1969-12-31T23:59:59.9-01:30"),
    *("0001-01-01", "9999-12-31 23:59", "2024-02-29T24:00", "-1 days +23:59:59.9", "-00:00:00.1", "P1DT2H", "-PT0.5S", "P1M"),
)
"""Public texts on which a server is tried: numbers at the limits of doubles, odd white space, quotes, letters that fold and sort oddly."""

TRIED_LABELS = 50


@dataclass(frozen=True)
class DatabaseSource:
    """A table that is counted where it is. columns: (name, Ibis data type), as the catalog says. connect: opens a session of its own."""

    title: str
    table: tuple[str, ...]
    columns: tuple[tuple[str, Any], ...]
    dialect: Dialect
    connect: Callable[[], Session]

    @classmethod
    def open(cls, title: str, table: tuple[str, ...], dialect: Dialect, connect: Callable[[], Session]) -> "DatabaseSource":
        """Reads the catalog. Raises SourceError where the table cannot be seen."""
        session = connect()
        try:
            columns = tuple(session.columns(table).items())
        finally:
            session.close()
        return cls(f"the {title} table {'.'.join(table)!r}", table, columns, dialect, connect)

    def require(self, columns: Sequence[str]) -> None:
        require_names(self.title, [name for name, _ in self.columns], columns)

    def declared(self, known: Sequence[str]) -> tuple[Declared, ...]:
        self.require(known)
        return tuple(Declared(name, str(kind).removeprefix("!"), bool(kind.nullable)) for name, kind in self.columns)

    def check(self, schema: Schema, unit: PrivacyUnit) -> None:
        """Also that the types have texts, and that the server computes what the schema's rules say."""
        self.require(columns_needed(schema, unit))
        self._texts_sql(columns_needed(schema, unit))
        self._refuse_long(schema)
        tried = None
        session = self.connect()
        with suppress(Exception):  # the texts are public, but a server's words are never passed on
            tried = _tried(session, self.dialect, schema)
        session.close()
        if tried is None:
            raise SourceError(
                f"{self.title} cannot be counted in place: this user may make no temporary table, or the server is not set to UTF-8. "
                "Grant TEMPORARY on the database, or export the table to Parquet; nothing was charged"
            )
        if tried:
            raise SourceError(f"this server gives other cells than other engines in columns {tried}: export the table to Parquet")

    def _refuse_long(self, schema: Schema) -> None:
        for column in read_columns(schema):
            if not isinstance(column, Open) and (cuts := cuts_of(column.rule)) > self.dialect.most_cuts:
                allowed = f"at most {self.dialect.most_cuts + 1} bins that are looked up are possible there"
                raise SpecError(f"column {column.name!r} of {self.title} has {cuts + 1} bins: {allowed}; use fewer, or export to Parquet")

    def engine(self, schema: Schema, unit: PrivacyUnit, key: str, threads: int | None) -> GroupedEngine:
        self.require(columns_needed(schema, unit))
        columns, needed = read_columns(schema), columns_needed(schema, unit)
        cells = [f"c{i}" for i in range(len(columns))]
        coded = coded_sql(self._texts_sql(needed), columns, needed.index(unit.id) if unit.id else None, self.dialect)
        kept = bounded_sql(coded, cells, key, unit.max_rows, self.dialect) if unit.id else coded
        session, done = self.connect(), False
        with suppress(Exception):  # whatever it says may quote a row, so it is forgotten, and is no context of what is raised below
            session.keep(f"SELECT {', '.join(cells)} FROM ({kept}) AS kept", CODES)
            done = True
        if not done:
            session.close()
            raise SourceError(UNREADABLE)
        return GroupedEngine(schema.domain, session, self.dialect, [column.name for column in columns])

    def _texts_sql(self, names: Sequence[str]) -> str:
        kinds = dict(self.columns)
        texts = [self.dialect.text(self.dialect.name(name), kinds[name]) for name in names]
        without = [f"{name!r} ({kinds[name]})" for name, text in zip(names, texts, strict=True) if text is None]
        if without:
            raise SpecError(f"{self.title} has columns of types that have no text: {', '.join(without)}: name a view that casts them")
        table = ".".join(map(self.dialect.name, self.table))
        return f"SELECT {', '.join(f'{text} AS t{i}' for i, text in enumerate(texts))} FROM {table}"


def open_database(where: Address, table: tuple[str, ...]) -> Source:
    """The table of the database at an address. Raises SourceError where it does not open."""
    match where.kind:
        case "env":
            return _open_variable(where.variable, table)
        case "postgres":
            return DatabaseSource.open("PostgreSQL", table, PostgresDialect(), lambda: PostgresSession.connect(where))
        case "spark":
            return DatabaseSource.open("Spark", table, SparkDialect(), lambda: SparkSession.connect(where))
    return RowSource((IbisPart.of_url(where.url, table, "data.source"),))


def _open_variable(name: str, table: tuple[str, ...]) -> Source:
    """The database whose address an environment variable holds, with any secrets; nothing of it is ever shown."""
    url = os.environ.get(name, "").strip()
    scheme = url.partition("://")[0].lower()
    if SCHEMES.get(scheme) in (None, "env") or "://" not in url:
        fault = "is not set" if not url else "holds no address of a database"
        raise SourceError(f"the environment variable {name!r} {fault}: set it to one that begins with {_SCHEMES}")
    match SCHEMES[scheme]:
        case "postgres":  # libpq reads it, with its password and its options
            return open_database(Address("postgres", url=url), table)
        case "spark":
            return open_database(address(url), table)
    return RowSource((IbisPart.of_url(url, table, f"the environment variable {name!r}"),))


_SCHEMES = ", ".join(f"{scheme}://" for scheme, kind in SCHEMES.items() if kind != "env")


def coded_sql(texts: str, columns: Sequence[Modelled | Open], unit: int | None, dialect: Dialect) -> str:
    """From texts t0, t1, ... to codes c0, c1, ... and the unit's id (NULL: missing), step by step, each over columns of the step before.

    Of an open column the text itself, too long a one cut where it is still seen to be too long; empty where it is missing.
    """
    trimmed = [f"{dialect.trimmed(f't{i}')} AS t{i}" for i in range(max(len(columns), 0 if unit is None else unit + 1))]
    inputs = [_inputs_sql(column, f"t{i}", dialect) for i, column in enumerate(columns)]
    named = [[f"p{i}_{j}" for j in range(len(found))] for i, found in enumerate(inputs)]
    parts = [f"{sql} AS {name}" for found, names in zip(inputs, named, strict=True) for sql, name in zip(found, names, strict=True)]
    values = [f"{_value_sql(column, names, dialect)} AS v{i}" for i, (column, names) in enumerate(zip(columns, named, strict=True))]
    cells = [f"{_code_sql(column, f'v{i}', dialect)} AS c{i}" for i, column in enumerate(columns)]
    who = dialect.no_text if unit is None else f"t{unit}"
    steps = texts
    for names, more in ((trimmed, []), (parts, [f"{who} AS unit"]), (values, ["unit"])):
        steps = f"SELECT {', '.join([*names, *more])} FROM ({steps}) AS step {dialect.fence}"
    return f"SELECT {', '.join([*cells, 'unit'])} FROM ({steps}) AS step"


def _inputs_sql(column: Modelled | Open, text: str, dialect: Dialect) -> list[str]:
    return [text] if isinstance(column, Open) else inputs_sql(column.rule, text, dialect)


def _value_sql(column: Modelled | Open, inputs: Sequence[str], dialect: Dialect) -> str:
    return inputs[0] if isinstance(column, Open) else value_sql(column.rule, inputs, dialect)


def _code_sql(column: Modelled | Open, value: str, dialect: Dialect) -> str:
    if isinstance(column, Open):
        return f"coalesce(left({value}, {LABEL_LETTERS + 1}), '')"
    return dialect.code(cell_sql(column.rule, value, dialect), column.size)


def bounded_sql(coded: str, cells: Sequence[str], key: str, max_rows: int, dialect: Dialect) -> str:
    """The `max_rows` rows of each unit with the least `order_hash`; units with no more rows than that keep them all."""
    listed = ", ".join(cells)
    pieces = [dialect.literal(key), "unit", *(dialect.number_text(cell) for cell in [*cells, "duplicate"])]
    message = f" || {dialect.literal(SEPARATOR)} || ".join(pieces)
    sizes = f"SELECT *, count(*) OVER (PARTITION BY unit) AS total FROM ({coded}) AS coded WHERE unit IS NOT NULL"
    numbered = f"SELECT *, row_number() OVER (PARTITION BY unit, {listed} ORDER BY total) AS duplicate FROM ({sizes}) AS sizes"
    order = f"CASE WHEN total > {max_rows} THEN {dialect.hash(message)} END"
    placed = f"SELECT {listed}, row_number() OVER (PARTITION BY unit ORDER BY {order}) AS place FROM ({numbered}) AS numbered"
    return f"SELECT {listed} FROM ({placed}) AS placed WHERE place <= {max_rows}"


def _tried(session: Session, dialect: Dialect, schema: Schema) -> list[str]:
    """Names of columns in which the server gives a public text another cell than the reference; every probe has its number as its unit."""
    wrong = []
    for column in read_columns(schema):
        if isinstance(column, Open):
            continue
        labels = [text for text, _ in column.rule.cells[:TRIED_LABELS]] if isinstance(column.rule, LabelRule) else []
        probes = [text for text in (*PROBES, *labels) if is_storable(text, dialect)]
        rows = [f"({dialect.literal(text)}, {dialect.literal(str(place))})" for place, text in enumerate(probes)]
        texts = f"SELECT {dialect.plain('text')} AS t0, place AS t1 FROM (VALUES {', '.join(rows)}) AS probes(text, place)"
        coded = coded_sql(texts, [column], 1, dialect)
        cells, places = session.counts(f"SELECT {dialect.whole('c0')} AS cell, {dialect.whole('unit')} AS n FROM ({coded}) AS coded")
        given = dict(zip(places.tolist(), cells.tolist(), strict=True))
        if given != {place: column.rule.cell(text) for place, text in enumerate(probes)}:
            wrong.append(column.name)
    session.keep(f"SELECT {dialect.whole(dialect.literal('1'))} AS c0", CODES)
    return wrong
