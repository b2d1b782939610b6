"""An approximate inverse of the dual's Hessian, N Cov_p + W, from the marginals mu of the model.

On a forest of saturated tables the inverse of N Cov_p is known: tables minus the separators that join them (Lauritzen, Graphical Models,
1996, section 5.3). With W as damping, a gradient g goes to

    x = sum_C R_C V_C R_C' g  -  sum_S R_S V_S R_S' g,    1 / V_C = m_C + w_C,    1 / V_S = sum_(C onto S) m_C + w_C cells(C) / cells(S)

where R_C' adds residuals up to a table of C and R_C takes a table apart into residuals. Each table C after the first gives up one S, the
largest it shares with an earlier one; so x . g stays positive on any set of tables: sum_j v_ij g_ij^2 >= (sum_j g_ij)^2 / sum_j 1 / v_ij.
At the minimum m is mu. Before, a cell that must gain far more rows than it has would overshoot by orders of magnitude, for rows grow as
exp(x): m + w is the mean slope of mu exp(x) + w x on the way to where it meets R_C' g.

A table whose cells are mostly damping (mu_C below DENSE w_C) would slow down the residuals it shares with denser ones. Residuals that only
such tables hold stand alone: P_A (diag(d) - mu_A mu_A' / N) P_A with d = mu_A + w_A. The inverse of its diagonal part is

    one column:   x = v (g - c),            v = 1/d, c = sum(v g) / sum(v)
    two columns:  x = v (g - a_i - b_j),    a, b so that all sums along an axis are 0: one small linear system
    more:         x = P_A (v g), which is close where w_A outweighs mu_A, as it does in large tables

and u = x(mu_A) adds what the second part takes away: x + u (u . g) / (N - u . mu_A). It counts where few cells hold most rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference import descent_kernel
from dpsynth.inference.descent_kernel import SEPARATOR
from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.flat import Layout, Sums, sums
from dpsynth.inference.residuals import interaction, subsets

Table = NDArray[np.float64]
Vector = NDArray[np.float64]

DENSE = 0.1

LARGEST_SYSTEM = 2048
"""Two columns whose smaller one has more cells than this are treated like three: the system would cost more than it saves."""


@dataclass(frozen=True, eq=False)
class Metric:
    """What of the inverse does not depend on the point.

    joint: the tables of the sum, C and S. dampings: of each. shared: int64 of each, the place of S among the subsets of its C (-1: it gives
    up none), -2 for S itself, which follows its C. alone: places of the residuals outside of them.
    """

    dual: Dual
    joint: Sums
    dampings: Vector
    shared: NDArray[np.int64]
    alone: tuple[int, ...]

    def at(self, point: Point, blocks: "Blocks | None" = None) -> "Inverse":
        """The approximate inverse Hessian at a point; the blocks of another point may do for it."""
        joint, found = self.joint, np.empty(self.joint.length)
        places = joint.tables, joint.parts, joint.shares, joint.offsets
        if len(joint.tables):
            descent_kernel.inverses(*places, self.shared, self.dampings, point.marginals, point.gradient, found)
        return Inverse(self.dual.layout, joint, found, self.blocks(point) if blocks is None else blocks)

    def blocks(self, point: Point) -> "Blocks":
        """The inverses of the residuals that stand alone."""
        layout, marginals = self.dual.layout, self.dual.layout.split(point.marginals)
        found = []
        for i in self.alone:
            block = _block(1 / (marginals[i] + self.dual.weights[i]))
            found.append((layout.slices[i], layout.shapes[i], _centred(block, marginals[i], self.dual.total)))
        return tuple(found)


Blocks = tuple[tuple[slice, tuple[int, ...], Callable[[Table], Table]], ...]


@dataclass(frozen=True, eq=False)
class Inverse:
    """The approximate inverse Hessian at a point, as a map of flat vectors of the interaction spaces."""

    layout: Layout
    joint: Sums
    found: Vector
    blocks: Blocks

    def __call__(self, vector: Vector) -> Vector:
        """Its product with a vector."""
        joint, step = self.joint, np.zeros_like(vector)
        if len(joint.tables):
            descent_kernel.scaled(joint.tables, joint.parts, joint.shares, joint.offsets, self.found, vector, step)
            descent_kernel.centred(step, self.layout.axes)
        for where, shape, block in self.blocks:
            step[where] = block(vector[where].reshape(shape)).reshape(-1)
        return step


def metric(dual: Dual, *, apart: bool = False) -> Metric:
    """The metric of a dual, for any of its points. apart: whether every residual stands alone, so that nothing is subtracted."""
    layout = dual.layout
    weight = dict(zip(layout.cliques, dual.weights.tolist(), strict=True))
    joint = [] if apart else _joint(layout, weight, dual.total)
    held = {part for clique, _, _ in joint for part in subsets(clique)}
    alone = tuple(i for i, clique in enumerate(layout.cliques) if clique not in held)
    return Metric(
        dual,
        sums(layout, [clique for clique, _, _ in joint]),
        np.array([damping for _, damping, _ in joint]),
        np.array([shared for _, _, shared in joint], dtype=np.int64),
        alone,
    )


def _joint(layout: Layout, weight: Mapping[Clique, float], total: float) -> list[tuple[Clique, float, int]]:
    """Dense tables that are part of no other one, each after the first with the separator it gives up (see `Metric.shared`).

    Wide and dense ones first, but next to those before, so that a forest is taken from its root outwards.
    """
    cells = {clique: math.prod(shape) for clique, shape in zip(layout.cliques, layout.shapes, strict=True)}
    density = {clique: total / (cells[clique] * weight[clique]) for clique in layout.cliques}
    dense = sorted((c for c in density if density[c] >= DENSE), key=lambda c: (-len(c), -density[c]))
    left = [c for i, c in enumerate(dense) if not any(set(c) <= set(other) for other in dense[:i])]
    found: list[tuple[Clique, float, int]] = []
    known: list[Clique] = []
    columns: set[str] = set()
    while left:
        clique = next((c for c in left if columns.intersection(c)), left[0])
        left.remove(clique)
        columns.update(clique)
        shared = {part for other in known if (part := tuple(column for column in clique if column in other))}
        part = max(shared, key=lambda s: (cells[s], s), default=())
        found.append((clique, weight[clique], [*subsets(clique)].index(part) - 1))
        if part:
            found.append((part, weight[clique] * cells[clique] / cells[part], SEPARATOR))
        known.append(clique)
    return found


def _block(inverse: Table) -> Callable[[Table], Table]:
    if inverse.ndim == 1:
        return _one_column(inverse)
    if inverse.ndim == 2 and min(inverse.shape) <= LARGEST_SYSTEM:
        return _two_columns(inverse)
    return lambda g: interaction(interaction(g) * inverse)


def _centred(block: Callable[[Table], Table], mu: Table, total: float) -> Callable[[Table], Table]:
    """With the outer product of mu taken from the diagonal (Sherman and Morrison)."""
    u = block(mu)
    rest = total - float((u * mu).sum())
    if rest <= 0:
        return block

    def times(g: Table) -> Table:
        return block(g) + u * (float((u * g).sum()) / rest)

    return times


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
