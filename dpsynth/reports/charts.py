"""Where the marks of a chart go: plain numbers and SVG path data, no text that needs escaping but labels, which the template escapes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.reports.wording import DASH, axis_number, count, letters, shortened

WIDTH = 460
LETTER = 7.2
"""Width of a letter of the charts' text, in the widest of the usual system fonts."""

SKEWED = 12
"""Where the largest value is this many times the mean, rows are drawn on a square-root scale."""


@dataclass(frozen=True, eq=False)
class Profile:
    """One column's cells as they are drawn: `measured` and `sigmas` are None where the column has no table of its own.

    modelled, measured, sigmas: float64[cells] in rows.
    """

    name: str
    labels: tuple[str, ...]
    modelled: NDArray[np.float64]
    measured: NDArray[np.float64] | None
    sigmas: NDArray[np.float64] | None

    def reach(self) -> tuple[float, float]:
        """Least and largest value that is drawn, 0 included."""
        values = [np.zeros(1), self.modelled]
        if self.measured is not None and self.sigmas is not None:
            values += [self.measured - 2 * self.sigmas, self.measured + 2 * self.sigmas]
        everything = np.concatenate(values)
        return float(everything.min()), float(everything.max())

    def skewed(self) -> bool:
        """Whether one cell would flatten all others."""
        return float(self.modelled.max()) > SKEWED * float(self.modelled.mean())

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(label, measured, plus or minus two sigma, modelled) of each cell, in words."""
        if self.measured is None or self.sigmas is None:
            return [(label, DASH, DASH, count(m)) for label, m in zip(self.labels, self.modelled.tolist(), strict=True)]
        cells = zip(self.labels, self.measured.tolist(), self.sigmas.tolist(), self.modelled.tolist(), strict=True)
        return [(label, count(y), count(2 * s), count(m)) for label, y, s, m in cells]


@dataclass(frozen=True)
class Text:
    """A label: where it stands, which end of it stands there, and its turn in degrees."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    turn: int = 0


@dataclass(frozen=True)
class Spot:
    """A rectangle that explains itself when pointed at."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Path data of a chart's bars, measured dots, their whiskers, grid lines and zero line, with its labels."""

    height: float
    bars: str
    dots: str
    whiskers: str
    grid: str
    zero: str
    texts: tuple[Text, ...]
    spots: tuple[Spot, ...]
    width: int = WIDTH


@dataclass(frozen=True)
class Scale:
    """From rows to a place on the page: `start` is where `low` lies, `end` where `high` does; `root`: by square roots of rows."""

    low: float
    high: float
    start: float
    end: float
    root: bool

    def place(self, rows: float) -> float:
        """The coordinate of a number of rows, to a tenth of a pixel."""
        at, low, high = map(self._along, (rows, self.low, self.high))
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)

    def _along(self, rows: float) -> float:
        return math.copysign(math.sqrt(abs(rows)), rows) if self.root else rows

    def ticks(self) -> list[float]:
        """Two to six round numbers on the scale."""
        if self.root:
            return sorted({0.0, *(_round_down(self.high * (i / 4) ** 2) for i in range(1, 5))})
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.9999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def scale_of(profile: Profile, start: float, end: float) -> Scale:
    """A scale on which all values of the profile fit."""
    low, high = profile.reach()
    return Scale(low, high if high > low else low + 1, start, end, profile.skewed())


