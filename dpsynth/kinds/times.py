"""Columns of days, moments and durations: whole numbers of days, seconds or finer to the cells, times to the reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import EXACT_INTEGER
from dpsynth.column import Decoded, Keys
from dpsynth.kinds.formats import DIRECTIVES, TimeFormat
from dpsynth.kinds.ordered import ordered_keys, shape
from dpsynth.kinds.whole import Whole, values_between
from dpsynth.readings import DAY, DURATIONS, HOUR, ISO_MOMENT, MINUTE, SECOND, Reading, TimeReading

_DAY_PARTS = ("%Y", "%m", "%d")
UNITS = {"days": DAY, "hours": HOUR, "minutes": MINUTE, "seconds": SECOND}
DURATION_FORMATS = ("HH:MM:SS", "ISO 8601", "number")


@dataclass(frozen=True, kw_only=True)
class Moment(Whole):
    """What days and moments share.

    format: how texts are written, in the source beside ISO 8601 and in the records; empty: as a type of time.
    """

    format: str = ""

    needed: ClassVar[tuple[str, ...]]
    allowed: ClassVar[tuple[str, ...]]
    usual_step: ClassVar[int]

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        layout = given.get("format", "")
        reading = TimeReading((ISO_MOMENT,), cls.step_of(layout))
        return cls(name=name, format=layout, **shape(given, lambda value: _moment(value, reading), values_between), **shared)

    @classmethod
    def step_of(cls, layout: str) -> int:
        """Microseconds of one whole number."""
        return TimeFormat(layout).step if layout else cls.usual_step

    def check_bounds(self) -> None:
        fault = TimeFormat(self.format).fault(self.needed, self.allowed) if self.format else ""
        if fault:
            raise self.refusal(fault)
        for value in (self.least, self.most, *self.edges, *self.spikes):
            if not isinstance(value, int):
                raise self.refusal(f"min and max must be dates such as 2026-03-29, got {value!r}: so must edges and spikes")
        if self.step_of(self.format) == 1 and not -EXACT_INTEGER <= self.least <= self.most <= EXACT_INTEGER:
            raise self.refusal("to the microsecond, engines are exact from 1685 to 2255: choose bounds there, or leave %f out")
        first, last = (self.read.number(text) for text in ("0001-01-01", "9999-12-31T23:59:59.999999"))
        if first is None or last is None or not first <= self.least <= self.most <= last:
            raise self.refusal("min must not be above max, and both must lie in the years 1 to 9999")
        super().check_bounds()

    @cached_property
    def read(self) -> Reading:
        patterns = (ISO_MOMENT, TimeFormat(self.format).pattern) if self.format else (ISO_MOMENT,)
        return TimeReading(patterns, self.step_of(self.format))

    def moments(self, numbers: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """datetime64[us] of whole numbers."""
        return (numbers * self.step_of(self.format)).astype("datetime64[us]")

    def written(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """object[rows]: as texts of the format."""
        return TimeFormat(self.format).write(self.moments(numbers))

    def label(self, number: int) -> str:
        return str(self.written(np.array([number]))[0]) if self.format else str(self.scalar(number))

    def own_facts(self) -> dict[str, Any]:
        return {**self.shape_facts(), **({"format": self.format} if self.format else {})}


@dataclass(frozen=True, kw_only=True)
class Date(Moment):
    """Days from least to most, as days since 1970-01-01."""

    kind: ClassVar[str] = "date"
    keys: ClassVar[Keys] = {**ordered_keys((date, str)), "format": ((str,), False)}
    needed: ClassVar[tuple[str, ...]] = _DAY_PARTS
    allowed: ClassVar[tuple[str, ...]] = _DAY_PARTS
    usual_step: ClassVar[int] = DAY

    def scalar(self, value: Any) -> Any:
        return str(np.datetime64(value, "D"))

    def values_of(self, numbers: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        if self.format:
            return Decoded(self.written(numbers), absent, "text")
        return Decoded(numbers.astype("datetime64[D]"), absent, "date")


@dataclass(frozen=True, kw_only=True)
class Datetime(Moment):
    """Moments from least to most, as whole seconds since 1970 in UTC, or as what the format's finest part counts."""

    kind: ClassVar[str] = "datetime"
    keys: ClassVar[Keys] = {**ordered_keys((date, str)), "format": ((str,), False)}
    needed: ClassVar[tuple[str, ...]] = (*_DAY_PARTS, "%H")
    allowed: ClassVar[tuple[str, ...]] = tuple(DIRECTIVES)
    usual_step: ClassVar[int] = SECOND

    def scalar(self, value: Any) -> Any:
        return str(self.moments(np.array([value]))[0]).removesuffix(".000000")

    def values_of(self, numbers: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        if self.format:
            return Decoded(self.written(numbers), absent, "text")
        return Decoded(self.moments(numbers), absent, "datetime")


@dataclass(frozen=True, kw_only=True)
class Duration(Whole):
    """Durations from least to most, in whole units; what is smaller than the unit is dropped.

    format: how the records write them: "HH:MM:SS" (the hours may pass 24), "ISO 8601" or "number" (of units). Texts of all three are read.
    """

    unit: str = "seconds"
    format: str = "HH:MM:SS"

    kind: ClassVar[str] = "duration"
    keys: ClassVar[Keys] = {**ordered_keys((int, str)), "unit": ((str,), False), "format": ((str,), False)}

    @classmethod
    def declared(cls, name: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Self:
        unit = given.get("unit", "seconds")
        reading = TimeReading(DURATIONS, UNITS.get(unit, SECOND))
        written = {"unit": unit, "format": given.get("format", "HH:MM:SS")}
        return cls(name=name, **written, **shape(given, lambda value: _span(value, reading), values_between), **shared)

    def check_bounds(self) -> None:
        if self.unit not in UNITS:
            raise self.refusal(f"unit must be one of {list(UNITS)}, got {self.unit!r}")
        if self.format not in DURATION_FORMATS:
            raise self.refusal(f"format must be one of {list(DURATION_FORMATS)}, got {self.format!r}")
        for value in (self.least, self.most, *self.edges, *self.spikes):
            if not isinstance(value, int):
                raise self.refusal(f'min and max must be whole {self.unit} or texts such as "26:30:00" or "PT90M", got {value!r}')
        super().check_bounds()
        if max(abs(self.least), abs(self.most)) * self.step > _LONGEST:
            raise self.refusal("min and max must lie within 100,000 days of zero")

    @property
    def step(self) -> int:
        """Microseconds of one unit."""
        return UNITS[self.unit]

    @cached_property
    def read(self) -> Reading:
        return TimeReading(DURATIONS, self.step, plain=True)

    def scalar(self, value: Any) -> Any:
        return value

    def label(self, number: int) -> str:
        return str(self._texts(np.array([number]))[0])

    def values_of(self, numbers: NDArray[np.int64], absent: NDArray[np.bool_]) -> Decoded:
        if self.format == "number":
            return Decoded(numbers, absent, "whole")
        return Decoded(self._texts(numbers), absent, "text")

    def _texts(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """object[rows]: as the format writes them."""
        if self.format == "number":
            return numbers.astype(object)
        write = _clock if self.format == "HH:MM:SS" else _iso
        found, places = np.unique(numbers, return_inverse=True)
        return np.array([write(number * self.step // SECOND) for number in found.tolist()], dtype=object)[places]

    def own_facts(self) -> dict[str, Any]:
        return {**self.shape_facts(), "unit": self.unit, "format": self.format}


_LONGEST = 100_000 * DAY


def _clock(seconds: int) -> str:
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else ''}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"


def _iso(seconds: int) -> str:
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{number}{letter}" for number, letter in ((hours, "H"), (rest // 60, "M"), (rest % 60, "S")) if number]
    return f"{'-' if seconds < 0 else ''}PT{''.join(parts) or '0S'}"


def _moment(value: Any, reading: TimeReading) -> Any:
    """The whole number of a declared moment; what is none becomes a text, to be refused with the column's name."""
    number = reading.number(value.isoformat() if isinstance(value, date) else value) if isinstance(value, str | date) else None
    return str(value) if number is None else int(number)


def _span(value: Any, reading: TimeReading) -> Any:
    """The whole number of a declared duration; what is none stays as it is, to be refused with the column's name."""
    number = reading.number(value) if isinstance(value, str) else None
    return value if number is None else int(number)
