"""Cell rules as SQL for databases: for every text, the cell that `dpsynth.cells` gives it, in the words of a dialect.

Done in steps, each over columns of the step before, so that nothing is computed twice:

    text without blanks around it --inputs_sql--> its parts --value_sql--> value (text, or double; NULL: missing or unreadable)
    --cell_sql--> cell

Cells are found by nothing but comparisons: a binary search over labels, edges or cells, however many there are.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import CellRule, IntegerRule, LabelRule, NumberRule, ascii_lower
from dpsynth.engines.dialect import Dialect
from dpsynth.engines.portable_times import groups_sql, steps_sql
from dpsynth.readings import Plain

_BIGINT = 1 << 62
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def inputs_sql(rule: CellRule, text: str, dialect: Dialect) -> list[str]:
    """What has to be known of a text before its value is computed."""
    if isinstance(rule, LabelRule) or isinstance(rule.reading, Plain):
        return [text]
    return [text, *(groups_sql(pattern, text, dialect) for pattern in rule.reading.patterns)]


def value_sql(rule: CellRule, inputs: Sequence[str], dialect: Dialect) -> str:
    """What the rule makes of the inputs, which must be column names, before it looks for the cell."""
    text, *groups = inputs
    if isinstance(rule, LabelRule):
        return f"translate({text}, '{_UPPER}', '{ascii_lower(_UPPER)}')" if rule.fold_case else text
    if isinstance(rule.reading, Plain):
        return dialect.number(text)
    return steps_sql(rule.reading, text, groups, dialect)


def cell_sql(rule: CellRule, value: str, dialect: Dialect) -> str:
    """The cell of a value; `value` must be a column name or as cheap, for it is repeated."""
    match rule:
        case LabelRule():
            return label_sql(rule, value, dialect)
        case IntegerRule():
            return _ordered_sql(rule, _integer_sql(rule, value, dialect), (rule.least, rule.most), value, dialect, whole=True)
        case NumberRule():
            cell = _edges_sql(rule.edges[1:-1], value, dialect)
            return _ordered_sql(rule, cell, (rule.edges[0], rule.edges[-1]), value, dialect, whole=rule.whole)


def cuts_of(rule: CellRule) -> int:
    """Between how many cuts the rule looks a number up; 0 where it computes the cell."""
    if isinstance(rule, NumberRule):
        return len(rule.edges) - 2
    return rule.bins - 1 if isinstance(rule, IntegerRule) and _is_long(rule) else 0


def label_sql(rule: LabelRule, value: str, dialect: Dialect) -> str:
    """Labels in the order of their bytes; those that no text can be (half surrogates) or that none there is (NUL) are left out."""
    cells = {text: cell for text, cell in rule.cells if is_storable(text, dialect)}
    listed = sorted(cells, key=str.encode)
    literals = [dialect.literal(text) for text in listed]
    if not listed:
        return f"CASE WHEN {value} IS NULL THEN {rule.missing} ELSE {rule.outside} END"

    def leaf(place: int) -> str:
        return f"CASE WHEN {value} = {literals[place]} THEN {cells[listed[place]]} ELSE {rule.outside} END"

    return f"CASE WHEN {value} IS NULL THEN {rule.missing} ELSE {stepped_sql(value, literals[1:], leaf)} END"


def map_sql(cells: NDArray[np.int64], value: str) -> str:
    """The new cell of a cell: int64[old cells] -> new cell."""
    starts = [0, *(np.flatnonzero(np.diff(cells)) + 1).tolist()]
    return stepped_sql(value, [str(start) for start in starts[1:]], lambda run: str(cells[starts[run]]))


def stepped_sql(value: str, cuts: Sequence[str], leaf: Callable[[int], str], start: int = 0) -> str:
    """`leaf` of the number of cuts (SQL, increasing) that are not above the value, by binary search."""
    if not cuts:
        return leaf(start)
    middle = len(cuts) // 2
    below = stepped_sql(value, cuts[:middle], leaf, start)
    above = stepped_sql(value, cuts[middle + 1 :], leaf, start + middle + 1)
    return f"CASE WHEN {value} < {cuts[middle]} THEN {below} ELSE {above} END"


def _is_long(rule: IntegerRule) -> bool:
    """Whether the product in the rule's formula could need more than 64 bits."""
    return (rule.most - rule.least + 1) * rule.bins >= _BIGINT


def _integer_sql(rule: IntegerRule, value: str, dialect: Dialect) -> str:
    """By the rule's formula, of a value clipped to the bounds; by its cuts where the product could need more than 64 bits."""
    span = rule.most - rule.least + 1
    if _is_long(rule):
        return _edges_sql([float(rule.least - (-i * span // rule.bins)) for i in range(1, rule.bins)], value, dialect)
    clipped = f"least(greatest({value}, {_double(rule.least, dialect)}), {_double(rule.most, dialect)})"
    return dialect.divided(f"({dialect.whole(clipped)} - ({rule.least})) * {rule.bins}", span)


def _edges_sql(edges: Sequence[float], value: str, dialect: Dialect) -> str:
    """The number of edges that are not above the value."""
    return stepped_sql(value, [_double(edge, dialect) for edge in edges], str)


def _ordered_sql(
    rule: IntegerRule | NumberRule, cell: str, bounds: tuple[float, float], value: str, dialect: Dialect, *, whole: bool
) -> str:
    """The cell of values within the bounds; those past them have the nearest one's, or a cell of their own."""
    if rule.outside is not None:
        least, most = (_double(bound, dialect) for bound in bounds)
        cell = f"CASE WHEN {value} < {least} OR {value} > {most} THEN {rule.outside} ELSE {cell} END"
    unreadable = f"{value} IS NULL"
    if whole:
        unreadable += f" OR {value} <> {dialect.floor(value)}"
    return f"CASE WHEN {unreadable} THEN {rule.unreadable} ELSE {cell} END"


def _double(value: float, dialect: Dialect) -> str:
    """A double of exactly this finite value."""
    return dialect.double(dialect.literal(repr(float(value))))


def is_storable(text: str, dialect: Dialect) -> bool:
    """Whether the database can hold this text: no half surrogates, and NUL only in some."""
    return (dialect.holds_nul or "\0" not in text) and not any("\ud800" <= letter <= "\udfff" for letter in text)
