"""Which cells of any table structural zeros leave possible, and how a junction tree carries them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import CELL_LIMIT, JunctionTree, junction_tree
from dpsynth.inference.propagation import propagate, spread
from dpsynth.inference.residuals import Residual, residuals
from dpsynth.inference.tree_model import TreeModel, uniform_model
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

Table = NDArray[np.float64]

SURELY = 4.0
"""Standard deviations of noise, beyond which rows in impossible cells count as rows that break the rules."""


@dataclass(frozen=True, eq=False)
class Support:
    """The records that structural zeros leave possible.

    uniform: the model that is uniform over them, of one row: a cell can occur where its marginal is positive.
    """

    zeros: Zeros
    uniform: TreeModel
    _known: dict[Clique, NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    @property
    def cliques(self) -> tuple[Clique, ...]:
        """What a junction tree must hold, so that its model keeps to the zeros."""
        return tuple(zero.clique for zero in self.zeros)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that the zeros say something about."""
        return frozenset(column for clique in self.cliques for column in clique)

    def possible(self, clique: Clique) -> NDArray[np.bool_]:
        """bool[shape of the clique]: which of its cells can occur. Raises SpecError where that takes too large a table."""
        if clique not in self._known:
            self._known[clique] = self._possible(clique)
        return self._known[clique]

    def _possible(self, clique: Clique) -> NDArray[np.bool_]:
        domain = self.uniform.domain
        bound = tuple(column for column in clique if column in self.columns)
        found = self.uniform.marginal(bound).reshape(domain.shape(bound)) > 0
        across = [domain.size[column] if column in self.columns else 1 for column in clique]
        return np.broadcast_to(found.reshape(across), domain.shape(clique))

    def cleared(self, measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
        """The measurements with 0 for what was seen in impossible cells.

        Most of it is nothing but noise. Where it is surely more, rows break the rules: the others stand for them, and the table is known
        no better than by their number, b = seen - 4 noise: its sigma^2 grows by b^2 / cells.
        """
        return tuple(self._cleared(m) if self.columns.intersection(m.clique) else m for m in measurements)

    def _cleared(self, measurement: Measurement) -> Measurement:
        here = self.possible(measurement.clique).reshape(-1)
        known = np.where(here, measurement.values, 0)
        outside, noise = float(measurement.values[~here].sum()), measurement.sigma * math.sqrt((~here).sum())
        broken = max(0.0, outside - SURELY * noise)
        inside = float(known.sum())
        scale = 1 + broken / inside if inside > 0 else 1.0
        sigma = math.hypot(measurement.sigma, broken / math.sqrt(len(known)))
        return replace(measurement, values=np.rint(known * scale).astype(np.int64), sigma=sigma)


def support_of(domain: Domain, zeros: Zeros, limit: int = CELL_LIMIT) -> Support:
    """Raises SpecError for zeros that do not fit the domain, and where they leave nothing possible, naming their columns."""
    for zero in zeros:
        _refuse_unfit(domain, zero.clique, zero.allowed)
    tree = junction_tree(domain, [zero.clique for zero in zeros], limit)
    calibrated = propagate(tree, [np.zeros(domain.shape(node)) + base for node, base in zip(tree.nodes, bases(tree, zeros), strict=True)])
    if calibrated.log_z == -np.inf:
        cliques = [list(zero.clique) for zero in zeros]
        raise SpecError(f"the rules on {cliques} contradict each other: together they allow no record; change or remove one of them")
    return Support(zeros, uniform_model(calibrated))


def known_residuals(domain: Domain, measurements: Sequence[Measurement], support: Support | None) -> dict[Clique, Residual]:
    """`residuals` of what was measured in possible cells; the total is of all cells, for rows that break a rule count as rows."""
    parts = residuals(domain, measurements)
    if support is None or not parts:
        return parts
    return residuals(domain, support.cleared(measurements)) | {(): parts[()]}


def bases(tree: JunctionTree, zeros: Zeros) -> tuple[Table, ...]:
    """For each node what its zeros add to its potential, 0 or minus infinity: broadcasts over the node's table."""
    found: list[Table] = [np.zeros((1,) * len(node)) for node in tree.nodes]
    for zero in zeros:
        host = tree.host(zero.clique)
        assert host is not None, "a junction tree holds every clique it was made from"
        found[host] = found[host] + spread(np.where(zero.allowed, 0.0, -np.inf), zero.clique, tree.nodes[host])
    return tuple(found)


def _refuse_unfit(domain: Domain, clique: Clique, allowed: NDArray[np.bool_]) -> None:
    if domain.clique(clique) != tuple(clique):
        raise SpecError(f"structural zeros of {list(clique)} must name their columns in the domain's order, {list(domain.clique(clique))}")
    if allowed.dtype != np.bool_ or allowed.shape != domain.shape(clique):
        expected = f"bool{list(domain.shape(clique))}"
        raise SpecError(f"structural zeros of {list(clique)} must hold {expected}, got {allowed.dtype}{list(allowed.shape)}")
    if not allowed.any():
        raise SpecError(f"structural zeros of {list(clique)} allow no cell: change or remove the rule on these columns")
