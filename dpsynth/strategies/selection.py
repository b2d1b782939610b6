"""Selections by a noisy maximum: the Gumbel scale that a budget buys, and how a plan shows them."""

import math
from fractions import Fraction

from dpsynth.errors import SpecError
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, noisy_max_rho
from dpsynth.questions import check_scale
from dpsynth.strategies.strategy import PlannedQuestion


def scale_for(rho: Rho, unit: PrivacyUnit, selections: int = 1, weight: int = 1) -> float:
    """The least Gumbel scale, in weighted rows, at which that many selections with that largest weight cost at most rho.

    Raises SpecError where the budget is too small to select anything.
    """
    each = rho.share(Fraction(1, selections))
    if each == NOTHING:
        raise SpecError("the budget is too small to ask anything: raise budget.epsilon")
    sensitivity = unit.max_rows * weight
    scale = sensitivity / math.sqrt(2 * float(each.value))
    while noisy_max_rho(sensitivity, Fraction(scale)) > each:
        scale *= 1 + 2**-50
    check_scale(scale, "the scale of a selection")
    return scale


def planned_selections(what: str, unit: PrivacyUnit, times: int, candidates: int, scale: float, weight: int = 1) -> PlannedQuestion:
    """Equal selections as a plan shows them."""
    each = noisy_max_rho(unit.max_rows * weight, Fraction(scale))
    return PlannedQuestion(what, "noisy-max", (), times, candidates, scale, Rho(each.value * times))
