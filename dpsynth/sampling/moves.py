"""How columns that rules tie together are drawn anew without ever leaving what can occur.

One column after the other, each among the cells that the others allow. Where they allow hardly any other cell, all columns of a table or
group at once: of five columns exactly one of which is true none can move alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.tied import tied_groups
from dpsynth.inference.zeros import StructuralZeros, Zeros

MOST_TOGETHER = 512
"""Combinations that are drawn at once, at most."""

FREE = 0.25
"""Share of a column's other cells that it can move to, on average, for moves of one column to be enough."""

TABLE_CELLS = 1 << 16
Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moves:
    """All moves of one sweep, laid out one after the other for the compiled loop.

    A move draws the columns columns[ends[m]:ends[m + 1]] anew, among counts[m] candidates, whose cells start at candidates[first[m]].
    Candidates are kept to the tables checks[check_ends[m]:check_ends[m + 1]]: table t has the columns members[member_ends[t] : ...], with
    these strides, in `allowed` from offsets[t] on.
    """

    columns: Whole
    ends: Whole
    candidates: NDArray[np.uint16]
    first: Whole
    counts: Whole
    checks: Whole
    check_ends: Whole
    members: Whole
    strides: Whole
    member_ends: Whole
    offsets: Whole
    allowed: NDArray[np.bool_]

    @property
    def tied(self) -> Whole:
        """The columns that are drawn here and not by the ordinary sweep."""
        return np.unique(self.columns)


def moves(domain: Domain, zeros: Zeros) -> Moves | None:
    """The moves of all columns that zeros name; None where there are none."""
    if not zeros:
        return None
    tables: list[StructuralZeros] = []
    steps: list[tuple[Clique, NDArray[np.uint16], list[int]]] = []
    for columns, own in tied_groups(domain, zeros):
        joint = _joint(domain, columns, own)
        if joint is not None:
            steps.append((columns, joint, []))
            continue
        known = list(range(len(tables), len(tables) + len(own)))
        tables.extend(own)
        steps.extend(_steps(domain, columns, list(zip(known, own, strict=True))))
    return _laid_out(domain, steps, tables)


def _joint(domain: Domain, columns: Clique, zeros: Zeros) -> NDArray[np.uint16] | None:
    """uint16[combinations, columns]: everything that a whole group can hold, if it is little."""
    if domain.cells(columns) > TABLE_CELLS:
        return None
    allowed = np.ones(domain.shape(columns), dtype=bool)
    for zero in zeros:
        allowed &= zero.allowed.reshape([domain.size[c] if c in zero.clique else 1 for c in columns])
    return np.argwhere(allowed).astype(np.uint16) if _stuck(allowed) else None


def _stuck(allowed: NDArray[np.bool_]) -> bool:
    """Whether single columns can hardly move, and all of them together have few enough combinations."""
    combinations = int(allowed.sum())
    if combinations > MOST_TOGETHER:
        return False
    moves = [(np.where(allowed, allowed.sum(axis=i, keepdims=True) - 1, 0).sum(), n - 1) for i, n in enumerate(allowed.shape) if n > 1]
    return min((float(others) / (combinations * most) for others, most in moves), default=1.0) < FREE


def _steps(
    domain: Domain, columns: Clique, zeros: Sequence[tuple[int, StructuralZeros]]
) -> list[tuple[Clique, NDArray[np.uint16], list[int]]]:
    """Small tables at once, all other columns one by one."""
    found = []
    for place, zero in zeros:
        if _stuck(zero.allowed):
            others = [p for p, other in zeros if p != place and set(other.clique) & set(zero.clique)]
            found.append((zero.clique, np.argwhere(zero.allowed).astype(np.uint16), others))
    left = [c for c in columns if not any(c in clique for clique, _, _ in found)]
    cells = {c: np.arange(domain.size[c], dtype=np.uint16)[:, None] for c in left}
    return [*found, *(((c,), cells[c], [p for p, zero in zeros if c in zero.clique]) for c in left)]


def _laid_out(domain: Domain, steps: Sequence[tuple[Clique, NDArray[np.uint16], list[int]]], tables: Sequence[StructuralZeros]) -> Moves:
    strides = [np.cumprod([1, *zero.allowed.shape[:0:-1]])[::-1] for zero in tables]
    return Moves(
        columns=_whole([domain.position[c] for columns, _, _ in steps for c in columns]),
        ends=_ends([len(columns) for columns, _, _ in steps]),
        candidates=np.concatenate([cells.reshape(-1) for _, cells, _ in steps]),
        first=_ends([cells.size for _, cells, _ in steps])[:-1],
        counts=_whole([len(cells) for _, cells, _ in steps]),
        checks=_whole([place for _, _, places in steps for place in places]),
        check_ends=_ends([len(places) for _, _, places in steps]),
        members=_whole([domain.position[c] for zero in tables for c in zero.clique]),
        strides=_whole([stride for each in strides for stride in each.tolist()]),
        member_ends=_ends([len(zero.clique) for zero in tables]),
        offsets=_ends([zero.allowed.size for zero in tables])[:-1],
        allowed=np.concatenate([np.zeros(0, dtype=bool), *(zero.allowed.reshape(-1) for zero in tables)]),
    )


def _whole(values: Sequence[int]) -> Whole:
    return np.array(values, dtype=np.int64)


def _ends(lengths: Sequence[int]) -> Whole:
    return np.cumsum([0, *lengths], dtype=np.int64)
