"""Scores: exact integers, in units of 2^-16 rows, of which one unit moves each by a whole number of steps."""

import math

SCORE_BITS = 16
"""Estimates in scores are rounded to multiples of 2^-16 rows, so that scores are exact integers."""

ROWS_LIMIT = 1 << 40
"""No table has this many rows: scores and their sums then stay exact in int64."""


def score_scale(rows: float) -> float:
    """A scale of noise in the units of integer scores; exact, as a power of two is a shift of the exponent."""
    return math.ldexp(rows, SCORE_BITS)
