"""`aim`: the table that the model describes worst, measured, and so on, with noise that falls and a model that grows.

Source: McKenna, Mullins, Sheldon, Miklau, "AIM", arXiv:2201.12677, algorithm 4. As there: a weighted workload with its downward closure
as candidates, selection by a noisy maximum over those that the model has room for, a limit on the model that grows with the budget used,
annealing, a last round on all that remains. Differences, none of which costs privacy:

- one-way tables get a fixed share of the budget: with the noise of a first round they would stay bad;
- the score is an exact integer, and so is the penalty for what measuring a table would still leave of its error. AIM's own
  (`penalty = "published"`) is the error without shrinkage, which is too high here; `strategies.penalty` has the others. On UCI Adult at
  epsilon 1 and delta 1e-9 the records' pairs are off by .0255 with the discount and with AIM's (means of 10 runs, each +- .0003), by .0267
  with the shrunk one and .0323 with none (of 3);
- the model shrinks (see `inference.maxent`), so the test that lowers the noise compares with what noise would do to a shrunk table, under
  every penalty. It is the model of all rounds, also where the release is fitted with another estimator afterwards;
- weights are whole numbers from 1 to 32, the largest for the candidate that matters most: sensitivity is 32, and so is the resolution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.growth import Growth, growth
from dpsynth.inference.maxent import Fitted, MaxEnt
from dpsynth.inference.support import support_of
from dpsynth.inference.zeros import Zeros
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_rho, noisy_max_rho
from dpsynth.questions import LARGEST_WEIGHT, ROWS_LIMIT, SelectionQuestion, score_estimate, score_penalty, sigma_for
from dpsynth.strategies.independent import divided_singles, measure_tables, must_tables, planned_singles, singles
from dpsynth.strategies.penalty import DEFAULT_PENALTY, PENALTIES, noise_alone
from dpsynth.strategies.selection import planned_selections, scale_for
from dpsynth.strategies.strategy import CELL_LIMIT, Plan, PlannedQuestion, planned_tables, refuse_large
from dpsynth.transcript import Asker, Measurement, measure, select
from dpsynth.wishes import NO_WISHES, Wishes
from dpsynth.workload import Workload, all_marginals, downward_closure

Vector = NDArray[np.float64]

ONE_WAY_SHARE = Fraction(15, 100)
SELECTION_SHARE = Fraction(1, 10)
MUST_SHARE = Fraction(1, 4)
"""Of the budget, for tables that must be measured, where there are any."""

ROUNDS_PER_COLUMN = 16
"""Rounds at the noise of the first one; annealing makes them far fewer."""

MODEL_CELLS = 1 << 19
"""Cells of the model's tables when the whole budget is used."""

ROUND_TOLERANCE = 0.1
"""Of the fits between rounds: their tables only have to find the next candidate."""


