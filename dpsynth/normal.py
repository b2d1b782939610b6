"""The tail of the normal distribution with 80 digits, from above: Mills' ratio m(z) = Phi(-z) / phi(z) between convergents.

    m(z) = 1/(z + 1/(z + 2/(z + 3/(z + ...))))       odd convergents are above m(z), even ones below

Proof: proofs/gaussian-track.md.
"""

from decimal import Context, Decimal, DivisionByZero, InvalidOperation
from fractions import Fraction

CONTEXT = Context(prec=80, Emin=-(10**9), Emax=10**9, traps=[DivisionByZero, InvalidOperation])
OUTWARD = CONTEXT.add(Decimal(1), Decimal("1e-60"))
"""80 digits leave an error below 1e-70 in every exponent used here; one part in 1e60 on top makes the rounding outward.
A bound beyond 10^(10^9) is infinite and admits nothing."""

LEAST_Z = 2
CONVERGENT = 400
"""For z of at least 2 the 400th and 401st convergents of m(z) differ by less than 1e-32 of it."""

_DENSITY_AT_0 = Decimal("0.398942280401432677939946059934381868475858631164934657665925829670658")
"""1 / sqrt(2 pi), rounded up."""


def mills(z: Decimal, convergent: int) -> Decimal:
    """m(z), cut off at that convergent."""
    tail = z
    for numerator in range(convergent - 1, 0, -1):
        tail = CONTEXT.add(z, CONTEXT.divide(Decimal(numerator), tail))
    return CONTEXT.divide(Decimal(1), tail)


def mills_above(z: Decimal) -> Decimal:
    """m(z) for z of at least 2, rounded up."""
    return CONTEXT.multiply(mills(z, CONVERGENT + 1), OUTWARD)


def mills_below(z: Decimal) -> Decimal:
    """m(z) for z of at least 2, rounded down."""
    return CONTEXT.divide(mills(z, CONVERGENT), OUTWARD)


def density(z: Decimal) -> Decimal:
    """phi(z), from above but for the rounding of 80 digits: whoever multiplies it rounds outward."""
    return CONTEXT.multiply(_DENSITY_AT_0, CONTEXT.exp(CONTEXT.divide(CONTEXT.multiply(z, z), Decimal(-2))))


def tail_above(z: Fraction) -> Decimal:
    """Phi(-z) for z of at least 2, rounded up."""
    at = decimal_of(z)
    return CONTEXT.multiply(CONTEXT.multiply(density(at), mills_above(at)), OUTWARD)


def decimal_of(value: Fraction) -> Decimal:
    """The rational to 80 digits."""
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))
