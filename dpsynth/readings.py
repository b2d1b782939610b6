"""How a text becomes a number before it gets a cell: plain numbers, and times as whole numbers of days, seconds or microseconds.

Every text has a number or none; none raises. Engines compile these readings into their own language; `number` is the reference they are
tested against. A time is read by a regular expression and whole-number arithmetic below 2^63, so that every engine agrees.

A moment without an offset counts as UTC; one with an offset counts at that moment in UTC. What is smaller than the reading's step is
dropped, towards the earlier. The calendar is the Gregorian one from year 1 to 9999: a day that it does not have is unreadable.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

BLANKS = " \t\r\n"
NUMBER_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
"""What counts as a number; anything else, NaN among it, is unreadable. A number past the range of a double is infinite."""
LONGEST_NUMBER = 1000
"""Letters a number may have: within it, databases can compute with every number exactly. A longer one is unreadable."""

_NUMBER = re.compile(NUMBER_PATTERN)
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
MICROSECONDS = {"weeks": 7 * DAY, "days": DAY, "hours": HOUR, "minutes": MINUTE, "seconds": SECOND, "fraction": 1}
MICROSECONDS |= {"zone hours": -HOUR, "zone minutes": -MINUTE}
"""What one of each part of a time counts; of "fraction" the first six digits count, filled up with noughts."""

CALENDAR = ("year", "month", "day")
SHIFT = 1 << 62
"""Added before a division and taken off after it, for division of what is negative rounds differently from engine to engine."""


@dataclass(frozen=True)
class Plain:
    """A text is the number it writes."""

    def number(self, text: str | None) -> float | None:
        return parsed(text)


@dataclass(frozen=True)
class Pattern:
    """One way to write a time. expression: matched against the whole text; parts: what each of its groups holds, in order.

    A part is one of CALENDAR, all three or none; one of MICROSECONDS; or "sign", which holds for the parts after it, up to the next sign.
    A group that took no part in the match counts nothing.
    """

    expression: str
    parts: tuple[str, ...]

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.expression)

    def microseconds(self, value: str) -> int | None:
        """Those since 1970, or of a duration; None where the text is not written so, or names no day."""
        match = self.compiled.fullmatch(value)
        if match is None:
            return None
        sign, total, found = 1, 0, dict(zip(self.parts, match.groups(), strict=True))
        if "year" in found:
            year, month, day = (int(found[part] or 0) for part in CALENDAR)
            if not is_day(year, month, day):
                return None
            total = day_number(year, month, day) * DAY
        for part, digits in zip(self.parts, match.groups(), strict=True):
            if part == "sign":
                sign = -1 if digits == "-" else 1
            elif part not in CALENDAR and digits:
                total += sign * MICROSECONDS[part] * int(digits.ljust(6, "0")[:6] if part == "fraction" else digits)
        return total


@dataclass(frozen=True)
class TimeReading:
    """A time as the whole number of steps since 1970, or that it lasts: floor(microseconds / step), by the first pattern that fits.

    plain: whether a plain number is a number of steps, rounded down.
    """

    patterns: tuple[Pattern, ...]
    step: int
    plain: bool = False

    def number(self, text: str | None) -> float | None:
        value = trimmed(text)
        if value is None:
            return None
        plain = parsed(value) if self.plain else None
        if plain is not None:
            return float(math.floor(plain)) if math.isfinite(plain) else plain
        pattern = next((each for each in self.patterns if each.compiled.fullmatch(value)), None)
        microseconds = pattern.microseconds(value) if pattern is not None else None
        return None if microseconds is None else float(microseconds // self.step)


Reading = Plain | TimeReading
PLAIN = Plain()

YEAR_PATTERN = "([1-9][0-9][0-9][0-9]|0[1-9][0-9][0-9]|00[1-9][0-9]|000[1-9])"
_ISO_DAY = f"{YEAR_PATTERN}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_ISO_ZONE = "(?:Z|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?"
_ISO_CLOCK = f"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{{1,9}}))?)?{_ISO_ZONE})?"
ISO_MOMENT = Pattern(_ISO_DAY + _ISO_CLOCK, (*CALENDAR, "hours", "minutes", "seconds", "fraction", "sign", "zone hours", "zone minutes"))
"""ISO 8601: 2026-03-29, 2026-03-29T10:30, 2026-03-29 10:30:05.25+01:00, ...; a day alone is its first moment."""

_CLOCK = "([+-])?([0-9]{1,8}):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?"
_CLOCK_PARTS = ("sign", "hours", "minutes", "seconds", "fraction")
CLOCK_DURATION = Pattern(f"(?:([+-])?([0-9]{{1,6}}) days?,? )?{_CLOCK}", ("sign", "days", *_CLOCK_PARTS))
"""26:03:04, -0:30, 1 day 02:03:04, as Python, pandas and DuckDB write them; the days and the clock have a sign each."""

DAYS_DURATION = Pattern("([+-])?([0-9]{1,6}) days?", ("sign", "days"))
ISO_DURATION = Pattern(
    "([+-])?P(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?(?:T(?:([0-9]{1,8})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,11})(?:[.,]([0-9]{1,9}))?S)?)?",
    ("sign", "weeks", "days", "hours", "minutes", "seconds", "fraction"),
)
"""ISO 8601: P1DT2H3M4.5S, PT90M, P2W; years and months have no fixed length and are unreadable."""

DURATIONS = (CLOCK_DURATION, DAYS_DURATION, ISO_DURATION)


def day_number(year: Any, month: Any, day: Any) -> Any:
    """Days from 1970-01-01 to a day of the Gregorian calendar; month 13 is the next January.

    Written with + - * // of what is never negative, so that an engine's whole-number expressions can stand for the three.
    """
    before_march = (14 - month) // 12  # 1 in January and February: a year is counted from March, so that a leap day is its last
    years, months = year - before_march, month + 12 * before_march - 3
    return 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 719_469


def is_day(year: Any, month: Any, day: Any) -> Any:
    """Whether the month has that day; for month and day from 1."""
    return day_number(year, month, day) < day_number(year, month + 1, 1)


def trimmed(text: str | None) -> str | None:
    """The text without white space around it; None where nothing is left."""
    return (text.strip(BLANKS) or None) if text is not None else None


def parsed(text: str | None) -> float | None:
    """The number a text stands for, None where it stands for none."""
    value = trimmed(text)
    return float(value) if value is not None and len(value) <= LONGEST_NUMBER and _NUMBER.fullmatch(value) else None
