"""A draft as a spec file to edit: what is known stands as keys; what people have to fill in, as comments that say what is allowed."""

import json
import os
import re
import textwrap
from collections.abc import Iterable
from datetime import date, time
from pathlib import Path
from typing import Any

from dpsynth.schema import COLUMN_KEYS, keys_of
from dpsynth.schemas.draft import Draft, DraftColumn
from dpsynth.spec_keys import KEYS

WIDTH = 120
BLANK = "..."
"""Stands for a value to fill in: a key that is only uncommented is no TOML."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NEEDED = ("release.purpose", "data.source", "budget.ledger", "budget.epsilon", "budget.delta")
_MEANINGS = {f"{key.section}.{key.name}": key for key in KEYS}
HINTS = {
    "values": ' Where nobody has published them, write kind = "open": labels that enough people share are then found, for a charge. Free '
    'text is kind = "text" and leaves no trace; names and numbers of people are kind = "identifier".'
}
"""Other ways, beside what the reference says of a key."""

HEADING = (
    f"Every key that stands as a comment with {BLANK} is to be filled in, or decided on, by people who know what the columns mean: from a "
    "code book, a form or a law. Never from the rows. A bound or a list that is read off them tells about single people, and no noise "
    "covers it. `dpsynth plan` names the next key that is missing; docs/spec.md explains all of them."
)


def spec_text(draft: Draft, folder: str | Path = ".") -> str:
    """The spec file; it is to stand in `folder`, where relative paths start.

    Sections come in the order of docs/spec.md. Only keys of this package's spec are written; whatever else the origin says stands in
    comments, each on a line of its own.
    """
    known = {"release.name": release_name(draft.name)}
    if draft.source:
        local = not Path(draft.source).is_absolute() and "://" not in draft.source
        known["data.source"] = os.path.relpath(draft.source, folder) if local else draft.source
    lines = [*_comment(f"Draft of a spec, from {draft.origin}. {draft.why}"), *_comment(HEADING), *_notes(draft.notes)]
    known |= {f"data.{key}": value for key, value in draft.reading.items()}
    for section, keys in (
        ("release", ("name", "purpose")),
        ("data", ("source", *draft.reading)),
        ("unit", ("id", "max_rows")),
        ("budget", ("ledger", "epsilon", "delta")),
    ):
        lines += ["", f"[{section}]", *(line for key in keys for line in _key(f"{section}.{key}", known))]
    lines += [line for column in draft.columns for line in _column(column)]
    return "\n".join(lines) + "\n"


def release_name(text: str) -> str:
    """A name that a release may have, made from a text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-") or "release"


def _key(name: str, known: dict[str, str]) -> list[str]:
    short = name.partition(".")[2]
    if name in known:
        return [f"{short} = {literal(known[name])}"]
    about = _MEANINGS[name]
    allowed = f" ({about.allowed})" if about.allowed else ""
    return _to_fill_in(short, f"{about.meaning}{allowed}", needed=name in _NEEDED)


def _column(column: DraftColumn) -> list[str]:
    said = f": {column.declared}" if column.declared else ""
    if column.left_out:
        return ["", *_comment(f"Left out: column {column.name!r}{said}. {column.left_out}"), *_notes(column.notes)]
    lines = ["", f"[columns.{key_text(column.name)}]", *(_comment(f"declared{said}") if said else ()), *_notes(column.notes)]
    if column.kind:
        lines.append(f"kind = {literal(column.kind)}")
    needed = set(column.to_fill_in)
    for key in ("kind", *(keys_of(column.kind) if column.kind else ())):
        if key in column.facts:
            lines += _fact(key, column.facts[key])
        elif key in needed or key in column.to_decide:
            about = _MEANINGS[f"columns.NAME.{key}"]
            lines += _to_fill_in(key, f"{about.meaning}{_allowed(about.allowed)}{HINTS.get(key, '')}", needed=key in needed)
    return lines


def _allowed(words: str) -> str:
    """What a key of a column allows, without the kinds that take it: this column's kind does."""
    kinds, found, rest = words.partition("; " if ";" in words else ": ")
    names_kinds = all(word in {*COLUMN_KEYS, "any kind"} for word in kinds.split(", "))
    rest = rest if found and names_kinds else "" if names_kinds else words
    return f" ({rest})" if rest else ""


def _notes(notes: Iterable[str]) -> list[str]:
    """What the origin says besides, so that nothing is dropped silently."""
    return [line for note in notes for line in _comment(f"stated there, and no key of a spec: {note}")]


def _to_fill_in(key: str, words: str, *, needed: bool) -> list[str]:
    head = "fill in" if needed else "decide"
    first, *rest = textwrap.wrap(f"{head}: {words}", WIDTH - 28)
    return [f"{f'# {key} = {BLANK}':<24}# {first}", *(f"{'#':<24}#   {line}" for line in rest)]


def _fact(key: str, value: Any) -> list[str]:
    """A key with its value; a long list goes over several lines."""
    line = f"{key} = {literal(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | tuple):
        return [line]
    items = [f"{literal(item)}," for item in value]
    rows, row = [f"{key} = ["], ""
    for item in items:
        if row and len(row) + len(item) + 5 > WIDTH:
            rows.append(f"    {row}")
            row = ""
        row = f"{row} {item}".strip()
    return [*rows, f"    {row}", "]"]


def _comment(words: str) -> list[str]:
    """Comment lines. Whatever the words hold, they cannot leave the comment: TOML ends one at a line end only, and none is left."""
    plain = "".join(c if c.isprintable() else " " for c in words)
    return [f"# {line}" for line in textwrap.wrap(plain, WIDTH - 2, break_on_hyphens=False)]


def key_text(name: str) -> str:
    """A column's name as a TOML key."""
    return name if _BARE.fullmatch(name) else literal(name)


def literal(value: Any) -> str:
    """A value as TOML writes it; JSON's texts are TOML's."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, bool | str):
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))
    return str(value)


def listed(names: Iterable[str]) -> str:
    """Names in one line of a message."""
    return ", ".join(map(repr, names))
