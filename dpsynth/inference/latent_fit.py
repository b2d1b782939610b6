"""Fits a latent-class model to denoised tables: one product of matrices gives all pairs at once.

With E the stacked emissions (D x K) and B = E diag(w) E', minimise

    1/2 sum_{a<b} (N / s_ab)^2 |B_ab - T_ab / N|^2 + 1/2 sum_a (N / s_a)^2 |b_a - m_a / N|^2 + PULL / 2 sum_k w_k |L_k - log(m / N)|^2

over the logits L of E and of w, by Adam in single precision. The problem is not convex: what is certified is the misfit

    r = max( sum_{a<b} |N B_ab - T_ab|^2 / s_ab^2 / freedom,  sum_a |N b_a - m_a|^2 / s_a^2 / D )

and the plateau at which the steps ended. Ties between starts are settled by averaging: the classes of all starts together are one model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.kronecker import Denoised

Single = NDArray[np.float32]

FEWEST_CLASSES, MOST_CLASSES = 100, 300
PULL = np.float32(3.0)
RATE, MOMENTUM, MEMORY = 0.1, np.float32(0.95), np.float32(0.99)
MISFIT_ENOUGH = 0.4
PATIENCE = 25
RATE_CUT, LAST_RATE = 0.4, 0.02
MOST_STEPS = 4000


@dataclass(frozen=True, eq=False)
class Goal:
    """What the mixture is fitted to, for all columns at once (D cells in all).

    tables: float32[D, D], T / N. precision: float32[D, D], (N / s_ab)^2, 0 where nothing was measured.
    one_way, one_way_precision: float32[D], the same for single columns. freedom: of all tables together.
    """

    domain: Domain
    tables: Single
    precision: Single
    one_way: Single
    one_way_precision: Single
    freedom: float

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64[columns]: first cell of each column."""
        return np.cumsum([0, *self.domain.sizes[:-1]])


@dataclass(frozen=True, eq=False)
class Mixture:
    """One start's result: weights float32[K], emissions float32[D, K]; plateau: the steps ended because nothing moved any more."""

    weights: Single
    emissions: Single
    misfit: float
    steps: int
    plateau: bool


def goal(denoised: Denoised) -> Goal:
    """The denoised tables as one matrix."""
    domain, total = denoised.domain, denoised.total
    tables = {p: pair.table / total for p, pair in denoised.pairs.items()}
    precision = {p: np.full(pair.table.shape, (total / pair.noise) ** 2) for p, pair in denoised.pairs.items()}
    one_way = np.concatenate([denoised.one_way[c] / total for c in domain.columns])
    weight = np.concatenate([np.full(domain.size[c], (total / denoised.one_way_noise[c]) ** 2) for c in domain.columns])
    freedom = max(sum(pair.freedom for pair in denoised.pairs.values()), 1.0)
    return Goal(domain, stacked(domain, tables), stacked(domain, precision), _single(one_way), _single(weight), freedom)


def stacked(domain: Domain, tables: Mapping[Clique, NDArray[np.floating]]) -> Single:
    """float32[D, D], symmetric: each pair's table in its block, 0 elsewhere."""
    blocks = column_slices(domain)
    whole = np.zeros((sum(domain.sizes),) * 2, dtype=np.float32)
    for (a, b), table in tables.items():
        whole[blocks[a], blocks[b]] = table
        whole[blocks[b], blocks[a]] = np.asarray(table).T
    return whole


def column_slices(domain: Domain) -> dict[str, slice]:
    """Where each column's cells stand among all cells."""
    ends = np.cumsum(domain.sizes).tolist()
    return {c: slice(end - size, end) for c, size, end in zip(domain.columns, domain.sizes, ends, strict=True)}


def classes_for(aim: Goal) -> int:
    """How many classes: few where noise leaves little to say about a cell (more would follow the noise), more where tables are sharp.

    18 freedom / D - 96, from 100 to 300: measured on four tables at epsilon 0.1 to 10, where 60 to 300 classes were best.
    """
    return int(np.clip(18 * aim.freedom / len(aim.one_way) - 96, FEWEST_CLASSES, MOST_CLASSES))


