"""An approximate inverse of the dual's Hessian, N Cov_p + W: block by block, exact in each residual's own space.

Block A is about P_A diag(d) P_A with d = mu_A + w_A; its inverse keeps sums along each axis at 0:

    one column:   x = v (g - c),            v = 1/d, c = sum(v g) / sum(v)
    two columns:  x = v (g - a_i - b_j),    a, b from the two sets of zero sums: one small linear system
    more:         x = P_A (v g), which is close where w_A outweighs mu_A, as it does in large tables

It is blind to the coupling between blocks, which L-BFGS learns. The inverse Fisher information of the whole tree (Lauritzen, Graphical
Models, 1996, section 5.3) costs three sweeps over all nodes and took more steps, not fewer, once targets were denoised.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.residuals import interaction

Table = NDArray[np.float64]
Vector = NDArray[np.float64]
Map = Callable[[Vector], Vector]

LARGEST_SYSTEM = 2048
"""Two columns whose smaller one has more cells than this are treated like three: the system would cost more than it saves."""


def metric(dual: Dual, point: Point) -> Map:
    """The product of the approximate inverse Hessian at a point with a flat vector of the interaction spaces."""
    blocks = [_block(1.0 / (mu + w)) for mu, w in zip(point.marginals, dual.weights.tolist(), strict=True)]

    def times(vector: Vector) -> Vector:
        return np.concatenate([block(table).reshape(-1) for block, table in zip(blocks, dual.tables(vector), strict=True)])

    return times


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
