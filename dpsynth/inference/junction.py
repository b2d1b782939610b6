"""Junction trees: groups of columns joined so that each column's groups hang together, with their memory known beforehand."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError

Sizes = Sequence[int]
Neighbours = Sequence[int]
"""Of each column, as bits; columns by their place in the domain."""

Cost = Callable[[Sizes, Neighbours, int], tuple[int, int, int]]

CELL_LIMIT = 1 << 26
"""Cells of all node tables together."""

BYTES_PER_CELL = 32
"""Of a fit at most: one table of float64, and with narrow nodes as much again for each of potentials, gradients and L-BFGS' memory."""


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

    @cached_property
    def first(self) -> dict[str, int]:
        """The first node that holds each column."""
        return {column: node for node in range(len(self.nodes)) for column in self.new_columns(node)}

    def new_columns(self, node: int) -> Clique:
        """The columns of a node that no earlier node has."""
        return self.nodes[node][len(self.separators[node]) :]

    def host(self, clique: Clique) -> int | None:
        """The smallest node that holds all columns of the clique (the first of equals), None where there is none."""
        order, holding = self._holding
        nodes = (1 << len(order)) - 1
        for column in clique:
            nodes &= holding[column]
        return order[(nodes & -nodes).bit_length() - 1] if nodes else None

    @cached_property
    def _holding(self) -> tuple[list[int], dict[str, int]]:
        """Nodes by size, and for each column those that hold it, as bits in that order."""
        order = sorted(range(len(self.nodes)), key=lambda i: self.domain.cells(self.nodes[i]))
        holding = dict.fromkeys(self.domain.columns, 0)
        for bit, i in enumerate(order):
            for column in self.nodes[i]:
                holding[column] |= 1 << bit
        return order, holding


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
            f"the model needs tables of {cells} cells, {_mib(cells)} MiB in a fit, and at most {limit} are allowed, {_mib(limit)} MiB "
            f"(the largest joins {list(largest)}): "
            "measure fewer or smaller cliques, or give these columns fewer bins or values"
        )
    return _rooted(domain, groups)


def _mib(cells: int) -> str:
    """MiB that a fit with so many cells holds."""
    return f"{math.ceil(cells * BYTES_PER_CELL / 2**20):,}"


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
    """Orders and groups by three greedy costs: fewest new edges, smallest table, fewest cells joined by new edges.

    Where the first needs no new edge, as on a forest of pairs, the others are not tried.
    """
    joined = [0] * len(domain.columns)
    for clique in cliques:
        bits = _bits(domain, domain.clique(clique))
        for v in bit_places(bits):
            joined[v] |= bits & ~(1 << v)
    order, groups, new_edges = _eliminated(domain, joined, _by_edges)
    if not new_edges:
        return order, groups
    tried = [(order, groups), *(_eliminated(domain, joined, cost)[:2] for cost in (_by_table, _by_cells))]
    return min(tried, key=lambda each: sum(domain.cells(group) for group in each[1]))


def _eliminated(domain: Domain, joined: Sequence[int], cost: Cost) -> tuple[Clique, list[Clique], int]:
    """Columns by the cheapest one left, ties to the earlier, the maximal groups this makes, and how many edges it adds."""
    neighbours = list(joined)
    costs = {v: cost(domain.sizes, neighbours, v) for v in range(len(neighbours))}
    order, groups = [], []
    while costs:
        chosen = min(costs, key=costs.__getitem__)
        around = neighbours[chosen]
        del costs[chosen]
        order.append(domain.columns[chosen])
        groups.append(around | 1 << chosen)
        touched = around
        for v in bit_places(around):
            neighbours[v] = (neighbours[v] | around) & ~(1 << v | 1 << chosen)
            touched |= neighbours[v]
        for v in bit_places(touched):
            costs[v] = cost(domain.sizes, neighbours, v)
    largest = [group for i, group in enumerate(groups) if not any(group & earlier == group for earlier in groups[:i])]
    edges = sum(group.bit_count() - 1 for group in groups) - sum(map(int.bit_count, joined)) // 2
    return tuple(order), [tuple(domain.columns[v] for v in group) for group in sorted(map(bit_places, largest))], edges


def _by_edges(sizes: Sizes, neighbours: Neighbours, v: int) -> tuple[int, int, int]:
    return sum(len(missing) for _, missing in _fill(neighbours, v)), _cells(sizes, neighbours, v), v


def _by_table(sizes: Sizes, neighbours: Neighbours, v: int) -> tuple[int, int, int]:
    return _cells(sizes, neighbours, v), sum(len(missing) for _, missing in _fill(neighbours, v)), v


def _by_cells(sizes: Sizes, neighbours: Neighbours, v: int) -> tuple[int, int, int]:
    joined = sum(sizes[a] * sum(sizes[b] for b in missing) for a, missing in _fill(neighbours, v))
    return joined, _cells(sizes, neighbours, v), v


def _fill(neighbours: Neighbours, v: int) -> list[tuple[int, list[int]]]:
    """Neighbours of a column, each with the later ones that it is not joined to, where there are any."""
    left, found = neighbours[v], []
    for a in bit_places(left):
        left &= left - 1
        if missing := left & ~neighbours[a]:
            found.append((a, bit_places(missing)))
    return found


def _cells(sizes: Sizes, neighbours: Neighbours, v: int) -> int:
    return math.prod([sizes[u] for u in bit_places(neighbours[v])], start=sizes[v]) if neighbours[v] else sizes[v]


def _bits(domain: Domain, columns: Iterable[str]) -> int:
    return sum(1 << domain.position[column] for column in columns)


def bit_places(bits: int) -> list[int]:
    """Places of the bits that are set, in order."""
    found = []
    while bits:
        found.append((bits & -bits).bit_length() - 1)
        bits &= bits - 1
    return found


def _rooted(domain: Domain, groups: Sequence[Clique]) -> JunctionTree:
    """Joins groups by a maximum spanning tree and orders them from the largest group outwards."""
    edges = _spanning([_bits(domain, group) for group in groups])
    root = max(range(len(groups)), key=lambda i: (domain.cells(groups[i]), -i))
    order, parent = [root], {root: -1}
    for group in order:
        for other in sorted(edges[group]):
            if other not in parent:
                parent[other] = group
                order.append(other)
    place = {group: i for i, group in enumerate(order)}
    separators = [domain.clique(set(groups[g]).intersection(groups[parent[g]])) if parent[g] >= 0 else () for g in order]
    nodes = tuple(s + _by_size(domain, (c for c in groups[g] if c not in s)) for g, s in zip(order, separators, strict=True))
    parents = tuple(place[parent[g]] if parent[g] >= 0 else -1 for g in order)
    return JunctionTree(domain, nodes, parents, tuple(separators))


def _spanning(groups: Sequence[int]) -> list[list[int]]:
    """Neighbours of each group in a spanning tree whose groups share as many columns as can be: Kruskal's algorithm."""
    part = list(range(len(groups)))
    edges: list[list[int]] = [[] for _ in groups]
    shared = ((-(groups[i] & groups[j]).bit_count(), i, j) for i, j in combinations(range(len(groups)), 2))
    for _, i, j in sorted(shared):
        if part[i] != part[j]:
            edges[i].append(j)
            edges[j].append(i)
            old, new = part[j], part[i]
            part = [new if p == old else p for p in part]
    return edges


def _by_size(domain: Domain, columns: Iterable[str]) -> Clique:
    return tuple(sorted(columns, key=lambda column: (domain.size[column], domain.position[column])))
