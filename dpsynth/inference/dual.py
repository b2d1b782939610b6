"""The dual of entropy maximisation with Gaussian misfit, over orthogonal residuals.

    D(theta) = N log Z(theta) - sum_A <theta_A, r_A> + 1/2 sum_A w_A |theta_A|^2,    p(x) proportional to b(x) exp(sum_A theta_A(x_A))
    gradient_A = P_A mu_A - r_A + w_A theta_A,                                        mu_A = N p_A, P_A onto the interaction space of A

Its primal is the maximum over p of N H(p) - sum_A |P_A mu_A - r_A|^2 / (2 w_A). With p taken at theta, N H(p) = N log Z - sum_A
<theta_A, mu_A>, so dual minus primal is sum_A ( <theta_A, mu_A - r_A> + w_A |theta_A|^2 / 2 + |P_A mu_A - r_A|^2 / (2 w_A) ), a square:

    gap(theta) = sum_A |gradient_A|^2 / (2 w_A)

b(x) is 0 where structural zeros forbid a record and 1 elsewhere; entropy is then that of distributions over what is left.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.inference import descent_kernel, tree_kernel
from dpsynth.inference.flat import Layout
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.program import Program, program
from dpsynth.inference.propagation import Calibrated
from dpsynth.inference.residuals import Residual
from dpsynth.inference.zeros import Zeros

Table = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """The dual at one theta: value, gradient (flat, in rows), the model's marginals mu_A (flat, in rows), the duality gap."""

    theta: Vector
    value: float
    gradient: Vector
    marginals: Vector
    gap: float


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
    def program(self) -> Program:
        """What the compiled loops do: tables of theta, then of log b."""
        return program(self.tree, [*self.layout.cliques, *(zero.clique for zero in self.zeros)])

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
        return self.layout.split(flat)

    def at(self, theta: Vector) -> Point:
        """Everything about the dual at theta, from one propagation."""
        places, memory, cells = self.program, *self._room
        log_z = self._up(theta)
        block = np.empty(places.block)
        tree_kernel.down(places.nodes, places.tops, places.steps, places.members, places.order, memory, cells, block, self.total)
        marginals = memory[places.given : places.given + len(theta)].copy()
        gradient = self.layout.interactions(marginals.copy())
        value, gap = descent_kernel.slope(theta, self.weight_of_each, self.target, gradient)
        return Point(theta, self.total * log_z + value, gradient, marginals, gap)

    def model(self, theta: Vector) -> Calibrated:
        """The distribution at theta."""
        log_z, (memory, cells) = self._up(theta), self._room
        tree_kernel.chain(self.program.nodes, memory, cells)
        self.__dict__.pop("_room")  # the model keeps the cells: a large tree is held once
        starts = self.program.nodes[:, 0].tolist()
        shapes = map(self.tree.domain.shape, self.tree.nodes)
        chain = (cells[start : start + math.prod(shape)].reshape(shape) for start, shape in zip(starts, shapes, strict=True))
        return Calibrated(self.tree, tuple(chain), log_z)

    @cached_property
    def _room(self) -> tuple[Vector, Vector]:
        """`memory`, with log b in its place, and `cells`."""
        memory, cells = np.zeros(self.program.memory), np.empty(self.program.cells)
        start = self.layout.length
        for zero in self.zeros:
            memory[start : start + zero.allowed.size] = np.where(zero.allowed, 0.0, -np.inf).reshape(-1)
            start += zero.allowed.size
        return memory, cells

    def _up(self, theta: Vector) -> float:
        places, memory, cells = self.program, *self._room
        memory[: len(theta)] = theta
        sums = np.empty(places.rows)
        return float(tree_kernel.up(places.nodes, places.tops, places.steps, places.members, places.order, memory, cells, sums))
