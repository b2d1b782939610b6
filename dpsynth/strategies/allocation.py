"""Dividing a budget over tables, exactly: shares in proportion to weights, and the division that predicts the least error."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.kronecker import predicted_error
from dpsynth.inference.spread import Spread
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
    grids = {pair: _grid(precision, budget) for pair, precision in known.items()}
    curves = {
        pair: weights.get(pair, 1.0) * np.array([predicted_error(spread, pair, float(w)) for w in grid]) for pair, grid in grids.items()
    }
    added = steepest(curves, grids, budget)
    worth = {pair: precision for pair, precision in added.items() if precision >= SMALLEST_GAIN * known[pair]}
    kept = sum(worth.values())
    return {pair: precision * budget / kept for pair, precision in worth.items()} if kept > 0 else {}


def steepest(
    curves: Mapping[Clique, NDArray[np.float64]], grids: Mapping[Clique, NDArray[np.float64]], budget: float
) -> dict[Clique, float]:
    """How far to move along each falling convex curve, in all by the budget, so that their sum falls most: the steepest pieces first.

    curves, grids: float64[points], the curve's values and the rising places where it has them; it starts at the first. Ties go by name.
    """
    pieces = [
        (float(slope), pair, float(width))
        for pair, grid in grids.items()
        for slope, width in zip(np.diff(curves[pair]) / np.diff(grid), np.diff(grid), strict=True)
    ]
    moved: dict[Clique, float] = {}
    left = budget
    for _, pair, width in sorted(pieces, key=lambda piece: piece[:2]):
        taken = min(width, left)
        if taken <= 0:
            break
        moved[pair] = moved.get(pair, 0.0) + taken
        left -= taken
    return moved


def _grid(precision: float, budget: float) -> NDArray[np.float64]:
    """From the precision a pair has to what it would have with all of the budget, or nearly."""
    count = 1 + math.ceil(math.log1p(budget / precision) / math.log(GRID_STEP))
    return np.asarray(precision * GRID_STEP ** np.arange(min(count, 64) + 1))
