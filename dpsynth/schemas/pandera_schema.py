"""A pandera schema: as `to_yaml` or `to_json` write it, or as the object itself.

Checks that pandera names state bounds and lists; a check that is a function of its own is listed as not held.
Source: pandera, `pandera/io/pandas_io.py` (0.6 to 0.35: checks as a mapping, as a list, and as keys of the column), `builtin_checks.py`.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from dpsynth.errors import SpecError
from dpsynth.schemas.documents import mapping, number, shown
from dpsynth.schemas.draft import Draft, DraftColumn
from dpsynth.schemas.labels import labels
from dpsynth.schemas.type_names import kind_of, type_word

FORMAT = "pandera schema"
_HELD = {"dtype", "nullable", "checks", "name", "regex"}
_OF_COLUMN = _HELD | {"title", "description", "unique", "coerce", "required", "default", "report_duplicates", "drop_invalid_rows", "alias"}
_OF_TABLE = {"schema_type", "version", "api", "columns", "dataframe_library"}
_OPTIONS = {"check_name", "ignore_na", "raise_warning", "n_failure_cases", "groupby", "groups", "error", "name", "options"}
_DEFAULTS = {"coerce": False, "required": True, "unique": False, "report_duplicates": "all", "drop_invalid_rows": False}
_LISTS = {"isin", "unique_values_eq"}
_BOUNDS = {
    "greater_than": ("min", False),
    "greater_than_or_equal_to": ("min", True),
    "less_than": ("max", False),
    "less_than_or_equal_to": ("max", True),
}
Checks = list[tuple[str, dict[str, Any]]]


def is_pandera(found: dict[str, Any]) -> bool:
    """Whether a document looks like such a schema."""
    return found.get("schema_type") == "dataframe" and "columns" in found


def pandera_draft(found: dict[str, Any], origin: str, name: str) -> Draft:
    """The draft of a table. Raises SpecError where the document is not as pandera writes it."""
    columns = found["columns"]
    if isinstance(columns, list):  # names that are no texts make it a list
        columns = {str(mapping(said, "a column").get("name")): said for said in columns}
    columns = mapping(columns or {}, "columns")
    skipped = {**dict.fromkeys(("coerce", "strict", "ordered", "unique_column_names", "add_missing_columns"), False), **_DEFAULTS}
    notes = [f"{key}: {_words(value)}" for key, value in found.items() if key not in _OF_TABLE and value and value != skipped.get(key)]
    drafted = tuple(_column(column, mapping(said, f"column {column!r}")) for column, said in columns.items())
    return Draft(origin, str(found.get("name") or name), drafted, notes=tuple(notes))


def pandera_facts(schema: Any) -> dict[str, Any]:
    """The same values, from a pandera DataFrameSchema or from the class of a DataFrameModel, whatever tables it is for."""
    built: Any = schema
    if isinstance(schema, type):
        built = schema.to_schema()  # type: ignore[attr-defined]  # a DataFrameModel has it
    columns = {str(name): _facts_of(column) for name, column in built.columns.items()}
    checks = [str(check.name) for check in built.checks]
    return {"schema_type": "dataframe", "name": built.name, "columns": columns, "checks": checks, "unique": built.unique}


def _facts_of(column: Any) -> dict[str, Any]:
    checks = [{**(check.statistics or {}), "options": {"check_name": str(check.name)}} for check in column.checks]
    declared = getattr(column.dtype, "categories", None)
    if declared is not None:
        checks.append({"allowed_values": list(declared), "options": {"check_name": "isin"}})
    words = {"title": column.title, "description": column.description, "unique": column.unique, "required": column.required}
    dtype = None if column.dtype is None else str(column.dtype)
    return {"dtype": dtype, "nullable": column.nullable, "checks": checks, "regex": column.regex, **words}


def _column(name: str, said: dict[str, Any]) -> DraftColumn:
    dtype = said.get("dtype")
    kind, facts = kind_of(dtype) if isinstance(dtype, str) else ("", {})
    notes = [f"{k}: {_words(v)}" for k, v in said.items() if k in _OF_COLUMN - _HELD and v is not None and v != _DEFAULTS.get(k)]
    declared = f"dtype {type_word(dtype)}" if isinstance(dtype, str) else "no dtype"
    if said.get("regex"):
        why = "Its name is a pattern: write a section for each column it matches."
        return DraftColumn(name, declared=declared, notes=tuple(notes), left_out=why)
    if isinstance(dtype, str) and not kind:
        return DraftColumn(name, declared=declared, notes=tuple(notes), left_out="No kind fits that type.")
    checks = _checks(name, said)
    kind = "categorical" if any(check in _LISTS for check, _ in checks) and kind != "boolean" else kind
    for check, arguments in checks:
        stated, kept = _meaning(name, kind, check, arguments)
        facts = {**facts, **_tighter(facts, stated)}
        notes += [] if kept else [f"check {check}: {', '.join(f'{k} = {_words(v)}' for k, v in arguments.items())}".rstrip(": ")]
    return DraftColumn(name, kind, {**facts, "missing": bool(said.get("nullable", False))} if kind else facts, declared, tuple(notes))


def _checks(name: str, said: dict[str, Any]) -> Checks:
    """Names and arguments of a column's checks, in whichever of the three forms they were written."""
    own: Any = said.get("checks") or {}
    if isinstance(own, list):
        pairs = [(_check_name(name, check), check) for check in own]
    else:
        pairs = list(mapping(own, f"the checks of {name!r}").items())
    pairs += [(key, value) for key, value in said.items() if key not in _OF_COLUMN]
    return [(check, _arguments(value)) for check, value in pairs]


