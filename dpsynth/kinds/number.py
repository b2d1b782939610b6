"""Columns of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import ceil, floor, inf, nextafter
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import EXACT_INTEGER, CellRule, NumberRule
from dpsynth.column import MAX_SIZE, Decoded, Keys, is_whole
from dpsynth.kinds.ordered import Ordered, ordered_keys, shape
from dpsynth.kinds.slope import places
from dpsynth.kinds.whole import whole_places
from dpsynth.readings import parsed


@dataclass(frozen=True, kw_only=True)
class Number(Ordered):
    """Numbers from least to most, written with at most `decimals` digits after the point (None: as drawn).

    With decimals, a bin that holds no such number is one with the bin before it.
    """

    least: Decimal
    most: Decimal
    decimals: int | None = None

    kind: ClassVar[str] = "number"
    keys: ClassVar[Keys] = {**ordered_keys((int, Decimal)), "decimals": ((int,), False)}

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        decimals = given.get("decimals")
        return cls(name=name, decimals=decimals, **shape(given, _decimal, lambda a, b: _points(a, b, decimals)), **shared)

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        return self.least, self.most

    def check_bounds(self) -> None:
        declared = (*self.bounds, *self.edges, *self.spikes)
        if not all(isinstance(value, Decimal) and _is_modest(value) for value in declared):
            raise self.refusal(f"min and max must be finite numbers of at most 300 digits, got {self.least:.6g} and {self.most:.6g}")
        if not self.least < self.most:
            raise self.refusal(f"min must be below max, got min = {self.least} and max = {self.most}")
        if self.decimals is not None:
            self._check_decimals(self.decimals)

    def _check_decimals(self, decimals: int) -> None:
        if not is_whole(decimals) or not 0 <= decimals <= 15:
            raise self.refusal(f"decimals must be a whole number from 0 to 15, got {decimals!r}")
        if max(abs(self.least), abs(self.most)) * 10**decimals > EXACT_INTEGER:
            largest = max(abs(self.least), abs(self.most))
            raise self.refusal(f"a double cannot hold numbers up to {largest} to {decimals} decimals: use fewer")
        if _points(*self.bounds, decimals) < 1:
            raise self.refusal(f"there is no number of {decimals} decimals from {self.least} to {self.most}: use more decimals")
        for spike in self.spikes:
            if Fraction(spike) * 10**decimals % 1:
                raise self.refusal(f"spikes must be written with at most {decimals} decimals, got {spike}")

    def check_bins(self, bins: int) -> None:
        points = _points(*self.bounds, self.decimals)
        if not is_whole(bins) or not 1 <= bins <= min(points, MAX_SIZE):
            raise self.refusal(f"bins must be a whole number from 1 to {min(points, MAX_SIZE)}, got {bins!r}")
        if len(set(self._equal)) <= bins - 1:
            raise self.refusal("the bins are narrower than a double can tell apart: use fewer bins")

    @cached_property
    def _equal(self) -> tuple[float, ...]:
        """Where bins of equal width begin: each the double nearest to the exact number."""
        least, width = Fraction(self.least), Fraction(self.most) - Fraction(self.least)
        return tuple(float(least + width * cell / (self.bins or 1)) for cell in range(self.bins or 0))

    def with_bins(self, first: Sequence[int]) -> Self:
        # Around a spike there is a cut anyway; behind a spike at 0 it is the least of all doubles, which no spec would write.
        inner = {Decimal(repr(self.starts[cell])) for cell in first if cell and not self.lone[cell - 1 : cell + 1].any()}
        return replace(self, bins=None, edges=(self.least, *sorted(inner), self.most), binning="equal", at_most=0)

    @cached_property
    def starts(self) -> tuple[float, ...]:
        """The least double of each own cell."""
        spikes = [float(spike) for spike in self.spikes]
        after = (nextafter(spike, inf) for spike in spikes if spike < float(self.most))
        cuts = sorted({*self._equal, *map(float, self.edges[:-1]), *spikes, *after})
        if self.decimals is None:
            return tuple(cuts)
        first = first_points((*cuts, float(self.most)), self.decimals)
        held = [cut for cut, (a, b) in zip(cuts, pairwise(first), strict=True) if a < b]
        return (cuts[0], *held[1:])

    @cached_property
    def lone(self) -> NDArray[np.bool_]:
        return np.isin(np.array(self.starts), np.array([float(spike) for spike in self.spikes]))

    @property
    def rule(self) -> CellRule:
        outside = None if self.outside_rule == "clip" else self.missing_cell
        return NumberRule((*self.starts, float(self.most)), outside, self.unreadable_cell)

    def own_labels(self) -> tuple[str, ...]:
        # A bin after a spike begins with the very next double: it is called by the spike.
        after = {nextafter(float(spike), inf): float(spike) for spike in self.spikes}
        bins = zip(pairwise((*self.starts, float(self.most))), self.lone.tolist(), strict=True)
        return tuple(f"{a:g}" if lone else f"{after.get(a, a):g}..{b:g}" for (a, b), lone in bins)

    def decode(self, codes: NDArray[np.integer], rng: np.random.Generator) -> Decoded:
        absent = self.absent(codes)
        cells = np.where(absent, 0, codes)
        values = self._continuous(cells, absent, rng) if self.decimals is None else self._written_with(self.decimals, cells, absent, rng)
        return Decoded(values, absent, "number")

    def _continuous(self, cells: NDArray[np.integer], absent: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
        ends = np.array((*self.starts, float(self.most)))
        share = rng.random(len(cells))
        if self.inside == "linear":
            share = places(share, self.leaning(cells[~absent], ends)[cells])
        values = ends[cells] + share * (ends[cells + 1] - ends[cells])
        # The next bin's first value is not of this one, but for the last one.
        greatest = np.append(np.nextafter(ends[1:-1], -np.inf), ends[-1])
        within: NDArray[np.float64] = np.minimum(values, greatest[cells])
        return within

    def _written_with(
        self, decimals: int, cells: NDArray[np.integer], absent: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        first = np.array(first_points((*self.starts, float(self.most)), decimals), dtype=np.int64)
        if self.inside == "linear":
            points = whole_places(rng.random(len(cells)), cells, first, self.leaning(cells[~absent], first))
        else:
            points = rng.integers(first[cells], first[cells + 1])
        numbers: NDArray[np.float64] = points / 10.0**decimals  # both exact, so this is the double nearest to the decimal number
        return numbers

    def exact(self, text: str) -> Decoded | None:
        number = parsed(text)
        return None if number is None else Decoded(np.array([number]), np.zeros(1, dtype=bool), "number")

    def scalar(self, value: Any) -> Any:
        return str(value)

    def own_facts(self) -> dict[str, Any]:
        return {**self.shape_facts(), **({} if self.decimals is None else {"decimals": self.decimals})}


def _decimal(value: Any) -> Any:
    return Decimal(value) if is_whole(value) else value


def _is_modest(bound: Decimal) -> bool:
    return bound.is_finite() and len(bound.as_tuple().digits) <= 300 and -300 <= bound.adjusted() <= 300


def _points(least: Decimal, most: Decimal, decimals: int | None) -> int:
    """How many numbers of so many decimals there are from least to most; MAX_SIZE where nothing limits them, or they are refused."""
    if decimals is None or not 0 <= decimals <= 15 or not (_is_modest(least) and _is_modest(most)):
        return MAX_SIZE
    scale = int(10**decimals)
    return floor(Fraction(most) * scale) - ceil(Fraction(least) * scale) + 1


def first_points(ends: tuple[float, ...], decimals: int) -> tuple[int, ...]:
    """The least k with k / 10^decimals at or above each start, as doubles; for the last end, one more than the greatest at or below it."""
    *starts, most = ends
    first = [ceil(Fraction(start) * 10**decimals) for start in starts]
    first = [k - 1 if (k - 1) / 10**decimals >= start else k for k, start in zip(first, starts, strict=True)]
    last = floor(Fraction(most) * 10**decimals)
    return (*first, last + (2 if (last + 1) / 10**decimals <= most else 1))
