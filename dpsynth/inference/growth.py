"""What one more clique would cost a junction tree, in microseconds: a filled graph kept as bit masks.

Columns are eliminated in a fixed order; up[v] holds the later columns that v is joined with by then. A new clique changes up[v] of its
first column v, then of the first column of the new up[v], and so on until nothing changes: a few operations on integers. The groups
{v} + up[v] that are no up[c] themselves are the nodes of a junction tree.
Source: elimination trees of sparse factorisation, Liu, SIAM J. Matrix Anal. Appl. 11, 1990.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dpsynth.domain import Clique, Domain
from dpsynth.inference.junction import elimination_order


@dataclass(frozen=True)
class Growth:
    """A filled graph of some cliques, columns numbered in the order of their elimination.

    numbers: of each column. up: later neighbours of each number, as bits. cells: of the tree's nodes together.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    numbers: dict[str, int]
    up: tuple[int, ...]
    cells: int
    _cells_of: "_Cells"

    def cells_with(self, clique: Clique) -> int:
        """Cells of the tree's nodes once it holds this clique too, in this order; another order may need fewer."""
        up = _joined(self.up, self._bits(clique))
        return self.cells if up is self.up else self._cells_of.tree(up)

    def grown(self, clique: Clique) -> "Growth":
        """With this clique: in this order, or in a new one where that needs fewer cells."""
        up = _joined(self.up, self._bits(clique))
        cliques = (*self.cliques, clique)
        same = Growth(self.domain, cliques, self.numbers, tuple(up), self._cells_of.tree(up), self._cells_of)
        return min(same, growth(self.domain, cliques), key=lambda each: each.cells)

    def nodes(self) -> list[Clique]:
        """The column groups of the tree."""
        columns = sorted(self.numbers, key=self.numbers.__getitem__)
        return [self.domain.clique(columns[v] for v in range(len(columns)) if node >> v & 1) for node in _nodes(self.up)]

    def _bits(self, clique: Clique) -> int:
        return sum(1 << self.numbers[column] for column in clique)


def growth(domain: Domain, cliques: Iterable[Clique] = ()) -> Growth:
    """The filled graph of these cliques, in the best elimination order that is known."""
    cliques = tuple(cliques)
    order = elimination_order(domain, cliques)
    numbers = {column: v for v, column in enumerate(order)}
    up: list[int] | tuple[int, ...] = [0] * len(order)
    for clique in cliques:
        up = _joined(up, sum(1 << numbers[column] for column in clique))
    cells_of = _Cells(tuple(domain.size[column] for column in order))
    return Growth(domain, cliques, numbers, tuple(up), cells_of.tree(up), cells_of)


class _Cells(dict[int, int]):
    """Cells of a group of columns given as bits, each computed once."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self._sizes = sizes

    def __missing__(self, group: int) -> int:
        cells = math.prod(size for v, size in enumerate(self._sizes) if group >> v & 1)
        self[group] = cells
        return cells

    def tree(self, up: Iterable[int]) -> int:
        return sum(map(self.__getitem__, _nodes(up)))


def _nodes(up: Iterable[int]) -> list[int]:
    """{v} + up[v], where that is not part of a larger group: then a c before v has it as its up[c]."""
    up = tuple(up)
    held = set(up)
    return [node for v, later in enumerate(up) if (node := later | 1 << v) not in held]


def _joined(up: list[int] | tuple[int, ...], bits: int) -> list[int] | tuple[int, ...]:
    """The neighbours once all columns of the bits are joined, filled in; the same object where they are joined already."""
    changed = up
    while bits:
        v = (bits & -bits).bit_length() - 1
        later = changed[v] | (bits & (bits - 1))
        if later == changed[v]:
            break
        if changed is up:
            changed = list(up)
        changed[v] = later  # type: ignore[index]
        bits = later
    return changed
