"""The model of the tree strategies: a distribution on a junction tree, kept as the chain of its nodes' conditionals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference import tree_file
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.lattice import lattice
from dpsynth.inference.model import Conditional, FitReport
from dpsynth.inference.paths import QUERY_LIMIT, Paths
from dpsynth.inference.propagation import Calibrated, beliefs, collect, propagate

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TreeModel:
    """A junction-tree distribution with an estimated number of rows.

    chain: for each node float64[shape of node], p(new columns | separator). total: rows, at least 0.
    """

    tree: JunctionTree
    chain: tuple[Table, ...]
    total: float
    report: FitReport

    @property
    def domain(self) -> Domain:
        return self.tree.domain

    @property
    def pair_targets(self) -> None:
        """None: records of a tree match the tree itself."""
        return None

    @cached_property
    def beliefs(self) -> tuple[Table, ...]:
        """For each node float64[shape of node], p(columns of the node)."""
        return beliefs(self.tree, self.chain)

    def marginal(self, clique: Clique) -> Table:
        """float64[cells]: expected rows in each cell of the clique (in the order given), in C order.

        Raises SpecError for unknown columns, and where the table would be too large to hold.
        """
        return self._marginal(clique, Paths(self.tree, self.chain, self.beliefs))

    def _marginal(self, clique: Clique, paths: Paths) -> Table:
        self.domain.clique(clique)
        if self.domain.cells(clique) > QUERY_LIMIT:
            raise SpecError(
                f"a marginal may have at most {QUERY_LIMIT} cells, {list(clique)} has {self.domain.cells(clique)}: ask for fewer columns"
            )
        node = self.tree.host(clique)
        table = paths.table(clique) if node is None else collect(self.beliefs[node], self.tree.nodes[node], clique)
        return np.ascontiguousarray(table).reshape(-1) * self.total

    def marginals(self, cliques: Sequence[Clique]) -> list[Table]:
        """`marginal` of each clique, in domain order; those within one node share their sums, those across the tree their paths."""
        hosts = [self.tree.host(clique) for clique in cliques]
        found: dict[Clique, Table] = {}
        for node in sorted({host for host in hosts if host is not None}):
            own = [clique for clique, host in zip(cliques, hosts, strict=True) if host == node]
            columns, belief = self.tree.nodes[node], self.beliefs[node]
            lowered = [belief] if own == [columns] else lattice(self.domain, columns, own).lower(belief)
            found.update(zip(own, (np.ascontiguousarray(table).reshape(-1) * self.total for table in lowered), strict=True))
        paths = Paths(self.tree, self.chain, self.beliefs)
        return [found[clique] if clique in found else self._marginal(clique, paths) for clique in cliques]

    def conditionals(self) -> tuple[Conditional, ...]:
        """One step for each node: its new columns given its separator."""
        tree = self.tree
        return tuple(Conditional(tree.new_columns(i), tree.separators[i], self.chain[i]) for i in range(len(tree.nodes)))

    def condition(self, where: Mapping[str, int]) -> "TreeModel":
        """The model of the records whose named columns are in the given cells; its total is their expected number.

        Raises SpecError for unknown columns or cells, and where the model gives them probability 0.
        """
        with np.errstate(divide="ignore"):
            potentials = [np.log(table) for table in self.chain]
        for column, cell in where.items():
            self.domain.clique((column,))
            size = self.domain.size[column]
            if isinstance(cell, bool) or not isinstance(cell, int | np.integer) or not 0 <= cell < size:
                raise SpecError(f"the cell of column {column!r} must be from 0 to {size - 1}, got {cell!r}")
            node = next(i for i, columns in enumerate(self.tree.nodes) if column in columns)
            allowed = np.where(np.arange(size) == cell, 0.0, -np.inf)
            axis = self.tree.nodes[node].index(column)
            potentials[node] = potentials[node] + allowed.reshape([-1 if i == axis else 1 for i in range(potentials[node].ndim)])
        calibrated = propagate(self.tree, potentials)
        if calibrated.log_z == -np.inf:
            raise SpecError(f"the model holds no records with {dict(where)}: it gives them probability 0")
        return TreeModel(self.tree, calibrated.chain, self.total * float(np.exp(min(0.0, calibrated.log_z))), self.report)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The model as plain arrays, read back by `tree_model_from`."""
        return tree_file.written(tree_file.TreeFile(self.tree, self.chain, self.total, self.report))


def tree_model(calibrated: Calibrated, total: float, report: FitReport) -> TreeModel:
    """The model of a calibrated tree; a negative total counts as no rows."""
    return TreeModel(calibrated.tree, calibrated.chain, max(0.0, total), report)


def uniform_model(calibrated: Calibrated) -> TreeModel:
    """The model of a calibrated tree nothing was fitted to, of one row."""
    return tree_model(calibrated, 1.0, FitReport("uniform", True, 0, 0.0, 0.0, calibrated.tree.cells))


def tree_model_from(arrays: Mapping[str, NDArray[Any]]) -> TreeModel:
    """The model that `TreeModel.arrays` described. Raises SpecError for anything that is not such a model, whole and consistent."""
    found = tree_file.read(arrays)
    return TreeModel(found.tree, found.chain, found.total, found.report)
