"""Where the marks of a chart go: plain numbers and SVG path data, no text that needs escaping but labels, which the template escapes."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.reports.wording import axis_number, count, shortened

WIDTH = 460
LETTER = 6.6
"""Width of a letter of the charts' text, about."""


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

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(label, measured, plus or minus two sigma, modelled) of each cell, in words."""
        if self.measured is None or self.sigmas is None:
            return [(label, "–", "–", count(m)) for label, m in zip(self.labels, self.modelled.tolist(), strict=True)]
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
    """From rows to a place on the page: `start` is where `low` lies, `end` where `high` does."""

    low: float
    high: float
    start: float
    end: float

    def place(self, rows: float) -> float:
        """The coordinate of a number of rows, to a tenth of a pixel."""
        return round(self.start + (rows - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Three to six round numbers on the scale."""
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.9999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def scale_of(profile: Profile, start: float, end: float) -> Scale:
    """A scale on which all values of the profile fit."""
    low, high = profile.reach()
    return Scale(low, high if high > low else low + 1, start, end)


def columns_chart(profile: Profile) -> Chart:
    """Upright bars in the order of the cells, for columns whose cells follow each other."""
    left, top, right, bottom = 44, 10, WIDTH - 6, 176
    scale = scale_of(profile, bottom, top)
    step = (right - left) / len(profile.labels)
    zero, gap = scale.place(0), min(2.0, step / 4)
    edges = [round(left + step * i, 1) for i in range(len(profile.labels) + 1)]
    middles = [round(left + step * (i + 0.5), 1) for i in range(len(profile.labels))]
    bars = "".join(f"M{e + gap / 2:g} {zero:g}V{scale.place(m):g}h{step - gap:.1f}V{zero:g}z" for e, m in zip(edges, profile.modelled, strict=False))
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
    left = 14 + round(LETTER * min(24, max(len(shortened(label, 24)) for label in profile.labels)))
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
    names = tuple(Text(left - 8, y + pitch / 2 + 4, shortened(label, 24), "end") for y, label in zip(tops, profile.labels, strict=True))
    texts = (*names, *(Text(scale.place(t), bottom + 16, axis_number(t)) for t in ticks))
    spots = tuple(Spot(0, y, WIDTH, pitch, title) for y, title in zip(tops, _titles(profile), strict=True))
    return Chart(bottom + 22, bars, dots, whiskers, grid, f"M{zero:g} {top}V{bottom}", texts, spots)


def _titles(profile: Profile) -> list[str]:
    return [f"{label}: measured {y} ± {s}, model {m}" if y != "–" else f"{label}: model {m}" for label, y, s, m in profile.rows()]


def _names_below(labels: tuple[str, ...], middles: list[float], y: float) -> list[Text]:
    """As many labels as fit side by side, the first and the last among them."""
    width = LETTER * max(len(shortened(label, 18)) for label in labels) + 12
    fits = max(2, int((middles[-1] - middles[0]) / width) + 1) if len(labels) > 1 else 1
    shown = sorted({round(i * (len(labels) - 1) / max(1, fits - 1)) for i in range(min(fits, len(labels)))})
    last = len(labels) - 1
    ends = {0: "start", last: "end"} if len(labels) > 8 else {}
    step = (middles[-1] - middles[0]) / max(1, last)
    shift = {0: -step / 2, last: step / 2} if ends else {}
    return [Text(round(middles[i] + shift.get(i, 0), 1), y, shortened(labels[i], 18), ends.get(i, "middle")) for i in shown]
