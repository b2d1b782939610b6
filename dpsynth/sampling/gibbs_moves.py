"""The compiled loop of the Gibbs sampler for columns that rules tie together (see `moves`); the others are drawn by `gibbs_kernel`.

What it adds to logits, and how it keeps counts, is the same; combinations that cannot occur are no candidates.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dpsynth.sampling.gibbs_kernel import _GOLDEN, BLOCK, _exponentials, _scrambled
from dpsynth.sampling.moves import Moves

Single = NDArray[np.float32]
Whole = NDArray[np.int64]


def sweep_tied(
    records: NDArray[np.uint16], field: Single, pull: Single, base: Single, starts: Whole, sizes: Whole, terms: NDArray[np.bool_],
    drawn: Moves, state: np.uint64,
) -> None:  # fmt: skip
    """Draws the tied columns of every record anew, in place, move after move.

    field, pull, base, starts, sizes, state: as `gibbs_kernel.sweep` takes them; field is kept true. terms: bool[d, d], pairs with a term.
    """
    _sweep(
        records, field, pull, base, starts, sizes, terms, drawn.columns, drawn.ends, drawn.candidates, drawn.first, drawn.counts,
        drawn.checks, drawn.check_ends, drawn.members, drawn.strides, drawn.member_ends, drawn.offsets, drawn.allowed, state,
    )  # fmt: skip


@njit(nogil=True, fastmath=True, cache=True)
def _sweep(
    records: NDArray[np.uint16], field: Single, pull: Single, base: Single, starts: Whole, sizes: Whole, terms: NDArray[np.bool_],
    columns: Whole, ends: Whole, candidates: NDArray[np.uint16], first: Whole, counts: Whole,
    checks: Whole, check_ends: Whole, members: Whole, strides: Whole, member_ends: Whole, offsets: Whole, allowed: NDArray[np.bool_],
    state: np.uint64,
) -> None:  # fmt: skip
    kept, logits = np.empty(counts.max(), np.int64), np.empty(counts.max(), np.float32)
    powers = np.empty(counts.max(), np.int32)
    factors = powers.view(np.float32)
    cells, new = np.empty(len(base), np.float32), np.empty(len(sizes), np.int64)
    places = np.empty(max(1, np.diff(check_ends).max()), np.int64)
    steps = np.zeros((len(places), len(sizes)), np.int64)
    moves = len(counts)
    for turn in range(-(-records.shape[0] // BLOCK) * moves):
        block, m = records[turn // moves * BLOCK : (turn // moves + 1) * BLOCK], turn % moves
        own = columns[ends[m] : ends[m + 1]]
        options = candidates[first[m] : first[m] + counts[m] * len(own)].reshape((counts[m], len(own)))
        tables = checks[check_ends[m] : check_ends[m + 1]]
        mates = _mates_of(own, terms)
        _strides_of(own, tables, members, strides, member_ends, steps)
        for r in range(block.shape[0]):
            row = block[r]
            _cell_logits(row, own, mates, field, pull, base, starts, sizes, terms, cells)
            _places_of(row, own, tables, members, strides, member_ends, offsets, steps, places)
            found = 0
            for j in range(counts[m]):
                if _is_possible(options[j], places[: len(tables)], steps, allowed):
                    kept[found], logits[found] = j, _logit(row, own, options[j], field, pull, starts, terms, cells)
                    found += 1
            total = _exponentials(logits, found, powers, factors)
            state += _GOLDEN
            point = np.float32(_scrambled(state) >> np.uint64(40)) * np.float32(1 / 16777216) * total
            chosen, reached = 0, logits[0]
            while reached <= point and chosen < found - 1:
                chosen += 1
                reached += logits[chosen]
            for i in range(len(own)):
                new[i] = np.int64(options[kept[chosen], i])
            _move(row, own, new, mates, field, pull, starts, terms)


@njit(nogil=True)
def _mates_of(own: Whole, terms: NDArray[np.bool_]) -> Whole:
    """The columns that stay and have a term with one that moves."""
    staying = terms[own[0]].copy()
    for a in own:
        staying |= terms[a]
    for a in own:
        staying[a] = False
    return np.flatnonzero(staying)


@njit(nogil=True)
def _places_of(
    row: NDArray[np.uint16], own: Whole, tables: Whole, members: Whole, strides: Whole, member_ends: Whole, offsets: Whole,
    steps: NDArray[np.int64], places: Whole,
) -> None:  # fmt: skip
    """Fills places[t]: where the record stands in each table, if the moved columns were in their first cells."""
    for t in range(len(tables)):
        at = offsets[tables[t]]
        for k in range(member_ends[tables[t]], member_ends[tables[t] + 1]):
            at += strides[k] * np.int64(row[members[k]])
        for i in range(len(own)):
            at -= steps[t, i] * np.int64(row[own[i]])
        places[t] = at


@njit(nogil=True)
def _is_possible(option: NDArray[np.uint16], places: Whole, steps: NDArray[np.int64], allowed: NDArray[np.bool_]) -> bool:
    """Whether all tables allow a candidate."""
    for t in range(len(places)):
        at = places[t]
        for i in range(len(option)):
            at += steps[t, i] * np.int64(option[i])
        if not allowed[at]:
            return False
    return True


@njit(nogil=True)
def _strides_of(own: Whole, tables: Whole, members: Whole, strides: Whole, member_ends: Whole, steps: NDArray[np.int64]) -> None:
    """Fills steps[t, i]: how far a moved column's next cell is in a table; 0 in one without the column."""
    for t in range(len(tables)):
        for i in range(len(own)):
            steps[t, i] = 0
            for k in range(member_ends[tables[t]], member_ends[tables[t] + 1]):
                if members[k] == own[i]:
                    steps[t, i] = strides[k]


