"""The compiled loops of belief propagation: numba, so that nothing but Python is needed to install; compiled once, then cached.

`program` says what the arrays hold. A node's table is put together, exponentiated and summed a block at a time, so that a block stays in
the processor's nearest cache: each cell is written once on the way up and read once on the way down. Loops run over slices, for numba makes
vector instructions of those; sums may be split over the lanes of a vector, but threads never matter.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int64]

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
WHOLE = 6755399441055744.0
"""1.5 * 2^52: added to a smaller number it leaves the nearest whole one in the last bits."""
LEAST = -708.0
"""Below this exp is taken to be 0: it is less than the smallest normal number."""
_2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13 = (1 / math.factorial(k) for k in range(2, 14))


@njit(cache=True)
def exp(x: float) -> float:
    """exp of a number that is not positive, to the last bit but one; exactly 0 for minus infinity.

    exp(x) = 2^k exp(r) with k whole and |r| <= log(2) / 2: 2^k is set by its exponent bits, exp(r) is its series.
    """
    held = max(x, LEAST)
    shifted = held * LOG2_E + WHOLE
    k = shifted - WHOLE
    r = held - k * LN2_HIGH - k * LN2_LOW
    tail = _8 + r * (_9 + r * (_10 + r * (_11 + r * (_12 + r * _13))))
    series = 1.0 + r * (1.0 + r * (_2 + r * (_3 + r * (_4 + r * (_5 + r * (_6 + r * (_7 + r * tail)))))))
    power = (np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)
    return series * np.int64(power).view(np.float64) if x >= LEAST else 0.0


@njit(cache=True)
def up(
    nodes: Places, tops: Places, steps: Places, members: Places, order: NDArray[np.int32], memory: Vector, cells: Vector, sums: Vector
) -> float:
    """From potentials to messages, children before parents; returns log Z.

    Afterwards a node's cells times the scale of their row are p(new columns | separator).
    """
    log_z = 0.0
    for n in range(len(nodes) - 1, -1, -1):
        start, size, block, row, rows, message, scale, weight = nodes[n, :8]
        first_top, last_top, first_step, last_step, first_member, last_member = nodes[n, 8:]
        _scattered(members[first_member:last_member], order, memory)
        for s in range(last_step - 1, first_step - 1, -1):
            host, place, along, post, reduced, fresh = steps[s]
            if fresh:
                memory[host : host + along * reduced] = 0
            spread(memory[host : host + along * reduced], memory[place : place + reduced], along, post)
        each = block // row
        for b in range(size // block):
            table = cells[start + b * block : start + (b + 1) * block]
            table[:] = 0
            for t in range(first_top, last_top):
                source, _, along, post = tops[t]
                if post >= block:
                    place = source + _part(b, along, post // block) * block
                    added(table, memory[place : place + block])
                else:
                    place = source + b * (block // along)
                    spread(table, memory[place : place + block // along], along, post)
            _exponentials(table.reshape(each, row), memory[scale + b * each : scale + (b + 1) * each], sums[b * each : (b + 1) * each])
        _normalised(cells[start : start + size], row, rows, memory[scale : scale + size // row], sums, memory[message:])
        if weight < 0:
            log_z += memory[message]
    return log_z


@njit(cache=True)
def down(
    nodes: Places,
    tops: Places,
    steps: Places,
    members: Places,
    order: NDArray[np.int32],
    memory: Vector,
    cells: Vector,
    belief: Vector,
    total: float,
) -> None:
    """After `up`, from messages to the marginals of all members, in rows; parents before children. belief: room for a block."""
    for n in range(len(nodes)):
        start, size, block, row, rows, _, scale, weight = nodes[n, :8]
        first_top, last_top, first_step, last_step, first_member, last_member = nodes[n, 8:]
        for t in range(first_top, last_top):
            sink = tops[t, 1]
            memory[sink : sink + size // tops[t, 2]] = 0
        here = belief[:block]
        each = block // row
        for b in range(size // block):
            copied(here, cells[start + b * block : start + (b + 1) * block])
            lines = here.reshape(each, row)
            for i in range(each):
                r = b * each + i
                factor = memory[scale + r] * (memory[weight + r // rows] if weight >= 0 else total)
                for j in range(row):
                    lines[i, j] *= factor
            for t in range(first_top, last_top):
                _, sink, along, post = tops[t]
                if post >= block:
                    place = sink + _part(b, along, post // block) * block
                    added(memory[place : place + block], here)
                else:
                    place = sink + b * (block // along)
                    collected(here, memory[place : place + block // along], along, post)
        for s in range(first_step, last_step):
            host, place, along, post, reduced, _ = steps[s]
            memory[place : place + reduced] = 0
            collected(memory[host : host + along * reduced], memory[place : place + reduced], along, post)
        _gathered(members[first_member:last_member], order, memory)


@njit(cache=True)
def chain(nodes: Places, memory: Vector, cells: Vector) -> None:
    """After `up`, turns every node's cells into p(new columns | separator)."""
    for n in range(len(nodes)):
        start, size, _, row, _, _, scale, _ = nodes[n, :8]
        lines = cells[start : start + size].reshape(size // row, row)
        for i in range(size // row):
            for j in range(row):
                lines[i, j] *= memory[scale + i]


@njit(cache=True)
def _part(b: int, along: int, across: int) -> int:
    """Which block of a table a block of the node falls on, where the table lacks a column of `along` cells."""
    return b // (along * across) * across + b % across


@njit(cache=True)
def added(left: Vector, right: Vector) -> None:
    """Adds one table to another."""
    for i in range(len(left)):
        left[i] += right[i]


@njit(cache=True)
def copied(left: Vector, right: Vector) -> None:
    """Makes one table the other: numba compiles an assignment of slices with all that numpy's might have to say, for seconds."""
    for i in range(len(left)):
        left[i] = right[i]


@njit(cache=True)
def spread(wide: Vector, narrow: Vector, along: int, post: int) -> None:
    """Adds a table to every slice of one that has a column of `along` cells more; `post` cells of later columns."""
    count = len(narrow) // post
    if post == 1:
        lines = wide.reshape(count, along)
        for i in range(count):
            value = narrow[i]
            for k in range(along):
                lines[i, k] += value
    else:
        both, runs = wide.reshape(count, along, post), narrow.reshape(count, post)
        for i in range(count):
            for k in range(along):
                for j in range(post):
                    both[i, k, j] += runs[i, j]


@njit(cache=True, fastmath={"reassoc"})
def collected(wide: Vector, narrow: Vector, along: int, post: int) -> None:
    """The transpose of `spread`: adds the sums along that column."""
    count = len(narrow) // post
    if post == 1:
        lines = wide.reshape(count, along)
        for i in range(count):
            value = 0.0
            for k in range(along):
                value += lines[i, k]
            narrow[i] += value
    else:
        both, runs = wide.reshape(count, along, post), narrow.reshape(count, post)
        for i in range(count):
            for k in range(along):
                for j in range(post):
                    runs[i, j] += both[i, k, j]


@njit(cache=True)
def _scattered(members: Places, order: NDArray[np.int32], memory: Vector) -> None:
    """Lays the members' tables where the steps or the node find them, their axes in the node's order."""
    for m in range(len(members)):
        source, _, place, size, turned, fresh = members[m]
        table, own = memory[place : place + size], memory[source : source + size]
        if fresh:
            table[:] = 0
        if turned < 0:
            added(table, own)
        else:
            turn = order[turned : turned + size]
            for i in range(size):
                table[turn[i]] += own[i]


@njit(cache=True)
def _gathered(members: Places, order: NDArray[np.int32], memory: Vector) -> None:
    """The other way round."""
    for m in range(len(members)):
        _, sink, place, size, turned, _ = members[m]
        table, own = memory[place : place + size], memory[sink : sink + size]
        if turned < 0:
            copied(own, table)
        else:
            turn = order[turned : turned + size]
            for i in range(size):
                own[i] = table[turn[i]]


@njit(cache=True)
def _exponentials(lines: NDArray[np.float64], tops: Vector, sums: Vector) -> None:
    """Each row as exp(row - its largest), with the largest and the sum."""
    for i in range(len(lines)):
        tops[i] = top = largest(lines[i])
        if top > -np.inf:
            for j in range(lines.shape[1]):
                lines[i, j] -= top
    flat = lines.reshape(lines.size)
    for j in range(len(flat)):
        flat[j] = exp(flat[j])
    for i in range(len(lines)):
        sums[i] = summed(lines[i])


@njit(cache=True, fastmath={"reassoc"})
def summed(line: Vector) -> float:
    """The sum of some numbers."""
    total = 0.0
    for j in range(len(line)):
        total += line[j]
    return total


@njit(cache=True, fastmath={"nnan", "nsz", "reassoc"})
def largest(line: Vector) -> float:
    """The largest of some numbers that are not NaN."""
    top = float(line[0])
    for j in range(1, len(line)):
        top = max(top, line[j])
    return top


@njit(cache=True)
def _normalised(cells: Vector, row: int, rows: int, scales: Vector, sums: Vector, message: Vector) -> None:
    """The message of every separator cell, from the largest exponents (in `scales`, which becomes what the rows are multiplied with).

    A separator cell with nothing allowed gets message -inf and a uniform conditional.
    """
    for s in range(len(scales) // rows):
        tops, own = scales[s * rows : (s + 1) * rows], sums[s * rows : (s + 1) * rows]
        top = largest(tops)
        if top == -np.inf:
            message[s] = top
            cells[s * rows * row : (s + 1) * rows * row] = 1.0
            tops[:] = 1.0 / (rows * row)
            continue
        total = 0.0
        for i in range(rows):
            tops[i] = exp(tops[i] - top)
            total += tops[i] * own[i]
        for i in range(rows):
            tops[i] /= total
        message[s] = top + math.log(total)


@njit(cache=True, fastmath={"reassoc"})
def dot(left: Vector, right: Vector) -> float:
    """Inner product."""
    total = 0.0
    for i in range(len(left)):
        total += left[i] * right[i]
    return total
