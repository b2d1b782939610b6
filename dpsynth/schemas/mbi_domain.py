"""The domain file of mbi (private-pgm): `{"column": size}`, for tables that are coded 0 .. size - 1 already.

Source: mbi 2.0, `Domain.fromdict`, and the domain files that come with its data sets.
"""

from typing import Any

from dpsynth.schemas.draft import Draft, DraftColumn

FORMAT = "mbi domain"


def is_mbi(found: dict[str, Any]) -> bool:
    """Whether a document looks like such a domain."""
    return bool(found) and all(isinstance(size, int) and not isinstance(size, bool) for size in found.values())


def mbi_draft(found: dict[str, Any], origin: str, name: str) -> Draft:
    """The draft of a table of codes: complete but for where its facts come from."""
    columns = tuple(DraftColumn(column, "code", {"size": size, "missing": False}, f"{size} codes") for column, size in found.items())
    return Draft(origin, name, columns)
