"""Distances of tables from public estimates, with noise."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical
from dpsynth.domain import Clique
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_rho
from dpsynth.questions.estimates import check_estimates, table_digests, unchangeable
from dpsynth.questions.scale import LEAST_GAUSSIAN_SCALE, check_scale, exact_float
from dpsynth.questions.score import SCORE_BITS, score_scale


@dataclass(frozen=True, eq=False)
class ErrorsQuestion:
    """How far the tables of some cliques are from their public estimates, in L1 distance, each with noise of `sigma` rows.

    estimates: int64[cells] for each clique, in units of 2^-16 rows (see `score_estimate`); kept as copies nobody can write to.
    """

    cliques: tuple[Clique, ...]
    estimates: tuple[NDArray[np.int64], ...]
    sigma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "cliques", tuple(map(tuple, self.cliques)))
        object.__setattr__(self, "estimates", tuple(map(unchangeable, self.estimates)))
        object.__setattr__(self, "sigma", exact_float(self.sigma))
        check_scale(self.sigma, "the sigma of errors")
        check_estimates(self.cliques, self.estimates, "errors are measured of")

    def sensitivity(self, unit: PrivacyUnit) -> int:
        """How far one unit moves each error: k 2^16, as each of its k rows moves one cell by 1, up or down."""
        return unit.max_rows << SCORE_BITS

    def noise_scale(self) -> float:
        """The noise in the units of the integer errors."""
        return score_scale(self.sigma)

    def cost(self, unit: PrivacyUnit) -> Rho:
        """The cost of one error's noise, for each clique: one row moves the errors of all of them."""
        each = gaussian_rho(self.sensitivity(unit), Fraction(self.noise_scale()))
        return Rho(each.value * len(self.cliques))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """Whether it can be accounted as Gaussian differential privacy: its scale in integer units is far above 1."""
        return self.noise_scale() >= LEAST_GAUSSIAN_SCALE

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        sigma = canonical.rational_text(Fraction(self.sigma))
        return canonical.digest(["errors", list(map(list, self.cliques)), table_digests(self.estimates), sigma])
