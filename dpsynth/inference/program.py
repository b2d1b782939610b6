"""A junction tree with tables on parts of its nodes, as arrays for compiled loops (see `tree_kernel`).

One vector, `memory`, holds all that is smaller than a node: first the potentials of the members (tables over parts of nodes), then their
marginals in the same order. Members are the given tables, one after the other, and each node's separator, whose potential is the node's
message and whose marginal weighs its rows. Then come the scales of all rows, and room for the tables of one node's lattice.

A row is what is normalised at once: the new columns of a node for one cell of its separator, or a part of them where that is more than
a block. A block is a whole number of rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.lattice import Lattice, lattice

Places = NDArray[np.int64]

BLOCK = 1 << 11
"""Cells of a block at most, where a column has no more: 16 KB, half of the nearest cache."""


@dataclass(frozen=True, eq=False)
class Program:
    """Places in `memory` and in `cells`, and lengths of runs.

    nodes: int64[nodes, 14]: where its table starts in `cells`; its cells, a block's, a row's; rows for one cell of the separator; places of
    its message, of its rows' scales and of the separator's marginal (-1: none); first and last of its tops, its steps and its members.
    tops: int64[..., 4], tables that lack one column of a node, or none: places of potential and marginal; cells of the missing column and
    of those after it.
    steps: int64[..., 6], tables that lack one column of another: place of the other, its own; cells of the missing column and of those
    after it, of the table; whether it is the first to be added.
    members: int64[..., 6], all but those that are tops: places of potential and marginal; place and cells of the table in the node's order;
    where its turn starts in `order` (-1: its order is the node's); whether it is the first to be added.
    cells, memory: lengths. given: numbers of all members together. rows: of the node that has most. block: cells of the largest.
    """

    nodes: Places
    tops: Places
    steps: Places
    members: Places
    order: NDArray[np.int32]
    cells: int
    memory: int
    given: int
    rows: int
    block: int


@dataclass
class _Writer:
    """What is written so far."""

    nodes: list[list[int]] = field(default_factory=list)
    tops: list[tuple[int, ...]] = field(default_factory=list)
    steps: list[tuple[int, ...]] = field(default_factory=list)
    members: list[tuple[int, ...]] = field(default_factory=list)
    order: list[NDArray[np.int32]] = field(default_factory=lambda: [np.zeros(0, np.int32)])

    def add_node(self, facts: list[int], plan: Lattice, own: Sequence[tuple[int, int]], room: int) -> int:
        """own: places of potential and marginal of each clique of the lattice. Returns where the room that it needs ends."""
        first = len(self.tops), len(self.steps), len(self.members)
        cells = [math.prod(step.shape) for step in plan.steps]
        places = [-1, *accumulate(cells[1:-1], initial=room)][: len(cells)]
        end = room + sum(cells[1:])
        written: set[int] = set()
        for (source, sink), at, turn in zip(own, plan.places, plan.turns, strict=True):
            turned = self._turned(plan.steps[at].shape, turn)
            if at > 0:
                self.members.append((source, sink, places[at], cells[at], turned, at not in written))
                written.add(at)
            elif turned < 0:
                self.tops.append((source, sink, 1, cells[0]))
            else:
                self.tops.append((end, end, 1, cells[0]))
                self.members.append((source, sink, end, cells[0], turned, True))
                end += cells[0]
        narrow: list[tuple[int, ...]] = []
        for at in range(len(plan.steps) - 1, 0, -1):
            step = plan.steps[at]
            wide = plan.steps[step.host].shape
            along, post = wide[step.axis], math.prod(wide[step.axis + 1 :])
            if step.host == 0:
                self.tops.append((places[at], places[at], along, post))
            else:
                narrow.append((places[step.host], places[at], along, post, cells[at], step.host not in written))
                written.add(step.host)
        self.steps += reversed(narrow)
        last = len(self.tops), len(self.steps), len(self.members)
        self.nodes.append([*facts, *(place for both in zip(first, last, strict=True) for place in both)])
        return end

    def _turned(self, shape: tuple[int, ...], turn: tuple[int, ...]) -> int:
        """Where the order of a table's cells in the node's order starts, by its own; -1 where they are the same."""
        if turn == tuple(range(len(turn))):
            return -1
        start = sum(map(len, self.order))
        back = np.argsort(turn)
        self.order.append(np.arange(math.prod(shape), dtype=np.int32).reshape(shape).transpose(back).reshape(-1))
        return start


def program(tree: JunctionTree, cliques: Sequence[Clique]) -> Program:
    """The program of tables over these cliques, each with its columns in its own order, each part of a node."""
    domain, writer = tree.domain, _Writer()
    members = [*cliques, *tree.separators]
    sizes = [*map(domain.cells, members)]
    given = sum(sizes)
    places = [*accumulate(sizes, initial=0)]
    hosted: list[list[int]] = [[] for _ in tree.nodes]
    for i, clique in enumerate(cliques):
        hosted[hosting(tree, clique)].append(i)
    for node, parent in enumerate(tree.parents):
        if tree.separators[node]:
            hosted[parent].append(len(cliques) + node)
    facts, start, scale = [], 0, 2 * given
    for node, separator in enumerate(tree.separators):
        size, block, row, rows = _rows(domain, tree.nodes[node], separator)
        message = places[len(cliques) + node]
        facts.append([start, size, block, row, rows, message, scale, message + given if separator else -1])
        start, scale = start + size, scale + size // row
    memory = scale
    for node, own in enumerate(hosted):
        plan = lattice(domain, tree.nodes[node], [members[i] for i in own])
        memory = max(memory, writer.add_node(facts[node], plan, [(places[i], places[i] + given) for i in own], scale))
    tables = (_places(writer.nodes, 14), _places(writer.tops, 4), _places(writer.steps, 6), _places(writer.members, 6))
    most, largest = max(size // row for _, size, _, row, *_ in facts), max(block for _, _, block, *_ in facts)
    return Program(*tables, np.concatenate(writer.order), start, memory, given, most, largest)


def hosting(tree: JunctionTree, clique: Clique) -> int:
    """The node that carries the clique's table."""
    node = tree.host(clique)
    assert node is not None, "a junction tree holds every clique it was made from"
    return node


def _rows(domain: Domain, node: Clique, separator: Clique) -> tuple[int, int, int, int]:
    """Cells of a node, of a block, of a row, and rows for one cell of the separator."""
    shape = domain.shape(node)
    block = next(cells for axis in range(len(shape)) if (cells := math.prod(shape[axis:])) <= BLOCK or axis == len(shape) - 1)
    new = math.prod(shape[len(separator) :])
    row = min(block, new)
    return math.prod(shape), block, row, new // row


def _places(rows: Sequence[Sequence[int]], width: int) -> Places:
    return np.array(rows, dtype=np.int64).reshape(-1, width)
