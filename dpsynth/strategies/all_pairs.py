"""`all-pairs`: every one-way table and every pair of columns, in two batches; no selection, no tree, nothing but Gaussian noise.

Batch 1 spends ONE_WAY of the budget on one-way tables and FIRST of the rest on all pairs, with 1/sigma^2 in proportion to cells^(1/4).
The noisy tables are denoised jointly (see `inference.kronecker`), which also predicts how much each pair would gain from a second look;
batch 2 spends the rest where the predicted errors fall most. Nothing of it depends on anything but released values, and on the targets and
weights of the spec: these change how batch 1 is divided (see `targets`), and weights also what batch 2 gains.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.residuals import residuals
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import sigma_for
from dpsynth.strategies.allocation import SMALLEST_GAIN, least_error, sigmas_by_weight
from dpsynth.strategies.independent import divided_singles, measure_tables, planned_singles, singles
from dpsynth.strategies.strategy import Plan, PlannedQuestion, planned_tables, refuse_large
from dpsynth.strategies.targets import Division, divided
from dpsynth.transcript import Asker, Measurement, measure
from dpsynth.wishes import NO_WISHES, Wishes

ONE_WAY = Fraction(1, 20)
FIRST = Fraction(7, 10)
CELLS_LIMIT = 1 << 13
"""Cells of all columns together: at this limit a matrix of all pairs at once takes 256 MB, and the fit holds about eight."""


@dataclass(frozen=True)
class AllPairs:
    """All pairs of columns, the second time where it helps most."""

    wishes: Wishes = NO_WISHES
    name: str = "all-pairs"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, all pairs, and what the second batch will add to pairs that noisy answers name."""
        pairs = all_pairs(domain)
        refuse_large(domain, (*singles(domain), *pairs))
        _refuse_wide(domain)
        if not pairs:
            return planned_singles(self.name, domain, unit, cap, self.wishes)
        division = first_look(domain, unit, cap, self.wishes)
        one_way, two_way = _by_size(division)
        tables = planned_tables("one-way table", domain, unit, one_way) + planned_tables("two-way table", domain, unit, two_way, joint=True)
        rest = Rho(cap.value - sum(question.rho.value for question in tables))
        _refuse_unaskable(rest, unit, max(two_way.values()))
        even = sigmas_by_weight(rest, unit, [1.0] * len(pairs))[0]
        again = PlannedQuestion(
            "second look at pairs, at most", "discrete-gaussian", (), len(pairs), max(map(domain.cells, pairs)), even, rest
        )
        return Plan(self.name, cap, (*tables, again), division.promises, division.needs(cap))

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """Both batches; where there is one column only, its table."""
        if not all_pairs(asker.domain):
            return measure_tables(asker, divided_singles(asker.domain, asker.unit, asker.remaining(), self.wishes).sigmas)
        one_way, two_way = _by_size(first_look(asker.domain, asker.unit, asker.remaining(), self.wishes))
        tables = measure_tables(asker, one_way)
        tables += measure_tables(asker, two_way)
        again = second_look(asker, tables, self.wishes)
        return (*tables, *measure(asker, tuple(again), sigmas_by_weight(asker.remaining(), asker.unit, list(again.values()))))


def first_look(domain: Domain, unit: PrivacyUnit, cap: Rho, wishes: Wishes) -> Division:
    """The first batch: one-way tables with equal noise and pairs by `pair_weight`; wishes may move budget between all of them."""
    one_way, first, _ = batches(cap)
    pairs = all_pairs(domain)
    equal = dict.fromkeys(singles(domain), sigma_for(one_way, unit, len(domain.columns)))
    by_size = sigmas_by_weight(first, unit, [pair_weight(domain, pair) for pair in pairs])
    return divided(domain, unit, {**equal, **dict(zip(pairs, by_size, strict=True))}, wishes)


def _refuse_wide(domain: Domain) -> None:
    """The fit holds a few matrices of all cells by all cells. Raises SpecError where they would not fit an ordinary machine."""
    cells = sum(domain.sizes)
    if cells > CELLS_LIMIT:
        raise SpecError(
            f"all-pairs takes at most {CELLS_LIMIT} cells of all columns together, got {cells}: use fewer bins or values, "
            'or synthesis.strategy = "mst"'
        )


def _refuse_unaskable(rest: Rho, unit: PrivacyUnit, most_noise: float) -> None:
    """Refuses before the first question what the last one could not ask: a pair may get all of the rest, or just enough to be worth it."""
    sigma_for(rest, unit)
    least = Fraction(SMALLEST_GAIN) / 2 * Fraction(unit.max_rows) ** 2 / (2 * Fraction(most_noise) ** 2)
    sigma_for(Rho.down(least), unit)


def _by_size(division: Division) -> tuple[dict[Clique, float], dict[Clique, float]]:
    one_way: dict[Clique, float] = {clique: sigma for clique, sigma in division.sigmas.items() if len(clique) == 1}
    two_way: dict[Clique, float] = {clique: sigma for clique, sigma in division.sigmas.items() if len(clique) == 2}
    return one_way, two_way


def all_pairs(domain: Domain) -> tuple[Clique, ...]:
    """Every pair of columns."""
    return tuple(combinations(domain.columns, 2))


def batches(cap: Rho) -> tuple[Rho, Rho, Rho]:
    """The budget of the one-way tables, of all pairs, and of the second look."""
    one_way = cap.share(ONE_WAY)
    first = (cap - one_way).share(FIRST)
    return one_way, first, cap - one_way - first


def pair_weight(domain: Domain, pair: Clique) -> float:
    """What a pair's precision is in proportion to in the first batch: cells^(1/4)."""
    return math.sqrt(math.sqrt(domain.cells(pair)))


def second_look(asker: Asker, tables: tuple[Measurement, ...], wishes: Wishes) -> dict[Clique, float]:
    """The pairs to measure again with the precision to add, by predicted error times weight; every pair where the prediction names none."""
    # One BLAS thread: the sums, and so the questions, are the same whatever the machine's setting.
    with threadpool_limits(1):
        parts = residuals(asker.domain, tables)
        denoised = denoise(asker.domain, parts)
        known = {pair: 1.0 / parts[pair].variance for pair in denoised.pairs}
        budget = 2 * float(asker.remaining().value) / asker.unit.max_rows**2
        return least_error(denoised.spread, known, budget, wishes.weight_of) or known
