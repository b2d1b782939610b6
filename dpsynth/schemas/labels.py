"""Allowed values of somebody else's schema as the texts that a categorical column lists."""

from typing import Any

from dpsynth.errors import SpecError
from dpsynth.schemas.documents import number, shown


def label(name: str, value: Any) -> str:
    """A value as a text of a categorical column. Raises SpecError where it is no printable text, no number and neither true nor false."""
    if isinstance(value, str) and not value.isprintable():
        raise SpecError(f"column {name!r}: an allowed value must be printable text, got {shown(value)}")
    if isinstance(value, str | bool):
        return value if isinstance(value, str) else str(value).lower()
    return str(number(value, f"a value of {name!r}"))


def labels(name: str, values: Any) -> list[str]:
    """Allowed values as texts of a categorical column. Raises SpecError."""
    if not isinstance(values, list | tuple | set | frozenset) or not values:
        raise SpecError(f"column {name!r}: a list of allowed values holds at least one, got {shown(values)}")
    ordered = sorted(values, key=str) if isinstance(values, set | frozenset) else list(values)
    return list(dict.fromkeys(label(name, value) for value in ordered))
