"""A plain division of a budget, changed to meet targets and weights: a convex program with an exact direct solution.

With w_t = 1 / sigma_t^2 the precision of table t (as it is charged: see `gaussian_charge`), p_t its plain precision and v_t its weight,

    minimise    sum_t v_t e_t(w_t),   e_t(w) = p_t (p_t / w)^(1/3)
    subject to  sum_t cost(w_t) <= the plain cost,   w_t >= p_t / 10,   w_t >= 1 / sigma^2 at the limit of each target.

For pairs p_t ~ cells^(1/4), so e_t ~ (cells sigma^2)^(1/3): the error that denoising leaves grows with the cube root of the energy of
the noise. That law makes cells^(1/4), the measured optimum, the optimum where nothing is wished. (On UCI Adult, epsilon 0.1 to 10, the
error of denoised pairs grows with the power 0.38 of that energy.) Without data the noise is known and the columns are not: no prior says
more.

Stationarity gives w_t = max(limit_t, c v_t^(3/4) p_t) with one c for all tables: tables below their limit are set to it and the others
share what is left in proportion, until none is below. Limits that were set stay set, for c only falls; so there is at most one round a
table.
The budget and the limits hold exactly: sigmas and costs are those of the questions, not of the program.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import reduce
from operator import add

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError, TargetsRefused
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho, gaussian_charge, gaussian_rho
from dpsynth.questions import SIGMA_LIMITS
from dpsynth.strategies.allocation import sigmas_by_weight
from dpsynth.strategies.misplaced import largest_sigma, misplaced
from dpsynth.wishes import Promise, Target, Wishes

FLOOR = 0.1
"""No table falls below this share of its plain precision: what was not named is still measured."""

POWER = 0.75
"""Precision grows with this power of the weight: 1 / (1 + 1/3)."""

NEAREST_STEPS = 4
MARGIN = 1 + 2.0**-20
"""Above every rounding on the way from precisions to exact costs."""

Sigmas = dict[Clique, float]


@dataclass(frozen=True)
class Division:
    """A sigma for each table, what the targets may count on, and how many times the budget they need (None without targets)."""

    sigmas: Sigmas
    promises: tuple[Promise, ...] = ()
    times: Fraction | None = None

    def needs(self, cap: Rho) -> Rho | None:
        """The least cap that meets the targets, where the tables get a fixed share of it."""
        return None if self.times is None else Rho.up(cap.value * self.times)


def divided(domain: Domain, unit: PrivacyUnit, plain: Sigmas, wishes: Wishes) -> Division:
    """The plain sigmas where nothing is wished; else the solution of the program, at most at their cost.

    Raises SpecError for a table that is not measured, TargetsRefused where the targets need more.
    """
    if not wishes.tables:
        return Division(plain)
    _refuse_unmeasured(plain, wishes)
    wanted, floors = _limits(domain, wishes), {clique: min(sigma / math.sqrt(FLOOR), SIGMA_LIMITS[1]) for clique, sigma in plain.items()}
    limits = {clique: min(floor, wanted.get(clique, math.inf)) for clique, floor in floors.items()}
    budget = cost_of(plain, unit)
    times = _times(plain, wanted)
    if cost_of(limits, unit) > budget:
        raise TargetsRefused(_refusal(domain, plain, wishes), Fraction(times))
    sigmas = _filled(plain, limits, wishes, unit, budget)
    return Division(sigmas, promised(domain, sigmas, wishes), Fraction(times) if wishes.targets else None)


def promised(domain: Domain, sigmas: Sigmas, wishes: Wishes) -> tuple[Promise, ...]:
    """Each target with the share that holds at its table's sigma."""
    return tuple(Promise(target, _within(domain, target, sigmas[target.columns], wishes)) for target in wishes.targets)


def _filled(plain: Sigmas, limits: Sigmas, wishes: Wishes, unit: PrivacyUnit, budget: Rho) -> Sigmas:
    """Tables at their limits, and the rest of the budget over the others in proportion."""
    shares = {clique: wishes.weight_of.get(clique, 1.0) ** POWER * gaussian_charge(sigma) for clique, sigma in plain.items()}
    fixed: Sigmas = {}
    while free := [clique for clique in plain if clique not in fixed]:
        rest = budget - cost_of(fixed, unit)
        filled = dict(zip(free, sigmas_by_weight(rest, unit, [shares[clique] for clique in free]), strict=True))
        below = {clique: limits[clique] for clique in free if filled[clique] > limits[clique]}
        fixed |= below or filled
    return {clique: fixed[clique] for clique in plain}


