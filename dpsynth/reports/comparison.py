"""Noisy tables beside the model's: computed from released values only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled
from dpsynth.domain import Clique
from dpsynth.inference.model import Model
from dpsynth.reports.charts import Chart, Profile, columns_chart, rows_chart
from dpsynth.reports.costs import expected_error_rows
from dpsynth.reports.heat import HeatMap, heat_map
from dpsynth.reports.wording import SIGMA, count, distance, joined
from dpsynth.schema import Schema
from dpsynth.transcript import Measurement

Table = NDArray[np.float64]
ORDERED = ("integer", "number", "code", "date", "datetime", "duration")
BARS, NAMED_BARS, HEAT_CELLS = 120, 48, 48
CHARTS, LISTED, MAPS = 60, 30, 4
MAP_LIMIT = 1 << 20
BAR_END = 2
FAR = 4
"""A distance this many standard deviations above what noise alone explains is marked."""


@dataclass(frozen=True)
class Compared:
    """A measured table against the model: distances as shares of the estimated rows; `far` where noise does not explain them."""

    clique: Clique
    distance: float
    noise: float
    far: bool

    @property
    def ratio(self) -> float:
        """How much of the distance noise explains: about 1 where it explains all of it."""
        return self.distance / self.noise


@dataclass(frozen=True)
class ColumnView:
    """One column's chart, its numbers and, where it was measured by itself, how far measured and modelled are apart."""

    name: str
    chart: Chart
    rows: list[tuple[str, str, str, str]]
    notes: str
    far: bool


@dataclass(frozen=True)
class TableLine:
    """One measured table in the sorted list; `ratio` is distance over noise, and the bar ends at a ratio of BAR_END."""

    kind: str
    what: str
    cells: str
    distance: str
    noise: str
    ratio: str
    far: bool
    width: float


@dataclass(frozen=True)
class PairView:
    """Two heat maps on one scale."""

    down: str
    across: str
    measured: HeatMap
    modelled: HeatMap
    most: str
    note: str


@dataclass(frozen=True)
class ComparisonView:
    """Everything the section shows; `tables_left` and `columns_left` count what is not shown."""

    total: str
    positive: bool
    columns: tuple[ColumnView, ...]
    columns_left: int
    tables: tuple[TableLine, ...]
    tables_left: int
    pairs: tuple[PairView, ...]


def comparison_view(schema: Schema, measurements: Sequence[Measurement], model: Model) -> ComparisonView:
    """Charts of every column, the list of measured tables of several columns, and maps of the pairs that depend most."""
    tables = combined(measurements)
    shown = schema.modelled[:CHARTS]
    wide = [compared(clique, *tables[clique], model) for clique in tables if len(clique) > 1] if model.total > 0 else []
    wide.sort(key=lambda c: -round(c.ratio, 9))
    return ComparisonView(
        total=count(model.total),
        positive=model.total > 0,
        columns=tuple(_column_view(column, tables.get((column.name,)), model) for column in shown),
        columns_left=len(schema.modelled) - len(shown),
        tables=tuple(_table_line(c, schema) for c in wide[:LISTED]),
        tables_left=max(0, len(wide) - LISTED),
        pairs=tuple(_pair_view(pair, tables[pair][0], schema, model) for pair in most_dependent(list(tables), model)),
    )


def combined(measurements: Sequence[Measurement]) -> dict[Clique, tuple[Table, float]]:
    """float64[cells] and sigma for each clique; answers to the same question are averaged by their precisions 1 / sigma^2."""
    found: dict[Clique, tuple[Table, float]] = {}
    for m in measurements:
        table, precision = found.get(m.clique, (np.zeros(len(m.values)), 0.0))
        found[m.clique] = table + m.values / m.sigma**2, precision + m.sigma**-2
    return {clique: (table / precision, precision**-0.5) for clique, (table, precision) in found.items()}


def compared(clique: Clique, measured: Table, sigma: float, model: Model) -> Compared:
    """Half the summed absolute difference over the estimated rows, and what noise alone would give.

    Noise alone: n cells of mean sqrt(2 / pi) sigma and variance (1 - 2 / pi) sigma^2.
    """
    apart = float(np.abs(measured - model.marginal(clique)).sum()) / (2 * model.total)
    noise = len(measured) * expected_error_rows(sigma) / (2 * model.total)
    spread = math.sqrt(len(measured) * (1 - 2 / math.pi)) * sigma / (2 * model.total)
    return Compared(clique, apart, noise, apart > noise + FAR * spread)


