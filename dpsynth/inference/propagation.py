"""Belief propagation on a junction tree, exact and stable for potentials of any size.

Upward, each node becomes its conditional distribution given its separator, with the largest exponent taken out for every separator
cell, so that no sum underflows; downward, conditionals times the parent's marginal are the beliefs. One `exp` a cell, no division by zero.
Source: Shafer and Shenoy, 1990; the sum over a separator cell as in log-sum-exp.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.junction import JunctionTree

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A distribution on a junction tree.

    chain: for each node float64[shape of node], p(new columns | separator). log_z: log of the sum of exp(potentials) over all cells.
    """

    tree: JunctionTree
    chain: tuple[Table, ...]
    log_z: float

    @cached_property
    def beliefs(self) -> tuple[Table, ...]:
        """For each node float64[shape of node], p(columns of the node)."""
        return beliefs(self.tree, self.chain)


def propagate(tree: JunctionTree, potentials: Sequence[Table]) -> Calibrated:
    """The distribution proportional to exp(sum of node potentials).

    potentials: for each node float64[shape of node], logarithms; -inf forbids a cell. log_z is -inf where every cell is forbidden.
    """
    incoming: list[Table] = list(potentials)
    chain: list[Table] = [np.empty(0)] * len(tree.nodes)
    log_z = 0.0
    for node in reversed(range(len(tree.nodes))):
        depth = len(tree.separators[node])
        chain[node], message = _normalised(incoming[node], depth)
        parent = tree.parents[node]
        if parent < 0:
            log_z = float(message)
        else:
            incoming[parent] = incoming[parent] + spread(message, tree.separators[node], tree.nodes[parent])
    return Calibrated(tree, tuple(chain), log_z)


def beliefs(tree: JunctionTree, chain: Sequence[Table]) -> tuple[Table, ...]:
    """p(columns of each node), from p(new columns | separator) of each node."""
    found: list[Table] = []
    for node, table in enumerate(chain):
        parent = tree.parents[node]
        if parent < 0:
            found.append(table)
            continue
        separator = tree.separators[node]
        weights = collect(found[parent], tree.nodes[parent], separator)
        found.append(table * weights.reshape(weights.shape + (1,) * (table.ndim - weights.ndim)))
    return tuple(found)


def spread(table: Table, columns: Clique, onto: Clique) -> Table:
    """A table over `columns` as a view that broadcasts against a table over `onto`."""
    order = sorted(range(len(columns)), key=lambda i: onto.index(columns[i]))
    size = dict(zip(columns, table.shape, strict=True))
    return table.transpose(order).reshape([size.get(column, 1) for column in onto])


def collect(table: Table, columns: Clique, onto: Clique) -> Table:
    """A table over `columns` summed to the columns `onto`, with its axes in their order."""
    dropped = tuple(axis for axis, column in enumerate(columns) if column not in onto)
    kept = [column for column in columns if column in onto]
    return np.asarray(table.sum(axis=dropped)).transpose([kept.index(column) for column in onto])


def _normalised(table: Table, depth: int) -> tuple[Table, Table]:
    """exp(table) normalised over all but the first `depth` axes, and the logarithm of the normaliser of each separator cell.

    A separator cell with nothing allowed gets normaliser -inf and a uniform conditional. The result is in C order: sums over it then run
    in the same order as over a copy read from a file.
    """
    rows = np.ascontiguousarray(table).reshape(int(np.prod(table.shape[:depth], dtype=np.int64)), -1)
    highest = rows.max(axis=1, keepdims=True)
    dead = np.isneginf(highest)
    powers = np.exp(rows - np.where(dead, 0.0, highest))
    sums = powers.sum(axis=1, keepdims=True)
    if dead.any():
        powers[dead[:, 0]] = 1.0
        sums = powers.sum(axis=1, keepdims=True)
    powers /= sums
    message = np.where(dead, -np.inf, highest + np.log(sums))
    return powers.reshape(table.shape), message.reshape(table.shape[:depth])
