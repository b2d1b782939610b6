"""The texts of an open column that enough rows hold."""

import math
from dataclasses import dataclass
from fractions import Fraction

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.normal import LEAST_Z
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_rho, threshold_delta
from dpsynth.questions.scale import LEAST_GAUSSIAN_SCALE, check_scale, exact_float
from dpsynth.questions.score import ROWS_LIMIT

LABELS_LIMIT = 1 << 16
"""No column has more cells: more labels could not be used."""


@dataclass(frozen=True)
class LabelsQuestion:
    """Which texts an open column holds: those whose noisy number of rows reaches a threshold, the most frequent first.

    sigma: of the noise, in rows. threshold: in rows. at_most: how many labels are told.
    """

    column: str
    sigma: float
    threshold: int
    at_most: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", exact_float(self.sigma))
        check_scale(self.sigma, f"the sigma of labels of {self.column!r}")
        if type(self.threshold) is not int or not 1 <= self.threshold <= ROWS_LIMIT:
            raise SpecError(f"the threshold of {self.column!r} must be a whole number of rows from 1 to 2^40, got {self.threshold!r}")
        if type(self.at_most) is not int or not 1 <= self.at_most <= LABELS_LIMIT:
            raise SpecError(f"at_most of {self.column!r} must be a whole number from 1 to {LABELS_LIMIT}, got {self.at_most!r}")

    def cost(self, unit: PrivacyUnit) -> Rho:
        """The cost of one table's noise: all k rows of a unit may hold one label."""
        return gaussian_rho(unit.max_rows, Fraction(self.sigma))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """What it gives away beyond: a label that nobody else has might be told. Raises SpecError where the threshold hides nobody."""
        return threshold_delta(unit.max_rows, Fraction(self.sigma), self.threshold)

    def gaussian(self) -> bool:
        """Whether it can be accounted as Gaussian differential privacy, up to its delta."""
        return self.sigma >= LEAST_GAUSSIAN_SCALE

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        sigma = canonical.rational_text(Fraction(self.sigma))
        return canonical.digest(["labels", self.column, sigma, self.threshold, self.at_most])


def threshold_for(delta: Fraction, unit: PrivacyUnit, sigma: float) -> int:
    """The least threshold, in rows, that gives away at most delta. Raises SpecError where delta is not above 0."""
    if delta < Fraction(1, 10**300):
        raise SpecError("the delta is too small to find labels with: raise budget.delta")
    scale = Fraction(sigma)
    low = unit.max_rows + math.ceil(LEAST_Z * scale)  # z would be below 2 here, or 2 at most
    high = low + math.ceil(40 * scale) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if threshold_delta(unit.max_rows, scale, middle) <= delta else (middle, high)
    return high
