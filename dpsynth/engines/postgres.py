"""PostgreSQL: its SQL, and a session that reads once and keeps nothing but codes, in a temporary table of its own.

One statement reads the rows, so it sees one state of the table, whatever others write meanwhile; all counts come from what it kept. That
takes SELECT on the table and TEMPORARY on the database, and no other right.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.engines.lines import LINE_LIMIT
from dpsynth.errors import SourceError
from dpsynth.location import Address
from dpsynth.readings import BLANKS, LONGEST_NUMBER, NUMBER_PATTERN

_SAFE_LETTERS = 150
_SAFE_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?"
"""Numbers of at most _SAFE_LETTERS letters that are written so are within the range of a double; the server refuses those that are not."""

_EXACT = Context(prec=1200)
_INFINITE = Decimal(2**1024 - 2**970)
_NOTHING = _EXACT.power(Decimal(2), -1075)
"""From _INFINITE on, a number is nearest to infinity; up to _NOTHING, to zero."""

_WHOLE_DOUBLES = 1 << 53
_SETTINGS = (
    "SET standard_conforming_strings = on",
    "SET default_transaction_read_only = off",  # or there could be no temporary table; the session writes nothing else
    "SET extra_float_digits = 3",
    "SET client_min_messages = error",
)
_PLACE = "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = to_regclass(%s)"
"""The schema in which the session finds a table, as a query finds it."""

_COPY_HEAD, _COPY_TAIL = 19, 2
_COPIED = np.dtype([("fields", ">i2"), ("cell bytes", ">i4"), ("cell", ">i8"), ("row bytes", ">i4"), ("rows", ">i8")])
"""A row of two bigints in the server's binary format."""

REFUSED = (
    "the PostgreSQL server does not take the connection: check data.source, and what it leaves to the environment "
    "(PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD or ~/.pgpass)"
)
MISSING_EXTRA = 'PostgreSQL needs a driver that is not installed: pip install "dpsynth[postgres]"'


class PostgresDialect:
    """The SQL of PostgreSQL 12 and later."""

    fence = "OFFSET 0"
    no_text = "NULL::text"
    holds_nul = False
    most_cuts = 1 << 16

    def literal(self, text: str) -> str:
        """NUL cannot occur in a text there; the only escape is of the quote, as the session sets standard_conforming_strings."""
        return "'" + text.replace("\0", "\ufffd").replace("'", "''") + "'"

    def name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def text(self, column: str, kind: Any) -> str | None:
        if kind.is_binary() or kind.is_interval() or kind.is_nested():
            return None
        return self.plain(self._text(column, kind))

    def plain(self, text: str) -> str:
        return f'({text}) COLLATE "C"'

    def _text(self, column: str, kind: Any) -> str:
        if kind.is_boolean():
            return f"CASE WHEN {column} THEN 'true' WHEN NOT {column} THEN 'false' END"
        if kind.is_floating():
            whole = f"{column} = floor({column}) AND abs({column}) < {_WHOLE_DOUBLES}"
            endless = f"WHEN {column} = 'Infinity' THEN 'inf' WHEN {column} = '-Infinity' THEN '-inf'"
            return f"CASE WHEN {whole} THEN {column}::bigint::text {endless} WHEN {column} <> 'NaN' THEN {column}::text END"
        if kind.is_date():
            return f"CASE WHEN {column} >= '0001-01-01' THEN to_char({column}, 'YYYY-MM-DD') END"
        if kind.is_timestamp():
            moment = f"({column} AT TIME ZONE 'UTC')" if kind.timezone else column
            return f"CASE WHEN {moment} >= '0001-01-01' THEN to_char({moment}, 'YYYY-MM-DD HH24:MI:SS.US') END"
        if kind.is_time():
            return f"to_char({column}, 'HH24:MI:SS.US')"
        return f"CASE WHEN octet_length({column}::text) <= {LINE_LIMIT} THEN {column}::text END"

    def trimmed(self, text: str) -> str:
        return f"nullif(btrim({text}, {self.literal(BLANKS)}), '')"

    def number(self, text: str) -> str:
        safe = f"length({text}) <= {_SAFE_LETTERS} AND {self._matches(text, _SAFE_NUMBER)}"
        written = f"length({text}) <= {LONGEST_NUMBER} AND {self._matches(text, NUMBER_PATTERN)}"
        exact = f"{text}::numeric"
        endless = f"WHEN {exact} >= {_INFINITE} THEN 'Infinity' WHEN {exact} <= -{_INFINITE} THEN '-Infinity'"
        careful = f"CASE {endless} WHEN abs({exact}) <= {_NOTHING:f} THEN 0 ELSE {text}::float8 END"
        return f"CASE WHEN {safe} THEN {text}::float8 WHEN {written} THEN {careful} END"

    def _matches(self, text: str, pattern: str) -> str:
        return f"{text} ~ {self.literal(f'^(?:{pattern})$')}"

    def groups(self, text: str, pattern: str, count: int) -> str:
        return f"regexp_match({text}, {self.literal(f'^(?:{pattern})$')})"

    def element(self, texts: str, place: int) -> str:
        return f"({texts})[{place}]"

    def floor(self, value: str) -> str:
        return f"floor({value})"

    def divided(self, dividend: str, divisor: int) -> str:
        return f"({dividend}) / {divisor}"

    def whole(self, value: str) -> str:
        return f"{value}::bigint"

    def double(self, value: str) -> str:
        return f"({value})::float8"

    def number_text(self, value: str) -> str:
        return f"{value}::text"

    def code(self, value: str, size: int) -> str:
        return f"({value})::{'smallint' if size <= 1 << 15 else 'integer'}"

    def hash(self, message: str) -> str:
        return f"sha256(convert_to({message}, 'UTF8'))"

    def each(self, values: Sequence[str]) -> str:
        return f"unnest(ARRAY[{', '.join(values)}])"


