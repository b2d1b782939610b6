"""Whom the guarantee protects, what a question costs, and what is claimed."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from dpsynth.errors import SpecError

RHO_UNIT = 1 << 60
"""Costs are whole multiples of 1/RHO_UNIT: sums of arbitrary rationals would grow without bound."""

NEIGHBOURS = "add-remove"


@dataclass(frozen=True, order=True)
class Rho:
    """A zero-concentrated differential privacy cost, a whole multiple of 2^-60."""

    value: Fraction

    def __post_init__(self) -> None:
        if self.value < 0 or RHO_UNIT % self.value.denominator:
            raise SpecError("a cost must be a non-negative multiple of 2^-60: build it with Rho.up or Rho.down")

    @classmethod
    def up(cls, exact: Fraction) -> Self:
        """The least cost that is not below the exact one."""
        return cls(Fraction(-((-exact.numerator * RHO_UNIT) // exact.denominator), RHO_UNIT))

    @classmethod
    def down(cls, exact: Fraction) -> Self:
        """The largest budget that is not above the exact one."""
        return cls(Fraction((exact.numerator * RHO_UNIT) // exact.denominator, RHO_UNIT))

    def __add__(self, other: "Rho") -> "Rho":
        return Rho(self.value + other.value)

    def __sub__(self, other: "Rho") -> "Rho":
        return Rho(self.value - other.value)

    def share(self, part: Fraction) -> "Rho":
        """The given part of this budget, rounded down."""
        return Rho.down(self.value * part)


NOTHING = Rho(Fraction(0))


@dataclass(frozen=True)
class PrivacyUnit:
    """The protected unit: two tables are neighbours when one holds all rows of one unit more than the other.

    id: the column that names the person; empty where each row is one person.
    max_rows: rows of one unit that may count; the rest are dropped at random before anything is counted.
    """

    id: str = ""
    max_rows: int = 1
    neighbours: str = NEIGHBOURS

    def __post_init__(self) -> None:
        if isinstance(self.max_rows, bool) or not isinstance(self.max_rows, int) or not 1 <= self.max_rows <= 1 << 20:
            raise SpecError(f"unit.max_rows must be a whole number from 1 to {1 << 20}, got {self.max_rows!r}")
        if self.neighbours != NEIGHBOURS:
            raise SpecError(f'unit.neighbours must be "{NEIGHBOURS}", got {self.neighbours!r}: no other relation is proved here')
        if not self.id and self.max_rows != 1:
            raise SpecError(
                f"unit.max_rows is {self.max_rows} but unit.id is empty, so each row is one person: "
                "name the person's column in unit.id, or set unit.max_rows to 1"
            )

    def sentence(self) -> str:
        """Whom the guarantee protects, in words."""
        if not self.id:
            return "one row, taken to be one person"
        rows = "one row" if self.max_rows == 1 else f"{self.max_rows} rows"
        return f"all rows of one value of column {self.id!r} (at most {rows} of each count)"


@dataclass(frozen=True)
class Guarantee:
    """(epsilon, delta)-differential privacy by way of rho-zCDP; `alpha` is the Renyi order that proves the conversion.

    delta >= exp((alpha - 1) (alpha rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha
    Source: Canonne, Kamath, Steinke, arXiv:2004.00010, Proposition 12 with Corollary 13.
    """

    epsilon: Fraction
    delta: Fraction
    rho: Rho
    alpha: Fraction

    def sentence(self) -> str:
        """The claim in one line."""
        return f"({plain(self.epsilon)}, {plain(self.delta)})-differential privacy, by {plain(self.rho.value)}-zCDP"


def plain(value: Fraction) -> str:
    """A rational as people write it, rounded up to six digits so that a printed claim is never too small."""
    from decimal import ROUND_CEILING, Context, Decimal

    context = Context(prec=6, rounding=ROUND_CEILING)
    number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    ordinary = number == 0 or Decimal("0.001") <= abs(number) < Decimal("1e15")
    return f"{number.normalize():f}" if ordinary else f"{number.normalize():e}"


def squared_ratio_rho(sensitivity: int, scale: Fraction) -> Rho:
    """Cost of noise of the given scale on integers that one unit moves by at most `sensitivity`: D^2 / (2 scale^2), rounded up.

    For the discrete Gaussian (sigma = scale, L2 sensitivity D) this is Canonne, Kamath, Steinke, arXiv:2004.00010, Theorem 4.
    For the noisy maximum with Gumbel scale s (each score moves by at most D, up or down) the mechanism is the exponential
    mechanism with epsilon = 2 D / s, so rho = epsilon^2 / 8 = D^2 / (2 s^2): Cesar and Rogers, arXiv:2010.13981.
    """
    return Rho.up(Fraction(sensitivity * sensitivity) / (2 * scale * scale))