@dataclass(frozen=True)
class Aim:
    """Adaptive and iterative. workload: None for all marginals of up to two columns.

    zeros: part of every model from the first on, so what they explain is not measured, and the tree they need is counted.
    penalty: of candidates for the noise they would get, one of `PENALTIES`.
    """

    wishes: Wishes = NO_WISHES
    workload: Workload | None = None
    zeros: Zeros = ()
    penalty: str = DEFAULT_PENALTY
    model_cells: int = MODEL_CELLS
    name: str = "aim"

    def __post_init__(self) -> None:
        if self.penalty not in PENALTIES:
            raise SpecError(f"synthesis.penalty must be one of {list(PENALTIES)}, got {self.penalty!r}")

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, tables that must be measured, and as many rounds as the first noise allows: annealing makes fewer of them."""
        refuse_large(domain, (*singles(domain), *must_tables(self.workload)))
        support_of(domain, self.zeros)
        candidates = self._candidates(domain)
        if all(len(clique) == 1 for clique in candidates):
            return planned_singles(self.name, domain, unit, cap, self.wishes)
        budget = divided_budget(cap, bool(must_tables(self.workload)))
        division = divided_singles(domain, unit, budget.one_way, self.wishes)
        rounds = ROUNDS_PER_COLUMN * len(domain.columns)
        sigma, scale = first_round(budget, unit, rounds)
        each = gaussian_rho(unit.max_rows, Fraction(sigma))
        tables = planned_tables("one-way table", domain, unit, division.sigmas)
        tables += planned_tables("table that must be measured", domain, unit, self._must_sigmas(domain, unit, budget))
        selections = planned_selections("selection of a table, at most", unit, rounds, len(candidates), scale, LARGEST_WEIGHT)
        largest = max(map(domain.cells, candidates))
        chosen = PlannedQuestion("selected table, at most", "discrete-gaussian", (), rounds, largest, sigma, Rho(each.value * rounds))
        return Plan(self.name, cap, (*tables, selections, chosen), division.promises, division.needs(cap))

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """All rounds, until nothing remains."""
        domain, unit = asker.domain, asker.unit
        candidates = self._candidates(domain)
        if all(len(clique) == 1 for clique in candidates):
            return measure_tables(asker, divided_singles(domain, unit, asker.remaining(), self.wishes).sigmas)
        budget = divided_budget(asker.remaining(), bool(must_tables(self.workload)))
        sigma, scale = first_round(budget, unit, ROUNDS_PER_COLUMN * len(domain.columns))
        first = divided_singles(domain, unit, budget.one_way, self.wishes).sigmas | self._must_sigmas(domain, unit, budget)
        grown = growth(domain, [*first, *(zero.clique for zero in self.zeros)])
        state = State(measure_tables(asker, first), grown, sigma, scale, ())
        while not state.done:
            state = self._round(asker, state, candidates, budget)
        return state.tables

    def _round(self, asker: Asker, state: "State", candidates: Sequence[Clique], budget: "Budget") -> "State":
        """Fit, select, measure; the last round takes all that remains."""
        fitted = MaxEnt(tolerance=ROUND_TOLERANCE).warm(asker.domain, state.tables, state.potentials, self.zeros)
        fitted.model.report.told(f"the model of {len(state.tables)} tables by which the next one is chosen")
        if state.selected:
            state = state.annealed(fitted)
        remaining = asker.remaining()
        last = remaining.value < 2 * round_cost(asker.unit, state.sigma, state.scale)
        scale = scale_for(remaining.share(SELECTION_SHARE), asker.unit, 1, LARGEST_WEIGHT) if last else state.scale
        room = int(self.model_cells * (1 - remaining.value / budget.all.value))
        open_now = [c for c in candidates if len(c) == 1 or state.growth.fits(c, max(room, state.growth.cells))]
        estimates = dict(zip(open_now, _estimates(fitted, open_now), strict=True))
        chosen = select(asker, self._question(estimates, state.sigma, scale))
        sigma = sigma_for(asker.remaining(), asker.unit) if last else state.sigma
        table = measure(asker, (chosen,), (sigma,))
        return State((*state.tables, *table), state.growth.grown(chosen), sigma, scale, chosen, estimates[chosen], fitted.potentials, last)

    def _question(self, estimates: Mapping[Clique, Vector], sigma: float, scale: float) -> SelectionQuestion:
        """Candidates weighted by their relevance, from 1 to 32, with the penalty for noise of `sigma` rows."""
        penalty, workload = PENALTIES[self.penalty], self.workload
        worth = [
            (1 if workload is None else workload.relevance(clique)) * penalty.factor(table, sigma) for clique, table in estimates.items()
        ]
        weights = tuple(max(1, round(LARGEST_WEIGHT * each / max(worth))) for each in worth)
        penalties = tuple(score_penalty(penalty.rows(table, sigma)) for table in estimates.values())
        return SelectionQuestion(tuple(estimates), tuple(map(score_estimate, estimates.values())), weights, scale, penalties)

    def _candidates(self, domain: Domain) -> tuple[Clique, ...]:
        """The downward closure of the workload, without tables that are too large."""
        workload = self.workload or all_marginals(domain, min(2, len(domain.columns)))
        closure = downward_closure(workload.cliques)
        return tuple(c for c in closure if len(c) == 1 or (domain.cells(c) <= CELL_LIMIT and workload.allows(domain, c)))

    def _must_sigmas(self, domain: Domain, unit: PrivacyUnit, budget: "Budget") -> dict[Clique, float]:
        must = must_tables(self.workload)
        return dict.fromkeys(must, sigma_for(budget.must, unit, len(must))) if must else {}


@dataclass(frozen=True)
class Budget:
    """What one-way tables, tables that must be measured and the rounds may cost."""

    all: Rho
    one_way: Rho
    must: Rho
    rounds: Rho


@dataclass(frozen=True, eq=False)
class State:
    """Where the rounds stand. estimate: of the selected table before it was measured, in rows. potentials: where the next fit starts."""

    tables: tuple[Measurement, ...]
    growth: Growth
    sigma: float
    scale: float
    selected: Clique
    estimate: Vector | None = None
    potentials: Mapping[int, Mapping[Clique, Vector]] = field(default_factory=dict)
    done: bool = False

    def annealed(self, fitted: Fitted) -> "State":
        """Half the noise, once a table changed the model no more than its noise may have."""
        assert self.estimate is not None, "a table was selected, so it had been estimated"
        (now,) = _estimates(fitted, [self.selected])
        if float(np.abs(now - self.estimate).sum()) > noise_alone(self.estimate, self.sigma):
            return self
        return replace(self, sigma=self.sigma / 2, scale=self.scale / 2)


def divided_budget(cap: Rho, must: bool) -> Budget:
    """The cap in its fixed shares; `must` says whether any table must be measured."""
    one_way = cap.share(ONE_WAY_SHARE)
    listed = cap.share(MUST_SHARE if must else Fraction(0))
    return Budget(cap, one_way, listed, cap - one_way - listed)


def first_round(budget: Budget, unit: PrivacyUnit, rounds: int) -> tuple[float, float]:
    """Sigma of a table and Gumbel scale (in weighted rows) of a selection, for that many equal rounds."""
    selection = budget.rounds.share(SELECTION_SHARE)
    return sigma_for(budget.rounds - selection, unit, rounds), scale_for(selection, unit, rounds, LARGEST_WEIGHT)


def round_cost(unit: PrivacyUnit, sigma: float, scale: float) -> Fraction:
    """What a selection and a table cost."""
    selection = noisy_max_rho(unit.max_rows * LARGEST_WEIGHT, Fraction(scale))
    return selection.value + gaussian_rho(unit.max_rows, Fraction(sigma)).value


def _estimates(fitted: Fitted, cliques: Sequence[Clique]) -> list[Vector]:
    """The model's tables in rows; no more rows than a score can hold."""
    most = ROWS_LIMIT / 2
    factor = min(1.0, most / max(fitted.model.total, 1.0))
    return [table * factor for table in fitted.model.marginals(cliques)]
