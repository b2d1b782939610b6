"""How the text of a value becomes a cell: a total function for each column, the same for every engine.

Engines compile these rules into their own language; `cell` is the reference they are tested against. No value raises.
White space around a value is ignored; an empty value is missing. What counts as a number or a time: `dpsynth.readings`.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from dpsynth.readings import PLAIN, Reading, trimmed

EXACT_INTEGER = 1 << 53
"""Integers up to here are exact as doubles, so every engine agrees on them."""


@dataclass(frozen=True)
class LabelRule:
    """Listed texts have cells of their own.

    cells: (text, cell) pairs. fold_case: compare in lower case (ASCII letters only). outside: cell of any other text. missing: of no text.
    """

    cells: tuple[tuple[str, int], ...]
    fold_case: bool
    outside: int
    missing: int

    @cached_property
    def by_text(self) -> dict[str, int]:
        """The cell of each listed text; of a text listed twice, the last."""
        return dict(self.cells)

    def cell(self, text: str | None) -> int:
        value = trimmed(text)
        if value is None:
            return self.missing
        return self.by_text.get(ascii_lower(value) if self.fold_case else value, self.outside)

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        value = trimmed(text) or ""
        return (ascii_lower(value) if self.fold_case else value) in self.by_text


@dataclass(frozen=True)
class IntegerRule:
    """Whole numbers v from `least` to `most` have cell (v - least) * bins // (most - least + 1).

    outside: cell of a number below or above; None clips it to the nearest bound.
    unreadable: cell of missing values, of text that the reading gives no number, and of numbers with a fraction.
    """

    least: int
    most: int
    bins: int
    outside: int | None
    unreadable: int
    reading: Reading = PLAIN

    def cell(self, text: str | None) -> int:
        number = self.reading.number(text)
        if number is None or not _is_whole(number):
            return self.unreadable
        if not self.least <= number <= self.most:
            if self.outside is not None:
                return self.outside
            number = min(max(number, self.least), self.most)
        return (int(number) - self.least) * self.bins // (self.most - self.least + 1)

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        number = self.reading.number(text)
        return number is not None and self.least <= number <= self.most and number == math.floor(number)


@dataclass(frozen=True)
class NumberRule:
    """A number v has as its cell the number of inner edges that are not above it.

    edges: float64; the first and the last are the bounds, and values at a bound are inside; the inner ones are strictly increasing, the
    least of them above the first, the greatest at most the last (then a cell holds nothing but the last).
    whole: whether numbers with a fraction are unreadable. outside, unreadable: as for integers.
    """

    edges: tuple[float, ...]
    outside: int | None
    unreadable: int
    reading: Reading = PLAIN
    whole: bool = False

    def cell(self, text: str | None) -> int:
        number = self.reading.number(text)
        if number is None or (self.whole and not _is_whole(number)):
            return self.unreadable
        if not self.edges[0] <= number <= self.edges[-1] and self.outside is not None:
            return self.outside
        return bisect_right(self.edges, number, 1, len(self.edges) - 1) - 1

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        number = self.reading.number(text)
        fits = number is not None and self.edges[0] <= number <= self.edges[-1]
        return number is not None and fits and (not self.whole or _is_whole(number))


CellRule = LabelRule | IntegerRule | NumberRule


def _is_whole(number: float) -> bool:
    """Whether there is nothing after the point; infinite numbers are whole, for they are clipped like any other."""
    return math.isinf(number) or number == math.floor(number)


def ascii_lower(text: str) -> str:
    """A-Z to a-z and nothing else: languages differ on other letters."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
