"""What is public about a source, and checked free of charge: that it opens, and that it has the named columns."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dpsynth.core.engine import Engine
from dpsynth.errors import SpecError
from dpsynth.privacy import PrivacyUnit
from dpsynth.schema import Schema

SHOWN_NAMES = 50


@dataclass(frozen=True)
class Declared:
    """A column of a source. type_name: "" where it has no types. nullable: whether values may be missing, None where nobody says."""

    name: str
    type_name: str = ""
    nullable: bool | None = None


class Source(Protocol):
    """Rows that have not been read yet, wherever they are."""

    def require(self, columns: Sequence[str]) -> None:
        """Checks that each of these columns is there, once. Raises SpecError naming the column and the columns there are."""
        ...

    def declared(self, known: Sequence[str]) -> tuple[Declared, ...]:
        """Its columns, as the source declares them: no row is read. known: names that it is said to have.

        Raises SpecError where it lacks one of these, or where its names may be a row and none is known.
        """
        ...

    def check(self, schema: Schema, unit: PrivacyUnit) -> None:
        """Checks all that is public, so that faults show before anything is charged. Raises SpecError or SourceError."""
        ...

    def engine(self, schema: Schema, unit: PrivacyUnit, key: str, threads: int | None) -> Engine:
        """Exact counts of the rows with each unit's contribution bounded; the source is not needed afterwards.

        key: of the order hash. threads: of the reading, None: all; counts do not depend on it.
        Raises SpecError where a column is absent; SourceError, always with the same words, where reading fails.
        """
        ...


def require_names(title: str, names: Sequence[str], columns: Sequence[str], typed_names: bool = True) -> None:
    """Checks that `names` has each of these columns, once.

    Raises SpecError naming the column and the columns there are. Where none of them is in a first line, that line may be a row and is not
    shown.
    """
    times = Counter(names)
    absent = sorted({column for column in columns if not times[column]})
    repeated = sorted({column for column in columns if times[column] > 1})
    if absent and len(absent) == len(set(columns)) and not typed_names:
        raise SpecError(
            f"{title} has none of the columns {absent} in its first line, which is not shown as it may be data: "
            "name the columns of the header in the spec, or add a header"
        )
    if absent:
        raise SpecError(f"{title} has no column {_words(absent)}: it has {_shown(names)}")
    if repeated:
        raise SpecError(f"{title} has column {_words(repeated)} more than once: rename or drop the others")


def _words(columns: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in columns)


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return _words(names[:SHOWN_NAMES]) + more
