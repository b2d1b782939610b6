"""How the text of a value becomes a cell: a total function for each column, the same for every engine.

Engines compile these rules into their own language; `cell` is the reference they are tested against. No value raises.
White space around a value is ignored; an empty value is missing. Numbers are written with digits, a point and an exponent.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass

BLANKS = " \t\r\n"
NUMBER_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
"""What counts as a number; anything else, NaN among it, is unreadable. A number past the range of a double is infinite."""

_NUMBER = re.compile(NUMBER_PATTERN)
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

    def cell(self, text: str | None) -> int:
        value = trimmed(text)
        if value is None:
            return self.missing
        return dict(self.cells).get(ascii_lower(value) if self.fold_case else value, self.outside)

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        value = trimmed(text) or ""
        return (ascii_lower(value) if self.fold_case else value) in dict(self.cells)


@dataclass(frozen=True)
class IntegerRule:
    """Whole numbers v from `least` to `most` have cell (v - least) * bins // (most - least + 1).

    outside: cell of a number below or above; None clips it to the nearest bound.
    unreadable: cell of missing values, of text that is no number, and of numbers with a fraction.
    """

    least: int
    most: int
    bins: int
    outside: int | None
    unreadable: int

    def cell(self, text: str | None) -> int:
        number = parsed(text)
        if number is None or (math.isfinite(number) and number != math.floor(number)):
            return self.unreadable
        if not self.least <= number <= self.most:
            if self.outside is not None:
                return self.outside
            number = min(max(number, self.least), self.most)
        return (int(number) - self.least) * self.bins // (self.most - self.least + 1)

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        number = parsed(text)
        return number is not None and self.least <= number <= self.most and number == math.floor(number)


@dataclass(frozen=True)
class NumberRule:
    """A number v has as its cell the number of inner edges that are not above it.

    edges: float64, strictly increasing; the first and the last are the bounds. outside, unreadable: as for integers.
    """

    edges: tuple[float, ...]
    outside: int | None
    unreadable: int

    def cell(self, text: str | None) -> int:
        number = parsed(text)
        if number is None:
            return self.unreadable
        if not self.edges[0] <= number <= self.edges[-1] and self.outside is not None:
            return self.outside
        return bisect_right(self.edges[1:-1], number)

    def lists(self, text: str) -> bool:
        """Whether the schema lists this value."""
        number = parsed(text)
        return number is not None and self.edges[0] <= number <= self.edges[-1]


CellRule = LabelRule | IntegerRule | NumberRule


def trimmed(text: str | None) -> str | None:
    """The text without white space around it; None where nothing is left."""
    return (text.strip(BLANKS) or None) if text is not None else None


def parsed(text: str | None) -> float | None:
    """The number a text stands for, None where it stands for none."""
    value = trimmed(text)
    return float(value) if value is not None and _NUMBER.fullmatch(value) else None


def ascii_lower(text: str) -> str:
    """A-Z to a-z and nothing else: languages differ on other letters."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