class PostgresSession:
    """One connection, in which nothing outlives `close`."""

    def __init__(self, connection: Any) -> None:
        import ibis

        self._connection = connection
        for setting in _SETTINGS:
            connection.execute(setting)
        self._ibis: Any = ibis.postgres.from_connection(connection)

    @classmethod
    def connect(cls, address: Address) -> "PostgresSession":
        """What the address leaves open, the environment says, as libpq reads it (PGHOST, PGUSER, PGPASSWORD, ~/.pgpass, ...).

        Raises SourceError where the driver is not installed or the server refuses.
        """
        try:
            import ibis.backends.postgres  # noqa: F401 - says here, not later, whether it is installed
            import psycopg
        except ImportError:
            raise SourceError(MISSING_EXTRA) from None
        given = {"host": address.host, "port": address.port, "user": address.user, "dbname": address.database}
        session = None
        with suppress(Exception):  # the driver's words may hold more of the environment than anybody wants to read in a log
            options = {name: value for name, value in given.items() if value}
            settings: dict[str, Any] = {"autocommit": True, "client_encoding": "UTF8", "application_name": "dpsynth"}
            session = cls(psycopg.connect(address.url, **options, **settings))
        if session is None:
            raise SourceError(REFUSED)
        return session

    def columns(self, table: Sequence[str]) -> Mapping[str, Any]:
        found, written = None, ".".join(map(PostgresDialect().name, table))
        with suppress(Exception):
            self._connection.execute(f"SELECT * FROM {written} WHERE false")  # the catalog shows tables that may not be read
            ((place,),) = self._connection.execute(_PLACE, [written]).fetchall()
            found = dict(self._ibis.get_schema(table[-1], database=place))
        if found is None:
            raise SourceError(f"there is no table {'.'.join(table)!r} that this user may read: check data.table, or grant SELECT on it")
        return found

    def keep(self, query: str, name: str) -> None:
        self._connection.execute(f"CREATE TEMPORARY TABLE {name} AS {query}")

    def forget(self, name: str) -> None:
        self._connection.execute(f"DROP TABLE pg_temp.{name}")

    def counts(self, query: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
            found = np.frombuffer(b"".join(copy)[_COPY_HEAD:-_COPY_TAIL], dtype=_COPIED)
        return found["cell"].astype(np.int64), found["rows"].astype(np.int64)

    def texts(self, query: str) -> Mapping[str, int]:
        return dict(self._connection.execute(query).fetchall())

    def close(self) -> None:
        self._connection.close()

    def __del__(self) -> None:
        """An engine that was dropped without being closed keeps no rows either."""
        self.close()