def _times(plain: Sigmas, wanted: Sigmas) -> float:
    """The x at which the limits and the floors of an x times larger budget just fit into it.

    sum_t max(w(wanted_t), FLOOR x p_t) = x sum_t p_t, precisions as they are charged; targets that ask less than the floor drop out,
    which only raises x.
    """
    precision = {clique: gaussian_charge(sigma) for clique, sigma in plain.items()}
    asked = {clique: gaussian_charge(sigma) for clique, sigma in wanted.items()}
    while True:
        idle = math.fsum(p for clique, p in precision.items() if clique not in asked)
        times = math.fsum(asked.values()) / (math.fsum(precision.values()) - FLOOR * idle) * MARGIN
        kept = {clique: w for clique, w in asked.items() if w > FLOOR * times * precision[clique]}
        if len(kept) == len(asked):
            return times
        asked = kept


def _limits(domain: Domain, wishes: Wishes, factor: Fraction = Fraction(1)) -> Sigmas:
    """The largest sigma that the targets of each table allow, all made that factor wider."""
    limits: Sigmas = {}
    for target in wishes.targets:
        sigma = largest_sigma(domain.cells(target.columns), wishes.rows(target.within * factor), float(target.confidence))
        limits[target.columns] = min(sigma, limits.get(target.columns, math.inf))
    return limits


def _within(domain: Domain, target: Target, sigma: float, wishes: Wishes) -> Fraction:
    return Fraction(misplaced(domain.cells(target.columns), sigma, float(target.confidence)), 2 * (wishes.rows_about or 1))


def nearest(domain: Domain, plain: Sigmas, wishes: Wishes) -> Fraction:
    """The least common factor on all targets, to a percent, at which they fit the budget; at least 1 where they do not fit as they are.

    Noise goes with the root of the budget, so sigmas sqrt(times) as large fit; a little more absorbs the 16 bits of a limit. What is
    misplaced grows with sigma almost in proportion, so that a few steps are enough, and each of them fits.
    """
    factor = Fraction(1)
    for _ in range(NEAREST_STEPS):
        wanted = _limits(domain, wishes, factor)
        grown = math.sqrt(_times(plain, wanted)) * (1 + 2.0**-13)
        shares = [_within(domain, target, wanted[target.columns] * grown, wishes) / target.within for target in wishes.targets]
        factor = max(shares)
    return factor


def _refusal(domain: Domain, plain: Sigmas, wishes: Wishes) -> str:
    factor = nearest(domain, plain, wishes)
    asked = "; ".join(target.sentence() for target in wishes.targets)
    offers = "; ".join(_offer(target, three_digits_up(target.within * factor)) for target in wishes.targets)
    wider = f"all {float(three_digits_up(factor)):g} times as wide"
    return f"the budget is too small for the targets ({asked}). The nearest it can meet, {wider}: {offers}"


def _offer(target: Target, within: Fraction) -> str:
    return replace(target, within=within).sentence() if within < 1 else f"no target on {' x '.join(target.columns)}"


def _refuse_unmeasured(plain: Mapping[Clique, float], wishes: Wishes) -> None:
    for clique in wishes.tables:
        if clique not in plain:
            raise SpecError(
                f"the table {list(clique)} has a target or a weight, but this strategy does not plan it before it has seen answers: "
                'name single columns, or pairs with synthesis.strategy = "all-pairs"'
            )


def cost_of(sigmas: Mapping[Clique, float], unit: PrivacyUnit) -> Rho:
    """The cost of measuring these tables, each with its noise."""
    return reduce(add, (gaussian_rho(unit.max_rows, Fraction(sigma)) for sigma in sigmas.values()), NOTHING)


def three_digits_up(value: Fraction) -> Fraction:
    """The number rounded up to three significant digits."""
    return Fraction(Context(prec=3, rounding=ROUND_CEILING).divide(Decimal(value.numerator), Decimal(value.denominator)))
