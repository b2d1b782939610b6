"""Schemas that people already have, as drafts of a spec.

What they state becomes the spec's. Bounds and categories that they do not state are left to people; no rows are looked at here.
"""

import os
from pathlib import Path
from typing import Any

from dpsynth.errors import SpecError
from dpsynth.schemas import google_domain, mbi_domain, pandera_schema, sdv
from dpsynth.schemas.documents import document, mapping
from dpsynth.schemas.draft import Draft
from dpsynth.schemas.typed_columns import arrow_columns, polars_columns

FORMATS = (sdv.FORMAT, mbi_domain.FORMAT, google_domain.FORMAT, pandera_schema.FORMAT)


def import_schema(schema: Any, *, table: str = "") -> Draft:
    """The draft of a spec that a schema states.

    schema: a file (SDV metadata, the domain of mbi or of google/dpsynth, a pandera schema; JSON or YAML), or an object in memory: a pandera
    DataFrameSchema or DataFrameModel, a Polars Schema, a pyarrow Schema. table: which one of SDV metadata of several tables.
    Raises SpecError where it is none of these.
    """
    if isinstance(schema, str | os.PathLike):
        return _of_file(Path(schema), table)
    if table:
        raise SpecError("table names one of several tables of SDV metadata; this schema is of one table")
    return _of_object(schema)


def _of_file(path: Path, table: str) -> Draft:
    found = mapping(document(path), f"the document in {path.name!r}")
    name = path.stem
    if sdv.is_sdv(found):
        return sdv.sdv_draft(found, f"{sdv.FORMAT} in {path.name!r}", name, table)
    if table:
        raise SpecError(f"--table is for SDV metadata of several tables; {path.name!r} is none")
    if pandera_schema.is_pandera(found):
        return pandera_schema.pandera_draft(found, f"{pandera_schema.FORMAT} in {path.name!r}", name)
    if mbi_domain.is_mbi(found):
        return mbi_domain.mbi_draft(found, f"{mbi_domain.FORMAT} in {path.name!r}", name)
    if google_domain.is_google(found):
        return google_domain.google_draft(found, f"{google_domain.FORMAT} in {path.name!r}", name)
    raise SpecError(f"{str(path)!r} is none of the schemas that can be read: {', '.join(FORMATS)}")


def _of_object(schema: Any) -> Draft:
    """By the class that the library defines; who has such an object has imported its library."""
    kind = schema if isinstance(schema, type) else type(schema)
    known = {("pandera", "DataFrameSchema"), ("pandera", "DataFrameModel"), ("polars", "Schema"), ("pyarrow", "Schema")}
    names = [(base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__]
    family = next((library for library, name in names if (library, name) in known), "")
    if family == "pandera":
        return pandera_schema.pandera_draft(pandera_schema.pandera_facts(schema), "a pandera schema", "")
    if family == "polars":
        return Draft("a Polars schema", "", polars_columns(schema))
    if family == "pyarrow":
        return Draft("an Arrow schema", "", arrow_columns(schema))
    raise SpecError(f"a schema must be a file, or a schema of pandera, Polars or pyarrow, got {type(schema).__name__}")
