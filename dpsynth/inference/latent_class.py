"""The latent-class model: columns are independent given a hidden class.

    p(x) = sum_k w_k prod_a E_a[x_a, k]

Any marginal, any condition and any number of records come in closed form, whatever the number of columns: there is no tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.model import Conditional, FitReport, PairTargets
from dpsynth.inference.tied import TIED_LIMIT, Tied, tied_groups
from dpsynth.inference.zeros import Zeros, zero_arrays, zeros_read

FORMAT = "dpsynth-latent-class-1"
HIDDEN = "(class)"
CELL_LIMIT = 1 << 27

LAYOUT = {
    "columns": ("U", 1),
    "sizes": ("i", 1),
    "total": ("f", 0),
    "weights": ("f", 1),
    "emissions": ("f", 2),
    "fit_estimator": ("U", 0),
    "fit_converged": ("b", 0),
    "fit_certified": ("b", 0),
    "fit_steps": ("i", 0),
    "fit_gap": ("f", 0),
    "fit_tolerance": ("f", 0),
    "fit_cells": ("i", 0),
    "targets": ("f", 1),
    "target_noise": ("f", 2),
    "zero_lengths": ("i", 1),
    "zero_columns": ("i", 1),
    "zero_allowed": ("b", 1),
}
"""Each array of a model file: its kind of number (or text) and its dimensions."""

TARGETS = ("targets", "target_noise")
"""Arrays that a model without pair targets does not have."""

ZEROS = ("zero_lengths", "zero_columns", "zero_allowed")
"""Arrays that a model without structural zeros does not have."""

LEAST_CLASS = 1e-12
"""Weight below which a class counts as empty."""

TOLERANCE = 1e-4
"""How far stored single-precision distributions may be from summing to 1."""

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LatentClassModel:
    """A mixture of independent columns.

    weights: float64[classes], sums to 1. emissions: float64[cells of all columns, classes], the values of single-precision numbers; each
    column's block sums to 1 for every class, to single precision.
    pair_targets: two-way tables that records should match more closely than the mixture alone does; None for a conditioned model.
    zeros: what cannot occur; within a class, columns are independent but for these (see `tied`), and each class leaves something possible.
    """

    domain: Domain
    total: float
    weights: Table
    emissions: Table
    report: FitReport
    pair_targets: PairTargets | None = None
    zeros: Zeros = ()

    @cached_property
    def blocks(self) -> Mapping[str, Table]:
        """float64[cells, classes] of each column."""
        ends = np.cumsum(self.domain.sizes)
        return {c: self.emissions[end - size : end] for c, size, end in zip(self.domain.columns, self.domain.sizes, ends, strict=True)}

    @cached_property
    def tied(self) -> tuple[Tied, ...]:
        """The groups of columns that the zeros tie together."""
        return tuple(Tied({c: self.blocks[c] for c in columns}, own) for columns, own in tied_groups(self.domain, self.zeros))

    @cached_property
    def mass(self) -> Table:
        """float64[classes]: how much of the columns' product the zeros leave possible in each class; 1 without zeros."""
        return np.asarray(np.prod([np.ones(len(self.weights)), *(group.mass for group in self.tied)], axis=0))

    @cached_property
    def _group(self) -> Mapping[str, Tied]:
        return {column: group for group in self.tied for column in group.columns}

    def within_classes(self, column: str) -> Table:
        """float64[cells, classes]: how a column is distributed in each class."""
        group = self._group.get(column)
        return self.blocks[column] if group is None else group.table((column,))

    def _parts(self, clique: Clique) -> list[tuple[Clique, Table]]:
        """The clique's columns in parts that are independent within a class, each with its float64[cells, classes]."""
        found: dict[str, tuple[Clique, Table]] = {}
        for column in clique:
            group = self._group.get(column)
            own = (column,) if group is None else tuple(c for c in clique if c in group.columns)
            if own[0] not in found:
                table = self.blocks[column] if group is None else group.table(own)
                found[own[0]] = own, table.reshape(-1, table.shape[-1])
        return list(found.values())

    def marginal(self, clique: Clique) -> Table:
        """float64[cells]: N sum_k w_k prod_a E_a[x_a, k], in C order. Raises SpecError for a table beyond the cell limit."""
        if self.domain.cells(clique) > CELL_LIMIT:
            cells = self.domain.cells(clique)
            raise SpecError(f"the table of {list(clique)} has {cells} cells, more than {CELL_LIMIT}: ask for fewer columns")
        if not clique:
            return np.array([self.total])
        table = self.total * self.weights[None, :]
        *parts, (last, last_part) = self._parts(clique)
        for _, part in parts:
            table = (table[:, None, :] * part[None, :, :]).reshape(-1, len(self.weights))
        found = table @ last_part.T
        columns = (*(column for own, _ in parts for column in own), *last)
        if columns == clique:
            return np.asarray(found.reshape(-1))
        return np.ascontiguousarray(found.reshape(self.domain.shape(columns)).transpose([columns.index(c) for c in clique])).reshape(-1)

    def conditionals(self) -> tuple[Conditional, ...]:
        """The class, then every column given the class; tied ones also given those of their group that were drawn before."""
        classes = Conditional((HIDDEN,), (), self.weights)
        free = (c for c in self.domain.columns if c not in self._group)
        tied = (Conditional((c,), (HIDDEN, *given), table) for group in self.tied for c, given, table in group.chain())
        return (classes, *(Conditional((c,), (HIDDEN,), np.ascontiguousarray(self.blocks[c].T)) for c in free), *tied)

    def condition(self, where: Mapping[str, int]) -> "LatentClassModel":
        """The classes re-weighted by how likely they make the cells.

        Raises SpecError for unknown columns or cells, and where the model gives them probability 0.
        """
        weights, emissions = self.weights.copy(), self.emissions.copy()
        ends = dict(zip(self.domain.columns, np.cumsum(self.domain.sizes), strict=True))
        named = self.domain.clique(where)
        for column in named:
            cell, size = where[column], self.domain.size[column]
            if isinstance(cell, bool) or not isinstance(cell, int | np.integer) or not 0 <= cell < size:
                raise SpecError(f"the cell of column {column!r} must be from 0 to {size - 1}, got {cell!r}")
            block = emissions[ends[column] - size : ends[column]]
            block[:] = 0.0
            block[cell] = 1.0
        for own, part in self._parts(named):
            weights *= part[np.ravel_multi_index([int(where[column]) for column in own], self.domain.shape(own))]
        if not weights.sum() > 0:
            raise SpecError(f"the model gives {dict(where)} probability 0: no record has these values")
        share = float(weights.sum())
        found = replace(self, total=self.total * share, weights=weights / share, emissions=emissions, pair_targets=None)
        return found.without_empty_classes()

    def without_empty_classes(self) -> "LatentClassModel":
        """The same where there are no zeros; otherwise without the classes of next to no weight: nothing may be possible in these."""
        kept = self.weights > LEAST_CLASS
        if not self.zeros or kept.all():
            return self
        weights = self.weights[kept] / self.weights[kept].sum()
        return replace(self, weights=weights, emissions=np.ascontiguousarray(self.emissions[:, kept]))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Plain arrays from which `latent_class_from` reads the model back."""
        targets = self.pair_targets.arrays() if self.pair_targets else {}
        fit: dict[str, NDArray[np.generic]] = {f"fit_{key}": np.asarray(value) for key, value in vars(self.report).items()}
        return {
            "format": np.asarray(FORMAT),
            "columns": np.asarray(self.domain.columns),
            "sizes": np.asarray(self.domain.sizes, dtype=np.int64),
            "total": np.asarray(self.total),
            "weights": self.weights,
            "emissions": self.emissions.astype(np.float32),
            **fit,
            **targets,
            **zero_arrays(self.domain, self.zeros),
        }


def latent_class_from(arrays: Mapping[str, NDArray[Any]]) -> LatentClassModel:
    """The model behind `arrays`. Raises SpecError where they are not such a model."""
    try:
        given = {name: _array(arrays, name) for name in LAYOUT if name in arrays or name not in (*TARGETS, *ZEROS)}
        domain = Domain(tuple(map(str, given["columns"].tolist())), tuple(map(int, given["sizes"].tolist())))
        weights = _distribution(given["weights"].astype(np.float64))
        emissions = checked_emissions(domain, given["emissions"].astype(np.float64), len(weights))
        report = FitReport(**{name[4:]: array.item() for name, array in given.items() if name.startswith("fit_")})
        zeros = zeros_read(domain, *(given[name] for name in ZEROS)) if any(name in given for name in ZEROS) else ()
        targets = PairTargets.read(domain, given, zeros) if "targets" in given else None
        model = LatentClassModel(domain, float(given["total"]), weights, emissions, report, targets, zeros)
        _refuse_impossible(model)
    except (KeyError, ValueError) as error:
        raise SpecError(f"this is no latent-class model ({error}): restore model.npz from a copy") from None
    return model


def _refuse_impossible(model: LatentClassModel) -> None:
    """Raises ValueError where zeros leave a class nothing, or tie columns together in larger tables than any schema may."""
    if any(group.largest_table > TIED_LIMIT for group in model.tied):
        raise ValueError("structural zeros tie too many cells together")
    if model.zeros and not (model.mass > 0).all():
        raise ValueError("structural zeros leave a class nothing")


def checked_emissions(domain: Domain, emissions: Table, classes: int) -> Table:
    """The emissions, if each column's block is a distribution to single precision. Raises ValueError."""
    if not domain.columns or emissions.shape != (sum(domain.sizes), classes):
        raise ValueError(f"emissions must be [{sum(domain.sizes)}, {classes}], got {list(emissions.shape)}")
    if not ((emissions >= 0) & (emissions <= 1 + TOLERANCE)).all():
        raise ValueError("emissions must be probabilities")
    if not np.allclose(np.add.reduceat(emissions, np.cumsum([0, *domain.sizes[:-1]])), 1.0, atol=TOLERANCE):
        raise ValueError("emissions must be distributions")
    return emissions


def _distribution(weights: Table) -> Table:
    if not ((weights >= 0) & (weights <= 2)).all() or abs(weights.sum() - 1) > TOLERANCE:
        raise ValueError("weights must be a distribution")
    return weights


def _array(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """The array of that name, if it has the right kind of number (or text) and dimensions. Raises KeyError or ValueError."""
    kind, dimensions = LAYOUT[name]
    array = np.asarray(arrays[name])
    if array.dtype.kind != kind or array.ndim != dimensions or (kind == "f" and array.dtype not in (np.float32, np.float64)):
        raise ValueError(f"{name} must be {dimensions}-dimensional of kind {kind!r}, got {array.dtype}{list(array.shape)}")
    if kind == "f" and dimensions == 0 and not 0 <= array < np.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {array}")
    return array