def fit_mixture(aim: Goal, start: int, classes: int | None = None) -> Mixture:
    """The mixture that one random start leads to; `start` is public and names it. classes: `classes_for` where left out."""
    classes = classes or classes_for(aim)
    rng = np.random.default_rng(start)
    base = np.log(aim.one_way)[:, None]
    logits = base + rng.standard_normal((len(base), classes), dtype=np.float32)
    state = _Adam(logits, np.zeros(classes, dtype=np.float32))
    rate, best, stale, step, misfit = RATE, np.inf, 0, 0, np.inf
    while step < MOST_STEPS:
        emissions, weights = softmax(aim, state.logits), _weights(state.classes)
        loss, misfit, gradients = _loss(aim, base, state.logits, emissions, weights)
        if misfit < MISFIT_ENOUGH or rate < LAST_RATE * RATE:
            break
        state.move(gradients, rate)
        step += 1
        stale = 0 if loss < best * (1 - 1e-3) else stale + 1
        best = min(best, loss) if stale == 0 else best
        if stale >= PATIENCE:
            rate, stale = rate * RATE_CUT, 0
    return Mixture(weights, emissions, misfit, step, rate < LAST_RATE * RATE)


def softmax(aim: Goal, logits: Single) -> Single:
    """float32[D, K]: each column's block of logits as distributions."""
    sizes = aim.domain.sizes
    shifted = np.exp(logits - np.repeat(np.maximum.reduceat(logits, aim.starts, axis=0), sizes, axis=0))
    return np.asarray(shifted / np.repeat(np.add.reduceat(shifted, aim.starts, axis=0), sizes, axis=0))


def _loss(aim: Goal, base: Single, logits: Single, e: Single, w: Single) -> tuple[float, float, tuple[Single, Single]]:
    """The loss, the misfit r, and the gradients by logits (float32[D, K]) and by class logits (float32[K])."""
    weighted = e * w
    gap = weighted @ e.T
    gap -= aim.tables
    pull = gap * aim.precision
    squared = float(np.vdot(pull, gap)) / 2
    gap_one = weighted.sum(axis=1) - aim.one_way
    pull_one = gap_one * aim.one_way_precision
    pulled = pull @ e
    away = logits - base
    distance = np.einsum("dk,dk->k", away, away)
    by_class = np.einsum("dk,dk->k", pulled, e) / 2 + pull_one @ e + PULL / 2 * distance
    by_emission = (pulled + pull_one[:, None]) * weighted
    centre = np.repeat(np.add.reduceat(by_emission, aim.starts, axis=0), aim.domain.sizes, axis=0)
    by_logit = by_emission - e * centre + (PULL * w) * away
    loss = squared / 2 + float(pull_one @ gap_one) / 2 + float(PULL) / 2 * float(w @ distance)
    misfit = max(squared / aim.freedom, float(pull_one @ gap_one) / len(e))
    return loss, misfit, (by_logit, w * (by_class - w @ by_class))


class _Adam:
    """Adam's state for the two sets of logits (Kingma and Ba, arXiv:1412.6980)."""

    def __init__(self, logits: Single, classes: Single) -> None:
        self.logits, self.classes = logits, classes
        self._first = [np.zeros_like(logits), np.zeros_like(classes)]
        self._second = [np.zeros_like(logits), np.zeros_like(classes)]
        self._steps = 0

    def move(self, gradients: tuple[Single, Single], rate: float) -> None:
        """One step downhill."""
        self._steps += 1
        first_bias, second_bias = 1 - float(MOMENTUM) ** self._steps, 1 - float(MEMORY) ** self._steps
        for value, gradient, first, second in zip((self.logits, self.classes), gradients, self._first, self._second, strict=True):
            first[...] = MOMENTUM * first + (1 - MOMENTUM) * gradient
            second[...] = MEMORY * second + (1 - MEMORY) * (gradient * gradient)
            root = np.sqrt(second * np.float32(1 / second_bias)) + np.float32(1e-12)
            value[...] -= np.float32(rate / first_bias) * first / root


def _weights(logits: Single) -> Single:
    shifted = np.exp(logits - logits.max())
    return np.asarray(shifted / shifted.sum())


def _single(values: NDArray[np.float64]) -> Single:
    return values.astype(np.float32)
