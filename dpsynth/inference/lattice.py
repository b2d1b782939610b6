"""Tables over subsets of a node's columns, spread over the node and summed back, by way of shared tables one column apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.propagation import collect, spread

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """Cliques that are part of a node, and stopovers on the way to them, so that each sum runs over one column of one table.

    steps: (columns in the node's order, shape, place of its host among the steps), wider ones first; a host is one column wider. Step 0 is
    the node itself. places: of each clique among the steps. turns: the axes of each clique's own table in the node's order.
    """

    steps: tuple[tuple[Clique, tuple[int, ...], int], ...]
    places: tuple[int, ...]
    turns: tuple[tuple[int, ...], ...]

    def lift(self, tables: Sequence[Table]) -> Table:
        """float64[shape of the node]: the sum of the cliques' tables, each spread over the node."""
        sums: list[Table | None] = [None] * len(self.steps)
        for place, turn, table in zip(self.places, self.turns, tables, strict=True):
            sums[place] = np.ascontiguousarray(table.transpose(turn))
        for place in reversed(range(1, len(self.steps))):
            clique, _, host = self.steps[place]
            onto, shape, _ = self.steps[host]
            table = spread(_known(sums[place]), clique, onto)
            known = sums[host]
            sums[host] = np.broadcast_to(table, shape) if known is None else known + table
        return np.zeros(self.steps[0][1]) if sums[0] is None else sums[0]

    def lower(self, table: Table) -> list[Table]:
        """The transpose of `lift`: the node's table summed to each clique."""
        found: list[Table] = [table]
        for clique, _, host in self.steps[1:]:
            found.append(collect(found[host], self.steps[host][0], clique))
        return [found[place].transpose(np.argsort(turn)) for place, turn in zip(self.places, self.turns, strict=True)]


def lattice(domain: Domain, node: Clique, cliques: Sequence[Clique]) -> Lattice:
    """The lattice of these cliques, all of them part of the node; the axes of their tables are in their own order."""
    along = [tuple(sorted(clique, key=node.index)) for clique in cliques]
    host_of: dict[Clique, Clique] = {}
    _route(domain, node, dict.fromkeys(along), host_of)
    order = [node, *sorted(host_of, key=len, reverse=True)]
    place = {clique: i for i, clique in enumerate(order)}
    steps = tuple((clique, domain.shape(clique), place[host_of[clique]] if i else -1) for i, clique in enumerate(order))
    turns = tuple(tuple(clique.index(column) for column in turned) for clique, turned in zip(cliques, along, strict=True))
    return Lattice(steps, tuple(place[clique] for clique in along), turns)


def _route(domain: Domain, wide: Clique, cliques: Iterable[Clique], host_of: dict[Clique, Clique]) -> None:
    """Gives every clique a host: the column that most of them lack (the largest of equals) is summed out for all these at once."""
    left = [clique for clique in cliques if len(clique) < len(wide) and clique not in host_of]
    while left:
        lacking = {column: sum(column not in clique for clique in left) for column in wide}
        column = max(wide, key=lambda c: (lacking[c], domain.size[c], c))
        narrow = tuple(c for c in wide if c != column)
        host_of.setdefault(narrow, wide)
        _route(domain, narrow, [clique for clique in left if column not in clique], host_of)
        left = [clique for clique in left if column in clique]


def _known(table: Table | None) -> Table:
    assert table is not None, "every step but the node carries a clique or leads to one"
    return table
