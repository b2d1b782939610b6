"""Filled graphs as bit masks: what eliminating columns in some order joins.

up[v] holds the later columns that v is joined with by the time it is eliminated. A new clique changes up[v] of its first column v, then of
the first column of the new up[v], and so on until nothing changes: a few operations on integers. The groups {v} + up[v] that are no up[c]
themselves are the nodes of a junction tree.
Sources: elimination trees of sparse factorisation, Liu, SIAM J. Matrix Anal. Appl. 11, 1990; perfect orders, Rose, J. Math. Anal.
Appl. 32, 1970.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dpsynth.domain import Clique, Domain
from dpsynth.inference.junction import bit_places


@dataclass(frozen=True, eq=False)
class Filled:
    """A filled graph in one order. numbers: of each column, as they are eliminated. up: later neighbours of each number, as bits.

    cells_of: of any group in this order.
    """

    numbers: dict[str, int]
    up: tuple[int, ...]
    cells_of: "_Cells"

    @cached_property
    def cells(self) -> int:
        """Of the nodes of the junction tree together."""
        return sum(map(self.cells_of.__getitem__, self._nodes))

    @cached_property
    def edges(self) -> int:
        """Pairs of columns that it joins."""
        return sum(map(int.bit_count, self.up))

    def cost(self, clique: Clique) -> tuple[int, int]:
        """Cells and edges with the columns of the clique joined, and what that fills in."""
        cells, edges = self.cells, self.edges
        changed = self._changed(clique)
        held = self._held.copy() if changed else {}
        touched: set[int] = set()
        for v, later in changed.items():
            before = self.up[v]
            edges += (later ^ before).bit_count()
            held[before] -= 1
            held[later] = held.get(later, 0) + 1
            touched.update((before, later, before | 1 << v, later | 1 << v))
        for group in touched:
            if group:
                v = (group & -group).bit_length() - 1
                rest = group ^ 1 << v
                cells -= self.cells_of[group] if self.up[v] == rest and not self._held.get(group) else 0
                cells += self.cells_of[group] if changed.get(v, self.up[v]) == rest and not held.get(group) else 0
        return cells, edges

    def joined(self, clique: Clique) -> "Filled":
        """With the columns of the clique joined and what that fills in; this object where they are joined already."""
        changed = self._changed(clique)
        up = tuple(changed.get(v, later) for v, later in enumerate(self.up))
        return Filled(self.numbers, up, self.cells_of) if changed else self

    def _changed(self, clique: Clique) -> dict[int, int]:
        """The later neighbours of the numbers that get more of them."""
        bits, found = sum(1 << self.numbers[column] for column in clique), {}
        while bits:
            v = (bits & -bits).bit_length() - 1
            later = self.up[v] | (bits & (bits - 1))
            if later == self.up[v]:
                break
            found[v] = bits = later
        return found

    @cached_property
    def _held(self) -> dict[int, int]:
        """How often each group is some number's later neighbours."""
        return dict(Counter(self.up))

    @property
    def _nodes(self) -> list[int]:
        """{v} + up[v], where that is not part of a larger group: then a c before v has it as its up[c]."""
        return [node for v, later in enumerate(self.up) if (node := later | 1 << v) not in self._held]

    def groups(self) -> list[list[str]]:
        """The columns of each node of the junction tree."""
        return [[column for column, v in self.numbers.items() if node >> v & 1] for node in self._nodes]

    def ending_in(self, column: str) -> "Filled":
        """The same graph in an order that ends in this column.

        Of the columns that the last ones of a group lead to, each group {v} + up[v] lies in the next one but for v. From this column's
        group outwards, every group adds its new columns; backwards that is an order of them, and all others keep theirs before it.
        """
        ups: dict[int, int] = {}
        seen, v = 0, self.numbers[column]
        while v >= 0:
            group = self.up[v] | 1 << v
            for u in [v, *bit_places(self.up[v])]:
                if u not in ups:
                    ups[u] = group & seen
                    seen |= 1 << u
            v = (self.up[v] & -self.up[v]).bit_length() - 1
        order = [*(v for v in range(len(self.up)) if v not in ups), *reversed(ups)]
        place = {v: i for i, v in enumerate(order)}
        up = tuple(sum(1 << place[u] for u in bit_places(ups.get(v, self.up[v]))) for v in order)
        numbers = {name: place[v] for name, v in self.numbers.items()}
        return Filled(numbers, up, _Cells([self.cells_of.sizes[v] for v in order]))


def filled(domain: Domain, order: Clique, cliques: Iterable[Clique]) -> Filled:
    """What eliminating the columns in this order joins."""
    found = Filled({column: v for v, column in enumerate(order)}, (0,) * len(order), _Cells([domain.size[column] for column in order]))
    for clique in cliques:
        found = found.joined(clique)
    return found


class _Cells(dict[int, int]):
    """Cells of a group of columns given as bits, each computed once."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = sizes

    def __missing__(self, group: int) -> int:
        cells = math.prod(self.sizes[v] for v in bit_places(group))
        self[group] = cells
        return cells
