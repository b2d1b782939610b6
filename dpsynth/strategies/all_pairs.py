"""`all-pairs`: every one-way table and every pair of columns, in two batches; no selection, no tree, nothing but Gaussian noise.

Batch 1 spends ONE_WAY of the budget on one-way tables and FIRST of the rest on all pairs, with 1/sigma^2 in proportion to cells^(1/4).
The noisy tables are denoised jointly (see `inference.kronecker`), which also predicts how much each pair would gain from a second look;
batch 2 spends the rest where the predicted errors fall most. Nothing of it depends on anything but released values.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.residuals import residuals
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import MarginalQuestion
from dpsynth.strategies.allocation import least_error, sigmas_by_weight
from dpsynth.strategies.independent import measure_singles, planned_singles, singles
from dpsynth.strategies.strategy import Plan, PlannedQuestion, refuse_large
from dpsynth.transcript import Asker, Measurement, measure

ONE_WAY = Fraction(1, 20)
FIRST = Fraction(7, 10)


@dataclass(frozen=True)
class AllPairs:
    """All pairs of columns, the second time where it helps most."""

    name: str = "all-pairs"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, all pairs, and what the second batch will add to pairs that noisy answers name."""
        pairs = all_pairs(domain)
        refuse_large(domain, (*singles(domain), *pairs))
        if not pairs:
            return Plan(self.name, cap, planned_singles(domain, unit, cap))
        one_way, first, second = batches(cap)
        sigmas = sigmas_by_weight(first, unit, [pair_weight(domain, pair) for pair in pairs])
        planned = [
            PlannedQuestion("two-way table", "discrete-gaussian", p, 1, domain.cells(p), s, MarginalQuestion((p,), (s,)).cost(unit))
            for p, s in zip(pairs, sigmas, strict=True)
        ]
        even = sigmas_by_weight(second, unit, [1.0] * len(pairs))[0]
        again = PlannedQuestion(
            "second look at pairs, at most", "discrete-gaussian", (), len(pairs), max(map(domain.cells, pairs)), even, second
        )
        return Plan(self.name, cap, (*planned_singles(domain, unit, one_way), *planned, again))

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """Both batches; where there is one column only, its table."""
        domain, pairs = asker.domain, all_pairs(asker.domain)
        if not pairs:
            return measure_singles(asker, asker.remaining())
        one_way, first, _ = batches(asker.remaining())
        tables = measure_singles(asker, one_way)
        tables += measure(asker, pairs, sigmas_by_weight(first, asker.unit, [pair_weight(domain, pair) for pair in pairs]))
        again = second_look(asker, tables)
        return (*tables, *measure(asker, tuple(again), sigmas_by_weight(asker.remaining(), asker.unit, list(again.values()))))


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


def second_look(asker: Asker, tables: tuple[Measurement, ...]) -> dict[Clique, float]:
    """The pairs to measure again with the precision to add, by predicted error; every pair where the prediction names none."""
    # One BLAS thread: the sums, and so the questions, are the same whatever the machine's setting.
    with threadpool_limits(1):
        parts = residuals(asker.domain, tables)
        denoised = denoise(asker.domain, parts)
        known = {pair: 1.0 / parts[pair].variance for pair in denoised.pairs}
        budget = 2 * float(asker.remaining().value) / asker.unit.max_rows**2
        return least_error(denoised.spread, known, budget) or known
