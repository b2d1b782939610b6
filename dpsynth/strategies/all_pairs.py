"""`all-pairs`: every one-way table and every pair of columns, in two batches; no selection, no tree, nothing but Gaussian noise.

Batch 1 spends ONE_WAY of the budget on one-way tables and FIRST of the rest on all pairs, with 1/sigma^2 in proportion to cells^(1/4).
The noisy tables are denoised jointly (see `inference.kronecker`), which also predicts how much each pair would gain from a second look;
batch 2 spends the rest where the predicted errors fall most. Nothing of it depends on anything but released values, and on the targets and
weights of the spec: these change how batch 1 is divided (see `targets`), and weights also what batch 2 gains. A workload is turned into
weights (see `emphasis`); of pairs that it holds too large for a table, and of all pairs where it is of single columns only, none is asked.

Where the noisy one-way tables show too few rows for that, or the columns are many, most pairs would drown in their noise. Then the pairs'
budget first asks how far all of them are from independence, if that is affordable, and goes to the tables that it helps most (see
`preselection`): pairs with a target as planned, pairs that depend, and one-way tables again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.kronecker import Denoised, denoise
from dpsynth.inference.residuals import residuals
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho
from dpsynth.questions import LEAST_GAUSSIAN_SCALE, ROWS_LIMIT, sigma_for
from dpsynth.strategies.allocation import SMALLEST_GAIN, least_error, sigmas_by_weight
from dpsynth.strategies.emphasis import emphasised
from dpsynth.strategies.independent import divided_singles, measure_tables, must_tables, planned_singles, singles
from dpsynth.strategies.preselection import LEAST_SHARE, UNKNOWN, errors_question, settled, worthwhile
from dpsynth.strategies.strategy import Plan, PlannedQuestion, planned_tables, refuse_large
from dpsynth.strategies.targets import Division, cost_of, divided
from dpsynth.transcript import Asker, Measurement, errors, measure
from dpsynth.wishes import NO_WISHES, Wishes
from dpsynth.workload import Workload

ONE_WAY = Fraction(1, 10)
FIRST = Fraction(7, 10)

DROWNED = 0.25
"""Share of the rows that the noise of a pair may misplace, on average and before denoising, for all pairs to be worth measuring."""

ALL_AT_ONCE = 300
"""The pairs of 25 columns. Of more, most depend too little to be worth any noise, however many rows there are."""

ERRORS_WITHIN, ERRORS_AT_MOST = 0.005, 0.06
"""Share of the rows: how precisely distances from independence are asked for, and beyond what noise they are not."""

ERRORS_SHARE = Fraction(1, 20)
"""Of the whole budget: what asking for distances may cost at most."""

CELLS_LIMIT = 1 << 13
"""Cells of all columns together: at this limit a matrix of all pairs at once takes 256 MB, and the fit holds about eight."""


@dataclass(frozen=True)
class AllPairs:
    """All pairs of columns, the second time where it helps most."""

    wishes: Wishes = NO_WISHES
    workload: Workload | None = None
    name: str = "all-pairs"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, all pairs, and what the second batch will add to pairs that noisy answers name."""
        _refuse_wider_tables(self.workload)
        pairs, wishes = self._asked(domain)
        refuse_large(domain, (*singles(domain), *pairs))
        _refuse_wide(domain)
        if not pairs:
            return planned_singles(self.name, domain, unit, cap, wishes)
        division = first_look(domain, unit, cap, wishes, pairs)
        one_way, two_way = _by_size(division)
        tables = planned_tables("one-way table", domain, unit, one_way) + planned_tables("two-way table", domain, unit, two_way, joint=True)
        rest = Rho(cap.value - sum(question.rho.value for question in tables))
        _refuse_unaskable(rest, unit, max(two_way.values()))
        sigma_for(cap.share(ERRORS_SHARE * Fraction(LEAST_SHARE)), unit, len(pairs))
        even = _covered(sigmas_by_weight(rest, unit, [1.0] * len(pairs))[0])
        again = PlannedQuestion(
            "second look at pairs, at most", "discrete-gaussian", (), len(pairs), max(map(domain.cells, pairs)), even, rest
        )
        notes = (_reason(len(pairs), rows_needed(domain, two_way), wishes),)
        return Plan(self.name, cap, (*tables, again), division.promises, division.needs(cap), notes)

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """Both batches; where there is one column only, its table."""
        pairs, wishes = self._asked(asker.domain)
        if not pairs:
            return measure_tables(asker, divided_singles(asker.domain, asker.unit, asker.remaining(), wishes).sigmas)
        limit = asker.remaining().share(ERRORS_SHARE)
        one_way, two_way = _by_size(first_look(asker.domain, asker.unit, asker.remaining(), wishes, pairs))
        tables = measure_tables(asker, one_way)
        with threadpool_limits(1):
            denoised = denoise(asker.domain, residuals(asker.domain, tables))
        drowned = denoised.total < rows_needed(asker.domain, two_way)
        tables += self._worthwhile(asker, denoised, two_way, wishes, limit) if drowned else measure_tables(asker, two_way)
        again = second_look(asker, tables, wishes)
        sigmas = sigmas_by_weight(asker.remaining(), asker.unit, list(again.values()))
        return (*tables, *measure(asker, tuple(again), [_covered(sigma) for sigma in sigmas]))

    def _asked(self, domain: Domain) -> tuple[tuple[Clique, ...], Wishes]:
        """The pairs to ask about, and the wishes with what the workload makes of them."""
        pairs = asked_pairs(domain, self.workload)
        return pairs, emphasised(self.wishes, self.workload, (*singles(domain), *pairs))

    def _worthwhile(
        self, asker: Asker, denoised: Denoised, two_way: Mapping[Clique, float], wishes: Wishes, limit: Rho
    ) -> tuple[Measurement, ...]:
        """What is asked in place of all pairs, at their cost: distances, pairs that must be measured as planned, and what is worth most."""
        must = {*(target.columns for target in wishes.targets), *must_tables(self.workload)}
        promised = {pair: sigma for pair, sigma in two_way.items() if pair in must}
        open_pairs = [pair for pair in two_way if pair not in promised]
        before = asker.remaining()
        distances = _distances(asker, denoised, open_pairs, limit)
        spent = before - asker.remaining()
        budget = Rho(max(cost_of(two_way, asker.unit).value - cost_of(promised, asker.unit).value - spent.value, Fraction(0)))
        if not open_pairs or budget == NOTHING:
            return measure_tables(asker, promised)
        with threadpool_limits(1):
            precision = worthwhile(denoised, distances, precision_of(budget, asker.unit), wishes.weight_of)
        sigmas = map(_covered, sigmas_by_weight(budget, asker.unit, list(precision.values())))
        return measure_tables(asker, promised | dict(zip(precision, sigmas, strict=True)))


