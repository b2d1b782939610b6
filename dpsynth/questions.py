"""The questions a curator answers, each with its cost as a pure function of public values.

Costs add up in one unit, rho. Where every question of a run is `gaussian`, their sum may also be read as Gaussian differential privacy
with mu^2 = 2 rho, which promises more (proofs/gaussian-track.md).
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical
from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.normal import LEAST_Z
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, gaussian_rho, noisy_max_rho, threshold_delta

SIGMA_LIMITS = (0.01, float(2**40))
"""Noise outside these limits is either no privacy at all or no answer at all; both point to a mistake."""

ROWS_LIMIT = 1 << 40
"""No table has this many rows: scores and their sums then stay exact in int64."""

LEAST_GAUSSIAN_SCALE = 1
"""Discrete Gaussian noise of at least this scale costs as Gaussian differential privacy what it costs here; of less, more."""

SCORE_BITS = 16
"""Estimates in scores are rounded to multiples of 2^-16 rows, so that scores are exact integers."""

LABELS_LIMIT = 1 << 16
"""No column has more cells: more labels could not be used."""

LARGEST_WEIGHT = 32
"""32 times the error of 2^40 rows on either side, in units of 2^-16 rows, is 2^62: a score still fits int64."""


@dataclass(frozen=True)
class MarginalQuestion:
    """Noisy marginals of several cliques, the noise of each with its own standard deviation in rows."""

    cliques: tuple[Clique, ...]
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cliques", tuple(map(tuple, self.cliques)))
        object.__setattr__(self, "sigmas", tuple(map(exact_float, self.sigmas)))
        if len(self.cliques) != len(self.sigmas):
            raise SpecError(f"a sigma is needed for each clique, got {len(self.cliques)} cliques and {len(self.sigmas)} sigmas")
        for clique, sigma in zip(self.cliques, self.sigmas, strict=True):
            check_scale(sigma, f"sigma of {list(clique)}")

    def cost(self, unit: PrivacyUnit) -> Rho:
        """Sum over cliques of the cost of their noise: all k rows of a unit may share a cell."""
        return reduce(add, (gaussian_rho(unit.max_rows, Fraction(sigma)) for sigma in self.sigmas), NOTHING)

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """Whether it can be accounted as Gaussian differential privacy."""
        return all(sigma >= LEAST_GAUSSIAN_SCALE for sigma in self.sigmas)

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        sigmas = [canonical.rational_text(Fraction(sigma)) for sigma in self.sigmas]
        return canonical.digest(["marginals", list(map(list, self.cliques)), sigmas])


@dataclass(frozen=True, eq=False)
class ErrorsQuestion:
    """How far the tables of some cliques are from their public estimates, in L1 distance, each with noise of `sigma` rows.

    estimates: int64[cells] for each clique, in units of 2^-16 rows (see `score_estimate`); kept as copies nobody can write to.
    """

    cliques: tuple[Clique, ...]
    estimates: tuple[NDArray[np.int64], ...]
    sigma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "cliques", tuple(map(tuple, self.cliques)))
        object.__setattr__(self, "estimates", tuple(map(_unchangeable, self.estimates)))
        object.__setattr__(self, "sigma", exact_float(self.sigma))
        check_scale(self.sigma, "the sigma of errors")
        check_estimates(self.cliques, self.estimates, "errors are measured of")

    def sensitivity(self, unit: PrivacyUnit) -> int:
        """How far one unit moves each error: k 2^16, as each of its k rows moves one cell by 1, up or down."""
        return unit.max_rows << SCORE_BITS

    def noise_scale(self) -> float:
        """The noise in the units of the integer errors; exact, as a power of two is a shift of the exponent."""
        return math.ldexp(self.sigma, SCORE_BITS)

    def cost(self, unit: PrivacyUnit) -> Rho:
        """The cost of one error's noise, for each clique: one row moves the errors of all of them."""
        each = gaussian_rho(self.sensitivity(unit), Fraction(self.noise_scale()))
        return Rho(each.value * len(self.cliques))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """Whether it can be accounted as Gaussian differential privacy: its scale in integer units is far above 1."""
        return self.noise_scale() >= LEAST_GAUSSIAN_SCALE

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        sigma = canonical.rational_text(Fraction(self.sigma))
        return canonical.digest(["errors", list(map(list, self.cliques)), table_digests(self.estimates), sigma])


