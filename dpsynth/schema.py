"""Schema: the columns of a table that take part, and how a spec declares them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from dpsynth.column import DECLARED, Column
from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.kinds import Boolean, Categorical, Code, Integer, Number

DEFAULT_BINS = 32


@dataclass(frozen=True)
class Schema:
    """The columns of a table that take part, in the order of the output."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if not self.columns:
            raise SpecError("a schema needs at least one column: add a [columns.NAME] section")
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SpecError(f"columns {repeated} are declared more than once: leave one of each")

    @classmethod
    def from_columns(cls, columns: Mapping[str, Mapping[str, Any]]) -> "Schema":
        """The schema of columns described as a spec would: `{"age": {"kind": "integer", "min": 17, "max": 90}}`. Raises SpecError."""
        return cls(tuple(column_from(name, {key: _exact(value) for key, value in facts.items()}) for name, facts in columns.items()))

    @cached_property
    def domain(self) -> Domain:
        return Domain(tuple(c.name for c in self.columns), tuple(c.size for c in self.columns))

    def column(self, name: str) -> Column:
        """The column of that name. Raises SpecError where there is none."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise SpecError(f"unknown column {name!r}: the schema has {[column.name for column in self.columns]}")
        return found

    def facts(self) -> list[dict[str, Any]]:
        """What is declared, column by column, in canonical values: `schema_from` reads it back."""
        return [{"name": column.name, **column.facts()} for column in self.columns]


def column_from(name: str, facts: Mapping[str, Any]) -> Column:
    """The column that a spec's `[columns.NAME]` section declares.

    Raises SpecError for an unknown kind or key, a key that is missing, or a value of the wrong type.
    """
    kind = facts.get("kind")
    if kind not in COLUMN_KEYS:
        raise SpecError(f"column {name!r}: kind must be one of {sorted(COLUMN_KEYS)}, got {kind!r}")
    given = {key: value for key, value in facts.items() if key != "kind"}
    allowed = {**COLUMN_KEYS[kind], **SHARED_KEYS}
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise SpecError(f"column {name!r}: unknown keys {unknown}: a {kind} column takes {sorted(allowed)}")
    needed = sorted(key for key, (_, required) in allowed.items() if required and key not in given)
    if needed:
        raise SpecError(f"column {name!r}: a {kind} column needs {needed}")
    for key, value in given.items():
        types, _ = allowed[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            words = " or ".join(_TYPE_WORDS[t] for t in types)
            given_text = str(value) if isinstance(value, Decimal) else repr(value)
            raise SpecError(f"column {name!r}: {key} must be {words}, got {given_text}")
    shared = {key: given.pop(key) for key in SHARED_KEYS if key in given}
    if shared.get("source") == DECLARED:
        shared["source"] = ""
    return _BUILDERS[kind](name, given, shared)


def schema_from(facts: list[dict[str, Any]]) -> Schema:
    """The schema that `Schema.facts` described. Raises SpecError."""
    return Schema(tuple(column_from(f["name"], {k: _plain_number(k, v) for k, v in f.items() if k != "name"}) for f in facts))


SHARED_KEYS: dict[str, tuple[tuple[type, ...], bool]] = {
    "missing": ((bool,), False),
    "outside": ((str,), False),
    "source": ((str,), False),
}
COLUMN_KEYS: dict[str, dict[str, tuple[tuple[type, ...], bool]]] = {
    "code": {"size": ((int,), True)},
    "categorical": {"values": ((list,), True), "other": ((bool,), False), "other_label": ((str,), False)},
    "boolean": {},
    "integer": {"min": ((int,), True), "max": ((int,), True), "bins": ((int,), False)},
    "number": {
        "min": ((int, Decimal), True),
        "max": ((int, Decimal), True),
        "bins": ((int,), False),
        "decimals": ((int,), False),
    },
}
"""Keys of each kind: (types, whether the key is needed)."""

_TYPE_WORDS = {bool: "true or false", str: "text", int: "a whole number", Decimal: "a number", list: "a list"}


def _build_code(name: str, given: dict[str, Any], shared: dict[str, Any]) -> Column:
    return Code(name=name, codes=given["size"], **shared)


def _build_categorical(name: str, given: dict[str, Any], shared: dict[str, Any]) -> Column:
    other = {"other": given.get("other", True), "other_text": given.get("other_label", "other")}
    return Categorical(name=name, values=tuple(given["values"]), **other, **shared)


def _build_boolean(name: str, given: dict[str, Any], shared: dict[str, Any]) -> Column:
    return Boolean(name=name, **shared)


def _build_integer(name: str, given: dict[str, Any], shared: dict[str, Any]) -> Column:
    bins = given.get("bins", min(DEFAULT_BINS, max(1, given["max"] - given["min"] + 1)))
    return Integer(name=name, least=given["min"], most=given["max"], bins=bins, **shared)


def _build_number(name: str, given: dict[str, Any], shared: dict[str, Any]) -> Column:
    least, most = Decimal(given["min"]), Decimal(given["max"])
    return Number(name=name, least=least, most=most, bins=given.get("bins", DEFAULT_BINS), decimals=given.get("decimals"), **shared)


_BUILDERS = {
    "code": _build_code,
    "categorical": _build_categorical,
    "boolean": _build_boolean,
    "integer": _build_integer,
    "number": _build_number,
}


def _exact(value: Any) -> Any:
    """A float as the decimal it is written as."""
    return Decimal(str(value)) if isinstance(value, float) else list(value) if isinstance(value, tuple) else value


def _plain_number(key: str, value: Any) -> Any:
    return Decimal(value) if key in ("min", "max") and isinstance(value, str) else value