def most_dependent(cliques: Sequence[Clique], model: Model) -> list[Clique]:
    """The measured pairs whose model tables are furthest from independence, in total variation distance."""
    pairs: list[Clique] = [c for c in cliques if len(c) == 2 and model.domain.cells(c) <= MAP_LIMIT] if model.total > 0 else []
    return sorted(pairs, key=lambda pair: (-round(dependence(pair, model), 9), model.domain.position[pair[0]]))[:MAPS]


def dependence(pair: Clique, model: Model) -> float:
    """Half the summed absolute difference between the joint shares and the product of the columns' shares."""
    joint = model.marginal(pair).reshape(model.domain.shape(pair)) / model.total
    return float(np.abs(joint - np.outer(joint.sum(1), joint.sum(0))).sum()) / 2


def _column_view(column: Modelled, measured: tuple[Table, float] | None, model: Model) -> ColumnView:
    clique, ordered = (column.name,), column.kind in ORDERED
    profile = profile_of(column, measured, model.marginal(clique), BARS if ordered else NAMED_BARS)
    apart = compared(clique, *measured, model) if measured and model.total > 0 else None
    step = -(-column.size // len(profile.labels))
    notes = [f"{SIGMA} = {count(measured[1])} rows" if measured else "not measured by itself"]
    notes += [f"distance {distance(apart.distance)}, noise alone {distance(apart.noise)}"] if apart else []
    notes += [f"each bar joins up to {step} neighbouring cells"] if step > 1 else []
    notes += ["square-root scale"] if profile.skewed() else []
    if not ordered:
        profile = largest_first(profile)
    chart = columns_chart(profile) if ordered else rows_chart(profile)
    return ColumnView(column.name, chart, profile.rows(), " · ".join(notes), apart is not None and apart.far)


def profile_of(column: Modelled, measured: tuple[Table, float] | None, modelled: Table, most_bars: int) -> Profile:
    """The column's cells; where there are more than `most_bars`, neighbours are joined and their noise with them."""
    starts = _starts(column.size, most_bars)
    labels = _joined_labels(column.cell_labels(), starts)
    together = np.diff(np.append(starts, column.size))
    if measured is None:
        return Profile(column.name, labels, np.add.reduceat(modelled, starts), None, None)
    values, sigma = measured
    return Profile(column.name, labels, np.add.reduceat(modelled, starts), np.add.reduceat(values, starts), sigma * np.sqrt(together))


def largest_first(profile: Profile) -> Profile:
    """The same cells, by falling modelled rows."""
    order = np.argsort(-np.round(profile.modelled, 6), kind="stable")
    labels = tuple(profile.labels[i] for i in order)
    if profile.measured is None or profile.sigmas is None:
        return Profile(profile.name, labels, profile.modelled[order], None, None)
    return Profile(profile.name, labels, profile.modelled[order], profile.measured[order], profile.sigmas[order])


def _starts(cells: int, most: int) -> NDArray[np.int64]:
    return np.arange(0, cells, -(-cells // most), dtype=np.int64)


def _joined_labels(labels: tuple[str, ...], starts: NDArray[np.int64]) -> tuple[str, ...]:
    ends = [*(starts[1:] - 1).tolist(), len(labels) - 1]
    return tuple(labels[a] if a == b else f"{labels[a]} … {labels[b]}" for a, b in zip(starts.tolist(), ends, strict=True))


def _table_line(c: Compared, schema: Schema) -> TableLine:
    cells, kind = f"{schema.domain.cells(c.clique):,}", "pair" if len(c.clique) == 2 else "wide"
    width = round(100 * min(1.0, c.ratio / BAR_END), 2)
    return TableLine(kind, joined(c.clique), cells, distance(c.distance), distance(c.noise), f"{c.ratio:.2f}", c.far, width)


def _pair_view(pair: Clique, measured: Table, schema: Schema, model: Model) -> PairView:
    down, across = (schema.modelled_column(name) for name in pair)
    starts = [_starts(column.size, HEAT_CELLS) for column in (down, across)]
    labels = [_joined_labels(column.cell_labels(), s) for column, s in zip((down, across), starts, strict=True)]
    tables = [_coarse(table.reshape(down.size, across.size), starts) for table in (measured, model.marginal(pair))]
    most = max(float(table.max()) for table in tables)
    maps = [heat_map(table, most, labels[0], labels[1]) for table in tables]
    note = "Neighbouring cells are joined." if max(down.size, across.size) > HEAT_CELLS else ""
    return PairView(down.name, across.name, maps[0], maps[1], count(most), note)


def _coarse(table: Table, starts: list[NDArray[np.int64]]) -> Table:
    return np.asarray(np.add.reduceat(np.add.reduceat(table, starts[0], axis=0), starts[1], axis=1), dtype=np.float64)
