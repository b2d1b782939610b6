"""A spec that is not finished: what somebody else's schema states of a table, and what people still have to fill in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dpsynth.errors import SpecError
from dpsynth.kinds import Boolean
from dpsynth.schema import column_from, keys_of


@dataclass(frozen=True)
class DraftColumn:
    """One column as its origin declares it.

    kind: one of the spec's; "" where nobody says which. facts: keys of the spec that the origin states. declared: what it says, in its own
    words. notes: what it states that no key holds. left_out: why no kind fits, "" where one does or may.
    """

    name: str
    kind: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    declared: str = ""
    notes: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def to_fill_in(self) -> tuple[str, ...]:
        """Keys that the column needs and nobody stated."""
        if self.left_out:
            return ()
        if not self.kind:
            return ("kind",)
        needed = (key for key, (_, required) in keys_of(self.kind).items() if required)
        return tuple(key for key in needed if key not in self.facts)

    @property
    def to_decide(self) -> tuple[str, ...]:
        """Keys with a default that somebody should decide on: whether values may be missing, and who says these facts."""
        taken = keys_of(self.kind) if self.kind else {}
        return tuple(key for key in ("missing", "source") if key in taken and key not in self.facts)

    def checked(self) -> "DraftColumn":
        """The same column; left out where a spec would refuse its name or its facts."""
        try:
            Boolean(name=self.name)
            if self.kind and not self.to_fill_in:
                column_from(self.name, {"kind": self.kind, **self.facts})
        except SpecError as error:
            return replace(self, left_out=self.left_out or str(error))
        return self


@dataclass(frozen=True)
class Draft:
    """The columns of a table and what else is known of it.

    origin: where it comes from, in words. name: of the release, to start with. source: of the rows, "" where it is not known.
    reading: further keys of [data]. notes: what it states of the table that no key holds. why: it does not say more.
    """

    origin: str
    name: str
    columns: tuple[DraftColumn, ...]
    source: str = ""
    reading: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    why: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names:
            raise SpecError(f"{self.origin} declares no column")
        repeated = sorted(name for name, times in Counter(names).items() if times > 1)
        if repeated:
            raise SpecError(f"{self.origin} declares columns {repeated} more than once: rename or drop the others")
        object.__setattr__(self, "columns", tuple(column.checked() for column in self.columns))

    def to_fill_in(self) -> dict[str, list[str]]:
        """The keys that people have to fill in, for each column that has any."""
        return {column.name: list(column.to_fill_in) for column in self.columns if column.to_fill_in}

    def left_out(self) -> list[str]:
        """The columns that no kind fits."""
        return [column.name for column in self.columns if column.left_out]
