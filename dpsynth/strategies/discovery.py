"""What a schema leaves open is asked first: labels, bins, rare labels. The answers only ever write a schema that could have been declared.

Questions, in this order; all of it is a function of the schema, the budget and earlier answers:
 1. The table of each column whose bins or rare labels are found from noisy counts, over all its declared cells.
 2. Each open column's labels, by a noisy threshold.
 3. Each quantile, by a noisy maximum.

Of the budget a tenth is divided among these columns, but each gets a fiftieth at least and a twentieth at most, and all together no more
than three tenths; of delta a tenth, where there are open columns.
What the answers say about one-way tables is joined to those that the strategy measures (see `known`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from dpsynth.column import Column, Modelled
from dpsynth.domain import Clique
from dpsynth.kinds.categorical import Categorical
from dpsynth.kinds.open import Open
from dpsynth.kinds.ordered import Ordered
from dpsynth.labels import Recoding
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho
from dpsynth.questions import LEAST_GAUSSIAN_SCALE, LabelsQuestion, MarginalQuestion, QuantileQuestion, sigma_for, threshold_for
from dpsynth.schema import Schema
from dpsynth.strategies.changes import Change, labelled, merged, rebinned
from dpsynth.strategies.known import Informed, Known
from dpsynth.strategies.partition import partition
from dpsynth.strategies.strategy import PlannedQuestion
from dpsynth.transcript import Asker, Discoverer, Measurement, cut_point, labels

SHARE, LEAST_EACH, MOST_EACH, MOST = Fraction(1, 10), Fraction(1, 50), Fraction(1, 20), Fraction(3, 10)
"""Of the budget, to be divided; for each column, at least and at most; and for all together. On UCI Adult at epsilon 1, five columns with
found bins lose nothing to a larger share, and fifteen found columns gain."""

DELTA_SHARE = Fraction(1, 10)
"""Of delta, for labels that nobody else has."""


@dataclass(frozen=True)
class Discovery:
    """What will be asked to complete a schema, from public facts alone. tables: None where there is none to measure."""

    tables: MarginalQuestion | None = None
    labels: tuple[LabelsQuestion, ...] = ()
    quantiles: tuple[QuantileQuestion, ...] = ()

    @property
    def exchanges(self) -> int:
        """Questions, before the strategy's."""
        return (self.tables is not None) + len(self.labels) + len(self.quantiles)

    def planned(self, schema: Schema, unit: PrivacyUnit) -> tuple[PlannedQuestion, ...]:
        """As a plan shows them; the quantiles of a column together."""
        tables = [] if self.tables is None else list(zip(self.tables.cliques, self.tables.sigmas, strict=True))
        shown = [_planned_table(schema, clique, sigma, unit) for clique, sigma in tables]
        for q in self.labels:
            what = f"labels of {q.threshold} rows or more"
            shown.append(PlannedQuestion(what, "gaussian-threshold", (q.column,), 1, q.at_most, q.sigma, q.cost(unit)))
        for column in dict.fromkeys(q.column for q in self.quantiles):
            own = [q for q in self.quantiles if q.column == column]
            cost = sum((q.cost(unit) for q in own), NOTHING)
            shown.append(PlannedQuestion("quantile", "noisy-max", (column,), len(own), own[0].cells - 1, own[0].scale, cost))
        return tuple(shown)


def _planned_table(schema: Schema, clique: Clique, sigma: float, unit: PrivacyUnit) -> PlannedQuestion:
    cost = MarginalQuestion((clique,), (sigma,)).cost(unit)
    return PlannedQuestion("fine one-way table", "discrete-gaussian", clique, 1, schema.domain.cells(clique), sigma, cost)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the answers make of the schema. recodings: of columns whose cells changed; known: what is known of their tables already."""

    schema: Schema
    recodings: Mapping[str, Recoding]
    known: Mapping[str, Known]


def given_away(schema: Schema, delta: Fraction) -> Fraction:
    """What thresholds may give away of a release's delta."""
    return delta * DELTA_SHARE if any(isinstance(column, Open) for column in schema.columns) else Fraction(0)


