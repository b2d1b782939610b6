"""Certified bounds of the standard normal distribution, in decimals with directed rounding. For tests of proofs: slow and plain.

1 - Phi(t) = phi(t) m(t); for t >= 2 Mills' ratio m lies between neighbouring convergents of 1/(t + 1/(t + 2/(t + ...))), for smaller t
Phi(t) - 1/2 = phi(t) (t + t^3/3 + t^5/15 + ...), whose tail is less than a geometric one. Every step adds, multiplies or divides positive
numbers, so rounding all of them down (up) gives a lower (upper) bound; `exp` rounds to nearest and is moved by one part in 10^(PREC - 2).
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

PREC = 50
DOWN, UP = (Context(prec=PREC, rounding=rounding, Emin=-(10**9), Emax=10**9) for rounding in (ROUND_FLOOR, ROUND_CEILING))
BELOW, ABOVE = Decimal(1) - Decimal(10) ** (2 - PREC), Decimal(1) + Decimal(10) ** (2 - PREC)
PI = Decimal("3.14159265358979323846264338327950288419716939937510"), Decimal("3.14159265358979323846264338327950288419716939937511")
CONVERGENTS = {2: 300, 4: 120, 8: 50}
"""Enough, from that t on, for neighbouring convergents to agree to about 25 digits."""


def decimals(value):
    """(below, above) of a rational."""
    return tuple(context.divide(Decimal(value.numerator), Decimal(value.denominator)) for context in (DOWN, UP))


def exponential(value):
    """(below, above) of exp of a rational."""
    return DOWN.multiply(DOWN.exp(decimals(value)[0]), BELOW), UP.multiply(UP.exp(decimals(value)[1]), ABOVE)


def density(t):
    """(below, above) of phi(t)."""
    kernel = exponential(Fraction(-t * t) / 2)
    roots = DOWN.multiply(DOWN.sqrt(2 * PI[0]), BELOW), UP.multiply(UP.sqrt(2 * PI[1]), ABOVE)
    return DOWN.divide(kernel[0], roots[1]), UP.divide(kernel[1], roots[0])


def upper_tail(t):
    """(below, above) of 1 - Phi(t), t a rational of at least 0."""
    low, high = density(t)
    if t < 2:
        series = _series(t)
        return DOWN.subtract(Decimal("0.5"), UP.multiply(high, series[1])), UP.subtract(Decimal("0.5"), DOWN.multiply(low, series[0]))
    count = CONVERGENTS[max(start for start in CONVERGENTS if start <= t)]
    return DOWN.multiply(low, _convergent(t, count, UP)), UP.multiply(high, _convergent(t, count + 1, DOWN))


def _series(t):
    bounds = []
    for context, square, start in zip((DOWN, UP), decimals(t * t), decimals(t), strict=True):
        term, total = start, Decimal(0)
        for n in range(1, 200):
            total = context.add(total, term)
            term = context.divide(context.multiply(term, square), Decimal(2 * n + 1))
        bounds.append(context.add(total, 2 * term if context is UP else Decimal(0)))  # later terms at least halve: t^2 < 4
    return bounds


def _convergent(t, count, context):
    """Convergents at even counts are lower bounds of m(t), at odd ones upper bounds; `context` rounds the denominator the safe way.

    The denominators alternate between falling and rising in the next one, so each is moved by a part in 10^45 instead: more than all
    rounding of 300 steps.
    """
    z = decimals(t)[0]
    tail = z
    for numerator in range(count - 1, 0, -1):
        tail = DOWN.add(z, DOWN.divide(Decimal(numerator), tail))
    moved = UP.multiply(tail, 1 + Decimal("1e-45")) if context is UP else DOWN.multiply(tail, 1 - Decimal("1e-45"))
    return (DOWN if context is UP else UP).divide(Decimal(1), moved)
