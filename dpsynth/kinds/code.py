"""Columns that are coded already."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import CellRule, IntegerRule
from dpsynth.column import Decoded, Keys, Modelled, is_whole


@dataclass(frozen=True, kw_only=True)
class Code(Modelled):
    """Already coded as 0 .. codes - 1."""

    codes: int

    kind: ClassVar[str] = "code"
    keys: ClassVar[Keys] = {"size": ((int,), True)}
    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "first")

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        return cls(name=name, codes=given["size"], **shared)

    def check(self) -> None:
        if not is_whole(self.codes) or self.codes < 1:
            raise self.refusal(f"size must be a whole number of at least 1, got {self.codes!r}")

    @property
    def own_cells(self) -> int:
        return self.codes

    @property
    def rule(self) -> CellRule:
        outside = 0 if self.outside_rule == "first" else self.missing_cell
        return IntegerRule(0, self.codes - 1, self.codes, outside, self.unreadable_cell)

    def own_labels(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.codes)))

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        absent = self.absent(codes)
        return Decoded(np.where(absent, 0, codes).astype(np.int64), absent, "whole")

    def own_facts(self) -> dict[str, Any]:
        return {"size": self.codes}
