"""An approximate inverse of the dual's Hessian, N Cov_p + W: the mean of two that err in different places.

Block by block, exact in each residual's own space and blind to the coupling between them (good where noise outweighs counts). Block A is
about P_A diag(d) P_A with d = mu_A + w_A; its inverse keeps sums along each axis at 0:

    one column:   x = v (g - c),            v = 1/d, c = sum(v g) / sum(v)
    two columns:  x = v (g - a_i - b_j),    a, b from the two sets of zero sums: one small linear system
    more:         x = P_A (v g), which is close where w_A outweighs mu_A, as it does in large tables

Across the tree, exact for a saturated model without shrinkage (good where counts outweigh noise): the inverse Fisher information of a
decomposable model, a sum over nodes n with separators s of what g is as a table G over the node,

    x = G / D_n - (sum of G over the new columns) / D_s,    D_n = mu_n + w_n,    D_s = D_n summed over the new columns

which is positive semi-definite node by node, with w_n the largest shrinkage of any residual in the node, per cell of the node.
Source: Lauritzen, Graphical Models, 1996, section 5.3, for the inverse; the terms w are ours.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.lattice import lattice
from dpsynth.inference.residuals import interaction

Table = NDArray[np.float64]
Vector = NDArray[np.float64]
Map = Callable[[Vector], Vector]

LARGEST_SYSTEM = 2048
"""Two columns whose smaller one has more cells than this are treated like three: the system would cost more than it saves."""


def metric(dual: Dual, point: Point) -> Map:
    """The product of the approximate inverse Hessian at a point with a flat vector of the interaction spaces."""
    within, across = within_blocks(dual, point), across_tree(dual, point)
    return lambda vector: 0.5 * (within(vector) + across(vector))


def within_blocks(dual: Dual, point: Point) -> Map:
    """The inverse of each residual's own block."""
    blocks = [_block(1.0 / (mu + w)) for mu, w in zip(point.marginals, dual.weights.tolist(), strict=True)]

    def times(vector: Vector) -> Vector:
        return np.concatenate([block(table).reshape(-1) for block, table in zip(blocks, dual.tables(vector), strict=True)])

    return times


def across_tree(dual: Dual, point: Point) -> Map:
    """The inverse Fisher information of the tree, softened by the shrinkage."""
    nodes = [_across_node(dual, point, node) for node in range(len(dual.tree.nodes))]

    def times(vector: Vector) -> Vector:
        tables = dual.tables(vector)
        sums = dual.tables(np.zeros(len(vector)))
        for places, moved in nodes:
            for i, table in zip(places, moved([tables[i] for i in places]), strict=True):
                sums[i] += table
        return np.concatenate([interaction(table).reshape(-1) for table in sums])

    return times


def _across_node(dual: Dual, point: Point, node: int) -> tuple[list[int], Callable[[list[Table]], list[Table]]]:
    """The places of all residuals within a node, and what the node adds to each of them."""
    tree, columns = dual.tree, dual.tree.nodes[node]
    places = [i for i, part in enumerate(dual.parts) if set(part.clique).issubset(columns)]
    within = lattice(tree.domain, columns, [dual.parts[i].clique for i in places])
    belief = point.model.beliefs[node]
    shrinkage = max((dual.weights[i] * dual.parts[i].values.size for i in places), default=1.0) / belief.size
    inside = dual.total * belief + shrinkage
    new = tuple(range(len(tree.separators[node]), belief.ndim))
    outside = inside.sum(axis=new, keepdims=True)

    def moved(tables: list[Table]) -> list[Table]:
        g = within.lift(tables, mean=True)
        return within.lower(g / inside - g.sum(axis=new, keepdims=True) / outside, mean=True)

    return places, moved


def _block(inverse: Table) -> Callable[[Table], Table]:
    if inverse.ndim == 1:
        return _one_column(inverse)
    if inverse.ndim == 2 and min(inverse.shape) <= LARGEST_SYSTEM:
        return _two_columns(inverse)
    return lambda g: interaction(interaction(g) * inverse)


def _one_column(v: Table) -> Callable[[Table], Table]:
    share = v / v.sum()
    return lambda g: v * (g - (share * g).sum())


def _two_columns(v: Table) -> Callable[[Table], Table]:
    """Eliminates the longer axis' a from the sums: (diag(column sums) - v' diag(1 / row sums) v) b = right-hand side."""
    if v.shape[0] < v.shape[1]:
        flipped = _two_columns(np.ascontiguousarray(v.T))
        return lambda g: flipped(g.T).T
    rows, columns = v.sum(axis=1), v.sum(axis=0)
    scaled = v / rows[:, None]
    system = np.diag(columns) - v.T @ scaled + columns.mean() / len(columns)
    solve = np.linalg.inv(system)

    def times(g: Table) -> Table:
        x = v * g
        across = x.sum(axis=1)
        b = solve @ (x.sum(axis=0) - across @ scaled)
        a = (across - v @ b) / rows
        return np.asarray(v * (g - a[:, None] - b))

    return times
