"""Noisy tables split into orthogonal parts with known noise: the total, main effects, interactions.

A table over clique C is the sum of one part for each subset A of C: marginalise onto A, then remove all that fewer columns explain.
Parts of different subsets have independent noise, so the same part measured several times combines by inverse variance.
Source: the orthogonal decomposition of marginals, Xiao, He, Zhang, Kifer (ResidualPlanner), arXiv:2305.08175.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.transcript import Measurement

Table = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Residual:
    """What a set of columns says beyond its proper subsets.

    values: float64[shape of the clique] in rows; sums to 0 along each axis (for the empty clique: the total, shape ()).
    variance: of the noise in rows^2, the same for each coordinate of an orthonormal basis of that space.
    """

    clique: Clique
    values: Table
    variance: float

    @property
    def dof(self) -> int:
        """Dimensions of the space: the product of (size - 1)."""
        return math.prod(size - 1 for size in self.values.shape)


def residuals(domain: Domain, measurements: Sequence[Measurement]) -> dict[Clique, Residual]:
    """Every subset of the measured cliques with its combined residual, small subsets first; the empty clique holds the total.

        r_A = sum_C (r_A from C) / v_C / sum_C 1 / v_C,    v_C = sigma_C^2 * product of the sizes of C without A

    Raises SpecError for a measurement that does not fit the domain, naming its clique.
    """
    sums: dict[Clique, Table] = {}
    precisions: dict[Clique, float] = {}
    for measurement in measurements:
        table = checked_table(domain, measurement)
        for subset in subsets(measurement.clique):
            precision = 1.0 / (measurement.sigma**2 * (domain.cells(measurement.clique) // domain.cells(subset)))
            part = interaction(marginalised(table, measurement.clique, subset)) * precision
            sums[subset] = sums[subset] + part if subset in sums else part
            precisions[subset] = precisions.get(subset, 0.0) + precision
    ordered = sorted(sums, key=lambda clique: (len(clique), [domain.position[column] for column in clique]))
    return {clique: Residual(clique, sums[clique] / precisions[clique], 1.0 / precisions[clique]) for clique in ordered}


def interaction(table: Table) -> Table:
    """The part of a table that no proper subset of its axes explains: the mean along each axis is subtracted in turn."""
    for axis, size in enumerate(table.shape):
        table = table - np.add.reduce(table, axis=axis, keepdims=True) / size
    return table


def marginalised(table: Table, clique: Clique, onto: Clique) -> Table:
    """float64[shape of clique] summed over the columns that are not in `onto` (a subset, in the same order)."""
    dropped = tuple(axis for axis, column in enumerate(clique) if column not in onto)
    return np.asarray(np.add.reduce(table, axis=dropped)) if dropped else table


def table_of(parts: Mapping[Clique, Table], clique: Clique) -> Table:
    """float64[shape of clique]: the table whose residuals are these, the empty clique's the total."""
    table = parts[clique].copy()
    for part in subsets(clique):
        if part != clique:
            values = parts[part]
            across = [size if column in part else 1 for column, size in zip(clique, table.shape, strict=True)]
            table += values.reshape(across) * (values.size / table.size)
    return table


def subsets(clique: Clique) -> Iterable[Clique]:
    """All subsets of the clique, the empty one first."""
    return (part for size in range(len(clique) + 1) for part in combinations(clique, size))


def checked_table(domain: Domain, measurement: Measurement) -> Table:
    """The measured values as float64[shape of the clique]. Raises SpecError where the measurement does not fit the domain."""
    clique = tuple(measurement.clique)
    if domain.clique(clique) != clique:
        raise SpecError(f"the measurement of {list(clique)} must name its columns in the domain's order, {list(domain.clique(clique))}")
    if not (isinstance(measurement.sigma, int | float) and 0 < measurement.sigma < math.inf and measurement.sigma**2 > 0):
        raise SpecError(f"sigma of {list(clique)} must be a positive finite number of rows, got {measurement.sigma!r}")
    values = np.asarray(measurement.values)
    if values.dtype.kind not in "iuf" or values.shape != (domain.cells(clique),):
        expected = f"{domain.cells(clique)} numbers in a row"
        raise SpecError(f"the measurement of {list(clique)} must hold {expected}, got {values.dtype}{list(values.shape)}")
    table = values.astype(np.float64).reshape(domain.shape(clique))
    if not np.isfinite(table).all():
        raise SpecError(f"the measurement of {list(clique)} must hold finite numbers, got NaN or infinity")
    return table
