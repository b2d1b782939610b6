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


BLOCK = 4096
"""Records whose columns are drawn before the next ones': with all records at once, counts end further from their targets."""


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
    partners: NDArray[np.int64],
    ends: NDArray[np.int64],
    state: np.uint64,
) -> None:
    """Draws every record's columns anew, in place, block after block, column after column, each given the record's other columns.

    records: uint16[rows, d]. field: float32[D, D], what a pair of cells adds to the logit; it falls by `pull` where a record arrives and
    rises where one leaves, so that counts are drawn to their targets at every move. base: float32[D]. Column a looks at the columns
    partners[ends[a]:ends[a + 1]]; one without partners is left alone. state: seed of this call.
    """
    widest = _padded(sizes.max())
    logits = np.empty(widest, np.float32)
    powers = np.empty(widest, np.int32)
    factors = powers.view(np.float32)
    # The column's part of field and pull lies together while its records are drawn: it stays in the processor's cache.
    near, step = np.zeros(len(base) * widest, np.float32), np.zeros(len(base) * widest, np.float32)
    place, here = np.empty(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    for begin in range(0, records.shape[0], BLOCK):
        block = records[begin : begin + BLOCK]
        for a in range(block.shape[1]):
            first, size, mates = starts[a], sizes[a], partners[ends[a] : ends[a + 1]]
            width = _padded(size)
            if len(mates) == 0:
                continue
            _copy(field, near, first, size, mates, starts, sizes, place)
            _copy(pull, step, first, size, mates, starts, sizes, place)
            for i in range(block.shape[0]):
                row = block[i]
                old = np.int64(row[a])
                for v in range(size):
                    logits[v] = base[first + v]
                for k in range(len(mates)):
                    at = place[k] + width * np.int64(row[mates[k]])
                    here[k] = at
                    logits[old] += step[at + old]
                    for eight in range(0, width, 8):
                        for v in range(8):
                            logits[eight + v] += near[at + eight + v]
                total = _exponentials(logits, size, powers, factors)
                state += _GOLDEN
                point = np.float32(_scrambled(state) >> np.uint64(40)) * np.float32(1 / 16777216) * total
                new = 0
                reached = logits[0]
                while reached <= point and new < size - 1:
                    new += 1
                    reached += logits[new]
                if new != old:
                    for k in range(len(mates)):
                        near[here[k] + old] += step[here[k] + old]
                        near[here[k] + new] -= step[here[k] + new]
                    row[a] = new
            _put_back(field, near, first, size, mates, starts, sizes, place)


@njit(inline="always")
def _padded(size: int) -> int:
    """Cells are added up eight at a time."""
    return (size + 7) // 8 * 8


@njit(nogil=True, cache=True)
def _copy(
    matrix: NDArray[np.float32],
    near: NDArray[np.float32],
    first: int,
    size: int,
    mates: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    place: NDArray[np.int64],
) -> None:
    """Lays out a column's part of a matrix partner after partner, one padded line for each of the partner's cells; fills `place`."""
    at = 0
    for k in range(len(mates)):
        place[k] = at
        for u in range(sizes[mates[k]]):
            for v in range(size):
                near[at + v] = matrix[starts[mates[k]] + u, first + v]
            at += _padded(size)


@njit(nogil=True, cache=True)
def _put_back(
    matrix: NDArray[np.float32],
    near: NDArray[np.float32],
    first: int,
    size: int,
    mates: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    place: NDArray[np.int64],
) -> None:
    """What `_copy` laid out, back into both halves of the matrix."""
    for k in range(len(mates)):
        other = starts[mates[k]]
        for u in range(sizes[mates[k]]):
            for v in range(size):
                matrix[other + u, first + v] = matrix[first + v, other + u] = near[place[k] + _padded(size) * u + v]


@njit(nogil=True, cache=True)
def pair_counts(
    records: NDArray[np.uint16], starts: NDArray[np.int64], cells: int, partners: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float32]:
    """float32[cells, cells]: how many records hold each pair of cells of two partners (see `sweep`); 0 in all other blocks."""
    counts = np.zeros((cells, cells), np.int32)
    for i in range(records.shape[0]):
        for a in range(records.shape[1]):
            line = counts[starts[a] + np.int64(records[i, a])]
            for b in partners[ends[a] : ends[a + 1]]:
                if b > a:
                    line[starts[b] + np.int64(records[i, b])] += 1
    return (counts + counts.T).astype(np.float32)
