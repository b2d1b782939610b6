"""Ordered columns whose values are whole numbers of something: of ones, of days, of seconds."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import EXACT_INTEGER, CellRule, IntegerRule, NumberRule
from dpsynth.column import MAX_SIZE, Decoded, is_whole
from dpsynth.kinds.ordered import DEFAULT_BINS, Ordered
from dpsynth.kinds.slope import places
from dpsynth.readings import PLAIN, Reading


@dataclass(frozen=True, kw_only=True)
class Whole(Ordered):
    """Values that are whole numbers of something, from `least` to `most`; equal bins: cell = (v - least) * bins // (most - least + 1)."""

    least: int
    most: int

    reading: ClassVar[Reading] = PLAIN

    @property
    def bounds(self) -> tuple[int, int]:
        return self.least, self.most

    @property
    def read(self) -> Reading:
        """How a text becomes a whole number."""
        return self.reading

    @abstractmethod
    def values_of(self, numbers: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        """The values that whole numbers stand for."""

    @abstractmethod
    def label(self, number: int) -> str:
        """What a value is called in reports."""

    def check_bounds(self) -> None:
        if any(not is_whole(value) for value in (*self.bounds, *self.edges, *self.spikes)):
            raise self.refusal(f"min and max must be whole numbers, got {self.least!r} and {self.most!r}: so must edges and spikes")
        if max(abs(self.least), abs(self.most)) > EXACT_INTEGER:
            raise self.refusal("min and max must lie within 2^53 of zero, where every engine is exact")
        if self.least > self.most:
            raise self.refusal(f"min must not be above max, got min = {self.scalar(self.least)} and max = {self.scalar(self.most)}")

    def check_bins(self, bins: int) -> None:
        if not is_whole(bins) or not 1 <= bins <= self.span:
            raise self.refusal(f"bins must be from 1 to the {self.span} values from min to max, got {bins!r}")
        if bins > MAX_SIZE:
            raise self.refusal(f"at most {MAX_SIZE} bins are possible, got {bins}: use fewer")

    @property
    def span(self) -> int:
        return self.most - self.least + 1

    def with_bins(self, first: Sequence[int]) -> Self:
        starts = {self.starts[cell] for cell in first}
        spikes = (*self.spikes, *({self.most} & starts - {*self.spikes, self.least}))  # a last bin of one value has no edge to begin with
        edges = tuple(sorted({self.least, self.most, *starts}))
        return replace(self, bins=None, edges=edges, spikes=spikes, binning="equal", at_most=0)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The least value of each own cell, then one more than the most."""
        equal = (self.least - (-cell * self.span // (self.bins or 1)) for cell in range(self.bins or 0))
        cuts = {*equal, *self.edges[:-1], *self.spikes, *(spike + 1 for spike in self.spikes if spike < self.most)}
        return (*sorted(cuts), self.most + 1)

    @cached_property
    def lone(self) -> NDArray[np.bool_]:
        return np.isin(np.array(self.starts[:-1], dtype=np.int64), np.array(self.spikes, dtype=np.int64))

    @property
    def rule(self) -> CellRule:
        outside = None if self.outside_rule == "clip" else self.missing_cell
        if self.bins is not None and not self.spikes:
            return IntegerRule(self.least, self.most, self.bins, outside, self.unreadable_cell, self.read)
        edges = (*map(float, self.starts[:-1]), float(self.most))
        return NumberRule(edges, outside, self.unreadable_cell, self.read, whole=True)

    def own_labels(self) -> tuple[str, ...]:
        pairs = pairwise(self.starts)
        return tuple(self.label(a) if b - a == 1 else f"{self.label(a)}..{self.label(b - 1)}" for a, b in pairs)

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        absent = self.absent(codes)
        cells, starts = np.where(absent, 0, codes), np.array(self.starts, dtype=np.int64)
        if self.inside == "uniform":
            numbers = rng.integers(starts[cells], starts[cells + 1])
        else:
            numbers = whole_places(rng.random(len(cells)), cells, starts, self.leaning(cells[~absent], starts))
        return self.values_of(numbers, absent)

    def exact(self, text: str) -> Decoded | None:
        number = self.read.number(text)
        return None if number is None else self.values_of(np.array([int(number)], dtype=np.int64), np.zeros(1, dtype=bool))


def whole_places(
    share: NDArray[np.float64], cells: NDArray[np.integer], starts: NDArray[np.int64], lean: NDArray[np.float64]
) -> NDArray[np.int64]:
    """int64[rows]: whole numbers of each row's cell, as far into it as the share of the leaning density that lies below."""
    width = starts[cells + 1] - starts[cells]
    numbers: NDArray[np.int64] = starts[cells] + np.minimum(np.floor(places(share, lean[cells]) * width).astype(np.int64), width - 1)
    return numbers


def values_between(least: Any, most: Any) -> int:
    """How many whole numbers there are from least to most; where one is none, it is refused later."""
    return most - least + 1 if is_whole(least) and is_whole(most) else DEFAULT_BINS
