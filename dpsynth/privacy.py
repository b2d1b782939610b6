"""Whom the guarantee protects, what a question costs, and what is claimed."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from dpsynth.errors import SpecError
from dpsynth.normal import LEAST_Z, tail_above

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


ZCDP, GDP = "zcdp", "gdp"
"""How costs are added up: as zero-concentrated, or, where every answer is Gaussian, as Gaussian differential privacy. Both add rho."""


@dataclass(frozen=True)
class Guarantee:
    """(epsilon, delta)-differential privacy, proved from rho on the track that is named.

    zcdp: rho-zCDP implies it at the Renyi order `alpha`. gdp: sqrt(2 rho)-Gaussian differential privacy implies it; zCDP alone would prove
    the larger `zcdp_epsilon`, at the order `alpha`. On the zcdp track the two are equal.
    given: the part of delta that thresholds may give away (proofs/threshold-discovery.md); rho is converted at the rest of it.
    """

    epsilon: Fraction
    delta: Fraction
    rho: Rho
    alpha: Fraction
    track: str
    zcdp_epsilon: Fraction
    given: Fraction = Fraction(0)

    def sentence(self) -> str:
        """The claim in one line."""
        claim = f"({plain(self.epsilon)}, {plain(self.delta)})-differential privacy"
        up_to = f" up to a delta of {plain(self.given)} for found labels" if self.given else ""
        if self.track == ZCDP:
            return f"{claim}, by {plain(self.rho.value)}-zCDP{up_to}"
        return f"{claim}, by mu-GDP with mu^2 = {plain(2 * self.rho.value)}{up_to} (zCDP alone: epsilon {plain(self.zcdp_epsilon)})"


def plain(value: Fraction) -> str:
    """A rational as people write it, rounded up to six digits so that a printed claim is never too small."""
    from decimal import ROUND_CEILING, Context, Decimal

    context = Context(prec=6, rounding=ROUND_CEILING)
    number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    ordinary = number == 0 or Decimal("0.001") <= abs(number) < Decimal("1e15")
    return f"{number.normalize():f}" if ordinary else f"{number.normalize():e}"


def gaussian_rho(sensitivity: int, scale: Fraction) -> Rho:
    """Cost of discrete Gaussian noise on integers that one unit moves by at most `sensitivity` steps of 1.

    D^2 / (2 s^2) (1 + 1 / (9 s^2)), rounded up: as zCDP the first factor is enough (Canonne, Kamath, Steinke, arXiv:2004.00010,
    Theorem 4); with the second, noise of scale s >= 1 is no easier to see through than D steps of Gaussian noise of mu^2 = 2 rho / D^2.
    Proof: proofs/discrete-gaussian.md, proofs/gaussian-track.md.
    """
    precision = 1 / (scale * scale)
    return Rho.up(sensitivity * sensitivity * precision * (1 + precision / 9) / 2)


def gaussian_charge(scale: float) -> float:
    """The precision that a table of that noise is charged for, 1 / s^2 (1 + 1 / (9 s^2)): costs go with it, to the rounding of floats."""
    precision = 1 / scale**2
    return precision * (1 + precision / 9)


def noisy_max_rho(sensitivity: int, scale: Fraction) -> Rho:
    """Cost of the noisy maximum with Gumbel noise of scale s on scores that each move by at most D, up or down: D^2 / (2 s^2), rounded up.

    It is the exponential mechanism with epsilon = 2 D / s, and rho = epsilon^2 / 8: Cesar and Rogers, arXiv:2010.13981.
    """
    return Rho.up(Fraction(sensitivity * sensitivity) / (2 * scale * scale))


DELTA_DIGITS, LEAST_DELTA, FARTHEST = 6, -320, 40
"""Digits of a delta; the least power of ten it is a multiple of, as rationals in a record have at most 400; beyond this z it is less."""


def threshold_delta(rows: int, scale: Fraction, threshold: int) -> Fraction:
    """What showing only labels whose noisy count reaches the threshold gives away, rounded up to six digits.

        k P(k + Z >= T) <= k Phi(-(T - k - 1) / s),    k rows a unit, Z discrete Gaussian of scale s

    Raises SpecError where T - k - 1 is below 2 s: such a threshold would hide nobody.
    Proof: proofs/threshold-discovery.md.
    """
    z = (threshold - rows - 1) / scale
    if z < LEAST_Z:
        raise SpecError(f"a threshold of {threshold} hides nobody under noise of scale {plain(scale)}: it must be above by {LEAST_Z} of it")
    exact = Fraction(tail_above(min(z, Fraction(FARTHEST)))) * rows
    unit = Fraction(10) ** max(_places_before(exact) - DELTA_DIGITS, LEAST_DELTA)
    return -((-exact) // unit) * unit


def _places_before(value: Fraction) -> int:
    """The least n with value < 10^n."""
    places = len(str(value.numerator)) - len(str(value.denominator)) + 1
    return places if value >= Fraction(10) ** (places - 1) else places - 1
