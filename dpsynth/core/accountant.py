"""From zCDP to (epsilon, delta) and back, with directed rounding: a claimed pair is never better than the true one.

The bound, for any order alpha > 1 (the witness):

    delta(alpha) = exp((alpha - 1) (alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha

Source: Canonne, Kamath, Steinke, arXiv:2004.00010, Proposition 12 with Corollary 13. Proof: proofs/conversion.md.
"""

import math
from decimal import ROUND_FLOOR, Context, Decimal, DivisionByZero, InvalidOperation
from fractions import Fraction

from dpsynth.errors import SpecError
from dpsynth.privacy import Guarantee, Rho, plain

_CONTEXT = Context(prec=80, Emin=-(10**9), Emax=10**9, traps=[DivisionByZero, InvalidOperation])
_OUTWARD = _CONTEXT.add(Decimal(1), Decimal("1e-60"))
"""80 digits leave an error below 1e-70 in every exponent used here; one part in 1e60 on top makes the rounding outward.
A bound beyond 10^(10^9) is infinite and admits nothing."""

_ALPHA_GRID = 1 << 30
_LARGEST_ALPHA = 1e9


def delta_bound(alpha: Fraction, rho: Fraction, epsilon: Fraction) -> Decimal:
    """delta(alpha), rounded up. Raises ValueError where alpha is not above 1."""
    if alpha <= 1:
        raise ValueError(f"the order alpha must be above 1, got {alpha}")
    exponent = _decimal((alpha - 1) * (alpha * rho - epsilon))
    rest = _CONTEXT.multiply(_decimal(alpha), _ln(1 - 1 / alpha))
    log_delta = _CONTEXT.subtract(_CONTEXT.add(exponent, rest), _ln(alpha - 1))
    return _CONTEXT.multiply(_CONTEXT.exp(log_delta), _OUTWARD)


def best_alpha(rho: Fraction, epsilon: Fraction) -> Fraction:
    """The order that makes delta(alpha) least, to a grid of 2^-30: the root of the rising (2 alpha - 1) rho - epsilon + ln(1 - 1/alpha)."""
    low, high = 1 + 2.0**-20, _LARGEST_ALPHA
    r, e = float(rho), float(epsilon)
    for _ in range(200):
        middle = math.sqrt(low * high)
        if (2 * middle - 1) * r - e + math.log1p(-1 / middle) < 0:
            low = middle
        else:
            high = middle
    return Fraction(round(high * _ALPHA_GRID), _ALPHA_GRID)


def admits(rho: Fraction, epsilon: Fraction, delta: Fraction) -> Fraction | None:
    """The witness that rho-zCDP is (epsilon, delta)-differential privacy; None where there is none."""
    if delta <= 0:
        return None
    alpha = best_alpha(rho, epsilon)
    return alpha if delta_bound(alpha, rho, epsilon) <= _decimal_down(delta) else None


def guarantee_for(epsilon: Fraction, delta: Fraction) -> Guarantee:
    """The largest zCDP budget that stays within (epsilon, delta), with its witness.

    Raises SpecError where epsilon is not from 2^-20 to 1000 or delta not strictly between 0 and 1.
    """
    if not Fraction(1, 1 << 20) <= epsilon <= 1000:
        raise SpecError(f"epsilon must be from 0.000001 to 1000, got {plain(epsilon)}: change budget.epsilon")
    if not Fraction(1, 10**300) <= delta < 1:
        raise SpecError(f"delta must be from 1e-300 to below 1, got {plain(delta)}: change budget.delta")
    low, high = Fraction(0), Fraction(math.ceil(epsilon))
    for _ in range(140):
        middle = (low + high) / 2
        low, high = (middle, high) if admits(middle, epsilon, delta) else (low, middle)
    rho = Rho.down(low)
    alpha = admits(rho.value, epsilon, delta)
    if alpha is None or rho.value == 0:
        raise SpecError(f"epsilon {plain(epsilon)} at delta {plain(delta)} allows no zCDP budget: raise either")
    return Guarantee(epsilon, delta, rho, alpha)


def epsilon_of(rho: Fraction, delta: Fraction) -> Fraction:
    """The least epsilon, rounded up to a multiple of 10^-6, for which rho-zCDP is (epsilon, delta)-differential privacy.

    Raises ValueError where delta is not above 0: no epsilon is large enough then.
    """
    if delta <= 0:
        raise ValueError(f"delta must be above 0, got {delta}")
    low, high = 0, 10**6
    while admits(rho, Fraction(high, 10**6), delta) is None:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if admits(rho, Fraction(middle, 10**6), delta) else (middle, high)
    return Fraction(high, 10**6)


def _ln(value: Fraction) -> Decimal:
    return _CONTEXT.ln(_decimal(value))


def _decimal(value: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _decimal_down(value: Fraction) -> Decimal:
    return Context(prec=80, rounding=ROUND_FLOOR).divide(Decimal(value.numerator), Decimal(value.denominator))
