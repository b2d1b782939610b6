"""The domain file of google/dpsynth: attributes by column, with their values or their bounds.

Source: google/dpsynth, `dpsynth/domain.py` (`from_yaml_file`) and `dpsynth/serialize.py` (`Schema`, `TabularConfig`).
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dpsynth.errors import SpecError
from dpsynth.readings import NUMBER_PATTERN
from dpsynth.schemas.documents import mapping, number, shown, text
from dpsynth.schemas.draft import Draft, DraftColumn
from dpsynth.schemas.labels import label, labels

FORMAT = "google/dpsynth domain"
_KNOWN_BY = {
    "possible_values": "CategoricalAttribute",
    "min_value": "NumericalAttribute",
    "max_tokens": "FreeFormTextAttribute",
    "default_value": "OpenSetCategoricalAttribute",
}


def is_google(found: dict[str, Any]) -> bool:
    """Whether a document looks like such a domain."""
    return found.get("type") in ("Schema", "TabularConfig") or (
        bool(found) and all(said is None or (isinstance(said, dict) and (not said or _class_of(said))) for said in found.values())
    )


def google_draft(found: dict[str, Any], origin: str, name: str) -> Draft:
    """The draft of a table. Raises SpecError where the document is not as that program writes it."""
    notes: list[str] = []
    if isinstance(found.get("type"), str):
        inside = {"Schema": "attributes", "TabularConfig": "domains"}[found["type"]]
        notes = [f"{key}: {shown(value)}" for key, value in found.items() if key not in {"type", inside} and value]
        found = mapping(found.get(inside), inside)
    columns = (_column(column, mapping(said or {}, f"attribute {column!r}")) for column, said in found.items())
    return Draft(origin, name, tuple(columns), notes=tuple(notes))


def _class_of(said: dict[str, Any]) -> str:
    """The class of an attribute: as it says, or by the key that only one of them has; nothing at all means an open one."""
    named = said.get("type")
    if named in _KNOWN_BY.values():
        return str(named)
    return next((known for key, known in _KNOWN_BY.items() if key in said), "" if said else "OpenSetCategoricalAttribute")


def _column(name: str, said: dict[str, Any]) -> DraftColumn:
    known = _class_of(said)
    builders: dict[str, Callable[[str, dict[str, Any]], tuple[str, dict[str, Any], set[str]]]] = {
        "CategoricalAttribute": _categorical,
        "NumericalAttribute": _numerical,
        "OpenSetCategoricalAttribute": _open,
        "FreeFormTextAttribute": lambda *_: ("text", {}, set()),
    }
    if known not in builders:
        raise SpecError(f"attribute {name!r} is of no class of google/dpsynth: it has the keys {sorted(said)}")
    kind, facts, stated = builders[known](name, said)
    notes = tuple(f"{key}: {shown(value)}" for key, value in said.items() if key not in stated | {"type"} and value is not None)
    return DraftColumn(name, kind, facts, known, notes)


def _categorical(name: str, said: dict[str, Any]) -> tuple[str, dict[str, Any], set[str]]:
    """Values that are not listed go to the value at `out_of_domain_index`. None is a value there; here it is the missing cell."""
    values, place = said.get("possible_values"), said.get("out_of_domain_index", 0)
    if not isinstance(values, list) or not values:
        raise SpecError(f"attribute {name!r}: possible_values must list at least one value, got {shown(values)}")
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(values):
        raise SpecError(f"attribute {name!r}: out_of_domain_index must be from 0 to {len(values) - 1}, got {shown(place)}")
    stated, missing = {"possible_values", "out_of_domain_index"}, None in values
    present = [value for value in values if value is not None]
    if present == list(range(len(present))) and not any(isinstance(value, bool) for value in present) and place == 0 and not missing:
        return "code", {"size": len(present), "missing": False, "outside": "first"}, stated
    if all(isinstance(value, bool) for value in present) and set(present) == {True, False}:
        outside = {None: {"outside": "missing"}, False: {"outside": "first"}, True: {}}[values[place]]
        return "boolean", {"missing": missing, **outside}, stated if outside else {"possible_values"}
    return "categorical", {"values": labels(name, present), **_elsewhere(name, values[place]), "missing": missing}, stated


def _elsewhere(name: str, value: Any) -> dict[str, Any]:
    return {"other": False, "outside": "missing"} if value is None else {"other": True, "other_label": label(name, value)}


def _numerical(name: str, said: dict[str, Any]) -> tuple[str, dict[str, Any], set[str]]:
    """Values beyond the bounds are clipped, or they and missing ones have a cell of their own."""
    kind = {"int": "integer", "float": "number"}.get(text(said.get("dtype", "float"), f"the dtype of {name!r}"), "number")
    bounds = {short: _bound(name, key, said.get(key)) for short, key in (("min", "min_value"), ("max", "max_value"))}
    clip = said.get("clip_to_range", True)
    if not isinstance(clip, bool):
        raise SpecError(f"attribute {name!r}: clip_to_range must be true or false, got {shown(clip)}")
    elsewhere = {"missing": not clip, "outside": "clip" if clip else "missing"}
    return kind, {**bounds, **elsewhere}, {"min_value", "max_value", "dtype", "clip_to_range"}


def _bound(name: str, key: str, value: Any) -> int | Decimal:
    """A number; 1e6 without a sign is a text in YAML, which that program turns into the number, too."""
    written = isinstance(value, str) and re.fullmatch(NUMBER_PATTERN, value)
    return number(Decimal(value) if written else value, f"{key} of {name!r}")


def _open(name: str, said: dict[str, Any]) -> tuple[str, dict[str, Any], set[str]]:
    default = said.get("default_value")
    return "open", {} if default is None else {"other_label": label(name, default)}, {"default_value"}
