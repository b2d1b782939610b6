"""Columns of which only names and types are declared: Arrow and Polars schemas, files and tables of a catalog."""

from collections.abc import Iterable
from typing import Any

from dpsynth.schemas.draft import DraftColumn
from dpsynth.schemas.labels import labels
from dpsynth.schemas.type_names import kind_of, type_word


def typed_column(name: str, type_name: str, nullable: bool | None = None) -> DraftColumn:
    """The column of a name and a type. nullable: whether values may be missing, None where nobody says."""
    if not type_name:
        return DraftColumn(name)
    kind, facts = kind_of(type_name)
    if not kind:
        return DraftColumn(name, declared=type_word(type_name), left_out="No kind fits that type.")
    missing = {} if nullable is None or kind in {"identifier", "text"} else {"missing": nullable}
    return DraftColumn(name, kind, {**facts, **missing}, type_word(type_name))


def arrow_columns(schema: Any) -> tuple[DraftColumn, ...]:
    """The columns of a pyarrow Schema; its metadata is not looked at, for there pandas keeps what it read off the rows."""
    return tuple(typed_column(field.name, str(field.type), field.nullable) for field in schema)


def polars_columns(schema: Any) -> tuple[DraftColumn, ...]:
    """The columns of a Polars Schema; an Enum states its categories."""
    return tuple(_polars_column(name, dtype) for name, dtype in schema.items())


def _polars_column(name: str, dtype: Any) -> DraftColumn:
    categories: Iterable[str] | None = getattr(dtype, "categories", None) if str(dtype).startswith("Enum(") else None
    if categories is None:
        return typed_column(name, str(dtype))
    return DraftColumn(name, "categorical", {"values": labels(name, list(categories))}, "Enum")
