"""What answers make of a column: the column that could have been declared, how its cells change, and what is known of its table."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Modelled
from dpsynth.kinds.categorical import Categorical
from dpsynth.kinds.open import Open
from dpsynth.kinds.ordered import Ordered
from dpsynth.labels import Recoding
from dpsynth.strategies.known import Known
from dpsynth.transcript import Labels, Measurement

RARE = 4.0
"""Labels of fewer rows than so many standard deviations of the noise are hardly told from labels that nobody holds."""


@dataclass(frozen=True, eq=False)
class Change:
    """One column completed. known: None where its answers hold no counts."""

    column: Modelled
    recoding: Recoding
    known: Known | None = None


def labelled(column: Column, found: Labels, sigma: float) -> Change:
    """An open column with the labels that were found.

    Their noisy counts are known; other cells are not. Of labels just above the threshold those are there that the noise raised: their
    counts are a little high, until the strategy's own table is joined to them.
    """
    if not isinstance(column, Open):
        raise TypeError(f"labels are found for open columns, not for the {column.kind} column {column.name!r}")
    complete = column.with_labels(found.texts)
    counts = dict(zip(found.texts, found.counts.tolist(), strict=True))
    values, variances = np.zeros(complete.size), np.full(complete.size, np.inf)
    for cell, label in enumerate(complete.values):
        if label in counts and label != complete.other_text:
            values[cell], variances[cell] = counts[label], sigma**2
    return Change(complete, complete.rule, Known(values, variances))


def rebinned(column: Column, first: tuple[int, ...], measurement: Measurement | None = None) -> Change:
    """An ordered column with the bins that begin at these of its cells."""
    if not isinstance(column, Ordered):
        raise TypeError(f"bins are found for ordered columns, not for the {column.kind} column {column.name!r}")
    complete = column.with_bins(first)
    starts = list(complete.starts[: complete.own_cells])
    cells = [bisect_right(starts, start) - 1 for start in column.starts[: column.own_cells]]
    missing = [complete.size - 1] * column.missing
    return Change(complete, *_summed(np.array(cells + missing, dtype=np.int64), complete.size, measurement))


def merged(column: Categorical, measurement: Measurement) -> Change:
    """A column whose rare labels share the "other" cell; records of it get one of them by the declared prior.

    Nothing changes where fewer than two cells would become one. The most frequent label stays, and so does the first cell where values go
    that the schema does not list.
    """
    own = measurement.values[: column.own_cells]
    kept = own >= RARE * measurement.sigma
    kept[int(own.argmax())] = True
    kept[0] |= column.outside_rule == "first"
    if (~kept).sum() + column.has_other < 2 or kept.all():
        same = column.with_rare(())
        return Change(same, *_summed(np.arange(column.size, dtype=np.int64), column.size, measurement))
    complete = column.with_rare(tuple(label for label, keep in zip(column.values, kept, strict=True) if not keep))
    cells = np.where(kept, np.cumsum(kept) - 1, complete.own_cells)
    rest = [complete.own_cells] * column.has_other + [complete.size - 1] * column.missing
    return Change(complete, *_summed(np.append(cells, rest).astype(np.int64), complete.size, measurement))


def _summed(recoding: NDArray[np.int64], cells: int, measurement: Measurement | None) -> tuple[NDArray[np.int64], Known | None]:
    return recoding, None if measurement is None else Known.summed(measurement.values, measurement.sigma, recoding, cells)