@dataclass(frozen=True, eq=False)
class SelectionQuestion:
    """Which candidate's table is furthest from its public estimate, in weighted L1 distance.

    estimates: int64[cells] for each candidate, in units of 2^-16 rows (see `score_estimate`); kept as copies nobody can write to.
    weights: positive integers. scale: of the Gumbel noise, in weighted rows.
    """

    candidates: tuple[Clique, ...]
    estimates: tuple[NDArray[np.int64], ...]
    weights: tuple[int, ...]
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(map(tuple, self.candidates)))
        object.__setattr__(self, "estimates", tuple(map(_unchangeable, self.estimates)))
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "scale", exact_float(self.scale))
        check_scale(self.scale, "the scale of a selection")
        check_estimates(self.candidates, self.estimates, "a selection chooses from")
        if len(self.weights) != len(self.candidates):
            raise SpecError("a selection needs one weight a candidate")
        for clique, weight in zip(self.candidates, self.weights, strict=True):
            if type(weight) is not int or not 1 <= weight <= LARGEST_WEIGHT:
                raise SpecError(f"the weight of {list(clique)} must be a whole number from 1 to {LARGEST_WEIGHT}, got {weight!r}")

    def sensitivity(self, unit: PrivacyUnit) -> int:
        """How far one unit moves a score: each of its k rows moves one cell by 1, up or down, so k max(weight) 2^16."""
        return unit.max_rows * max(self.weights) << SCORE_BITS

    def noise_scale(self) -> float:
        """Gumbel scale in the units of the integer scores; exact, as a power of two is a shift of the exponent."""
        return math.ldexp(self.scale, SCORE_BITS)

    def cost(self, unit: PrivacyUnit) -> Rho:
        """(2 D / s)^2 / 8 with D the sensitivity and s the Gumbel scale, both in the units of the integer scores."""
        return noisy_max_rho(self.sensitivity(unit), Fraction(self.noise_scale()))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """It is not: its noise is Gumbel's."""
        return False

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        scale = canonical.rational_text(Fraction(self.scale))
        return canonical.digest(["selection", list(map(list, self.candidates)), table_digests(self.estimates), list(self.weights), scale])


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


@dataclass(frozen=True)
class QuantileQuestion:
    """Before which of a column's cells about `part` of `parts` equal shares of its rows lie.

    cells: of ordered values; cells after them, and those of `apart`, hold rows that take no part. scale: of the Gumbel noise, in weighted
    rows. The score of the cut before cell i is -|(parts - part) below - part above|, with the rows in cells below i and in the others.
    """

    column: str
    cells: int
    part: int
    parts: int
    scale: float
    apart: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", exact_float(self.scale))
        check_scale(self.scale, f"the scale of a quantile of {self.column!r}")
        object.__setattr__(self, "apart", tuple(self.apart))
        whole = all(type(value) is int for value in (self.cells, self.part, self.parts, *self.apart))
        if (
            not whole
            or not all(0 <= cell < self.cells for cell in self.apart)
            or not 1 <= self.part < self.parts <= LARGEST_WEIGHT
            or self.cells < 2
        ):
            raise SpecError(f"a quantile of {self.column!r} must be one of at most {LARGEST_WEIGHT} parts of at least two cells")

    @property
    def weight(self) -> int:
        """How far one row moves a score: a row below moves it by parts - part, one above by part, up or down."""
        return max(self.part, self.parts - self.part)

    def sensitivity(self, unit: PrivacyUnit) -> int:
        """How far one unit moves a score, in units of 2^-16 weighted rows: k weight 2^16."""
        return unit.max_rows * self.weight << SCORE_BITS

    def noise_scale(self) -> float:
        """Gumbel scale in the units of the integer scores; exact, as a power of two is a shift of the exponent."""
        return math.ldexp(self.scale, SCORE_BITS)

    def cost(self, unit: PrivacyUnit) -> Rho:
        """As for a selection: (2 D / s)^2 / 8."""
        return noisy_max_rho(self.sensitivity(unit), Fraction(self.noise_scale()))

    def delta(self, unit: PrivacyUnit) -> Fraction:
        """It gives nothing away beyond its cost."""
        return Fraction(0)

    def gaussian(self) -> bool:
        """It is not: its noise is Gumbel's."""
        return False

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        scale = canonical.rational_text(Fraction(self.scale))
        return canonical.digest(["quantile", self.column, self.cells, self.part, self.parts, scale, list(self.apart)])


