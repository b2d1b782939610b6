"""Columns of whole numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Decoded, Keys
from dpsynth.kinds.ordered import ordered_keys, shape
from dpsynth.kinds.whole import Whole, values_between


@dataclass(frozen=True, kw_only=True)
class Integer(Whole):
    """Whole numbers from least to most."""

    kind: ClassVar[str] = "integer"
    keys: ClassVar[Keys] = ordered_keys((int,))

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        return cls(name=name, **shape(given, lambda value: value, values_between), **shared)

    def scalar(self, value: Any) -> Any:
        return value

    def label(self, number: int) -> str:
        return str(number)

    def values_of(self, numbers: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        return Decoded(numbers, absent, "whole")

    def own_facts(self) -> dict[str, Any]:
        return self.shape_facts()
