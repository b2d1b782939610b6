"""Metadata of the Synthetic Data Vault: of one table or several, of version 1 (`columns`, `sdtype`) and of before (`fields`, `type`).

It states what a column means, and neither bounds nor categories: SDV reads those off the rows.
Source: docs.sdv.dev, "Metadata JSON" and "Sdtypes"; before version 1, "Metadata Schema" of SDV 0.18.
"""

import re
from typing import Any

from dpsynth.errors import SpecError
from dpsynth.kinds import Date, Datetime
from dpsynth.kinds.formats import TimeFormat
from dpsynth.schemas.documents import mapping, shown, text
from dpsynth.schemas.draft import Draft, DraftColumn

FORMAT = "SDV metadata"
_OF_COLUMN = {"sdtype", "type", "subtype", "pii"}
_OF_TABLE = {"columns", "fields", "METADATA_SPEC_VERSION"}
_TIME_OF_DAY = re.compile(r"%-?[HIMSfpcXTRrs]")


def is_sdv(found: dict[str, Any]) -> bool:
    """Whether a document looks like such metadata."""
    tables = found.get("tables")
    some: Any = next(iter(tables.values()), None) if isinstance(tables, dict) else found
    if not isinstance(some, dict):
        return "METADATA_SPEC_VERSION" in found
    columns = some.get("columns", some.get("fields"))
    named = isinstance(columns, dict) and any(isinstance(c, dict) and ("sdtype" in c or "fields" in some) for c in columns.values())
    return named or "METADATA_SPEC_VERSION" in found


def sdv_draft(found: dict[str, Any], origin: str, name: str, table: str = "") -> Draft:
    """The draft of one table. Raises SpecError where there are several and none is named, and where the document is not as specified."""
    notes: list[str] = []
    if "tables" in found:
        tables = mapping(found["tables"], "tables")
        name = chosen(tables, table, origin)
        notes += [f"{key}: {shown(value)}" for key, value in found.items() if key not in {"tables", "METADATA_SPEC_VERSION"} and value]
        others = ", ".join(repr(other) for other in sorted(tables) if other != name)
        notes += [f"further tables, which take a spec each: {others}"] if others else []
        found = mapping(tables[name], f"table {name!r}")
    elif table:
        raise SpecError(f"{origin} holds one table, and no name for it: leave out --table")
    columns = mapping(found.get("columns", found.get("fields")), "columns")
    notes += [f"{key}: {_of_table(value)}" for key, value in found.items() if key not in _OF_TABLE and value]
    if found.get("sequence_key"):
        notes.append("a sequence key names who or what has several rows: should unit.id be that column?")
    drafted = (_column(column, mapping(said, f"column {column!r}")) for column, said in columns.items())
    return Draft(origin, name, tuple(drafted), notes=tuple(notes))


def chosen(tables: dict[str, Any], table: str, origin: str) -> str:
    """The name of the table to use. Raises SpecError."""
    if table in tables or (not table and len(tables) == 1):
        return table or next(iter(tables))
    raise SpecError(f"{origin} has the tables {sorted(tables)}: name one with --table, got {table!r}")


def _of_table(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) and all(isinstance(item, str) for item in value) else shown(value)


def _column(name: str, said: dict[str, Any]) -> DraftColumn:
    word = text(said.get("sdtype", said.get("type", "unknown")), f"the sdtype of {name!r}")
    kind, facts, stated = _kind(word, said)
    notes = tuple(f"{key}: {shown(value)}" for key, value in said.items() if key not in _OF_COLUMN | stated and value is not None)
    subtype = f", subtype {said['subtype']}" if isinstance(said.get("subtype"), str) else ""
    pii = ", pii" if said.get("pii") is True else ""
    whole = "; where all values are whole, write integer" if kind == "number" and not stored_as(said) else ""
    return DraftColumn(name, kind, facts, f"sdtype {word}{subtype}{pii}{whole}", notes)


def stored_as(said: dict[str, Any]) -> str:
    """How the numbers of a column are stored, in lower case; "" where nobody says."""
    return str(said.get("computer_representation", said.get("subtype", ""))).lower()


def _kind(word: str, said: dict[str, Any]) -> tuple[str, dict[str, Any], set[str]]:
    """The kind for an sdtype, its facts, and the keys that these facts hold completely."""
    if said.get("pii") is True and word not in {"id", "numerical", "boolean", "datetime"}:
        return "text", {}, set()
    if word == "categorical":
        return _categorical(said)
    if word == "numerical":
        return ("integer" if re.match(r"u?int", stored_as(said)) else "number"), {}, {"computer_representation"}
    if word == "datetime":
        return _datetime(said.get("datetime_format", said.get("format")))
    return {"boolean": "boolean", "id": "identifier"}.get(word, "text"), {}, set()


def _datetime(layout: Any) -> tuple[str, dict[str, Any], set[str]]:
    """A date where the layout has no time of day. Layouts with names of months or zones are none of this package's."""
    kind = Date if isinstance(layout, str) and not _TIME_OF_DAY.search(layout) else Datetime
    if not isinstance(layout, str) or TimeFormat(layout).fault(kind.needed, kind.allowed):
        return kind.kind, {}, set()
    return kind.kind, {"format": layout}, {"datetime_format", "format"}


def _categorical(said: dict[str, Any]) -> tuple[str, dict[str, Any], set[str]]:
    order = said.get("order")
    if isinstance(order, list) and order and all(isinstance(value, str) and value.isprintable() for value in order):
        return "categorical", {"values": order, "ordered": True}, {"order"}
    return "categorical", {}, set()