Question = MarginalQuestion | ErrorsQuestion | SelectionQuestion | LabelsQuestion | QuantileQuestion


def score_estimate(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """float64[cells] of estimated rows -> int64[cells] in units of 2^-16 rows, as scores want them."""
    return np.rint(np.ldexp(rows, SCORE_BITS)).astype(np.int64)


def sigma_for(rho: Rho, unit: PrivacyUnit, questions: int = 1) -> float:
    """The least sigma, in rows, at which that many equal questions of sensitivity max_rows cost at most rho.

    For a Gumbel scale, which costs up to 1 / (9 scale^2) less, it is a little more than the least.

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


def absolute_sum(values: NDArray[np.int64]) -> int:
    """The sum of |values|, exact whatever they are: an int64 sum would wrap around, and |-2^63| is no int64."""
    sizes = np.abs(values).view(np.uint64)
    return (int((sizes >> np.uint64(32)).sum()) << 32) + int((sizes & np.uint64(0xFFFFFFFF)).sum())


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


def check_estimates(cliques: Sequence[Clique], estimates: Sequence[NDArray[np.int64]], what: str) -> None:
    """Refuses public estimates that are none: there has to be one a clique, of at most 2^40 rows. Raises SpecError."""
    if not cliques:
        raise SpecError(f"{what} at least one table, got none")
    if len(cliques) != len(estimates):
        raise SpecError(f"{what} tables with an estimate each, got {len(cliques)} tables and {len(estimates)} estimates")
    for clique, estimate in zip(cliques, estimates, strict=True):
        if absolute_sum(estimate) > ROWS_LIMIT << SCORE_BITS:
            raise SpecError(f"the estimate of {list(clique)} holds more than 2^40 rows")


def table_digests(tables: Sequence[NDArray[np.int64]]) -> list[str]:
    """SHA-256 of each table's little-endian values."""
    return [hashlib.sha256(np.ascontiguousarray(table, dtype="<i8").tobytes()).hexdigest() for table in tables]


def total_cost(questions: Sequence[Question], unit: PrivacyUnit) -> Rho:
    """The exact sum of the questions' costs."""
    return reduce(add, (question.cost(unit) for question in questions), NOTHING)


def _unchangeable(estimate: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same values over bytes: neither a later write nor a subclass's arithmetic can reach what is compared with exact counts."""
    if not isinstance(estimate, np.ndarray) or estimate.dtype != np.int64 or estimate.ndim != 1:
        raise SpecError(f"an estimate must be int64[cells], got {getattr(estimate, 'dtype', type(estimate).__name__)}")
    kept: object = estimate.base  # numpy's types leave bytes out of what may lie under an array
    if type(estimate) is np.ndarray and type(kept) is bytes:
        return estimate
    return np.frombuffer(estimate.tobytes(), dtype=np.int64)
