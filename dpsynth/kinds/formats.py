"""How a column writes its days and moments: `%Y-%m-%d` and the like, read by a pattern and written field by field."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.readings import BLANKS, DAY, HOUR, ISO_MOMENT, MINUTE, SECOND, YEAR_PATTERN, Pattern

Moments = NDArray[np.datetime64]


@dataclass(frozen=True)
class Directive:
    """part: what it holds. whole, short: its digits beside other digits, and elsewhere, where a nought in front may be left out.

    larger, unit: the numpy units between which it counts; first: its least value; width: digits it is written with.
    """

    part: str
    whole: str
    short: str
    larger: str
    unit: str
    first: int = 0
    width: int = 2


DIRECTIVES = {
    "%Y": Directive("year", YEAR_PATTERN, YEAR_PATTERN, "", "Y", 1970, 4),
    "%m": Directive("month", "(0[1-9]|1[0-2])", "(0?[1-9]|1[0-2])", "Y", "M", 1),
    "%d": Directive("day", "(0[1-9]|[12][0-9]|3[01])", "(0?[1-9]|[12][0-9]|3[01])", "M", "D", 1),
    "%H": Directive("hours", "([01][0-9]|2[0-3])", "([01]?[0-9]|2[0-3])", "D", "h"),
    "%M": Directive("minutes", "([0-5][0-9])", "([0-5]?[0-9])", "h", "m"),
    "%S": Directive("seconds", "([0-5][0-9])", "([0-5]?[0-9])", "m", "s"),
    "%f": Directive("fraction", "([0-9]{6})", "([0-9]{1,9})", "s", "us", 0, 6),
}
STEPS = {"%f": 1, "%S": SECOND, "%M": MINUTE, "%H": HOUR}
"""Microseconds of the finest part that a format writes."""

_EXAMPLE = np.array(["2001-02-03T04:05:06.000007"], dtype="datetime64[us]")


@dataclass(frozen=True)
class TimeFormat:
    """A way to write days or moments, in the directives of `strptime`: %Y %m %d %H %M %S %f, and %% for the sign itself."""

    text: str

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Directives, "%%", and what stands between them sign by sign."""
        return tuple(re.findall("%.|.", self.text, re.DOTALL))

    @property
    def directives(self) -> tuple[str, ...]:
        return tuple(piece for piece in self.pieces if piece in DIRECTIVES)

    @property
    def step(self) -> int:
        """Microseconds of the finest part it writes."""
        return next((step for directive, step in STEPS.items() if directive in self.directives), DAY)

    def fault(self, needed: tuple[str, ...], allowed: tuple[str, ...]) -> str:
        """What is wrong with it for a column that needs these directives and takes those, in words; empty where nothing is."""
        used = set(self.directives)
        unknown = sorted({piece for piece in self.pieces if piece.startswith("%")} - {*allowed, "%%"})
        if unknown:
            return f"format has {', '.join(unknown)}: it takes {' '.join(allowed)} and %%"
        if not set(needed) <= used or len(used) < len(self.directives):
            return f"format must have {' '.join(needed)}, and no directive twice, got {self.text!r}"
        if self.text != self.text.strip(BLANKS) or not self.text.isprintable():
            return f"format must be printable, without blanks around it, got {self.text!r}"
        (example,) = self.write(_EXAMPLE)
        if ISO_MOMENT.microseconds(example) not in (None, self.pattern.microseconds(example)):
            return f"format {self.text!r} could be taken for ISO 8601, which means another day: texts could be read either way"
        return ""

    @cached_property
    def pattern(self) -> Pattern:
        """Texts that are written so; parts the format does not have count nothing."""
        expression = "".join(self._expression(place) for place in range(len(self.pieces)))
        return Pattern(expression, tuple(DIRECTIVES[piece].part for piece in self.directives))

    def _expression(self, place: int) -> str:
        piece, beside = self.pieces[place], (*self.pieces[max(0, place - 1) : place], *self.pieces[place + 1 : place + 2])
        if piece in DIRECTIVES:
            crowded = any(other in DIRECTIVES or other.isdigit() for other in beside)
            return DIRECTIVES[piece].whole if crowded else DIRECTIVES[piece].short
        return piece if piece.isalnum() or not piece.isascii() else "\\" + piece[-1]

    def write(self, moments: Moments) -> NDArray[Any]:
        """object[rows]: the moments as texts. moments: datetime64[D] or finer."""
        fine, texts = moments.astype("datetime64[us]"), np.full(len(moments), "", dtype=object)
        for piece in self.pieces:
            texts = texts + (_digits(fine, DIRECTIVES[piece]) if piece in DIRECTIVES else piece[-1])
        return texts


def _digits(moments: Moments, directive: Directive) -> NDArray[Any]:
    """object[rows]: what the directive writes, with its noughts in front."""
    whole = moments.astype(f"datetime64[{directive.unit}]")
    if directive.larger:
        numbers = (whole - moments.astype(f"datetime64[{directive.larger}]").astype(whole.dtype)).astype(np.int64)
    else:
        numbers = whole.astype(np.int64)
    found, places = np.unique(numbers + directive.first, return_inverse=True)
    return np.array([f"{number:0{directive.width}d}" for number in found.tolist()], dtype=object)[places]