def discovery(schema: Schema, unit: PrivacyUnit, cap: Rho, given: Fraction) -> Discovery:
    """The questions. cap: of the whole release; given: what thresholds may give away. Raises SpecError where either is too small."""
    columns = [column for column in schema.columns if column.discovers and column.name not in schema.book.derived]
    if not columns:
        return Discovery()
    each = cap.share(min(max(SHARE / len(columns), LEAST_EACH), MOST_EACH, MOST / len(columns)))
    sigma = max(sigma_for(each, unit), float(LEAST_GAUSSIAN_SCALE))
    opened = [column for column in columns if isinstance(column, Open)]
    measured = tuple((column.name,) for column in columns if _by_counts(column))
    threshold = threshold_for(given / len(opened), unit, sigma) if opened else 0
    return Discovery(
        MarginalQuestion(measured, (sigma,) * len(measured)) if measured else None,
        tuple(LabelsQuestion(column.name, sigma, threshold, column.at_most) for column in opened),
        tuple(q for column in columns if isinstance(column, Ordered) and not _by_counts(column) for q in _quantiles(column, each, unit)),
    )


def _by_counts(column: Column) -> bool:
    """Whether the column's table is measured to find what it leaves open."""
    return isinstance(column, Categorical) or (isinstance(column, Ordered) and column.binning == "adaptive")


def _quantiles(column: Ordered, budget: Rho, unit: PrivacyUnit) -> tuple[QuantileQuestion, ...]:
    """The inner edges of bins of equal frequency, spikes aside, for an equal share of the column's budget each."""
    # A Gumbel scale costs a little less than a sigma as large, up to 1 / (9 scale^2): what is left over goes to the strategy's questions.
    scale = sigma_for(budget, unit, column.at_most - 1)
    weights = {part: max(part, column.at_most - part) for part in range(1, column.at_most)}
    spikes = tuple(np.flatnonzero(column.lone).tolist())
    cells, parts = column.own_cells, column.at_most
    return tuple(QuantileQuestion(column.name, cells, part, parts, scale * weight, spikes) for part, weight in weights.items())


def completed(schema: Schema, asker: Discoverer, given: Fraction) -> tuple[Schema, Asker]:
    """Ask what the schema leaves open: the schema that the answers make of it, and the asker for the strategy, over that schema's cells."""
    asked = discovery(schema, asker.unit, asker.remaining(), given)
    if not asked.exchanges:
        return schema, asker
    findings = found(schema, asked, asker)
    asker.recode(findings.schema.domain, findings.recodings)
    return findings.schema, Informed(asker, findings.known)


def found(schema: Schema, asked: Discovery, asker: Asker) -> Findings:
    """Ask, and read the answers."""
    changes: dict[str, Change] = {}
    for measurement in asker.ask(asked.tables).measurements if asked.tables is not None else ():
        column = schema.column(measurement.clique[0])
        changes[column.name] = _read(column, measurement)
    for question in asked.labels:
        changes[question.column] = labelled(schema.column(question.column), labels(asker, question), question.sigma)
    cuts: dict[str, set[int]] = {}
    for quantile in asked.quantiles:
        cuts.setdefault(quantile.column, {0}).add(cut_point(asker, quantile))
    changes |= {name: rebinned(schema.column(name), tuple(sorted(first))) for name, first in cuts.items()}
    columns: tuple[Column, ...] = tuple(changes[c.name].column if c.name in changes else c for c in schema.columns)
    recodings = {name: change.recoding for name, change in changes.items()}
    known = {name: change.known for name, change in changes.items() if change.known is not None}
    return Findings(replace(schema, columns=columns), recodings, known)


def _read(column: Column, measurement: Measurement) -> Change:
    """What a fine table makes of its column."""
    if isinstance(column, Categorical):
        return merged(column, measurement)
    if not isinstance(column, Ordered) or not isinstance(column, Modelled):
        raise TypeError(f"nothing is found in a {column.kind} column by its table")
    own = measurement.values[: column.own_cells].astype(np.float64)
    return rebinned(column, partition(own, measurement.sigma, column.at_most, column.lone), measurement)
