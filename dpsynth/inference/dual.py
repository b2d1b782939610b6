"""The dual of entropy maximisation with Gaussian misfit, over orthogonal residuals.

    D(theta) = N log Z(theta) - sum_A <theta_A, r_A> + 1/2 sum_A w_A |theta_A|^2,    p(x) proportional to b(x) exp(sum_A theta_A(x_A))
    gradient_A = P_A mu_A - r_A + w_A theta_A,                                        mu_A = N p_A, P_A onto the interaction space of A

Its primal is the maximum over p of N H(p) - sum_A |P_A mu_A - r_A|^2 / (2 w_A). With p taken at theta, N H(p) = N log Z - sum_A
<theta_A, mu_A>, so dual minus primal is sum_A ( <theta_A, mu_A - r_A> + w_A |theta_A|^2 / 2 + |P_A mu_A - r_A|^2 / (2 w_A) ), a square:

    gap(theta) = sum_A |gradient_A|^2 / (2 w_A)

b(x) is 0 where structural zeros forbid a record and 1 elsewhere; entropy is then that of distributions over what is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.flat import Layout
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.lattice import Lattice, lattice
from dpsynth.inference.propagation import Calibrated, downward, upward
from dpsynth.inference.residuals import Residual
from dpsynth.inference.support import bases
from dpsynth.inference.zeros import Zeros

Table = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """The dual at one theta: value, gradient (flat, in rows), the model's marginals mu_A (float64[shape of A], in rows)."""

    theta: Vector
    value: float
    gradient: Vector
    marginals: tuple[Table, ...]


@dataclass(frozen=True, eq=False)
class Dual:
    """The dual objective for residuals of non-empty cliques.

    weights: float64[residuals], w_A in rows. total: N in rows, positive. Flat vectors hold the tables of theta_A one after the other.
    zeros: their cliques are part of the tree, and they leave some record possible.
    """

    tree: JunctionTree
    parts: tuple[Residual, ...]
    weights: Vector
    total: float
    zeros: Zeros = ()

    @cached_property
    def layout(self) -> Layout:
        """How flat vectors hold the residuals' tables."""
        return Layout(tuple(part.clique for part in self.parts), tuple(part.values.shape for part in self.parts))

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """For each node the places of the residuals whose potentials it carries; each residual is carried once."""
        carried: list[list[int]] = [[] for _ in self.tree.nodes]
        for i, part in enumerate(self.parts):
            carried[_node(self.tree, part.clique)].append(i)
        return tuple(map(tuple, carried))

    @cached_property
    def lattices(self) -> tuple[Lattice, ...]:
        """For each node the lattice of the residuals it carries."""
        return tuple(
            lattice(self.tree.domain, node, [self.parts[i].clique for i in own])
            for node, own in zip(self.tree.nodes, self.members, strict=True)
        )

    @cached_property
    def bases(self) -> tuple[Table, ...]:
        """For each node log b, as it broadcasts over the node's table; empty where every record is possible."""
        return bases(self.tree, self.zeros) if self.zeros else ()

    @cached_property
    def weight_of_each(self) -> Vector:
        """float64[flat]: w_A for every cell of A's table."""
        return np.repeat(self.weights, [part.values.size for part in self.parts])

    @cached_property
    def target(self) -> Vector:
        """float64[flat]: the residuals r_A."""
        return np.concatenate([np.zeros(0), *(part.values.reshape(-1) for part in self.parts)])

    def tables(self, flat: Vector) -> list[Table]:
        """Views of a flat vector as one table for each residual."""
        return [flat[where].reshape(part.values.shape) for where, part in zip(self.layout.slices, self.parts, strict=True)]

    def at(self, theta: Vector) -> Point:
        """Everything about the dual at theta, from one propagation."""
        tables = self._potentials(theta)
        log_z = upward(self.tree, tables)
        downward(self.tree, tables)
        marginals = self._marginals(tables)
        gradient = self.layout.interactions(np.concatenate([np.zeros(0), *(table.reshape(-1) for table in marginals)]))
        pull = self.weight_of_each * theta
        gradient += pull
        gradient -= self.target
        value = self.total * log_z - float(theta @ self.target) + 0.5 * float(pull @ theta)
        return Point(theta, value, gradient, marginals)

    def model(self, theta: Vector) -> Calibrated:
        """The distribution at theta."""
        tables = self._potentials(theta)
        log_z = upward(self.tree, tables)
        return Calibrated(self.tree, tuple(tables), log_z)

    def gap(self, gradient: Vector) -> float:
        """Dual minus primal where the gradient is as given: sum_A |gradient_A|^2 / (2 w_A)."""
        return 0.5 * float(gradient @ (gradient / self.weight_of_each))

    def _potentials(self, theta: Vector) -> list[Table]:
        """For each node the logarithm of its factor, a new table."""
        tables = self.tables(theta)
        found = [own.lift([tables[i] for i in places]) for own, places in zip(self.lattices, self.members, strict=True)]
        for node, base in enumerate(self.bases):
            found[node] += base
        return found

    def _marginals(self, beliefs: Sequence[Table]) -> tuple[Table, ...]:
        found: dict[int, Table] = {}
        for own, places, belief in zip(self.lattices, self.members, beliefs, strict=True):
            found.update(zip(places, own.lower(belief), strict=True))
        return tuple(self.total * found[i] for i in range(len(self.parts)))


def _node(tree: JunctionTree, clique: Clique) -> int:
    node = tree.host(clique)
    assert node is not None, "a junction tree holds every clique it was made from"
    return node
