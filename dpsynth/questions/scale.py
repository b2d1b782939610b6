"""How much noise a question may ask for, and how much a budget buys."""

import math
from fractions import Fraction

from dpsynth.errors import SpecError
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, gaussian_rho

SIGMA_LIMITS = (0.01, float(2**40))
"""Noise outside these limits is either no privacy at all or no answer at all; both point to a mistake."""

LEAST_GAUSSIAN_SCALE = 1
"""Discrete Gaussian noise of at least this scale costs as Gaussian differential privacy what it costs here; of less, more."""


def exact_float(scale: float) -> float:
    """A float without the methods of a subclass (numpy.float64 is one): the cost is computed from the very number that scales the noise."""
    return float(scale) if isinstance(scale, float) else scale


def check_scale(scale: float, what: str) -> None:
    """Refuses a noise scale that is not a sensible number of rows. Raises SpecError."""
    least, most = SIGMA_LIMITS
    if type(scale) is not float or not least <= scale <= most:
        raise SpecError(
            f"{what} must be a float from {least:g} to {most:g} rows, got {scale!r}: "
            "less is no protection, more is no answer; change budget.epsilon"
        )


def sigma_for(rho: Rho, unit: PrivacyUnit, questions: int = 1) -> float:
    """The least sigma of Gaussian noise, in rows, at which that many equal questions of sensitivity max_rows cost at most rho.

    Raises SpecError where the budget is too small to ask anything.
    """
    each = rho.share(Fraction(1, questions))
    if each == NOTHING:
        raise SpecError("the budget is too small to ask anything: raise budget.epsilon")
    charge = 2 * float(each.value) / unit.max_rows**2  # w (1 + w / 9) with w = 1 / sigma^2
    sigma = math.sqrt((1 + math.sqrt(1 + 4 * charge / 9)) / (2 * charge))
    while gaussian_rho(unit.max_rows, Fraction(sigma)) > each:
        sigma = math.nextafter(sigma, math.inf) if sigma < 1 else sigma * (1 + 2**-50)
    check_scale(sigma, "sigma")
    return sigma
