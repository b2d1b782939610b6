"""Junction trees: groups of columns joined so that each column's groups hang together, with their memory known beforehand."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import networkx as nx

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.workload import maximal

Neighbours = dict[int, set[int]]
Cost = Callable[[Domain, Neighbours, int], tuple[float, float]]

CELL_LIMIT = 1 << 26
"""Cells of all node tables together: 512 MB for each float64 copy, of which a fit holds about four."""


@dataclass(frozen=True)
class Join:
    """How the table of a node's separator lies in its parent's table.

    order: the separator's axes as the parent has them; back: the other way round. across: its shape as it broadcasts over the parent's.
    dropped: the parent's axes that it lacks.
    """

    order: tuple[int, ...]
    back: tuple[int, ...]
    across: tuple[int, ...]
    dropped: tuple[int, ...]


@dataclass(frozen=True)
class JunctionTree:
    """Nodes with parents before children; unconnected parts hang together by empty separators, so there is one root, node 0.

    nodes: columns of each node, in the order of its table: first its separator, then the columns no earlier node has, the largest last
    (numpy sums and spreads over any axis fastest where the last one is long).
    parents: place of each node's parent, -1 for the root. separators: the columns shared with it, in domain order.
    """

    domain: Domain
    nodes: tuple[Clique, ...]
    parents: tuple[int, ...]
    separators: tuple[Clique, ...]

    @property
    def cells(self) -> int:
        """Cells of all node tables together."""
        return sum(self.domain.cells(node) for node in self.nodes)

    @cached_property
    def joins(self) -> tuple[Join, ...]:
        """For each node; the root's joins nothing."""
        return tuple(
            _join(self.domain, separator, self.nodes[parent] if parent >= 0 else ())
            for separator, parent in zip(self.separators, self.parents, strict=True)
        )

    def new_columns(self, node: int) -> Clique:
        """The columns of a node that no earlier node has."""
        return self.nodes[node][len(self.separators[node]) :]

    def host(self, clique: Clique) -> int | None:
        """The smallest node that holds all columns of the clique (the first of equals), None where there is none."""
        wanted = set(clique)
        holding = [i for i, node in enumerate(self.nodes) if wanted.issubset(node)]
        return min(holding, key=lambda i: self.domain.cells(self.nodes[i]), default=None)


def _join(domain: Domain, separator: Clique, parent: Clique) -> Join:
    kept = [column for column in parent if column in separator]
    across = tuple(domain.size[column] if column in separator else 1 for column in parent)
    dropped = tuple(axis for axis, column in enumerate(parent) if column not in separator)
    return Join(tuple(map(separator.index, kept)), tuple(map(kept.index, separator)), across, dropped)


def junction_tree(domain: Domain, cliques: Iterable[Clique], limit: int = CELL_LIMIT) -> JunctionTree:
    """A tree whose nodes hold every clique and every column of the domain.

    Raises SpecError where its tables would have more than `limit` cells together; nothing of that size is made before.
    Source: Lauritzen and Spiegelhalter, 1988; nodes by greedy elimination, joined by a maximum spanning tree over separator sizes.
    """
    groups = tree_nodes(domain, cliques)
    cells = sum(domain.cells(group) for group in groups)
    if cells > limit:
        largest = max(groups, key=domain.cells)
        raise SpecError(
            f"the model needs tables of {cells} cells and at most {limit} are allowed (the largest joins {list(largest)}): "
            "measure fewer or smaller cliques, or give these columns fewer bins or values"
        )
    return _rooted(domain, groups)


