"""The compiled inner loop of the Gibbs sampler: numba, so that nothing but Python is needed to install; compiled once, then cached.

It runs without the interpreter's lock, so two threads use two cores. Each call has its own counter-based generator (SplitMix64),
seeded by its arguments alone: the number of threads never matters.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LOG2_E = np.float32(1.4426950408889634)
_C0, _C1, _C2 = np.float32(0.99999993), np.float32(0.69315297), np.float32(0.24015453)
_C3, _C4, _C5 = np.float32(0.0558236), np.float32(0.00899258), np.float32(0.00187623)


@njit(inline="always")
def _scrambled(counter: np.uint64) -> np.uint64:
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always", fastmath=True)
def _exponentials(logits: NDArray[np.float32], size: int, powers: NDArray[np.int32], factors: NDArray[np.float32]) -> np.float32:
    """Replaces the first `size` logits by exp(logit - the largest); returns their sum. `factors` is `powers` seen as float32.

    exp(x) = 2^i 2^f with i whole and f in [0, 1): 2^i is set by its exponent bits, 2^f is a polynomial good to 1e-7.
    """
    top = logits[0]
    for v in range(1, size):
        top = max(top, logits[v])
    for v in range(size):
        scaled = max((logits[v] - top) * _LOG2_E, np.float32(-126))
        whole = np.floor(scaled)
        f = scaled - whole
        powers[v] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        logits[v] = _C0 + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
    total = np.float32(0)
    for v in range(size):
        logits[v] *= factors[v]
        total += logits[v]
    return total


@njit(nogil=True, fastmath=True, cache=True)
def sweep(
    records: NDArray[np.uint16],
    field: NDArray[np.float32],
    pull: NDArray[np.float32],
    base: NDArray[np.float32],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    state: np.uint64,
) -> None:
    """Draws every column of every record anew, in place, given its other columns.

    records: uint16[rows, d]. field: float32[D, D], what a pair of cells adds to the logit; it falls by `pull` where a record arrives and
    rises where one leaves, so that counts are drawn to their targets at every move. base: float32[D]. state: seed of this call.
    """
    columns = records.shape[1]
    logits = np.empty(sizes.max(), np.float32)
    powers = np.empty(sizes.max(), np.int32)
    factors = powers.view(np.float32)
    for i in range(records.shape[0]):
        row = records[i]
        for a in range(columns):
            first, size, old = starts[a], sizes[a], np.int64(row[a])
            for v in range(size):
                logits[v] = base[first + v]
            for b in range(columns):
                if b != a:
                    other = starts[b] + np.int64(row[b])
                    line = field[other]
                    for v in range(size):
                        logits[v] += line[first + v]
                    logits[old] += pull[other, first + old]
            total = _exponentials(logits, size, powers, factors)
            state += _GOLDEN
            point = np.float32(_scrambled(state) >> np.uint64(40)) * np.float32(1 / 16777216) * total
            new = 0
            reached = logits[0]
            while reached <= point and new < size - 1:
                new += 1
                reached += logits[new]
            if new != old:
                left, joined = first + old, first + new
                for b in range(columns):
                    if b != a:
                        other = starts[b] + np.int64(row[b])
                        field[other, left] += pull[other, left]
                        field[left, other] += pull[left, other]
                        field[other, joined] -= pull[other, joined]
                        field[joined, other] -= pull[joined, other]
                row[a] = new


@njit(nogil=True, cache=True)
def pair_counts(records: NDArray[np.uint16], starts: NDArray[np.int64], cells: int) -> NDArray[np.float32]:
    """float32[cells, cells]: how many records hold each pair of cells of different columns; 0 in the blocks on the diagonal."""
    columns = records.shape[1]
    counts = np.zeros((cells, cells), np.int32)
    for i in range(records.shape[0]):
        for a in range(columns):
            line = counts[starts[a] + np.int64(records[i, a])]
            for b in range(a + 1, columns):
                line[starts[b] + np.int64(records[i, b])] += 1
    return (counts + counts.T).astype(np.float32)