def _distances(asker: Asker, denoised: Denoised, pairs: list[Clique], limit: Rho) -> dict[Clique, float]:
    """Of each pair from independence, in rows: settled noisy ones, or where they would be mere noise, the same guess for all."""
    rows = 2 * min(denoised.total, ROWS_LIMIT / 2)
    exact_enough = ERRORS_WITHIN * rows / asker.unit.max_rows
    wanted = Rho.up(Fraction(len(pairs) / (2 * exact_enough**2)))
    sigma = sigma_for(min(wanted, limit), asker.unit, len(pairs)) if pairs else math.inf
    if sigma > ERRORS_AT_MOST * rows or denoised.total > ROWS_LIMIT / 2:
        return dict.fromkeys(pairs, UNKNOWN * rows)
    noisy = errors(asker, errors_question(denoised, pairs, sigma))
    return dict(zip(pairs, map(float, settled(noisy, sigma)), strict=True))


def rows_needed(domain: Domain, two_way: Mapping[Clique, float]) -> float:
    """From how many rows on all pairs are worth measuring: their noise then misplaces at most DROWNED of the rows on average.

    mean(cells sqrt(2 / pi) sigma) / (2 DROWNED); never for more than ALL_AT_ONCE pairs.
    """
    if len(two_way) > ALL_AT_ONCE:
        return math.inf
    misplaced = [domain.cells(pair) * math.sqrt(2 / math.pi) * sigma for pair, sigma in two_way.items()]
    return float(np.mean(misplaced)) / (2 * DROWNED)


