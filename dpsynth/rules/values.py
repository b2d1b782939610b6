"""Some values of a column, as a rule names them: listed ones, or all from a least to a most."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled
from dpsynth.errors import SpecError
from dpsynth.kinds.categorical import Categorical
from dpsynth.kinds.ordered import Ordered
from dpsynth.readings import trimmed
from dpsynth.rules.grid import bounds_of, number_of

SHOWN = 12
INTERVAL_KEYS = ("min", "max", "below")


@dataclass(frozen=True)
class Values:
    """texts: listed values, each as it is written in the source; the empty text is a missing value.

    Or an interval: least <= value <= most, or value < below; None where it has no such end.
    """

    texts: tuple[str, ...] = ()
    least: str | None = None
    most: str | None = None
    below: str | None = None

    @property
    def interval(self) -> bool:
        return not self.texts

    @property
    def lists_missing(self) -> bool:
        return any(trimmed(text) is None for text in self.texts)

    def facts(self) -> Any:
        """As a spec would write it: a list of texts, or min, max and below."""
        ends = {"min": self.least, "max": self.most, "below": self.below}
        return list(self.texts) or {key: end for key, end in ends.items() if end is not None}

    def sentence(self) -> str:
        """In words."""
        if not self.interval:
            shown = [text or "(missing)" for text in self.texts[:SHOWN]]
            more = f" or {len(self.texts) - SHOWN} more" if len(self.texts) > SHOWN else ""
            return " or ".join(shown) + more
        ends = (("from", self.least), ("to", self.most), ("to below", self.below))
        return " ".join(f"{word} {end}" for word, end in ends if end is not None)


def values_from(given: Any, what: str) -> Values:
    """A value, a list of values, or a table of min, max and below, as a spec writes it. Raises SpecError."""
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - set(INTERVAL_KEYS))
        if unknown or not given or {"max", "below"} <= set(given):
            raise SpecError(f"{what} takes an interval of min and of max or below, got {sorted(map(str, given))}")
        least, most, below = (text_of(given[key], what) if key in given else None for key in INTERVAL_KEYS)
        return Values((), least, most, below)
    texts = tuple(text_of(value, what) for value in given) if isinstance(given, list | tuple) else (text_of(given, what),)
    if not texts:
        raise SpecError(f"{what} must list at least one value")
    return Values(texts)


def text_of(value: Any, what: str) -> str:
    """A value as it is written in a source. Raises SpecError for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(Decimal(str(value)))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str | int | Decimal | timedelta):
        return str(value)
    raise SpecError(f"{what} must name values as texts, numbers, dates, true or false, got {value!r}")


def matching(column: Modelled, values: Values, what: str) -> NDArray[np.bool_]:
    """bool[cells]: which cells hold nothing but such values. Raises SpecError where a cell holds such values and others."""
    return _inside(column, values, what) if values.interval else _listed(column, values, what)


def _listed(column: Modelled, values: Values, what: str) -> NDArray[np.bool_]:
    found = np.zeros(column.size, dtype=bool)
    for text in values.texts:
        found[cell_of(column, text, what)] = True
    return found


def cell_of(column: Modelled, text: str, what: str) -> int:
    """The cell that holds this value and no other. Raises SpecError where there is none."""
    if trimmed(text) is None:
        if column.missing_cell is None:
            raise SpecError(f"{what} names a missing value, but column {column.name!r} has none: add missing = true, or name a value")
        return column.missing_cell
    check_listed(column, text, what)
    cell = column.rule.cell(text)
    if isinstance(column, Categorical) and trimmed(text) in dict(column.unfold):
        raise SpecError(f"{what} names {text!r}, which shares a cell of column {column.name!r} with other labels: list it in its values")
    if isinstance(column, Ordered):
        low, high = bounds_of(column)
        if low[cell] != high[cell]:
            told = f"its cell {column.cell_labels()[cell]} of column {column.name!r} holds other values too"
            raise SpecError(f"{what} names {text!r}, but {told}: make it a spike")
    return cell


def check_listed(column: Modelled, text: str, what: str) -> None:
    """Raises SpecError where the column has no such value."""
    if not column.rule.lists(text):
        labels = column.cell_labels()
        more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
        raise SpecError(f"{what} names {text!r}, which column {column.name!r} does not list: it has {list(labels[:SHOWN])}{more}")


def _inside(column: Modelled, values: Values, what: str) -> NDArray[np.bool_]:
    least, most = ends_of(column, values, what)
    low, high = bounds_of(_with_order(column, what))
    inside = (low >= least) & (high <= most)
    outside = (high < least) | (low > most)
    cut = np.flatnonzero(~inside & ~outside)
    if len(cut):
        label = column.cell_labels()[cut[0]]
        raise SpecError(
            f"{what}: the interval {values.sentence()} cuts the cell {label} of column {column.name!r} in two: "
            "let its bins end there, with edges; below = 15 leaves 15 out, max = 15 does not"
        )
    return np.append(inside, np.zeros(column.size - len(inside), dtype=bool))


def ends_of(column: Modelled, values: Values, what: str) -> tuple[float, float]:
    """The closed interval as numbers. Raises SpecError for a column that has no order."""
    ordered = _with_order(column, what)
    least = -np.inf if values.least is None else _number(ordered, values.least, what)
    most = np.inf if values.most is None else _number(ordered, values.most, what)
    if values.below is not None:
        most = float(np.nextafter(_number(ordered, values.below, what), -np.inf))
    if least > most:
        raise SpecError(f"{what}: the interval {values.sentence()} holds no value")
    return least, most


def _with_order(column: Modelled, what: str) -> Ordered:
    if not isinstance(column, Ordered):
        raise SpecError(f"{what} names an interval, but the values of column {column.name!r} have no order: list values")
    return column


def _number(column: Ordered, text: str, what: str) -> float:
    number = number_of(column, text)
    if number is None:
        raise SpecError(f"{what}: {text!r} is no value of column {column.name!r}, which is of kind {column.kind!r}")
    return number