def _check_name(name: str, check: Any) -> str:
    options = check.get("options") if isinstance(check, dict) else None
    if not isinstance(options, dict) or not isinstance(options.get("check_name"), str):
        raise SpecError(f"a check of column {name!r} has no name, as pandera writes one in options.check_name")
    return str(options["check_name"])


def _arguments(value: Any) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in _OPTIONS} if isinstance(value, dict) else {"value": value}


def _meaning(name: str, kind: str, check: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The facts that a check states for a column of that kind, and whether they hold all that it says."""
    if check in _LISTS and kind == "categorical":
        return {"values": labels(name, next(iter(arguments.values()), None))}, True
    if check == "in_range":
        low, all_low = _bound(kind, "min", arguments.get("min_value"), closed=bool(arguments.get("include_min", True)))
        high, all_high = _bound(kind, "max", arguments.get("max_value"), closed=bool(arguments.get("include_max", True)))
        return {**low, **high}, all_low and all_high
    if check in _BOUNDS and len(arguments) == 1:
        key, closed = _BOUNDS[check]
        return _bound(kind, key, next(iter(arguments.values())), closed=closed)
    return {}, False


def _bound(kind: str, key: str, value: Any, *, closed: bool) -> tuple[dict[str, Any], bool]:
    """min or max, and whether it says all. A whole number beside an open bound is exact; else the bound itself counts as allowed."""
    if kind in {"integer", "number"} and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        exact = number(value, key)
        return ({key: exact}, closed) if kind == "number" else ({key: _inward(exact, key, closed)}, True)
    if kind == "duration":
        seconds = _seconds(value)
        return ({}, False) if seconds is None else ({key: _inward(seconds, key, closed)}, True)
    moment = _moment(value) if kind in {"date", "datetime"} else None
    if moment is None:
        return {}, False
    return {key: moment.date() if kind == "date" else moment}, closed


def _inward(bound: int | Decimal, key: str, closed: bool) -> int:
    """The whole number next to a bound that is allowed."""
    if key == "min":
        return math.ceil(bound) if closed else math.floor(bound) + 1
    return math.floor(bound) if closed else math.ceil(bound) - 1


def _seconds(value: Any) -> Decimal | None:
    """What a timedelta lasts, or nanoseconds, which is how pandera writes one."""
    if isinstance(value, timedelta):
        return Decimal(value // timedelta(microseconds=1)) / 10**6
    return Decimal(value) / 10**9 if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:
    """A day or a moment without a zone, from a text or from what has `isoformat`."""
    said = value.isoformat() if isinstance(value, date) else value
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is None else None


def _tighter(facts: Mapping[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    """Of two bounds of one side the one that allows less; of two lists what both hold."""
    picks = {"min": max, "max": min}
    both = {key: picks[key](facts[key], value) for key, value in stated.items() if key in picks and key in facts}
    if "values" in stated and "values" in facts:
        both["values"] = [value for value in facts["values"] if value in stated["values"]]
    return {**stated, **both}


def _words(value: Any) -> str:
    flat = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return ", ".join(value) if flat else shown(value)
