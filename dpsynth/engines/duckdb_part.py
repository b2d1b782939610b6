"""A table in a DuckDB database file: opened for reading only, by a connection that opens nothing else and loads no extension."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth.engines.parts import BATCH_ROWS, Scan, text_batch, text_query, text_schema
from dpsynth.engines.texts import array_texts
from dpsynth.errors import SourceError
from dpsynth.readings import BLANKS

MEMORY_LIMIT = "2GiB"
_WIDER_THAN_ARROW = ("HUGEINT", "UHUGEINT", "BIGNUM")
"""Integers of types that reach Arrow as floats, so they are written as text before."""


@dataclass(frozen=True)
class DuckdbPart:
    """One table or view of a .duckdb file."""

    path: Path
    table: tuple[str, ...]
    names: tuple[str, ...]
    types: tuple[str, ...]
    typed_names: bool = True

    @property
    def title(self) -> str:
        return f"table {'.'.join(self.table)!r} of file {self.path.name!r}"

    @classmethod
    def open(cls, path: Path, table: tuple[str, ...]) -> "DuckdbPart":
        """Raises SourceError where the file is no database that can be opened now, or has no such table."""
        found = None
        with suppress(Exception), _reading(path) as connection:
            found = connection.sql(f"SELECT * FROM {_quoted(table)} LIMIT 0").to_arrow_table().schema
        if found is None:
            raise SourceError(
                f"the table {'.'.join(table)!r} of {str(path)!r} cannot be read: check data.table, and that no other process holds the file"
            )
        return cls(path, table, tuple(name.strip(BLANKS) for name in found.names), tuple(str(kind) for kind in found.types))

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        yield Scan(text_schema(places), self._batches(places), text_query(places))

    def _batches(self, places: Sequence[int]) -> Iterator[Any]:
        with _reading(self.path) as connection:
            columns = connection.execute(f"DESCRIBE SELECT * FROM {_quoted(self.table)}").fetchall()
            wanted = ", ".join(_column(*columns[place][:2]) for place in places)
            for batch in connection.sql(f"SELECT {wanted} FROM {_quoted(self.table)}").to_arrow_reader(BATCH_ROWS):
                yield text_batch([array_texts(column) for column in batch.columns], places)


def _column(name: str, kind: str) -> str:
    return f"{_quoted([name])}::VARCHAR" if kind in _WIDER_THAN_ARROW else _quoted([name])


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    import duckdb

    settings: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "enable_external_access": "false",
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": "",  # a view that sorts would leave rows beside the file
    }
    with duckdb.connect(str(path), read_only=True, config=settings) as connection:
        yield connection


def _quoted(names: Sequence[str]) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
