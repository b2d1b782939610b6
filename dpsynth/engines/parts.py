"""The parts of a source: one file each, or one table in memory. Each knows its column names, which are public, and how to be scanned."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from dpsynth.engines.lines import LINE_LIMIT, fields_sql, line_batches, split_line
from dpsynth.engines.texts import array_texts, listed_texts
from dpsynth.errors import SourceError
from dpsynth.readings import BLANKS

BATCH_ROWS = 1 << 16
NOT_NULL = " not null"
BOM = b"\xef\xbb\xbf"
SCAN = "scan"
"""What the batches of a part are called in its query."""


@dataclass(frozen=True)
class Scan:
    """One pass over a part: `batches` of pyarrow schema `schema`, and the query over SCAN that gives the wanted columns as t0, t1, ..."""

    schema: Any = field(repr=False)
    batches: Iterator[Any] = field(repr=False)
    query: str


class Part(Protocol):
    """names: the columns, without blanks around them. typed_names: whether they are names for certain; a first line may be a row.

    types: what the part calls the type of each column, with "not null" behind it where no value may be missing; () where it has no types.
    scans: passes that have each row once between them, one after the other. The batches of a scan are read by any thread; what has to be
    read by the caller's own is read here, and is in scans of a batch each.
    """

    @property
    def title(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def typed_names(self) -> bool: ...
    @property
    def types(self) -> tuple[str, ...]: ...
    def scans(self, places: Sequence[int]) -> Iterator[Scan]: ...


@dataclass(frozen=True)
class DelimitedPart:
    """A .csv or .csv.gz file."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    typed_names: bool = False
    types: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"file {self.path.name!r}"

    @classmethod
    def open(cls, path: Path, delimiter: str) -> "DelimitedPart":
        """Raises SourceError where the first line is no header."""
        with _bytes_of(path) as stream:
            line = stream.readline(LINE_LIMIT + 1)
        return cls(path, delimiter, _header(line, delimiter, path.name))

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        import pyarrow as pa

        yield Scan(pa.schema([("line", pa.string())]), self._lines(), fields_sql(places, self.delimiter, SCAN))

    def _lines(self) -> Iterator[Any]:
        with _bytes_of(self.path) as stream:
            stream.readline()
            yield from line_batches(stream)


@dataclass(frozen=True)
class ParquetPart:
    """A .parquet file."""

    path: Path
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    typed_names: bool = True

    @property
    def title(self) -> str:
        return f"file {self.path.name!r}"

    @classmethod
    def open(cls, path: Path) -> "ParquetPart":
        """Raises whatever pyarrow raises where the file is no Parquet."""
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            return cls(path, tuple(name.strip(BLANKS) for name in schema.names), _arrow_types(schema))

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        yield Scan(text_schema(places), self._batches(places), text_query(places))

    def _batches(self, places: Sequence[int]) -> Iterator[Any]:
        from pyarrow import parquet

        with parquet.ParquetFile(self.path) as file:
            names = [file.schema_arrow.names[place] for place in places]
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
                yield text_batch([array_texts(batch.column(name)) for name in names], places)


@dataclass(frozen=True)
class ArrowPart:
    """A pyarrow Table."""

    table: Any = field(repr=False)
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    typed_names: bool = True
    title: str = "the table"

    @classmethod
    def open(cls, table: Any) -> "ArrowPart":
        return cls(table, tuple(name.strip(BLANKS) for name in table.column_names), _arrow_types(table.schema))

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        yield Scan(text_schema(places), self._batches(places), text_query(places))

    def _batches(self, places: Sequence[int]) -> Iterator[Any]:
        for batch in self.table.select(list(places)).to_batches(max_chunksize=BATCH_ROWS):
            yield text_batch([array_texts(column) for column in batch.columns], places)


@dataclass(frozen=True)
class FramePart:
    """A pandas DataFrame; its index is not read."""

    frame: Any = field(repr=False)
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    typed_names: bool = True
    title: str = "the data frame"

    @classmethod
    def open(cls, frame: Any) -> "FramePart":
        import numpy as np

        types = tuple(f"{t}{NOT_NULL if isinstance(t, np.dtype) and t.kind in 'biu' else ''}" for t in frame.dtypes)
        return cls(frame, tuple(str(name).strip(BLANKS) for name in frame.columns), types)

    def scans(self, places: Sequence[int]) -> Iterator[Scan]:
        yield Scan(text_schema(places), self._batches(places), text_query(places))

    def _batches(self, places: Sequence[int]) -> Iterator[Any]:
        for start in range(0, len(self.frame), BATCH_ROWS):
            rows = self.frame.iloc[start : start + BATCH_ROWS]
            yield text_batch([_series_texts(rows.iloc[:, place]) for place in places], places)


def _arrow_types(schema: Any) -> tuple[str, ...]:
    """Types by name only: metadata and dictionaries may hold what was read off rows."""
    return tuple(f"{field.type}{'' if field.nullable else NOT_NULL}" for field in schema)


def _series_texts(series: Any) -> Any:
    """By type where the column has one that Arrow knows, else value by value: the texts are the same."""
    import pyarrow as pa

    if series.dtype == object:
        return listed_texts(series)
    try:
        return array_texts(pa.array(series, from_pandas=True))
    except Exception:  # a type Arrow does not know, or categories of mixed types
        return listed_texts(series)


def text_schema(places: Sequence[int]) -> Any:
    """The pyarrow schema of texts t0, t1, ..."""
    import pyarrow as pa

    return pa.schema([(f"t{i}", pa.string()) for i in range(len(places))])


def text_batch(columns: Sequence[Any], places: Sequence[int]) -> Any:
    """A pyarrow record batch of texts t0, t1, ..."""
    import pyarrow as pa

    return pa.record_batch(list(columns), schema=text_schema(places))


def text_query(places: Sequence[int]) -> str:
    """The query for texts that are there already."""
    return f"SELECT {', '.join(f't{i}' for i in range(len(places)))} FROM {SCAN}"


def _bytes_of(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _header(line: bytes, delimiter: str, name: str) -> tuple[str, ...]:
    """The names in the first line. It is not shown in an error unless it proves to be a header: it may be a row."""
    line = line.removeprefix(BOM)
    if not line:
        raise SourceError(f"{name!r} holds nothing, not even a header")
    if len(line) > LINE_LIMIT:
        raise SourceError(f"the first line of {name!r} is over {LINE_LIMIT} bytes, so it is no header: write one with column names")
    if b"\0" in line:
        raise SourceError(f"{name!r} is not UTF-8 text (its first line holds NUL bytes): save it as UTF-8")
    if b"\r" in line.rstrip(b"\r\n"):
        raise SourceError(f"{name!r} has a bare carriage return in its first line: end lines with LF or CR LF")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise SourceError(f"the first line of {name!r} is not UTF-8: save the file as UTF-8")
    return tuple(field.strip(BLANKS) for field in split_line(text, delimiter))
