"""From rho to (epsilon, delta) and back, with directed rounding: a claimed pair is never better than the true one.

Two ways lead there. As rho-zCDP, for any order alpha > 1 (the witness):

    delta(alpha) = exp((alpha - 1) (alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha

Source: Canonne, Kamath, Steinke, arXiv:2004.00010, Proposition 12 with Corollary 13. Proof: proofs/conversion.md.

Where every answer is Gaussian, as mu-Gaussian differential privacy with mu^2 = 2 rho, which is exact:

    delta = Phi(-a) - exp(epsilon) Phi(-a - mu) = phi(a) (m(a) - m(a + mu)),     a = epsilon / mu - mu / 2

with m(z) = Phi(-z) / phi(z), Mills' ratio, between two neighbouring convergents of its continued fraction.
Source: Dong, Roth, Su, arXiv:1905.02383, Corollary 2.13. Proof: proofs/gaussian-track.md.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from dpsynth.errors import SpecError
from dpsynth.normal import CONTEXT, LEAST_Z, OUTWARD, decimal_of, density, mills_above, mills_below
from dpsynth.privacy import GDP, ZCDP, Guarantee, Rho, plain

LARGEST_EPSILON = 1000
"""A budget beyond it promises nothing."""

_ALPHA_GRID = 1 << 30
_LARGEST_ALPHA = 1e9
_HALVINGS = 75
"""Budgets are multiples of 2^-60 of at most 1000: beyond this many halvings nothing changes."""


_GOLDEN = (math.sqrt(5) - 1) / 2


def delta_bound(alpha: Fraction, rho: Fraction, epsilon: Fraction) -> Decimal:
    """delta(alpha), rounded up. Raises ValueError where alpha is not above 1."""
    if alpha <= 1:
        raise ValueError(f"the order alpha must be above 1, got {alpha}")
    exponent = decimal_of((alpha - 1) * (alpha * rho - epsilon))
    rest = CONTEXT.multiply(decimal_of(alpha), _ln(1 - 1 / alpha))
    log_delta = CONTEXT.subtract(CONTEXT.add(exponent, rest), _ln(alpha - 1))
    return CONTEXT.multiply(CONTEXT.exp(log_delta), OUTWARD)


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


def gaussian_delta(rho: Fraction, epsilon: Fraction) -> Decimal | None:
    """The delta of sqrt(2 rho)-GDP at epsilon, rounded up; None where it is beyond the 0.02 or so up to which this is evaluated."""
    mu = CONTEXT.sqrt(decimal_of(2 * rho))
    a = CONTEXT.subtract(CONTEXT.divide(decimal_of(epsilon), mu), CONTEXT.divide(mu, Decimal(2)))
    if a < LEAST_Z:
        return None
    gap = CONTEXT.subtract(mills_above(a), mills_below(CONTEXT.add(a, mu)))
    return CONTEXT.multiply(CONTEXT.multiply(density(a), gap), OUTWARD)


def admits(rho: Fraction, epsilon: Fraction, delta: Fraction) -> Fraction | None:
    """The witness that rho-zCDP is (epsilon, delta)-differential privacy; None where there is none."""
    if delta <= 0:
        return None
    alpha = best_alpha(rho, epsilon)
    return alpha if delta_bound(alpha, rho, epsilon) <= delta else None


def allows(rho: Fraction, epsilon: Fraction, delta: Fraction, track: str) -> bool:
    """Whether rho, on that track, is (epsilon, delta)-differential privacy. What zCDP allows, the Gaussian track allows too."""
    if track == GDP and rho > 0 and delta > 0:
        bound = gaussian_delta(rho, epsilon)
        if bound is not None:
            return bound <= delta  # exact but for a part in 1e20: where it does not do, zCDP, which is looser, does not either
    return admits(rho, epsilon, delta) is not None


def guarantee_for(epsilon: Fraction, delta: Fraction, track: str = ZCDP, given: Fraction = Fraction(0)) -> Guarantee:
    """The largest budget that stays within (epsilon, delta) on that track, with its witness.

    given: what thresholds may give away of delta; the rest, delta - given, is the conversion's.
    Raises SpecError where epsilon is not from 2^-20 to 1000 or delta not strictly between 0 and 1.
    """
    if not Fraction(1, 1 << 20) <= epsilon <= LARGEST_EPSILON:
        raise SpecError(f"epsilon must be from 0.000001 to 1000, got {plain(epsilon)}: change budget.epsilon")
    if not Fraction(1, 10**300) <= delta < 1:
        raise SpecError(f"delta must be from 1e-300 to below 1, got {plain(delta)}: change budget.delta")
    low, high = Fraction(0), Fraction(math.ceil(epsilon))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if allows(middle, epsilon, delta - given, track) else (low, middle)
    rho = Rho.down(low)
    if rho.value == 0:
        raise SpecError(f"epsilon {plain(epsilon)} at delta {plain(delta)} allows no budget: raise either")
    return claimed(rho, epsilon, delta, track, given)


def claimed(rho: Rho, epsilon: Fraction, delta: Fraction, track: str, given: Fraction = Fraction(0)) -> Guarantee:
    """What rho, and thresholds that give away at most `given`, prove at (epsilon, delta): beside GDP, the epsilon of zCDP alone."""
    rest = delta - given
    alpha = admits(rho.value, epsilon, rest)
    if alpha is not None:
        return Guarantee(epsilon, delta, rho, alpha, ZCDP, epsilon, given)
    alone = epsilon_of(rho.value, rest, ZCDP)
    alpha = admits(rho.value, alone, rest)
    if track != GDP or alpha is None or not allows(rho.value, epsilon, rest, track):
        raise SpecError(f"rho {plain(rho.value)} is not ({plain(epsilon)}, {plain(delta)})-differential privacy")
    return Guarantee(epsilon, delta, rho, alpha, GDP, alone, given)


def epsilon_of(rho: Fraction, delta: Fraction, track: str) -> Fraction:
    """The least epsilon, rounded up to a multiple of 10^-6, for which rho on that track is (epsilon, delta)-differential privacy.

    Raises ValueError where delta is not above 0: no epsilon is large enough then.
    """
    if delta <= 0:
        raise ValueError(f"delta must be above 0, got {delta}")
    r, log_delta = float(rho), math.log(delta.numerator) - math.log(delta.denominator)
    guess = min(_near_zcdp(r, log_delta), _near_gdp(r, log_delta) if track == GDP else math.inf)
    return Fraction(_least(round(guess * 10**6), lambda millionths: allows(rho, Fraction(millionths, 10**6), delta, track)), 10**6)


def _least(guess: int, holds: Callable[[int], bool]) -> int:
    """The least whole number from 1 on that holds, where all larger ones do too; a bad guess costs time, never the result."""
    low, high, step = 0, max(1, guess), 1
    while not holds(high):
        low, high, step = high, high + step, 2 * step
    step = 1
    while high - low > 1:
        middle = max(high - step, (low + high) // 2)
        low, high, step = (low, middle, 2 * step) if holds(middle) else (middle, high, step)
    return high


def _near_zcdp(rho: float, log_delta: float) -> float:
    """About the least epsilon of rho-zCDP: the least, over alpha, of what solves delta(alpha) = delta. Golden section in ln(alpha - 1)."""

    def epsilon(x: float) -> float:
        alpha = 1 + math.exp(x)
        return alpha * rho + (alpha * math.log1p(-1 / alpha) - x - log_delta) / (alpha - 1)

    low, high = -20 * math.log(2), math.log(_LARGEST_ALPHA)
    for _ in range(45):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if epsilon(left) < epsilon(right) else (left, high)
    return epsilon((low + high) / 2)


def _near_gdp(rho: float, log_delta: float) -> float:
    """About the least epsilon of sqrt(2 rho)-GDP among those whose a is at least 2, by halving in a; infinite for a rho of 0."""
    mu = math.sqrt(2 * rho)
    low, high = float(LEAST_Z), max(LEAST_Z, math.sqrt(max(0.0, -2 * log_delta)))
    for _ in range(50):
        a = (low + high) / 2
        gap = _near_mills(a) - _near_mills(a + mu)
        enough = gap <= 0 or -a * a / 2 - math.log(2 * math.pi) / 2 + math.log(gap) <= log_delta
        low, high = (low, a) if enough else (a, high)
    return mu * (high + mu / 2) if mu else math.inf


def _near_mills(z: float) -> float:
    tail = z
    for numerator in range(8 + int(200 / (z * z)), 0, -1):
        tail = z + numerator / tail
    return 1 / tail


def _ln(value: Fraction) -> Decimal:
    return CONTEXT.ln(decimal_of(value))
