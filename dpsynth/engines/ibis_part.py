"""A table of any database that Ibis reaches: its rows are read here in batches, as a file's are, and counted by the embedded engine."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from dpsynth.engines.parts import BATCH_ROWS, NOT_NULL, Scan, text_batch, text_query, text_schema
from dpsynth.engines.texts import array_texts, listed_texts
from dpsynth.errors import SourceError
from dpsynth.readings import BLANKS


@dataclass(frozen=True)
class IbisPart:
    """One table or view, or a table that Ibis would compute. opened: gives the Ibis table, for one pass."""

    title: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    opened: Callable[[], AbstractContextManager[Any]] = field(repr=False)
    typed_names: bool = True

    @classmethod
    def of_table(cls, table: Any) -> "IbisPart":
        """An Ibis table of a connection that the caller made and keeps. Raises SourceError where it has no database behind it."""
        found = None
        with suppress(Exception):
            found = cls._of("the Ibis table", lambda: nullcontext(table))
        if found is None:
            raise SourceError("the Ibis table cannot be read: make it with the table() of a connection to a database")
        return found

    @classmethod
    def of_url(cls, url: str, table: Sequence[str], said: str) -> "IbisPart":
        """A table of the database at a URL, which is never shown; said: where the URL is written.

        Raises SourceError where its driver is not installed, or the table cannot be seen.
        """
        _require_driver(url.partition("://")[0].lower(), said)
        found = None
        with suppress(Exception):  # a driver's words may hold the password
            found = cls._of(f"the table {'.'.join(table)!r}", lambda: _connected(url, table))
        if found is None:
            raise SourceError(f"the table {'.'.join(table)!r} cannot be read: check {said}, data.table and the user's rights")
        return found

    @classmethod
    def _of(cls, title: str, opened: Callable[[], AbstractContextManager[Any]]) -> "IbisPart":
        with opened() as table:
            kinds = table.schema()
            table.get_backend().compile(table)
        types = (f"{str(kind).removeprefix('!')}{'' if kind.nullable else NOT_NULL}" for kind in kinds.values())
        return cls(title, tuple(name.strip(BLANKS) for name in kinds), tuple(types), opened)

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        """A batch each: drivers such as SQLite's serve no thread but the one that opened them."""
        with self.opened() as table:
            names = [table.columns[place] for place in places]
            for columns in _columns(table.select(*names)):
                yield Scan(text_schema(places), iter([text_batch(columns, places)]), text_query(places))


def _columns(table: Any) -> Iterator[list[Any]]:
    """Batches of the texts of each column.

    From the driver's cursor where it has one, value by value: what a column declares and what it holds may differ, and then Ibis refuses.
    """
    backend = table.get_backend()
    answer: Any = backend.raw_sql(backend.compile(table)) if hasattr(backend, "raw_sql") else None
    if hasattr(answer, "fetchmany"):
        flags = [kind.is_boolean() for kind in table.schema().values()]
        while rows := answer.fetchmany(BATCH_ROWS):
            columns = zip(*rows, strict=True)
            yield [listed_texts(map(_flag, values) if flag else values) for values, flag in zip(columns, flags, strict=True)]
        if answer is not backend.con:  # DuckDB gives the connection itself, which is the caller's
            answer.close()
    else:
        for batch in table.to_pyarrow_batches(chunk_size=BATCH_ROWS):
            yield [array_texts(column) for column in batch.columns]


def _flag(value: Any) -> Any:
    """Databases without truth values hold 0 and 1."""
    return bool(value) if isinstance(value, int) and value in (0, 1) else value


@contextmanager
def _connected(url: str, table: Sequence[str]) -> Iterator[Any]:
    import ibis

    connection = ibis.connect(url)
    try:
        place = {1: None, 2: table[0]}.get(len(table), tuple(table[:-1]))
        yield connection.table(table[-1], database=place)
    finally:
        connection.disconnect()


def _require_driver(scheme: str, said: str) -> None:
    """Raises SourceError where Ibis, or its driver for this kind of database, is not there."""
    shown = scheme if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "BACKEND"
    try:
        import ibis

        getattr(ibis, scheme)  # imports the driver; AttributeError: no such kind
    except (ImportError, AttributeError):
        missing = f'{said} is for Ibis and its driver, which are not installed: pip install "ibis-framework[{shown}]>=12,<13"'
    else:
        return
    raise SourceError(missing)
