"""What the sampler, the report and the evaluation see of any fitted model, tree or mixture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
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

    def fit(self, domain: Domain, measurements: Sequence[Measurement]) -> Model:
        """The fitted model. Raises SpecError for measurements that do not fit the domain."""
        ...
