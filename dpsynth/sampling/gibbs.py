"""Records whose pairs match given tables: maximum entropy over all pairs, by Gibbs sampling, with no tree.

Each record's column is drawn anew given its others, with

    logit(v) = log m(v) + sum_b { theta(v, x_b) - W(v, x_b) [ H(v, x_b) - T(v, x_b) + 1/2 ] },      W = beta / (T + 1 + SOFT s)

H the counts of all other records, T the target, s the noise behind it. After each sweep

    theta += eta (T - H - SOFT s theta) / (T + 1 + SOFT s).

The W term, kept true at every move, makes the iteration stable; its weight grows until the counts all but equal the targets.
Records come in fixed groups, each matched to its share of the targets; the first groups find theta, all later ones start from it.

A pair without a target has no term: there records follow from all others, as maximum entropy has it. In wide tables the same is done with
pairs whose target is all but independent, since a sweep costs rows x columns x partners.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dpsynth.domain import Domain
from dpsynth.inference.model import Model, PairTargets
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.sampling.moves import Moves, moves

Single = NDArray[np.float32]
Records = NDArray[np.uint16]

Schedule = tuple[tuple[int, float, float], ...]
"""(sweeps, eta, beta), one after the other."""

SOFT = np.float32(0.1)
LEARNING = ((10, 0.2, 1.0), (5, 0.1, 2.0), (3, 0.0, 8.0), (3, 0.0, 30.0))
"""For the groups that find theta."""

FOLLOWING = ((3, 0.0, 2.0), (2, 0.0, 8.0), (2, 0.0, 30.0))
SMALLEST_GROUP, LARGEST_GROUP = 10_000, 100_000

TIED_STREAM = 0x5851F42D4C957F2D
"""Sets the stream of the columns that rules tie together apart from that of the others."""

PARTNERS = 24
"""How many partners a column has on average, at most: of more pairs, the least dependent have no term."""


@dataclass(frozen=True, eq=False)
class Task:
    """Everything that stays fixed: scaled targets and noise (0 outside terms), one-way logits, where columns start, and their partners.

    partners, ends: column a has a term with each of the columns partners[ends[a]:ends[a + 1]].
    mates, mate_ends: the same for the columns that are drawn one by one; the others, which rules tie together, have `moves`.
    """

    tables: Single
    noise: Single
    base: Single
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    partners: NDArray[np.int64]
    ends: NDArray[np.int64]
    seed: int
    terms: NDArray[np.bool_]
    mates: NDArray[np.int64]
    mate_ends: NDArray[np.int64]
    moves: Moves | None


def matched(model: Model, targets: PairTargets, records: Records, seed: int) -> Records:
    """The records (uint16[rows, d], changed in place) after their pairs were matched to the targets; `seed` is public."""
    rows, columns = records.shape
    if rows == 0 or columns < 2:
        return records
    task = _task(model, targets, rows, seed)
    groups = _groups(rows)
    theta = np.zeros_like(task.tables)
    compile_kernel()  # once, and not in a thread: loading libraries beside `threadpool_limits` can lock both for ever
    if task.moves is not None:
        compile_moves()
    with ThreadPoolExecutor(2) as pool:
        for number, batch in enumerate(groups):
            parts = [records[piece] for piece in batch]
            schedule = LEARNING if number == 0 else FOLLOWING
            theta = _matched_batch(task, parts, rows, theta, schedule, number, pool)
    return records


def compile_kernel() -> None:
    """Compiles the inner loops, or loads them from numba's cache: seconds the first time after installation, then a fraction of one."""
    from dpsynth.sampling.gibbs_kernel import pair_counts, sweep

    nobody, one, where = np.zeros((0, 1), np.uint16), np.zeros((1, 1), np.float32), np.zeros(1, np.int64)
    sweep(nobody, one, one, one[0], where, where + 1, where[:0], np.zeros(2, np.int64), np.uint64(0))
    pair_counts(nobody, where, 1, where[:0], np.zeros(2, np.int64))


def compile_moves() -> None:
    """The same for the loop that draws columns which rules tie together."""
    from dpsynth.sampling.gibbs_moves import sweep_tied

    drawn = moves(Domain(("a",), (1,)), (StructuralZeros(("a",), np.ones(1, dtype=bool)),))
    if drawn is not None:
        one, where = np.zeros((1, 1), np.float32), np.zeros(1, np.int64)
        sweep_tied(np.zeros((0, 1), np.uint16), one, one, one[0], where, where + 1, np.zeros((1, 1), bool), drawn, np.uint64(0))


