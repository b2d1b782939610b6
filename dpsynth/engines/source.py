"""What is public about a source, checked free of charge: that it opens, and that it has the named columns.

No message shows a cell; library errors are never passed on, for they quote rows.
"""

import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth.engines.lines import DELIMITERS
from dpsynth.engines.parts import ArrowPart, DelimitedPart, FramePart, ParquetPart, Part
from dpsynth.errors import SourceError, SpecError

FORMATS = (".csv", ".csv.gz", ".parquet")
SHOWN_NAMES = 50


@dataclass(frozen=True)
class Source:
    """Rows that have not been read yet; the order of the parts does not matter."""

    parts: tuple[Part, ...]

    def require(self, columns: Sequence[str]) -> None:
        """Checks that each part has each of these columns, once.

        Raises SpecError naming the column and the columns there are. Where none of them is in a first line, that line may be a row and is
        not shown.
        """
        for part in self.parts:
            times = Counter(part.names)
            absent = sorted({column for column in columns if not times[column]})
            repeated = sorted({column for column in columns if times[column] > 1})
            if absent and len(absent) == len(set(columns)) and not part.typed_names:
                raise SpecError(
                    f"{part.title} has none of the columns {absent} in its first line, which is not shown as it may be data: "
                    "name the columns of the header in the spec, or add a header"
                )
            if absent:
                raise SpecError(f"{part.title} has no column {_words(absent)}: it has {_shown(part.names)}")
            if repeated:
                raise SpecError(f"{part.title} has column {_words(repeated)} more than once: rename or drop the others")


def open_source(data: Any, delimiter: str = ",") -> Source:
    """The source at a path or glob (.csv, .csv.gz, .parquet), or a pandas DataFrame or pyarrow Table.

    Raises SourceError where it does not open; SpecError where `data` or `delimiter` is none of these.
    """
    if delimiter not in DELIMITERS:
        raise SpecError(f"delimiter must be one of {list(DELIMITERS)}, got {delimiter!r}")
    if isinstance(data, str | os.PathLike):
        return Source(tuple(_open_file(path, delimiter) for path in _files(os.fspath(data))))
    frames = getattr(sys.modules.get("pandas"), "DataFrame", ())  # who has a DataFrame has imported pandas
    tables = getattr(sys.modules.get("pyarrow"), "Table", ())
    if isinstance(data, frames):
        return Source((FramePart.open(data),))
    if isinstance(data, tables):
        return Source((ArrowPart.open(data),))
    raise SpecError(f"data must be a path, a pandas DataFrame or a pyarrow Table, got {type(data).__name__}")


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
        raise SourceError(f"{str(path)!r} must end in one of {list(FORMATS)}: convert it or rename it")
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


def _words(columns: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in columns)


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return _words(names[:SHOWN_NAMES]) + more
