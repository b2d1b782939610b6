"""Which combinations of cells can occur, as tables of true and false, and what follows from several of them together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import SpecError

CELLS_LIMIT = 1 << 16
"""Cells of any table that is made on the way: the mixture has one for each of its classes."""


@dataclass(frozen=True, eq=False)
class Table:
    """allowed: bool[sizes of the columns]."""

    columns: tuple[str, ...]
    allowed: NDArray[np.bool_]

    def over(self, columns: tuple[str, ...]) -> NDArray[np.bool_]:
        """The table with its axes in the order of `columns`, and axes of length 1 for those that it does not have."""
        kept = [column for column in columns if column in self.columns]
        moved = self.allowed.transpose([self.columns.index(column) for column in kept])
        return moved.reshape([moved.shape[kept.index(column)] if column in kept else 1 for column in columns])

    def onto(self, columns: tuple[str, ...]) -> "Table":
        """What it leaves possible for some of its columns, in the order given."""
        gone = tuple(axis for axis, column in enumerate(self.columns) if column not in columns)
        kept = tuple(column for column in self.columns if column in columns)
        return Table(columns, Table(kept, np.asarray(self.allowed.any(axis=gone))).over(columns))


def joined(tables: Sequence[Table], sizes: Mapping[str, int], columns: tuple[str, ...] | None = None) -> Table:
    """What all tables allow, over all their columns. Raises SpecError where that is too large."""
    named = columns if columns is not None else tuple(dict.fromkeys(column for table in tables for column in table.columns))
    refuse_large(named, sizes)
    start = np.ones([sizes[column] for column in named], dtype=bool)
    return Table(named, reduce(np.logical_and, (table.over(named) for table in tables), start))


def refuse_large(columns: Sequence[str], sizes: Mapping[str, int], limit: int = CELLS_LIMIT) -> None:
    """Raises SpecError where a table over the columns has more cells than the limit."""
    cells = math.prod(sizes[column] for column in columns)
    if cells > limit:
        raise SpecError(
            f"[[rules]] about {list(columns)} have to be kept together, in a table of {cells} cells, more than {limit}: "
            "use fewer bins or values in these columns, or fewer rules"
        )


def eliminated(tables: Iterable[Table], gone: Iterable[str], sizes: Mapping[str, int]) -> list[Table]:
    """The tables after the columns are gone, one after the other, the cheapest first: what is left is possible for the others."""
    left, waiting = list(tables), list(gone)
    while waiting:
        column = min(waiting, key=lambda name: (_bucket_cells(left, name, sizes), waiting.index(name)))
        waiting.remove(column)
        bucket = [table for table in left if column in table.columns]
        left = [table for table in left if column not in table.columns]
        if bucket:
            whole = joined(bucket, sizes)
            left.append(whole.onto(tuple(name for name in whole.columns if name != column)))
    return left


def _bucket_cells(tables: Sequence[Table], column: str, sizes: Mapping[str, int]) -> int:
    names = {name for table in tables if column in table.columns for name in table.columns}
    return math.prod(sizes[name] for name in names)


def projected(tables: Sequence[Table], onto: tuple[str, ...], sizes: Mapping[str, int]) -> Table:
    """What all tables together leave possible for some columns, whatever the others are. Raises SpecError where that is too large."""
    connected = _connected(tables, onto)
    gone = tuple(dict.fromkeys(name for table in connected for name in table.columns if name not in onto))
    return joined(eliminated(connected, gone, sizes), sizes, onto)


def _connected(tables: Sequence[Table], onto: tuple[str, ...]) -> list[Table]:
    """The tables that have to do with the columns, directly or through others, and those that allow nothing at all."""
    reached, found = set(onto), [table for table in tables if not table.allowed.any()]
    while more := [table for table in tables if table not in found and reached.intersection(table.columns)]:
        found += more
        reached.update(name for table in more for name in table.columns)
    return found


def possible(tables: Sequence[Table], sizes: Mapping[str, int]) -> bool:
    """Whether there is any record that all tables allow."""
    gone = tuple(dict.fromkeys(name for table in tables for name in table.columns))
    return all(bool(table.allowed.all()) for table in eliminated(tables, gone, sizes))


def components(tables: Sequence[Table]) -> list[list[Table]]:
    """The tables in groups that share no column."""
    groups: list[list[Table]] = []
    for table in tables:
        touched = [group for group in groups if any(set(table.columns) & set(other.columns) for other in group)]
        groups = [group for group in groups if group not in touched]
        groups.append([*(each for group in touched for each in group), table])
    return groups
