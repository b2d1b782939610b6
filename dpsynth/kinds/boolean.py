"""Columns of yes and no."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import CellRule, LabelRule, ascii_lower
from dpsynth.column import Decoded, Keys, Modelled
from dpsynth.readings import BLANKS


@dataclass(frozen=True, kw_only=True)
class Boolean(Modelled):
    """Yes or no, written true, t, yes, y, 1 or false, f, no, n, 0 in any case.

    words: how no and yes are written in the records, and read beside the others; empty: as truth values.
    """

    words: tuple[str, ...] = ()

    kind: ClassVar[str] = "boolean"
    keys: ClassVar[Keys] = {"words": ((list,), False)}
    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "first")
    TEXTS: ClassVar[tuple[tuple[str, int], ...]] = (
        *((text, 0) for text in ("false", "f", "no", "n", "0", "0.0")),
        *((text, 1) for text in ("true", "t", "yes", "y", "1", "1.0")),
    )

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        return cls(name=name, words=tuple(given.get("words", ())), **shared)

    def check(self) -> None:
        if any(not isinstance(word, str) or not word or word != word.strip(BLANKS) for word in self.words):
            raise self.refusal(f"words must be texts without blanks around them and not empty, got {list(self.words)}")
        if len(self.words) not in (0, 2) or len(set(map(ascii_lower, self.words))) != len(self.words):
            raise self.refusal(f'words must be two different texts, for no and for yes, such as ["No", "Yes"], got {list(self.words)}')

    @property
    def own_cells(self) -> int:
        return 2

    @property
    def rule(self) -> CellRule:
        outside = 0 if self.outside_rule == "first" else self.unreadable_cell
        declared = tuple((ascii_lower(word), cell) for cell, word in enumerate(self.words))
        usual = tuple(pair for pair in self.TEXTS if pair[0] not in dict(declared))
        return LabelRule((*usual, *declared), True, outside, self.unreadable_cell)

    def own_labels(self) -> tuple[str, ...]:
        return self.words or ("false", "true")

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        absent = self.absent(codes)
        if not self.words:
            return Decoded(codes == 1, absent, "boolean")
        return Decoded(np.array(self.words, dtype=object)[np.where(absent, 0, codes)], absent, "text")

    def own_facts(self) -> dict[str, Any]:
        return {"words": list(self.words)} if self.words else {}
