"""What is public about a source, checked free of charge: that it opens, and that it has the named columns.

No message shows a cell; library errors are never passed on, for they quote rows.
"""

import glob
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpsynth.engines.catalog import Source
from dpsynth.engines.database import open_database
from dpsynth.engines.duckdb_part import DuckdbPart
from dpsynth.engines.ibis_part import IbisPart
from dpsynth.engines.lines import DELIMITERS
from dpsynth.engines.parts import ArrowPart, DelimitedPart, FramePart, ParquetPart, Part
from dpsynth.engines.reader import RowSource
from dpsynth.errors import SourceError, SpecError
from dpsynth.location import address, is_address, refuse_secrets, table_names

FORMATS = (".csv", ".csv.gz", ".parquet")
DUCKDB = ".duckdb"


def open_source(data: Any, delimiter: str = ",", table: str = "") -> Source:
    """The source at a path or glob (.csv, .csv.gz, .parquet), a pandas DataFrame, pyarrow or Ibis Table, or a table of a database.

    A database is a DuckDB file (.duckdb) or an address as in `dpsynth.location`.
    Raises SourceError where it does not open; SpecError where `data`, `delimiter` or `table` is none of these.
    """
    if delimiter not in DELIMITERS:
        raise SpecError(f"delimiter must be one of {list(DELIMITERS)}, got {delimiter!r}")
    if isinstance(data, str):
        refuse_secrets(data)
        if is_address(data):
            return open_database(address(data), _named(table))
    if isinstance(data, str | os.PathLike) and os.fspath(data).lower().endswith(DUCKDB):
        return RowSource((_open_duckdb(Path(data), _named(table)),))
    if table:
        raise SpecError(f"data.table is for databases, got {table!r}: take it out, or name a database in data.source")
    if isinstance(data, str | os.PathLike):
        return RowSource(tuple(_open_file(path, delimiter) for path in _files(os.fspath(data))))
    frames = getattr(sys.modules.get("pandas"), "DataFrame", ())  # who has a DataFrame has imported pandas
    tables = getattr(sys.modules.get("pyarrow"), "Table", ())
    queries = getattr(sys.modules.get("ibis"), "Table", ())
    if isinstance(data, frames):
        return RowSource((FramePart.open(data),))
    if isinstance(data, tables):
        return RowSource((ArrowPart.open(data),))
    if isinstance(data, queries):
        return RowSource((IbisPart.of_table(data),))
    raise SpecError(f"data must be a path, a pandas DataFrame, a pyarrow Table or an Ibis table, got {type(data).__name__}")


def _named(table: str) -> tuple[str, ...]:
    if not table:
        raise SpecError("a database has many tables: name one in data.table")
    return table_names(table)


def _open_duckdb(path: Path, table: tuple[str, ...]) -> Part:
    reason = _why_not(path)
    if reason:
        raise SourceError(f"{str(path)!r} {reason}: check data.source")
    return DuckdbPart.open(path, table)


def _files(pattern: str) -> list[Path]:
    """The files of a path or glob, in an order of their own."""
    if os.path.lexists(pattern) or not glob.has_magic(pattern):
        return [Path(pattern)]
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        raise SourceError(f"no file matches {pattern!r}: check data.source")
    return [Path(path) for path in found]


def _open_file(path: Path, delimiter: str) -> Part:
    openers: dict[str, Callable[[], Part]] = {
        ".csv": lambda: DelimitedPart.open(path, delimiter),
        ".csv.gz": lambda: DelimitedPart.open(path, delimiter),
        ".parquet": lambda: ParquetPart.open(path),
    }
    found = [opener for ending, opener in openers.items() if path.name.lower().endswith(ending)]
    if not found:
        raise SourceError(f"{str(path)!r} must end in one of {[*FORMATS, DUCKDB]}: convert it or rename it")
    reason = _why_not(path)
    if reason:
        raise SourceError(f"{str(path)!r} {reason}: check data.source")
    try:
        return found[0]()
    except SourceError:
        raise
    except Exception:  # the library's text may quote the file
        failed = SourceError(f"{str(path)!r} cannot be opened as {path.suffix.lstrip('.')}: it is damaged or of another format")
    raise failed


def _why_not(path: Path) -> str:
    """What is wrong with the file as a file, in words; empty where nothing is."""
    try:
        if not path.exists():
            return "does not exist"
        if path.is_dir():
            return "is a directory"
        if not path.is_file():
            return "is not a regular file"
        if path.stat().st_size == 0:
            return "is empty (0 bytes): not even a header"
        return "" if os.access(path, os.R_OK) else "cannot be read: no permission"
    except (OSError, ValueError):  # a name the system does not take
        return "cannot be opened"