def _round_down(value: float) -> float:
    """The largest of ... 1, 2, 5, 10, 20 ... that is not above."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * m for m in (5, 2, 1) if power * m <= value * 1.0001)


def columns_chart(profile: Profile) -> Chart:
    """Upright bars in the order of the cells, for columns whose cells follow each other."""
    left, top, right, bottom = 44, 10, WIDTH - 6, 176
    scale = scale_of(profile, bottom, top)
    step = (right - left) / len(profile.labels)
    zero, gap = scale.place(0), min(2.0, step / 4)
    edges = [round(left + step * i, 1) for i in range(len(profile.labels) + 1)]
    middles = [round(left + step * (i + 0.5), 1) for i in range(len(profile.labels))]
    tops = [scale.place(rows) for rows in profile.modelled.tolist()]
    bars = "".join(f"M{e + gap / 2:g} {zero:g}V{y:g}h{step - gap:.1f}V{zero:g}z" for e, y in zip(edges, tops, strict=False))
    dots, whiskers = "", ""
    if profile.measured is not None and profile.sigmas is not None:
        cells = list(zip(middles, profile.measured, profile.sigmas, strict=True))
        dots = "".join(f"M{x:g} {scale.place(y):g}h0" for x, y, _ in cells)
        whiskers = "".join(f"M{x:g} {scale.place(y - 2 * s):g}V{scale.place(y + 2 * s):g}" for x, y, s in cells)
    ticks = scale.ticks()
    grid = "".join(f"M{left} {scale.place(t):g}H{right}" for t in ticks)
    numbers = tuple(Text(left - 6, scale.place(t) + 4, axis_number(t), "end") for t in ticks)
    texts = (*numbers, *_names_below(profile.labels, middles, bottom + 18))
    spots = tuple(Spot(e, top, round(step, 1), bottom - top, title) for e, title in zip(edges, _titles(profile), strict=False))
    return Chart(bottom + 26, bars, dots, whiskers, grid, f"M{left} {zero:g}H{right}", texts, spots)


def rows_chart(profile: Profile) -> Chart:
    """Lying bars with a label each, largest first, for columns whose cells have names."""
    pitch, top, right = 17, 4, WIDTH - 14
    left = 18 + round(LETTER * max(letters(shortened(label, 22)) for label in profile.labels))
    bottom = top + pitch * len(profile.labels)
    scale = scale_of(profile, left, right)
    zero = scale.place(0)
    tops = [top + pitch * i for i in range(len(profile.labels))]
    bars = "".join(f"M{zero:g} {y + 3}H{scale.place(m):g}v{pitch - 6}H{zero:g}z" for y, m in zip(tops, profile.modelled, strict=True))
    dots, whiskers = "", ""
    if profile.measured is not None and profile.sigmas is not None:
        cells = list(zip((y + pitch / 2 for y in tops), profile.measured, profile.sigmas, strict=True))
        dots = "".join(f"M{scale.place(v):g} {y:g}h0" for y, v, _ in cells)
        whiskers = "".join(f"M{scale.place(v - 2 * s):g} {y:g}H{scale.place(v + 2 * s):g}" for y, v, s in cells)
    ticks = scale.ticks()
    grid = "".join(f"M{scale.place(t):g} {top}V{bottom}" for t in ticks)
    names = tuple(Text(left - 8, y + pitch / 2 + 4, shortened(label, 22), "end") for y, label in zip(tops, profile.labels, strict=True))
    texts = (*names, *(Text(scale.place(t), bottom + 16, axis_number(t)) for t in ticks))
    spots = tuple(Spot(0, y, WIDTH, pitch, title) for y, title in zip(tops, _titles(profile), strict=True))
    return Chart(bottom + 22, bars, dots, whiskers, grid, f"M{zero:g} {top}V{bottom}", texts, spots)


def _titles(profile: Profile) -> list[str]:
    return [f"{label}: measured {y} ± {s}, model {m}" if y != DASH else f"{label}: model {m}" for label, y, s, m in profile.rows()]


def _names_below(labels: tuple[str, ...], middles: list[float], y: float) -> list[Text]:
    """Every label, or every second, third ... one: as many as fit side by side and stay on the page."""
    short = [shortened(label, 18) for label in labels]
    width = LETTER * max(map(letters, short)) + 8
    step = middles[1] - middles[0] if len(middles) > 1 else WIDTH
    pushed = max(0.0, width / 2 - middles[0])
    every = max(1, math.ceil((width + pushed) / step))
    fit = [i for i in range(0, len(labels), every) if i == 0 or middles[i] + width / 2 <= WIDTH + 8]
    return [Text(round(max(middles[i], width / 2), 1), y, short[i]) for i in fit]
