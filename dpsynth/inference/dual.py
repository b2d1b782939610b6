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
from dpsynth.inference.propagation import Calibrated, collect, propagate, spread
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
    """The dual objective for non-empty residuals whose proper non-empty subsets are all among them, smaller cliques first.

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
    def hosts(self) -> tuple[tuple[int, int], ...]:
        """For each residual (place of the smallest residual with one more column, -1), or where there is none (-1, node of the tree)."""
        place = {part.clique: i for i, part in enumerate(self.parts)}
        found: dict[Clique, int] = {}
        for part in sorted(self.parts, key=lambda p: p.values.size):
            for left_out in range(len(part.clique)):
                found.setdefault(part.clique[:left_out] + part.clique[left_out + 1 :], place[part.clique])
        return tuple((found[p.clique], -1) if p.clique in found else (-1, _node(self.tree, p.clique)) for p in self.parts)

    @cached_property
    def weight_of_each(self) -> Vector:
        """float64[flat]: w_A for every cell of A's table."""
        return np.repeat(self.weights, [part.values.size for part in self.parts])

    @cached_property
    def target(self) -> Vector:
        """float64[flat]: the residuals r_A."""
        return np.concatenate([part.values.reshape(-1) for part in self.parts]) if self.parts else np.zeros(0)

    def tables(self, flat: Vector) -> list[Table]:
        """Views of a flat vector as one table for each residual."""
        return [flat[where].reshape(part.values.shape) for where, part in zip(self.slices, self.parts, strict=True)]

    def at(self, theta: Vector) -> Point:
        """Everything about the dual at theta, from one propagation."""
        model = propagate(self.tree, self._potentials(theta))
        marginals = self._marginals(model)
        fitted = np.concatenate([interaction(table).reshape(-1) for table in marginals]) if marginals else np.zeros(0)
        gradient = fitted - self.target + self.weight_of_each * theta
        penalty = 0.5 * float(np.sum(self.weight_of_each * theta * theta))
        value = self.total * model.log_z - float(np.sum(theta * self.target)) + penalty
        return Point(theta, value, gradient, marginals, model)

    def gap(self, gradient: Vector) -> float:
        """Dual minus primal where the gradient is as given: sum_A |gradient_A|^2 / (2 w_A)."""
        return 0.5 * float(np.sum(gradient * gradient / self.weight_of_each))

    def _potentials(self, theta: Vector) -> list[Table]:
        """float64[shape of node] for each node: each theta_A is added into its host, the widest ones into nodes."""
        tree = self.tree
        sums = self.tables(theta)
        nodes: dict[int, Table] = {}
        for i, (host, node) in enumerate(self.hosts):
            clique = self.parts[i].clique
            if host >= 0:
                sums[host] = sums[host] + spread(sums[i], clique, self.parts[host].clique)
            else:
                blank = np.zeros(tree.domain.shape(tree.nodes[node]))
                nodes[node] = nodes.get(node, blank) + spread(sums[i], clique, tree.nodes[node])
        return [nodes.get(i, np.zeros(tree.domain.shape(node))) for i, node in enumerate(tree.nodes)]

    def _marginals(self, model: Calibrated) -> tuple[Table, ...]:
        found: dict[int, Table] = {}
        for i in reversed(range(len(self.parts))):
            host, node = self.hosts[i]
            clique = self.parts[i].clique
            if host >= 0:
                found[i] = collect(found[host], self.parts[host].clique, clique)
            else:
                found[i] = collect(model.beliefs[node], self.tree.nodes[node], clique) * self.total
        return tuple(found[i] for i in range(len(self.parts)))


def _node(tree: JunctionTree, clique: Clique) -> int:
    node = tree.host(clique)
    assert node is not None, "a junction tree holds every clique it was made from"
    return node
