"""What questions that a noisy maximum answers have in common: their noise, and what the place of the largest score costs."""

from abc import ABC, abstractmethod
from fractions import Fraction

from dpsynth.privacy import PrivacyUnit, Rho, noisy_max_rho
from dpsynth.questions.score import SCORE_BITS, score_scale

LARGEST_WEIGHT = 32
"""32 times the error of 2^40 rows on either side, in units of 2^-16 rows, is 2^62: a score still fits int64."""


class NoisyMaximum(ABC):
    """A question about integer scores, in units of 2^-16 weighted rows, that may move up or down.

    scale: of the Gumbel noise, in weighted rows.
    """

    scale: float

    @property
    @abstractmethod
    def weight(self) -> int:
        """How far one row moves a score at most, in weighted rows."""

    def sensitivity(self, unit: PrivacyUnit) -> int:
        """How far one unit moves a score: each of its k rows by weight 2^16 at most, so k weight 2^16."""
        return unit.max_rows * self.weight << SCORE_BITS

    def noise_scale(self) -> float:
        """Gumbel scale in the units of the integer scores."""
        return score_scale(self.scale)

    def cost(self, unit: PrivacyUnit) -> Rho:
        """(2 D / s)^2 / 8 with D the sensitivity and s the Gumbel scale, both in the units of the integer scores."""
        return noisy_max_rho(self.sensitivity(unit), Fraction(self.noise_scale()))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """It is not: its noise is Gumbel's."""
        return False
