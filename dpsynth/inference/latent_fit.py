"""Fits a latent-class model to denoised tables: one product of matrices gives all pairs at once.

With E the stacked emissions (D x K) and B = E diag(w) E', minimise

    1/2 sum_{a<b} (N / s_ab)^2 |B_ab - T_ab / N|^2 + 1/2 sum_a (N / s_a)^2 |b_a - m_a / N|^2 + PULL / 2 sum_k w_k |L_k - log(m / N)|^2

over the logits L of E and of w, by Adam in single precision. The problem is not convex: what is certified is the misfit

    r = max( sum_{a<b} |N B_ab - T_ab|^2 / s_ab^2 / freedom,  sum_a |N b_a - m_a|^2 / s_a^2 / D )

and the plateau at which the steps ended. A pair that was not measured counts with T = m_a m_b' / N and noise UNMEASURED x the median s.
Ties between starts are settled by averaging: the classes of all starts together are one model.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

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
TILE_ROWS = 128

UNMEASURED = 3.0
"""A pair that was not measured is drawn to independence: as if its cells were known to this many times the median noise, or to an even
cell's rows where that is less. Many classes that nothing holds back would otherwise make up dependence where there is none (simulated, 650
of 780 pairs unmeasured: their distance .0335 without, .0078 with, .0070 for independence itself)."""

FIRM = 30.0
"""How many times the precision of its table a cell counts that rules leave empty: it is known to be."""

Aim = tuple[NDArray[np.floating], float | NDArray[np.floating]]
"""A pair's table as shares, and its precision, of all cells alike or of each."""

FINEST = 1e7
"""N / s beyond which a table counts as known to single precision."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Some neighbouring columns with all later ones: a product that stays in the processor's cache.

    rows: cells of the columns. cells: all behind the first column's. tables: float32[rows, cells], T / N.
    precision: the same shape, (N / s_ab)^2, 0 for a column with itself or an earlier one.
    """

    rows: slice
    cells: slice
    tables: Single
    precision: Single


@dataclass(frozen=True, eq=False)
class Goal:
    """What the mixture is fitted to, for all columns at once (D cells in all).

    tiles: all pairs of columns. one_way, one_way_precision: float32[D], the same for single columns. freedom: of all tables together.
    """

    domain: Domain
    tiles: tuple[Tile, ...]
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
    """The denoised tables, side by side."""
    domain, total = denoised.domain, denoised.total
    one_way = np.concatenate([denoised.one_way[c] / total for c in domain.columns])
    weight = np.concatenate([np.full(domain.size[c], precision(total, denoised.one_way_noise[c])) for c in domain.columns])
    freedom = max(sum(pair.freedom for pair in denoised.pairs.values()), 1.0)
    targets: dict[Clique, Aim] = {p: (pair.table / total, precision(total, pair.noise)) for p, pair in denoised.pairs.items()}
    shares = {c: table / total for c, table in denoised.one_way.items()}
    doubt = UNMEASURED * float(np.median([pair.noise for pair in denoised.pairs.values()])) if denoised.pairs else math.inf
    for a, b in combinations(domain.columns, 2):
        if (a, b) not in targets:
            noise = min(doubt, total / domain.cells((a, b)))
            informed = (a, b) in denoised.informed
            shared = denoised.expected((a, b)) / total if informed else np.outer(shares[a], shares[b])
            targets[a, b] = shared, precision(total, noise)
    for pair, possible in denoised.possible.items():
        if len(pair) == 2:
            table, known = targets[pair]
            targets[pair] = table, known * np.where(possible, 1.0, FIRM)
    return Goal(domain, tiles(domain, targets), _single(one_way), _single(weight), freedom)


def precision(total: float, noise: float) -> float:
    """(N / s)^2, to what single precision can tell."""
    return min(total / noise, FINEST) ** 2


def tiles(domain: Domain, targets: Mapping[Clique, Aim]) -> tuple[Tile, ...]:
    """Pairs' tables and precisions as tiles of about TILE_ROWS cells."""
    blocks, whole = column_slices(domain), sum(domain.sizes)
    found = []
    for group in _groups(domain):
        rows, cells = slice(blocks[group[0]].start, blocks[group[-1]].stop), slice(blocks[group[0]].stop, whole)
        shape = rows.stop - rows.start, cells.stop - cells.start
        tile = Tile(rows, cells, np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))
        for a in group:
            for b in domain.columns[domain.position[a] + 1 :]:
                if (a, b) in targets:
                    at = _shifted(blocks[a], rows.start), _shifted(blocks[b], cells.start)
                    tile.tables[at], tile.precision[at] = targets[a, b]
        found.append(tile)
    return tuple(found)


def _groups(domain: Domain) -> Iterator[tuple[str, ...]]:
    """Neighbouring columns of about TILE_ROWS cells together; not the last column alone, which has no later ones."""
    group: tuple[str, ...] = ()
    for column in domain.columns[:-1]:
        group = (*group, column)
        if sum(domain.size[c] for c in group) >= TILE_ROWS:
            yield group
            group = ()
    if group:
        yield group


def _shifted(block: slice, by: int) -> slice:
    return slice(block.start - by, block.stop - by)


def column_slices(domain: Domain) -> dict[str, slice]:
    """Where each column's cells stand among all cells."""
    ends = np.cumsum(domain.sizes).tolist()
    return {c: slice(end - size, end) for c, size, end in zip(domain.columns, domain.sizes, ends, strict=True)}


def classes_for(aim: Goal) -> int:
    """How many classes: few where noise leaves little to say about a cell (more would follow the noise), more where tables are sharp.

    18 freedom / D - 96, from 100 to 300: on adult and simulated tables at epsilon 0.1 to 10 within 2 % of the best of 50, 100, 200, 300.
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
    pulled, squared = np.zeros_like(e), 0.0
    for tile in aim.tiles:
        gap = weighted[tile.rows] @ e[tile.cells].T
        gap -= tile.tables
        pull = gap * tile.precision
        squared += float(np.vdot(pull, gap))
        pulled[tile.rows] += pull @ e[tile.cells]
        pulled[tile.cells] += pull.T @ e[tile.rows]
    gap_one = weighted.sum(axis=1) - aim.one_way
    pull_one = gap_one * aim.one_way_precision
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
