"""Belief propagation on a junction tree, exact and stable for potentials of any size.

Upward, each node becomes its conditional distribution given its separator, with the largest exponent taken out for every separator
cell, so that no sum underflows; downward, conditionals times the parent's marginal are the beliefs. One `exp` a cell, no division by zero.
Source: Shafer and Shenoy, 1990; the sum over a separator cell as in log-sum-exp.
"""

import math
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
    tables = [np.array(table, order="C") for table in potentials]
    log_z = upward(tree, tables)
    return Calibrated(tree, tuple(tables), log_z)


def beliefs(tree: JunctionTree, chain: Sequence[Table]) -> tuple[Table, ...]:
    """p(columns of each node), from p(new columns | separator) of each node."""
    tables = [np.array(table, order="C") for table in chain]
    downward(tree, tables)
    return tuple(tables)


def upward(tree: JunctionTree, tables: Sequence[Table]) -> float:
    """Turns node potentials (in C order) into p(new columns | separator), in place: a large tree is held once. Returns log_z."""
    message: Table = np.zeros(())
    for node in reversed(range(len(tree.nodes))):
        message = _normalised(tables[node], len(tree.separators[node]))
        parent = tree.parents[node]
        if parent >= 0:
            table, join = tables[parent], tree.joins[node]
            table += message.transpose(join.order).reshape(join.across)
    return float(message)


def downward(tree: JunctionTree, tables: Sequence[Table]) -> None:
    """Turns p(new columns | separator) into p(columns of the node), in place."""
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            table, join = tables[node], tree.joins[node]
            weights = np.add.reduce(tables[parent], axis=join.dropped).transpose(join.back)
            table *= weights.reshape(weights.shape + (1,) * (table.ndim - weights.ndim))


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


def _normalised(table: Table, depth: int) -> Table:
    """Replaces a table by its exp normalised over all but the first `depth` axes; the logarithm of each separator cell's normaliser.

    A separator cell with nothing allowed gets normaliser -inf and a uniform conditional.
    """
    rows = table.reshape(math.prod(table.shape[:depth]), -1)
    assert np.shares_memory(rows, table), "tables are in C order"
    highest = np.maximum.reduce(rows, axis=1, keepdims=True)
    dead = highest == -np.inf
    some = bool(dead.any())
    rows -= np.where(dead, 0.0, highest) if some else highest
    np.exp(rows, out=rows)
    if some:
        rows[dead[:, 0]] = 1.0
    sums = np.add.reduce(rows, axis=1, keepdims=True)
    rows /= sums
    message = highest + np.log(sums)
    return message.reshape(table.shape[:depth])
