"""Delimited text: bytes to lines, lines to fields, each line by a rule that looks at that line alone.

- A row is one physical line, whatever it holds: a quoted field cannot go on in the next line, so no row can swallow another.
- A line of nothing but white space is no row; neither is a line over LINE_LIMIT bytes.
- Bytes that are not UTF-8 become the replacement character U+FFFD.
- A field that begins with a quote, spaces before it aside, ends at the next quote that is not doubled; what follows up to the delimiter
  is ignored. Where no such quote comes, the rest of the line is the field. Any other field is everything up to the next delimiter, quotes
  included.
- Fields that are not there are missing; fields past the header's are ignored.
"""

import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from dpsynth.engines.sql import literal
from dpsynth.readings import BLANKS

BLOCK = 1 << 23
LINE_LIMIT = 1 << 20
DELIMITERS = (",", ";", "\t", "|")


def field_pattern(delimiter: str) -> str:
    """One field with the delimiter before it; the same expression in Python and in RE2."""
    return f'[{delimiter}](?: *"(?:[^"]|"")*(?:"[^{delimiter}]*)?|[^{delimiter}]*)'


def quoted_pattern(delimiter: str) -> str:
    """The inside of a field that begins with a quote."""
    return f'^[{delimiter}] *"((?:[^"]|"")*)'


def split_line(line: str, delimiter: str) -> list[str]:
    """The fields of one line: how the header is read, and what the SQL below is tested against."""
    fields = re.findall(field_pattern(delimiter), delimiter + line)
    inside = (re.match(quoted_pattern(delimiter), field) for field in fields)
    return [match[1].replace('""', '"') if match else field[1:] for field, match in zip(fields, inside, strict=True)]


def fields_sql(places: Sequence[int], delimiter: str, scan: str) -> str:
    """A query for the fields at these places (from 0) of each line of `scan`, as t0, t1, ...; NULL where there are too few."""
    rows = f"SELECT line, contains(line, '\"') AS quoted FROM {scan} WHERE trim(line, {literal(BLANKS)}) <> ''"
    split = (
        f"SELECT quoted, CASE WHEN NOT quoted THEN string_split(line, {literal(delimiter)}) END AS plain, CASE WHEN quoted"
        f" THEN regexp_extract_all({literal(delimiter)} || line, {literal(field_pattern(delimiter))}) END AS raw FROM ({rows})"
    )
    fields = (
        f"CASE WHEN quoted THEN {_unquoted_sql(f'raw[{place + 1}]', delimiter)} ELSE plain[{place + 1}] END AS t{i}"
        for i, place in enumerate(places)
    )
    return f"SELECT {', '.join(fields)} FROM ({split})"


def _unquoted_sql(field: str, delimiter: str) -> str:
    inside = f"replace(regexp_extract({field}, {literal(quoted_pattern(delimiter))}, 1), '\"\"', '\"')"
    return f"CASE WHEN starts_with(ltrim({field}[2:], ' '), '\"') THEN {inside} ELSE {field}[2:] END"


def line_batches(stream: IO[bytes]) -> Iterator[Any]:
    """pyarrow record batches with one column `line` (its line end included), for every line that is left in the stream."""
    import pyarrow as pa

    for block in _blocks(stream):
        readable = _as_utf8(_without_long_lines(block))
        offsets = np.concatenate([[0], _ends(readable)]).astype(np.int32)
        column = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(readable))
        yield pa.record_batch([column], names=["line"])


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Pieces of whole lines, each with its end. Memory stays bounded where no line end ever comes."""
    held, skipping = b"", False
    while data := stream.read(BLOCK):
        if skipping:
            _, end, data = data.partition(b"\n")
            if not end:
                continue
        data = held + data
        cut = data.rfind(b"\n") + 1
        held = data[cut:]
        skipping = len(held) > LINE_LIMIT
        if skipping:
            held = b""
        if cut:
            yield data[:cut]
    if held:
        yield held + b"\n"


def _ends(block: bytes) -> Any:
    """int64[lines]: where each line ends."""
    return np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")) + 1


def _without_long_lines(block: bytes) -> bytes:
    ends = _ends(block)
    if np.diff(ends, prepend=0).max() <= LINE_LIMIT + 1:
        return block
    starts = np.concatenate([[0], ends[:-1]])
    return b"".join(block[start:end] for start, end in zip(starts, ends, strict=True) if end - start <= LINE_LIMIT + 1)


def _as_utf8(block: bytes) -> bytes:
    """A line end is never part of a faulty sequence, so one line's bytes do not change another's."""
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode(errors="replace").encode()
    return block
