"""A table of two columns as a heat map: cells of equal shade share one SVG path."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.reports.charts import LETTER, WIDTH, Text
from dpsynth.reports.wording import letters, shortened

LEVELS = 12


@dataclass(frozen=True)
class HeatMap:
    """Path data by shade in units of one cell, where the map stands and how large a cell is, and its labels."""

    height: float
    left: float
    top: float
    right: float
    bottom: float
    cell_width: float
    cell_height: float
    shades: tuple[tuple[float, str], ...]
    texts: tuple[Text, ...]
    width: int = WIDTH


def heat_map(table: NDArray[np.float64], most: float, down: tuple[str, ...], across: tuple[str, ...]) -> HeatMap:
    """The map of float64[rows, columns]; shade grows with the square root, from 0 rows and fewer to `most`."""
    n, m = table.shape
    left = 18 + round(LETTER * max(letters(shortened(label, 16)) for label in down))
    below = 22 + round(0.85 * LETTER * max(letters(shortened(label, 16)) for label in across))
    top, right = 4, WIDTH - 10
    cell_width = round((right - left) / m, 3)
    cell_height = round(min(26.0, max(15.0, 300 / n)) if n <= 24 else 340 / n, 3)
    bottom = round(top + cell_height * n, 1)
    places = [(round(left + cell_width * (i + 0.5) + 3, 1), bottom + 14) for i in range(m)]
    names = tuple(Text(*places[i], shortened(across[i], 16), "end", -55) for i in _spread(m, cell_width))
    heights = [round(top + cell_height * (i + 0.5) + 4, 1) for i in range(n)]
    rows = tuple(Text(left - 6, heights[i], shortened(down[i], 16), "end") for i in _spread(n, cell_height))
    return HeatMap(bottom + below, left, top, right, bottom, cell_width, cell_height, _shades(table, most), (*rows, *names))


def _spread(cells: int, size: float) -> range:
    """Which cells get a label: every one where there is room, else every second, third ... one."""
    step = max(1, -(-15 // max(1, int(size))))
    return range(0, cells, step)


def _shades(table: NDArray[np.float64], most: float) -> tuple[tuple[float, str], ...]:
    """(opacity, path) for every shade above 0 that occurs."""
    share = np.sqrt(np.clip(table / most if most > 0 else np.zeros_like(table), 0, 1))
    levels = np.ceil(share * LEVELS - 0.5).astype(int)
    return tuple((round(level / LEVELS, 3), _path(levels == level)) for level in range(1, LEVELS + 1) if (levels == level).any())


def _path(filled: NDArray[np.bool_]) -> str:
    """One rectangle for each run of filled cells in a row."""
    pieces = []
    for y, row in enumerate(filled):
        changes = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
        pieces += [f"M{a} {y}h{b - a}v1h{a - b}z" for a, b in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)]
    return "".join(pieces)
