"""The column kinds: what is publicly known of a column of each, and the values its cells stand for."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import BLANKS, EXACT_INTEGER, CellRule, IntegerRule, LabelRule, NumberRule
from dpsynth.column import MAX_SIZE, Column, Decoded, is_whole


@dataclass(frozen=True, kw_only=True)
class Code(Column):
    """Already coded as 0 .. codes - 1."""

    codes: int
    kind: ClassVar[str] = "code"
    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "first")

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
        return Decoded(np.where(absent, 0, codes).astype(np.int64), absent, self.kind)

    def own_facts(self) -> dict[str, Any]:
        return {"size": self.codes}


@dataclass(frozen=True, kw_only=True)
class Categorical(Column):
    """One of a public list of texts; anything else is "other" unless `other` is false."""

    values: tuple[str, ...]
    other: bool = True
    other_text: str = "other"
    kind: ClassVar[str] = "categorical"
    allowed_outside: ClassVar[tuple[str, ...]] = ("other", "missing", "first")

    def check(self) -> None:
        if not self.values:
            raise self.refusal("values must list at least one text, got none")
        for value in (*self.values, self.other_text):
            if not isinstance(value, str) or not value or value != value.strip(BLANKS):
                raise self.refusal(f"values must be texts without blanks around them and not empty, got {value!r}")
        repeated = sorted({value for value in self.values if self.values.count(value) > 1})
        if repeated:
            raise self.refusal(f"values lists {repeated} more than once: leave one of each")
        if self.outside == "other" and not self.other:
            raise self.refusal('outside = "other" needs other = true')

    @property
    def has_other(self) -> bool:
        return self.other and self.other_text not in self.values

    @property
    def own_cells(self) -> int:
        return len(self.values)

    @property
    def outside_rule(self) -> str:
        return self.outside or ("other" if self.other else super().outside_rule)

    @property
    def rule(self) -> CellRule:
        labels = (*self.values, *((self.other_text,) if self.has_other else ()))
        cells = tuple((label, cell) for cell, label in enumerate(labels))
        places = {"first": 0, "missing": self.unreadable_cell}
        outside = labels.index(self.other_text) if self.outside_rule == "other" else places[self.outside_rule]
        return LabelRule(cells, False, outside, self.unreadable_cell if self.missing else outside)

    def own_labels(self) -> tuple[str, ...]:
        return self.values

    def other_label(self) -> str:
        return self.other_text

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        labels = np.array([*self.values, *((self.other_text,) if self.has_other else ()), None], dtype=object)
        absent = self.absent(codes)
        return Decoded(labels[np.where(absent, len(labels) - 1, codes)], absent, self.kind)

    def own_facts(self) -> dict[str, Any]:
        return {"values": list(self.values), "other": self.other, "other_label": self.other_text}


@dataclass(frozen=True, kw_only=True)
class Boolean(Column):
    """Yes or no, written true, t, yes, y, 1 or false, f, no, n, 0 in any case."""

    kind: ClassVar[str] = "boolean"
    allowed_outside: ClassVar[tuple[str, ...]] = ("missing", "first")
    TEXTS: ClassVar[tuple[tuple[str, int], ...]] = (
        *((text, 0) for text in ("false", "f", "no", "n", "0", "0.0")),
        *((text, 1) for text in ("true", "t", "yes", "y", "1", "1.0")),
    )

    def check(self) -> None:
        return

    @property
    def own_cells(self) -> int:
        return 2

    @property
    def rule(self) -> CellRule:
        outside = 0 if self.outside_rule == "first" else self.unreadable_cell
        return LabelRule(self.TEXTS, True, outside, self.unreadable_cell)

    def own_labels(self) -> tuple[str, ...]:
        return ("false", "true")

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        return Decoded(codes == 1, self.absent(codes), self.kind)

    def own_facts(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, kw_only=True)
class Integer(Column):
    """Whole numbers from least to most in `bins` cells: cell = (v - least) * bins // (most - least + 1)."""

    least: int
    most: int
    bins: int
    kind: ClassVar[str] = "integer"

    def check(self) -> None:
        if not is_whole(self.least) or not is_whole(self.most):
            raise self.refusal(f"min and max must be whole numbers, got {self.least!r} and {self.most!r}")
        if max(abs(self.least), abs(self.most)) > EXACT_INTEGER:
            raise self.refusal("min and max must lie within 2^53 of zero, where every engine is exact")
        if self.least > self.most:
            raise self.refusal(f"min must not be above max, got min = {self.least} and max = {self.most}")
        if not is_whole(self.bins) or not 1 <= self.bins <= self.span:
            raise self.refusal(f"bins must be from 1 to the {self.span} values from min to max, got {self.bins!r}")

    @property
    def span(self) -> int:
        return self.most - self.least + 1

    @property
    def own_cells(self) -> int:
        return self.bins

    @property
    def rule(self) -> CellRule:
        outside = None if self.outside_rule == "clip" else self.missing_cell
        return IntegerRule(self.least, self.most, self.bins, outside, self.unreadable_cell)

    def first_value(self, cell: int) -> int:
        """The least value of a cell; of the cell after the last, one more than the most."""
        return self.least - (-cell * self.span // self.bins)

    def own_labels(self) -> tuple[str, ...]:
        starts = [self.first_value(cell) for cell in range(self.bins + 1)]
        return tuple(str(a) if b - a == 1 else f"{a}..{b - 1}" for a, b in pairwise(starts))

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        starts = np.array([self.first_value(cell) for cell in range(self.bins + 1)], dtype=np.int64)
        absent = self.absent(codes)
        cells = np.where(absent, 0, codes)
        return Decoded(rng.integers(starts[cells], starts[cells + 1]), absent, self.kind)

    def own_facts(self) -> dict[str, Any]:
        return {"min": self.least, "max": self.most, "bins": self.bins}


@dataclass(frozen=True, kw_only=True)
class Number(Column):
    """Numbers from least to most in `bins` cells of equal width, written with `decimals` digits (None: as they come)."""

    least: Decimal
    most: Decimal
    bins: int
    decimals: int | None = None
    kind: ClassVar[str] = "number"

    def check(self) -> None:
        if not all(_is_modest(bound) for bound in (self.least, self.most)):
            raise self.refusal(f"min and max must be finite numbers of at most 300 digits, got {self.least:.6g} and {self.most:.6g}")
        if not self.least < self.most:
            raise self.refusal(f"min must be below max, got min = {self.least} and max = {self.most}")
        if not is_whole(self.bins) or not 1 <= self.bins <= MAX_SIZE:
            raise self.refusal(f"bins must be a whole number from 1 to {MAX_SIZE}, got {self.bins!r}")
        if self.decimals is not None and (not is_whole(self.decimals) or not 0 <= self.decimals <= 15):
            raise self.refusal(f"decimals must be a whole number from 0 to 15, got {self.decimals!r}")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise self.refusal("the bins are narrower than a double can tell apart: use fewer bins")

    @cached_property
    def edges(self) -> tuple[float, ...]:
        """float64[bins + 1]: each edge is the double nearest to the exact one."""
        least, width = Fraction(self.least), Fraction(self.most) - Fraction(self.least)
        return tuple(float(least + width * i / self.bins) for i in range(self.bins + 1))

    @property
    def own_cells(self) -> int:
        return self.bins

    @property
    def rule(self) -> CellRule:
        outside = None if self.outside_rule == "clip" else self.missing_cell
        return NumberRule(self.edges, outside, self.unreadable_cell)

    def own_labels(self) -> tuple[str, ...]:
        return tuple(f"{a:g}..{b:g}" for a, b in zip(self.edges, self.edges[1:], strict=False))

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        edges = np.array(self.edges)
        absent = self.absent(codes)
        cells = np.where(absent, 0, codes)
        values = edges[cells] + rng.random(len(cells)) * (edges[cells + 1] - edges[cells])
        if self.decimals is not None:
            values = self._rounded(values, edges[cells], edges[cells + 1])
        # The next edge belongs to the next cell, but for the last one.
        below = np.where(cells + 1 < self.bins, np.nextafter(edges[cells + 1], -np.inf), edges[-1])
        return Decoded(np.clip(values, edges[0], edges[-1]) if self.decimals is not None else np.minimum(values, below), absent, self.kind)

    def _rounded(self, values: NDArray[np.float64], least: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest numbers of `decimals` digits that lie in least <= v < most; where there is none, the nearest of all."""
        nearest = np.round(values, self.decimals or 0)
        step = 10.0 ** -(self.decimals or 0)
        inward = np.round(np.where(nearest < least, nearest + step, np.where(nearest >= most, nearest - step, nearest)), self.decimals or 0)
        return np.where((least <= inward) & (inward < most), inward, nearest)

    def own_facts(self) -> dict[str, Any]:
        decimals = {} if self.decimals is None else {"decimals": self.decimals}
        return {"min": str(self.least), "max": str(self.most), "bins": self.bins, **decimals}


def _is_modest(bound: Decimal) -> bool:
    return bound.is_finite() and len(bound.as_tuple().digits) <= 300 and -300 <= bound.adjusted() <= 300
