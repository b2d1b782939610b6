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

FORMAT = "dpsynth-latent-class-1"
HIDDEN = "(class)"
CELL_LIMIT = 1 << 27

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LatentClassModel:
    """A mixture of independent columns.

    weights: float64[classes], sums to 1. emissions: float64[cells of all columns, classes], the values of single-precision numbers; each
    column's block sums to 1 for every class, to single precision.
    pair_targets: two-way tables that records should match more closely than the mixture alone does; None for a conditioned model.
    """

    domain: Domain
    total: float
    weights: Table
    emissions: Table
    report: FitReport
    pair_targets: PairTargets | None = None

    @cached_property
    def blocks(self) -> Mapping[str, Table]:
        """float64[cells, classes] of each column."""
        ends = np.cumsum(self.domain.sizes)
        return {c: self.emissions[end - size : end] for c, size, end in zip(self.domain.columns, self.domain.sizes, ends, strict=True)}

    def marginal(self, clique: Clique) -> Table:
        """float64[cells]: N sum_k w_k prod_a E_a[x_a, k], in C order. Raises SpecError for a table beyond the cell limit."""
        if self.domain.cells(clique) > CELL_LIMIT:
            cells = self.domain.cells(clique)
            raise SpecError(f"the table of {list(clique)} has {cells} cells, more than {CELL_LIMIT}: ask for fewer columns")
        if not clique:
            return np.array([self.total])
        table = self.total * self.weights[None, :]
        for column in clique[:-1]:
            table = (table[:, None, :] * self.blocks[column][None, :, :]).reshape(-1, len(self.weights))
        return np.asarray((table @ self.blocks[clique[-1]].T).reshape(-1))

    def conditionals(self) -> tuple[Conditional, ...]:
        """The class, then every column given the class."""
        classes = Conditional((HIDDEN,), (), self.weights)
        return (classes, *(Conditional((c,), (HIDDEN,), np.ascontiguousarray(self.blocks[c].T)) for c in self.domain.columns))

    def condition(self, where: Mapping[str, int]) -> "LatentClassModel":
        """The classes re-weighted by how likely they make the cells. Raises SpecError where the cells have probability 0."""
        weights, emissions = self.weights.copy(), self.emissions.copy()
        ends = dict(zip(self.domain.columns, np.cumsum(self.domain.sizes), strict=True))
        for column in self.domain.clique(where):
            cell, size = where[column], self.domain.size[column]
            if not 0 <= cell < size:
                raise SpecError(f"column {column!r} has cells 0 to {size - 1}, got {cell}")
            weights *= self.blocks[column][cell]
            block = emissions[ends[column] - size : ends[column]]
            block[:] = 0.0
            block[cell] = 1.0
        if not weights.sum() > 0:
            raise SpecError(f"the model gives {dict(where)} probability 0: no record has these values")
        share = float(weights.sum())
        return replace(self, total=self.total * share, weights=weights / share, emissions=emissions, pair_targets=None)

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
        }


def latent_class_from(arrays: Mapping[str, NDArray[Any]]) -> LatentClassModel:
    """The model behind `arrays`. Raises SpecError where they are not such a model."""
    try:
        domain = Domain(tuple(map(str, arrays["columns"].tolist())), tuple(map(int, arrays["sizes"].tolist())))
        weights = np.asarray(arrays["weights"], dtype=np.float64)
        emissions = checked_emissions(domain, np.asarray(arrays["emissions"], dtype=np.float64))
        report = FitReport(**{key[4:]: arrays[key].item() for key in arrays if key.startswith("fit_")})
        total = float(arrays["total"])
        targets = PairTargets.read(domain, arrays) if "targets" in arrays else None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise SpecError(f"this is no latent-class model ({type(error).__name__}): restore model.npz from a copy") from None
    if emissions.shape != (sum(domain.sizes), len(weights)) or not (np.isfinite(total) and total >= 0):
        raise SpecError("the latent-class model's arrays do not fit together: restore model.npz from a copy")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) < 1e-6):
        raise SpecError("the latent-class model's weights are no distribution: restore model.npz from a copy")
    return LatentClassModel(domain, total, weights, emissions, report, targets)


def checked_emissions(domain: Domain, emissions: Table) -> Table:
    """The emissions, if each column's block is a distribution to single precision. Raises ValueError."""
    starts = np.cumsum([0, *domain.sizes[:-1]])
    sums = np.add.reduceat(emissions, starts, axis=0)
    if not np.isfinite(emissions).all() or (emissions < 0).any() or not np.allclose(sums, 1.0, atol=1e-4):
        raise ValueError("emissions must be distributions")
    return emissions