@njit(nogil=True, fastmath=True)
def _cell_logits(
    row: NDArray[np.uint16], own: Whole, mates: Whole, field: Single, pull: Single, base: Single, starts: Whole, sizes: Whole,
    terms: NDArray[np.bool_], cells: Single,
) -> None:  # fmt: skip
    """What each cell of the moved columns gets from the column itself and from all columns that stay."""
    for a in own:
        begin, size, old = starts[a], sizes[a], np.int64(row[a])
        for v in range(size):
            cells[begin + v] = base[begin + v]
        for b in mates:
            if terms[a, b]:
                line = field[starts[b] + np.int64(row[b])]
                cells[begin + old] += pull[starts[b] + np.int64(row[b]), begin + old]
                for v in range(begin, begin + size):
                    cells[v] += line[v]


@njit(nogil=True, fastmath=True)
def _logit(
    row: NDArray[np.uint16], own: Whole, option: NDArray[np.uint16], field: Single, pull: Single, starts: Whole, terms: NDArray[np.bool_],
    cells: Single,
) -> np.float32:  # fmt: skip
    """A candidate's logit: its cells', and what the pairs of moved columns add."""
    logit = np.float32(0)
    for i in range(len(own)):
        at = starts[own[i]] + np.int64(option[i])
        logit += cells[at]
        for k in range(i):
            if terms[own[i], own[k]]:
                other = starts[own[k]] + np.int64(option[k])
                logit += field[other, at]
                if option[i] == row[own[i]] and option[k] == row[own[k]]:
                    logit += pull[other, at]
    return logit


@njit(nogil=True)
def _move(
    row: NDArray[np.uint16], own: Whole, new: Whole, mates: Whole, field: Single, pull: Single, starts: Whole, terms: NDArray[np.bool_]
) -> None:
    """Takes the record's old cells out of the counts and its new ones in; both halves of the field."""
    for i in range(len(own)):
        a = own[i]
        leaves, comes = starts[a] + np.int64(row[a]), starts[a] + new[i]
        if leaves != comes:
            for b in mates:
                if terms[a, b]:
                    _count(field, pull, starts[b] + np.int64(row[b]), leaves, comes, starts[b] + np.int64(row[b]))
        for k in range(i):
            b = own[k]
            left, joined = starts[b] + np.int64(row[b]), starts[b] + new[k]
            if terms[a, b] and (leaves != comes or left != joined):
                _count(field, pull, left, leaves, comes, joined)
    for i in range(len(own)):
        row[own[i]] = new[i]


@njit(nogil=True)
def _count(field: Single, pull: Single, left: int, leaves: int, comes: int, joined: int) -> None:
    """A record leaves the pair of cells (left, leaves) for (joined, comes)."""
    field[left, leaves] += pull[left, leaves]
    field[joined, comes] -= pull[joined, comes]
    field[leaves, left], field[comes, joined] = field[left, leaves], field[joined, comes]
