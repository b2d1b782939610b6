"""Dividing a budget over tables, exactly: shares in proportion to weights, and the division that predicts the least error."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from dpsynth.domain import Clique
from dpsynth.inference.kronecker import Spread, predicted_error
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import sigma_for

GRID_STEP = 1.25
"""Predicted errors are evaluated at precisions this factor apart; between them they are taken as straight lines."""

SMALLEST_GAIN = 0.02
"""A table is measured again only where that adds this share to its precision: less is not worth a question."""


def sigmas_by_weight(rho: Rho, unit: PrivacyUnit, weights: Sequence[float]) -> list[float]:
    """A sigma for each table: precisions 1 / sigma^2 in proportion to the weights, all costs together at most rho."""
    largest = max(weights)
    whole = [max(1, round(weight / largest * 2**40)) for weight in weights]
    total = sum(whole)
    return [sigma_for(rho.share(Fraction(each, total)), unit) for each in whole]


def least_error(spread: Spread, known: Mapping[Clique, float], budget: float, weights: Mapping[Clique, float]) -> dict[Clique, float]:
    """Precisions to add to pairs, in 1 / rows^2, summing to at most the budget, that minimise the weighted sum of predicted errors.

    known: the precision each pair has already. weights: 1 for pairs it does not hold. The predicted error of a pair is convex in its
    precision, so taking the steepest pieces of all pairs first is optimal to the width of a piece. Pairs that would gain next to nothing
    get none.
    """
    pieces = [
        (slope * weights.get(pair, 1.0), pair, width)
        for pair, precision in known.items()
        for slope, width in _pieces(spread, pair, precision, budget)
    ]
    added: dict[Clique, float] = {}
    left = budget
    for _, pair, width in sorted(pieces, key=lambda piece: piece[:2]):
        taken = min(width, left)
        if taken <= 0:
            break
        added[pair] = added.get(pair, 0.0) + taken
        left -= taken
    worth = {pair: precision for pair, precision in added.items() if precision >= SMALLEST_GAIN * known[pair]}
    kept = sum(worth.values())
    return {pair: precision * budget / kept for pair, precision in worth.items()} if kept > 0 else {}


def _pieces(spread: Spread, pair: Clique, precision: float, budget: float) -> list[tuple[float, float]]:
    """(slope, width) of each straight piece of the pair's predicted error; slopes rise towards 0."""
    count = 1 + math.ceil(math.log1p(budget / precision) / math.log(GRID_STEP))
    grid = precision * GRID_STEP ** np.arange(min(count, 64) + 1)
    errors = np.array([predicted_error(spread, pair, float(w)) for w in grid])
    widths = np.diff(grid)
    slopes = np.diff(errors) / widths
    return [(float(slope), float(width)) for slope, width in zip(slopes, widths, strict=True)]
