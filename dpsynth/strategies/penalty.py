"""What the error that measuring a table would leave takes off the table's claim to be selected; all of it is public.

AIM's score of a candidate, of weight w and at a distance of L rows from its estimate, is w (L - P). The penalty P is the error to expect
after the table has been measured with noise sigma:

- "published": sqrt(2 / pi) sigma cells, what the noise does to a table that is used as it comes (arXiv:2201.12677);
- "shrunk": what it does to a table that is shrunk towards its estimate, as this project's models do, which is far less (`noise_alone`);
- "discount": nothing is subtracted; the weight counts for the part of a typical error that measuring would take away (1 - `left_after`);
- "none": nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

TYPICAL = 0.05
"""Share of the rows that the model is taken to misplace in a table nobody has measured."""


@dataclass(frozen=True)
class Penalty:
    """Functions of a table's estimate, float64[cells] in rows, and sigma. factor: of the weight; rows: subtracted from the distance."""

    factor: Callable[[Vector, float], float]
    rows: Callable[[Vector, float], float]


def noise_unshrunk(table: Vector, sigma: float) -> float:
    """Expected sum of absolute errors of a measured table, in rows: sqrt(2 / pi) sigma cells."""
    return math.sqrt(2 / math.pi) * sigma * len(table)


def noise_alone(table: Vector, sigma: float) -> float:
    """Expected sum of absolute errors of a measured and shrunk table, in rows.

    sqrt(2 / pi) sum sqrt(v_i sigma^2 / (v_i + sigma^2)),    v_i = f m_i with sqrt(2 / pi) sum sqrt(v_i) = 2 TYPICAL N
    """
    root = np.sqrt(np.maximum(table, 0.0))
    before = math.sqrt(math.pi / 2) * 2 * TYPICAL * max(float(table.sum()), 1.0)
    spread = root * (before / max(float(root.sum()), 1e-300))
    return math.sqrt(2 / math.pi) * float((spread * sigma / np.sqrt(spread**2 + sigma**2)).sum())


def left_after(table: Vector, sigma: float) -> float:
    """The part of a table's typical error, 2 TYPICAL N, that is expected to stay once it has been measured and shrunk."""
    return noise_alone(table, sigma) / (2 * TYPICAL * max(float(table.sum()), 1.0))


def _taken_away(table: Vector, sigma: float) -> float:
    """Above 0 also where rounding leaves nothing, as beside a sigma of 10^7 for a table of one row: weights are shares of the largest."""
    return max(1 - left_after(table, sigma), 2.0**-53)


def _whole(_: Vector, __: float) -> float:
    return 1.0


def _nothing(_: Vector, __: float) -> float:
    return 0.0


PENALTIES = {
    "discount": Penalty(_taken_away, _nothing),
    "published": Penalty(_whole, noise_unshrunk),
    "shrunk": Penalty(_whole, noise_alone),
    "none": Penalty(_whole, _nothing),
}
"""By their names in a spec."""

DEFAULT_PENALTY = "discount"
