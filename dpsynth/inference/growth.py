"""What one more clique would cost a junction tree, in microseconds.

The order in which columns are eliminated decides which ones a new clique joins beside its own: eliminated early, a column ties together all
that depends on it. A filled graph has orders that end in any column and add nothing (see `filled`), so a clique is also tried with each of
its own columns last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

from dpsynth.domain import Clique, Domain
from dpsynth.inference.filled import Filled, filled
from dpsynth.inference.junction import elimination_order

Edges = frozenset[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Growth:
    """A filled graph of some cliques, from which larger ones grow.

    edges: what the cliques themselves join, before anything is filled in. filled: with that, in the order in which it was made.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    edges: Edges
    filled: Filled
    _ending: dict[str, Filled] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """Cells of the tree's nodes together."""
        return self.filled.cells

    def cells_with(self, clique: Clique) -> int:
        """Cells of the tree's nodes once it holds this clique too, in the best of a few orders; yet another one may need fewer."""
        return self._best(clique)[1]

    def fits(self, clique: Clique, cells: int) -> bool:
        """Whether `cells_with` is at most so many: the first order that says so is enough."""
        return self._best(clique, cells)[1] <= cells

    def grown(self, clique: Clique) -> "Growth":
        """With this clique: in the best of those orders, or in a new one where something had to be filled in and that needs fewer cells."""
        cliques = (*self.cliques, clique)
        same = Growth(self.domain, cliques, self.edges.union(combinations(clique, 2)), self._best(clique)[0].joined(clique))
        if same.filled.edges == len(same.edges):
            return same
        return min(same, growth(self.domain, cliques), key=lambda each: each.cells)

    def nodes(self) -> list[Clique]:
        """The column groups of the tree."""
        return [self.domain.clique(group) for group in self.filled.groups()]

    def _best(self, clique: Clique, enough: int = 0) -> tuple[Filled, int]:
        """The order in which the clique needs the fewest cells, and these; the first one where it needs no more than `enough`."""
        cells, edges = self.filled.cost(clique)
        if cells <= enough or edges == len(self.edges) + sum(edge not in self.edges for edge in combinations(clique, 2)):
            return self.filled, cells  # few enough, or nothing is filled in
        orders = [self.filled, *map(self._ending_in, clique)]
        costs = [cells, *(order.cost(clique)[0] for order in orders[1:])]
        least = min(range(len(orders)), key=costs.__getitem__)
        return orders[least], costs[least]

    def _ending_in(self, column: str) -> Filled:
        if column not in self._ending:
            self._ending[column] = self.filled.ending_in(column)
        return self._ending[column]


def growth(domain: Domain, cliques: Iterable[Clique] = ()) -> Growth:
    """The filled graph of these cliques, in the best elimination order that is known."""
    cliques = tuple(cliques)
    edges = frozenset(edge for clique in cliques for edge in combinations(clique, 2))
    return Growth(domain, cliques, edges, filled(domain, elimination_order(domain, cliques), cliques))