def first_look(domain: Domain, unit: PrivacyUnit, cap: Rho, wishes: Wishes, pairs: Sequence[Clique] | None = None) -> Division:
    """The first batch: one-way tables with equal noise and pairs by `pair_weight`; wishes may move budget between all of them.

    pairs: None for all of them.
    """
    one_way, first, _ = batches(cap)
    pairs = all_pairs(domain) if pairs is None else pairs
    equal = dict.fromkeys(singles(domain), sigma_for(one_way, unit, len(domain.columns)))
    by_size = sigmas_by_weight(first, unit, [pair_weight(domain, pair) for pair in pairs])
    return divided(domain, unit, {**equal, **dict(zip(pairs, by_size, strict=True))}, wishes)


def _reason(pairs: int, rows: float, wishes: Wishes) -> str:
    """Which pairs are measured, and why."""
    worthwhile = (
        "one question asks how far all pairs are from independence, if noise leaves anything of the answer, and their budget goes to the "
        "pairs and one-way tables whose expected error it lowers most; the model fills in the others. Pairs with a target are measured as "
        "listed."
    )
    if rows == math.inf:
        return f"{pairs} pairs are more than {ALL_AT_ONCE}, and most will hardly depend. So {worthwhile}"
    about = wishes.rows_about
    likely = "" if about is None else f" With {about} rows the {'first' if about >= rows else 'second'} is to be expected."
    return (
        f"All pairs are measured as listed where the noisy one-way tables show {rows:.0f} rows or more. Of fewer, noise would misplace "
        f"over {DROWNED:.0%} in a pair: then {worthwhile}{likely}"
    )


def _covered(sigma: float) -> float:
    """At least the scale from which on noise is covered by the Gaussian track's proof; less noise than that nobody would notice."""
    return max(sigma, float(LEAST_GAUSSIAN_SCALE))


def precision_of(rho: Rho, unit: PrivacyUnit) -> float:
    """The sum of 1 / sigma^2 that a budget buys, in 1 / rows^2."""
    return 2 * float(rho.value) / unit.max_rows**2


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


def asked_pairs(domain: Domain, workload: Workload | None) -> tuple[Clique, ...]:
    """The pairs whose tables the workload has room and use for; None: every pair."""
    pairs = all_pairs(domain)
    if workload is None:
        return pairs
    return tuple(pair for pair in pairs if pair in workload.must or (workload.joint and workload.allows(domain, pair)))


def _refuse_wider_tables(workload: Workload | None) -> None:
    for clique in must_tables(workload):
        if len(clique) > 2:
            raise SpecError(
                f"the table {list(clique)} must be measured, but all-pairs measures columns and pairs: list its pairs in [[must_have]], "
                'or use synthesis.strategy = "aim" or "mst"'
            )


def batches(cap: Rho) -> tuple[Rho, Rho, Rho]:
    """The budget of the one-way tables, of all pairs, and of the second look."""
    one_way = cap.share(ONE_WAY)
    first = (cap - one_way).share(FIRST)
    return one_way, first, cap - one_way - first


def pair_weight(domain: Domain, pair: Clique) -> float:
    """What a pair's precision is in proportion to in the first batch: cells^(1/4)."""
    return math.sqrt(math.sqrt(domain.cells(pair)))


def second_look(asker: Asker, tables: tuple[Measurement, ...], wishes: Wishes) -> dict[Clique, float]:
    """The pairs to measure again with the precision to add, by predicted error times weight.

    Every pair where the prediction names none; where no pair was measured, every column.
    """
    # One BLAS thread: the sums, and so the questions, are the same whatever the machine's setting.
    with threadpool_limits(1):
        parts = residuals(asker.domain, tables)
        denoised = denoise(asker.domain, parts)
        known = {pair: 1.0 / parts[pair].variance for pair in denoised.pairs}
        budget = precision_of(asker.remaining(), asker.unit)
        again = least_error(denoised.spread, known, budget, wishes.weight_of)
    return again or known or dict.fromkeys(singles(asker.domain), 1.0)
