"""Which tables of a thin release are worth their noise: chosen by noisy errors against independence, before any pair is measured.

Where noise would drown most pairs, only some are worth measuring, and better one-way tables are worth more than the rest. What is known
then are noisy one-way tables and, where they cost little enough, noisy distances e_ab of all pairs from independence. With m_i the rows
that independence puts into a cell, a distance says how far cells stray from it: prior variances v_i = f m_i with

    e = sqrt(2 / pi) sum_i sqrt(f m_i)

Measured with precision w (1 / rows^2), what remains of it is expected to be

    r(w) = sqrt(2 / pi) sum_i sqrt(v_i / (1 + v_i w / JOINT)),     JOINT = 0.3 for what pairs tell about each other

A one-way table known with precision W is off by o(w) = sqrt(2 / pi) sum_i sqrt(v_i / (1 + v_i (W + w))), v_i = max(m_i, N / k)^2, and it
is part of all pairs of its column. The parts of a pair's error add up in quadrature, so each counts by its share of the sum. All curves
are convex and falling: the budget goes to the steepest pieces of all of them.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.kronecker import Denoised
from dpsynth.questions import ErrorsQuestion, score_estimate
from dpsynth.strategies.allocation import steepest

JOINT = 0.3
"""How much sharper joint denoising makes a pair's measurement; from predicted and actual errors on UCI Adult and simulated networks."""

UNKNOWN = 0.1
"""Share of the rows that independence is taken to misplace in a pair, where nobody asked."""

GRID = 2.0 ** np.arange(-10, 14)
"""Precisions at which curves are evaluated, as multiples of an even division."""

LEAST_SHARE = 0.05
"""Of an even division: a table that gets less is not asked for."""

Curve = NDArray[np.float64]


def errors_question(denoised: Denoised, pairs: Sequence[Clique], sigma: float) -> ErrorsQuestion:
    """How far the pairs are from independence, by the denoised one-way tables; sigma in rows."""
    estimates = tuple(score_estimate(independent(denoised, pair).ravel()) for pair in pairs)
    return ErrorsQuestion(tuple(pairs), estimates, sigma)


def independent(denoised: Denoised, pair: Clique) -> NDArray[np.float64]:
    """float64[k_a, k_b] in rows: what the pair's table would hold if its columns were independent."""
    a, b = pair
    return np.outer(denoised.one_way[a], denoised.one_way[b]) / denoised.total


def settled(errors: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """float64[pairs]: noisy errors moved towards their mean by the part of their spread that is noise; at least 0."""
    mean, spread = float(errors.mean()), float(errors.var())
    kept = max(spread - sigma**2, 0.0) / spread if spread > 0 else 0.0
    return np.maximum(mean + kept * (errors - mean), 0.0)


def worthwhile(denoised: Denoised, errors: Mapping[Clique, float], budget: float, weights: Mapping[Clique, float]) -> dict[Clique, float]:
    """The precision to add to one-way tables and to pairs, in 1 / rows^2, summing to the budget; tables that are not in it get none.

    errors: L1 distances of pairs from independence, in rows. weights: 1 for tables it does not hold.
    """
    even = budget / len(errors)
    grid = np.concatenate([[0.0], even * GRID[even * GRID < budget], [budget]])
    ones: dict[str, Curve] = {column: one_way_curve(denoised, column, grid) for column in denoised.domain.columns}
    total: dict[Clique, float] = {
        pair: math.sqrt(error**2 + sum(ones[column][0] ** 2 for column in pair)) for pair, error in errors.items()
    }
    curves: dict[Clique, Curve] = {
        pair: weights.get(pair, 1.0) * errors[pair] / total[pair] * pair_curve(independent(denoised, pair), errors[pair], grid)
        for pair in errors
    }
    for column, curve in ones.items():
        share = sum(weights.get(pair, 1.0) * curve[0] / total[pair] for pair in errors if column in pair)
        curves[column,] = weights.get((column,), 1.0) * share * curve
    given = steepest(curves, dict.fromkeys(curves, grid), budget)
    kept = {table: precision for table, precision in given.items() if precision >= LEAST_SHARE * even}
    if all(len(table) == 1 for table in kept):
        # No pair is worth it: so much noise says too little about columns to tell them apart. Errors go with w^(-1/2).
        kept = {(column,): weights.get((column,), 1.0) ** (2 / 3) for column in ones}
    return {table: precision * budget / sum(kept.values()) for table, precision in kept.items()}


def pair_curve(table: NDArray[np.float64], error: float, precisions: Curve) -> Curve:
    """float64[precisions]: L1 error in rows that is expected to remain of a pair's distance from independence.

    table: float64[k_a, k_b], rows if the columns were independent.
    """
    cells = table.ravel()
    spread = error * math.sqrt(math.pi / 2) / float(np.sqrt(cells).sum())  # the square root of f
    variances = spread**2 * cells
    return np.asarray(math.sqrt(2 / math.pi) * np.sqrt(variances / (1 + np.outer(precisions / JOINT, variances))).sum(axis=1))


def one_way_curve(denoised: Denoised, column: str, precisions: Curve) -> Curve:
    """float64[precisions]: L1 error in rows that is expected to remain of a one-way table with that much more precision."""
    table = denoised.one_way[column]
    prior = np.maximum(table, denoised.total / len(table)) ** 2
    known = precisions + 1 / denoised.one_way_noise[column] ** 2
    return np.asarray(math.sqrt(2 / math.pi) * np.sqrt(prior / (1 + np.outer(known, prior))).sum(axis=1))