def tree_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Cells of the tables of the junction tree these cliques need; makes no table."""
    return sum(domain.cells(group) for group in tree_nodes(domain, cliques))


def tree_nodes(domain: Domain, cliques: Iterable[Clique]) -> list[Clique]:
    """The column groups of the best of three greedy elimination orders."""
    return _best(domain, cliques)[1]


def elimination_order(domain: Domain, cliques: Iterable[Clique]) -> Clique:
    """The order of the columns in which eliminating them makes the groups of `tree_nodes`."""
    return _best(domain, cliques)[0]


def _best(domain: Domain, cliques: Iterable[Clique]) -> tuple[Clique, list[Clique]]:
    """Orders and groups by three greedy costs: fewest new edges, smallest table, fewest cells joined by new edges."""
    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(range(len(domain.columns)))
    for clique in cliques:
        graph.add_edges_from(combinations(sorted(domain.position[column] for column in domain.clique(clique)), 2))
    tried = [_eliminated(domain, graph, cost) for cost in (_new_edges, _table, _new_cells)]
    return min(tried, key=lambda each: sum(domain.cells(group) for group in each[1]))


def _eliminated(domain: Domain, graph: nx.Graph, cost: Cost) -> tuple[Clique, list[Clique]]:
    """Columns by the cheapest one left, ties to the earlier, and the maximal groups this makes."""
    neighbours = {v: set(graph.adj[v]) for v in graph.nodes}
    costs = {v: cost(domain, neighbours, v) for v in neighbours}
    order, groups = [], []
    while neighbours:
        chosen = min(costs, key=lambda v: (costs[v], v))
        around = neighbours.pop(chosen)
        del costs[chosen]
        order.append(domain.columns[chosen])
        groups.append(tuple(domain.columns[v] for v in sorted({chosen, *around})))
        for v in around:
            neighbours[v] = (neighbours[v] | around) - {v, chosen}
        touched = around.union(*(neighbours[v] for v in around))
        costs.update({v: cost(domain, neighbours, v) for v in touched})
    return tuple(order), sorted(maximal(groups), key=lambda group: [domain.position[column] for column in group])


def _new_edges(domain: Domain, neighbours: Neighbours, v: int) -> tuple[float, float]:
    return len(_fill(neighbours, v)), _size(domain, neighbours, v)


def _table(domain: Domain, neighbours: Neighbours, v: int) -> tuple[float, float]:
    return _size(domain, neighbours, v), len(_fill(neighbours, v))


def _new_cells(domain: Domain, neighbours: Neighbours, v: int) -> tuple[float, float]:
    return sum(domain.sizes[a] * domain.sizes[b] for a, b in _fill(neighbours, v)), _size(domain, neighbours, v)


def _fill(neighbours: Neighbours, v: int) -> list[tuple[int, int]]:
    return [(a, b) for a, b in combinations(sorted(neighbours[v]), 2) if b not in neighbours[a]]


def _size(domain: Domain, neighbours: Neighbours, v: int) -> float:
    return math.log(domain.sizes[v]) + math.fsum(math.log(domain.sizes[u]) for u in neighbours[v])


def _rooted(domain: Domain, groups: Sequence[Clique]) -> JunctionTree:
    """Joins groups by a maximum spanning tree and orders them from the largest group outwards."""
    shared: nx.Graph = nx.Graph()
    shared.add_nodes_from(range(len(groups)))
    sets = [frozenset(group) for group in groups]
    shared.add_weighted_edges_from((i, j, len(sets[i] & sets[j])) for i, j in combinations(range(len(groups)), 2))
    tree = nx.maximum_spanning_tree(shared)
    root = max(range(len(groups)), key=lambda i: (domain.cells(groups[i]), -i))
    order, parent = [root], {root: -1}
    for group in order:
        for other in sorted(tree.adj[group]):
            if other not in parent:
                parent[other] = group
                order.append(other)
    place = {group: i for i, group in enumerate(order)}
    separators = [domain.clique(sets[g] & sets[parent[g]]) if parent[g] >= 0 else () for g in order]
    nodes = tuple(s + _by_size(domain, (c for c in groups[g] if c not in s)) for g, s in zip(order, separators, strict=True))
    parents = tuple(place[parent[g]] if parent[g] >= 0 else -1 for g in order)
    return JunctionTree(domain, nodes, parents, tuple(separators))


def _by_size(domain: Domain, columns: Iterable[str]) -> Clique:
    return tuple(sorted(columns, key=lambda column: (domain.size[column], domain.position[column])))
