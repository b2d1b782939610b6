"""What the sampler, the report and the evaluation see of any fitted model, tree or mixture."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement


@dataclass(frozen=True, eq=False)
class Conditional:
    """One step of drawing a record: p(columns | given).

    table: float64[sizes of given ..., sizes of columns ...], sums to 1 over the axes of `columns` for every cell of `given`.
    A name that is not in the domain is a hidden variable (a latent class): it is drawn and then forgotten.
    """

    columns: tuple[str, ...]
    given: tuple[str, ...]
    table: NDArray[np.float64]


class UnconvergedWarning(UserWarning):
    """A fit between measurements ended before its rule was met: what was chosen by it may have been chosen worse."""


@dataclass(frozen=True)
class FitReport:
    """How a fit ended; everything in it is computed from released values.

    converged: whether the estimator's own stopping rule was met. certified: whether `gap` was measured, so that `converged` is a proof.
    gap: duality gap relative to the expected noise loss (0 where the fit is in closed form, and where nothing measures it, which is
    when `certified` is false), at most `tolerance` when converged and certified.
    cells: cells of the model's tables.
    """

    estimator: str
    converged: bool
    steps: int
    gap: float
    tolerance: float
    cells: int
    certified: bool = True

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if not self.certified:
            return "ended by its own rule, no gap measured" if self.converged else "stopped before its own rule was met"
        if self.converged:
            return "converged"
        return f"not converged: a gap of {self.gap:.2g} of the noise loss after {self.steps:,} steps, at most {self.tolerance:g} allowed"

    def told(self, use: str) -> None:
        """Warns where a fit that is used on the way to a release did not converge; the release's own fit is reported with it."""
        if not self.converged:
            warnings.warn(f"{use}: {self.estimator} {self.ending}. Privacy is not affected.", UnconvergedWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class PairTargets:
    """Two-way tables that records should match, for all measured pairs of columns at once.

    tables: float32[D, D] in rows, D = cells of all columns; the block of a measured pair holds its table, all other blocks are 0.
    noise: float32[d, d], standard deviation of the noise behind each pair's table in rows: how closely a match is worth having;
    infinite where there is no target: for pairs that were not measured, and on the diagonal.
    zeros: what no record may hold; tables are 0 there.
    """

    tables: NDArray[np.float32]
    noise: NDArray[np.float32]
    zeros: Zeros = ()

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """As a model file holds them: the upper triangle."""
        upper = np.triu_indices(len(self.tables))
        return {"targets": self.tables[upper], "target_noise": self.noise}

    @classmethod
    def read(cls, domain: Domain, arrays: Mapping[str, NDArray[np.generic]], zeros: Zeros = ()) -> "PairTargets":
        """The targets of a model file. Raises ValueError where they do not fit the domain."""
        cells, columns = sum(domain.sizes), len(domain.columns)
        values, noise = np.asarray(arrays["targets"]), np.asarray(arrays["target_noise"])
        if values.dtype != np.float32 or noise.dtype != np.float32:
            raise ValueError("targets must be of single precision")
        if values.shape != (cells * (cells + 1) // 2,) or noise.shape != (columns, columns):
            raise ValueError("targets of another domain")
        if not (np.isfinite(values).all() and (values >= 0).all() and (noise >= 0).all()):
            raise ValueError("targets must be finite and not negative, their noise not negative")
        tables = np.zeros((cells, cells), dtype=np.float32)
        tables[np.triu_indices(cells)] = values
        return cls(tables + np.triu(tables, 1).T, noise, zeros)


class Model(Protocol):
    """A joint distribution over the domain with an estimated number of rows."""

    @property
    def domain(self) -> Domain:
        """The public domain."""
        ...

    @property
    def total(self) -> float:
        """Estimated number of rows, at least 0."""
        ...

    @property
    def report(self) -> FitReport:
        """How the fit ended."""
        ...

    @property
    def pair_targets(self) -> PairTargets | None:
        """Two-way tables that records should match more closely than the model alone does; None where the model itself is the target."""
        ...

    def marginal(self, clique: Clique) -> NDArray[np.float64]:
        """float64[cells]: expected rows in each cell of the clique, in C order; sums to `total`."""
        ...

    def conditionals(self) -> tuple[Conditional, ...]:
        """The chain whose product is the joint distribution: each column is drawn once, after all columns it is given."""
        ...

    def condition(self, where: Mapping[str, int]) -> "Model":
        """The model of the records whose named columns are in the given cells. Raises SpecError where it gives them probability 0."""
        ...

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The model as plain arrays (no pickle), among them `format`, from which it can be read back."""
        ...


class Estimator(Protocol):
    """From noisy marginals to a model: post-processing, the same measurements always give the same model."""

    @property
    def name(self) -> str:
        """As a spec writes it."""
        ...

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> Model:
        """The fitted model, which gives probability 0 to whatever `zeros` does not allow.

        Raises SpecError for measurements that do not fit the domain.
        """
        ...
