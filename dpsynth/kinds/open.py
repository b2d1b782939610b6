"""Columns whose labels are not known before they are found, for a charge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dpsynth.column import DISCOVERED, MAX_SIZE, Column, Keys, is_whole
from dpsynth.kinds.categorical import Categorical
from dpsynth.labels import is_label

AT_MOST = 64


@dataclass(frozen=True, kw_only=True)
class Open(Column):
    """Texts that nobody listed: those that enough people share are found by a noisy threshold and become its labels; the rest is "other".

    at_most: labels at most, the most frequent. other_text: what the rest is called. missing: whether it has a cell for missing values.
    """

    at_most: int = AT_MOST
    other_text: str = "other"
    missing: bool = False

    kind: ClassVar[str] = "open"
    keys: ClassVar[Keys] = {
        "at_most": ((int,), False),
        "other_label": ((str,), False),
        "missing": ((bool,), False),
    }

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        facts = {"other_text" if key == "other_label" else key: value for key, value in given.items()}
        return cls(name=name, **facts, **shared)

    def check(self) -> None:
        most = MAX_SIZE - 1 - self.missing
        if not is_whole(self.at_most) or not 1 <= self.at_most <= most:
            raise self.refusal(f"at_most must be a whole number from 1 to {most}, got {self.at_most!r}")
        if not is_label(self.other_text):
            raise self.refusal(f"other_label must be a printable text of at most 100 letters, got {self.other_text!r}")

    @property
    def discovers(self) -> bool:
        return True

    @property
    def said_by(self) -> str:
        return self.source or DISCOVERED

    @property
    def largest(self) -> int:
        """Cells it may have at most once its labels are found."""
        return self.at_most + 1 + self.missing

    def with_labels(self, labels: tuple[str, ...]) -> Categorical:
        """The column that could have been declared had these labels been known; "other" where none was found."""
        found = tuple(label for label in labels if label != self.other_text) or (self.other_text,)
        return Categorical(name=self.name, values=found, other_text=self.other_text, missing=self.missing, source=DISCOVERED)

    def own_facts(self) -> dict[str, Any]:
        return {"at_most": self.at_most, "other_label": self.other_text, "missing": self.missing}
