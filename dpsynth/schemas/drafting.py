"""Drafts of a spec from a source of rows, of which names and declared types are looked at and no row."""

import os
from collections.abc import Sequence
from typing import Any

from dpsynth.engines.source import open_source
from dpsynth.schemas.draft import Draft
from dpsynth.schemas.typed_columns import typed_column

WHY = (
    "Only names and declared types were looked at. Values, statistics, dictionaries and categories that a file holds beside them come from "
    "the rows, so they are not used."
)


def draft_spec(source: Any, *, columns: Sequence[str] = (), table: str = "", delimiter: str = ",") -> Draft:
    """The draft of a spec for a source: its columns with the kinds that their types suggest; bounds and lists are left to people.

    source: as in a spec, or a pandas DataFrame or pyarrow Table. table: of a database. delimiter: of a CSV file. columns: names that it is
    known to have. A file without types, such as a CSV, needs one, for its first line may be a row and is used only where it proves to be a
    header.
    Raises SourceError where it does not open; SpecError where it lacks one of `columns`, or none is named and one is needed.
    """
    declared = open_source(source, delimiter, table=table).declared(columns)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    name = table.rpartition(".")[2] or os.path.basename(path).partition(".")[0]  # noqa: PTH119 - a glob or an address is no Path
    drafted = tuple(typed_column(column.name, column.type_name, column.nullable) for column in declared)
    reading = {**({"delimiter": delimiter} if delimiter != "," else {}), **({"table": table} if table else {})}
    return Draft(f"names and types of {path or 'a table in memory'}", name, drafted, source=path, reading=reading, why=WHY)