def _task(model: Model, targets: PairTargets, rows: int, seed: int) -> Task:
    domain = model.domain
    sizes = np.array(domain.sizes, dtype=np.int64)
    scale = np.float32(rows / max(model.total, 1e-9))
    # One BLAS thread: the sums, and so the records, are the same whatever the machine's setting.
    with threadpool_limits(1):
        one_way = np.concatenate([model.marginal((column,)) for column in domain.columns]) / max(model.total, 1e-9)
    terms = _terms(targets, sizes)
    tables, noise = targets.tables * scale, _by_cell(np.where(terms, targets.noise * scale, 0), sizes)
    tables[~_by_cell(terms, sizes)] = 0
    base = np.log(np.maximum(one_way, 1e-30)).astype(np.float32)
    starts, tied = np.cumsum([0, *sizes[:-1]]), moves(domain, targets.zeros)
    one_by_one = terms.copy()
    one_by_one[[] if tied is None else tied.tied] = False
    return Task(tables, noise, base, starts, sizes, *_partners(terms), seed, terms, *_partners(one_by_one), tied)


def _partners(terms: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The partners of all columns one after the other, and where each column's end."""
    return np.nonzero(terms)[1].astype(np.int64), np.cumsum([0, *terms.sum(axis=1)])


def _terms(targets: PairTargets, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[d, d]: which pairs have a term: the most dependent of those with a target."""
    columns = len(sizes)
    ends = np.cumsum(sizes)
    left, right = np.nonzero(np.triu(np.isfinite(targets.noise), 1))
    dependence = np.zeros(len(left))
    if len(left) > PARTNERS * columns // 2:
        for k, (a, b) in enumerate(zip(left, right, strict=True)):
            table = targets.tables[ends[a] - sizes[a] : ends[a], ends[b] - sizes[b] : ends[b]]
            independent = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(float(table.sum()), 1e-9)
            dependence[k] = np.abs(table - independent).sum()
    kept = np.argsort(-dependence, kind="stable")[: max(PARTNERS * columns // 2, 1)]
    terms = np.zeros((columns, columns), dtype=bool)
    terms[left[kept], right[kept]] = terms[right[kept], left[kept]] = True
    return terms


def _by_cell(matrix: NDArray[Any], sizes: NDArray[np.int64]) -> NDArray[Any]:
    """A value for each pair of columns as one for each pair of cells."""
    return np.repeat(np.repeat(matrix, sizes, axis=0), sizes, axis=1)


def _groups(rows: int) -> list[list[slice]]:
    """Batches of groups that are matched at the same time: two groups, or one where there are few records."""
    if rows < 2 * SMALLEST_GROUP:
        return [[slice(0, rows)]]
    batches = -(-rows // (2 * LARGEST_GROUP))
    edges = np.linspace(0, rows, 2 * batches + 1).astype(np.int64).tolist()
    return [[slice(edges[2 * i], edges[2 * i + 1]), slice(edges[2 * i + 1], edges[2 * i + 2])] for i in range(batches)]


def _matched_batch(
    task: Task, parts: list[Records], rows: int, theta: Single, schedule: Schedule, batch: int, pool: ThreadPoolExecutor
) -> Single:
    """Runs a schedule on the groups of one batch; returns theta."""
    # Each group aims at its own share of the targets; `whole` is the batch's.
    shares = [np.float32(len(part) / rows) for part in parts]
    whole = np.float32(sum(map(len, parts)) / rows)
    counts = list(pool.map(_counts, repeat(task), parts))
    target, softness = task.tables * whole, SOFT * task.noise * whole
    firmness = target + np.float32(1) + softness
    for number, (eta, beta) in enumerate(_steps(schedule)):
        pull = np.float32(beta * len(parts)) / firmness
        seeds = [_seed(task.seed, batch, number, group) for group in range(len(parts))]
        counts = list(pool.map(_sweep, repeat(task), parts, counts, shares, repeat(theta), repeat(pull), seeds))
        if eta:
            theta = (theta + np.float32(eta) * (target - np.sum(counts, axis=0) - softness * theta) / firmness).astype(np.float32)
    return theta


def _steps(schedule: Schedule) -> Iterator[tuple[float, float]]:
    return ((eta, beta) for sweeps, eta, beta in schedule for _ in range(sweeps))


def _sweep(task: Task, part: Records, counts: Single, share: np.float32, theta: Single, pull: Single, state: int) -> Single:
    """Draws every record of a group anew; takes its pair counts before and returns them after."""
    from dpsynth.sampling.gibbs_kernel import sweep

    field = (theta - pull * (counts - task.tables * share + np.float32(0.5))).astype(np.float32)
    sweep(part, field, pull, task.base, task.starts, task.sizes, task.mates, task.mate_ends, np.uint64(state))
    if task.moves is not None:
        from dpsynth.sampling.gibbs_moves import sweep_tied

        sweep_tied(part, field, pull, task.base, task.starts, task.sizes, task.terms, task.moves, np.uint64(state ^ TIED_STREAM))
    return _counts(task, part)


def _counts(task: Task, part: Records) -> Single:
    from dpsynth.sampling.gibbs_kernel import pair_counts

    return np.asarray(pair_counts(part, task.starts, len(task.base), task.partners, task.ends))


def _seed(seed: int, batch: int, sweep: int, group: int) -> int:
    """A stream of its own for every call of the kernel."""
    return int(np.random.SeedSequence([seed, batch, sweep, group]).generate_state(1, np.uint64)[0])
