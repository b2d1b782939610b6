"""The dual of entropy maximisation with Gaussian misfit, over orthogonal residuals.

    D(theta) = N log Z(theta) - sum_A <theta_A, r_A> + 1/2 sum_A w_A |theta_A|^2,    p(x) proportional to exp(sum_A theta_A(x_A))
    gradient_A = P_A mu_A - r_A + w_A theta_A,                                        mu_A = N p_A, P_A onto the interaction space of A

Its primal is the maximum over p of N H(p) - sum_A |P_A mu_A - r_A|^2 / (2 w_A). With p taken at theta, N H(p) = N log Z - sum_A
<theta_A, mu_A>, so dual minus primal is sum_A ( <theta_A, mu_A - r_A> + w_A |theta_A|^2 / 2 + |P_A mu_A - r_A|^2 / (2 w_A) ), a square:

    gap(theta) = sum_A |gradient_A|^2 / (2 w_A)
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.lattice import Lattice, lattice
from dpsynth.inference.propagation import Calibrated, propagate
from dpsynth.inference.residuals import Residual, interaction

Table = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """The dual at one theta: value, gradient (flat, in rows), the model's marginals mu_A (float64[shape of A], in rows), the model."""

    theta: Vector
    value: float
    gradient: Vector
    marginals: tuple[Table, ...]
    model: Calibrated


@dataclass(frozen=True, eq=False)
class Dual:
    """The dual objective for residuals of non-empty cliques.

    weights: float64[residuals], w_A in rows. total: N in rows, positive. Flat vectors hold the tables of theta_A one after the other.
    """

    tree: JunctionTree
    parts: tuple[Residual, ...]
    weights: Vector
    total: float

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each residual's table lies in a flat vector."""
        ends = np.cumsum([0, *(part.values.size for part in self.parts)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

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
    def weight_of_each(self) -> Vector:
        """float64[flat]: w_A for every cell of A's table."""
        return np.repeat(self.weights, [part.values.size for part in self.parts])

    @cached_property
    def target(self) -> Vector:
        """float64[flat]: the residuals r_A."""
        return np.concatenate([np.zeros(0), *(part.values.reshape(-1) for part in self.parts)])

    def tables(self, flat: Vector) -> list[Table]:
        """Views of a flat vector as one table for each residual."""
        return [flat[where].reshape(part.values.shape) for where, part in zip(self.slices, self.parts, strict=True)]

    def at(self, theta: Vector) -> Point:
        """Everything about the dual at theta, from one propagation."""
        tables = self.tables(theta)
        carried = zip(self.lattices, self.members, strict=True)
        model = propagate(self.tree, [own.lift([tables[i] for i in places]) for own, places in carried])
        marginals = self._marginals(model)
        fitted = np.concatenate([np.zeros(0), *(interaction(table).reshape(-1) for table in marginals)])
        gradient = fitted - self.target + self.weight_of_each * theta
        penalty = 0.5 * float(np.sum(self.weight_of_each * theta * theta))
        value = self.total * model.log_z - float(np.sum(theta * self.target)) + penalty
        return Point(theta, value, gradient, marginals, model)

    def gap(self, gradient: Vector) -> float:
        """Dual minus primal where the gradient is as given: sum_A |gradient_A|^2 / (2 w_A)."""
        return 0.5 * float(np.sum(gradient * gradient / self.weight_of_each))

    def _marginals(self, model: Calibrated) -> tuple[Table, ...]:
        found: dict[int, Table] = {}
        for own, places, belief in zip(self.lattices, self.members, model.beliefs, strict=True):
            found.update(zip(places, own.lower(belief), strict=True))
        return tuple(self.total * found[i] for i in range(len(self.parts)))


def _node(tree: JunctionTree, clique: Clique) -> int:
    node = tree.host(clique)
    assert node is not None, "a junction tree holds every clique it was made from"
    return node
