"""Columns that structural zeros tie together, within each class of a mixture: independent but for what cannot occur.

    p(x | k) = 1 / Z_k prod_a E_a[x_a, k] prod_j allowed_j(x),      Z_k the sum of the products over all x

Columns are eliminated one after the other, the cheapest first, so that no table of all of them is made.
Source: variable elimination, Zhang and Poole, 1994.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.zeros import StructuralZeros, Zeros

Table = NDArray[np.float64]

TIED_LIMIT = 1 << 16
"""Cells of any table on the way, of which there is one for each class: schemas whose rules need larger ones are refused."""


@dataclass(frozen=True, eq=False)
class Factor:
    """values: float64[sizes of columns ..., classes]; an axis of length 1 holds for all classes."""

    columns: Clique
    values: Table

    def over(self, columns: Clique) -> Table:
        """The values with axes in the order of `columns`, and of length 1 where it does not depend on one."""
        kept = [c for c in columns if c in self.columns]
        moved = self.values.transpose([*(self.columns.index(c) for c in kept), self.values.ndim - 1])
        sizes = dict(zip(kept, moved.shape, strict=False))
        return moved.reshape([*(sizes.get(c, 1) for c in columns), moved.shape[-1]])


@dataclass(frozen=True, eq=False)
class Tied:
    """A group of columns. emissions: float64[cells, classes] of each, in the order of the domain."""

    emissions: Mapping[str, Table]
    zeros: Zeros

    @property
    def columns(self) -> Clique:
        return tuple(self.emissions)

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        ruled = (Factor(zero.clique, zero.allowed[..., None].astype(np.float64)) for zero in self.zeros)
        return (*(Factor((c,), table) for c, table in self.emissions.items()), *ruled)

    @cached_property
    def _known(self) -> dict[Clique, Table]:
        """Tables of single columns that were asked for before: every pair with a column needs the same one."""
        return {}

    @cached_property
    def mass(self) -> Table:
        """float64[classes]: Z_k."""
        return self._left(self.columns).over(()).reshape(-1)

    @property
    def largest_table(self) -> int:
        """Cells of the largest table on the way to `mass`."""
        return elimination(self._factors, self.columns)[1]

    def table(self, onto: Clique) -> Table:
        """float64[sizes of `onto` ..., classes]: p(x_onto | k); classes without any mass have 0."""
        if onto in self._known:
            return self._known[onto]
        left = self._left(tuple(c for c in self.columns if c not in onto)).over(onto)
        found: Table = np.divide(left, self.mass, out=np.zeros(left.shape), where=self.mass > 0)
        if len(onto) == 1:
            self._known[onto] = found
        return found

    def chain(self) -> tuple[tuple[str, Clique, Table], ...]:
        """(column, columns before it that it depends on, float64[classes, sizes of these ..., cells]): p(x_a | those, k), in turn."""
        found = []
        factors = list(self._factors)
        for column in elimination(factors, self.columns)[0]:
            bucket, factors = _bucket(factors, column)
            given = tuple(c for c in bucket.columns if c != column)
            table = bucket.over((*given, column))
            found.append((column, given, np.ascontiguousarray(np.moveaxis(_conditional(table), -1, 0))))
            factors.append(Factor(given, table.sum(axis=-2)))
        return tuple(reversed(found))

    def _left(self, gone: Sequence[str]) -> Factor:
        factors = list(self._factors)
        for column in elimination(factors, gone)[0]:
            own = [factor for factor in factors if column in factor.columns]
            factors = [*(factor for factor in factors if column not in factor.columns), _summed(own, column)]
        return _product(factors)


def tied_groups(domain: Domain, zeros: Zeros) -> tuple[tuple[Clique, Zeros], ...]:
    """The columns that zeros name, in groups that share none, each with its zeros; in the order of the domain."""
    groups: list[tuple[set[str], list[StructuralZeros]]] = []
    for zero in zeros:
        touched = [group for group in groups if group[0] & set(zero.clique)]
        groups = [group for group in groups if group not in touched]
        columns = set(zero.clique).union(*(group[0] for group in touched))
        groups.append((columns, [*(each for group in touched for each in group[1]), zero]))
    found = [(domain.clique(columns), tuple(own)) for columns, own in groups]
    return tuple(sorted(found, key=lambda group: domain.position[group[0][0]]))


def elimination(factors: Iterable[Factor], gone: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The order in which columns go: each time the one that makes the smallest table, the first of equals; and the cells of the largest."""
    scopes = [set(factor.columns) for factor in factors]
    sizes = {c: n for factor in factors for c, n in zip(factor.columns, factor.values.shape, strict=False)}
    order: list[str] = []
    waiting, largest = list(gone), 1
    while waiting:
        joined = {c: set[str]().union(*(scope for scope in scopes if c in scope)) for c in waiting}
        column = min(waiting, key=lambda c: math.prod(sizes[other] for other in joined[c]))
        largest = max(largest, math.prod(sizes[other] for other in joined[column]))
        scopes = [*(scope for scope in scopes if column not in scope), joined[column] - {column}]
        waiting.remove(column)
        order.append(column)
    return tuple(order), largest


def _bucket(factors: Sequence[Factor], column: str) -> tuple[Factor, list[Factor]]:
    """The product of all factors with the column, and the other factors."""
    return _product([f for f in factors if column in f.columns]), [f for f in factors if column not in f.columns]


def _summed(factors: Sequence[Factor], column: str) -> Factor:
    """The product of the factors, all of which have the column, summed over it."""
    own = _product([factor for factor in factors if factor.columns == (column,)])
    others = [factor for factor in factors if factor.columns != (column,)]
    if others and all(factor.values.shape[-1] == 1 for factor in others):
        # Only the column's own probabilities depend on the class: no table of all cells and classes is needed. Not by BLAS: the sums,
        # and so the records, are the same whatever its number of threads.
        allowed = _product(others)
        kept = tuple(c for c in allowed.columns if c != column)
        return Factor(kept, np.einsum("...n,nk->...k", allowed.over((*kept, column))[..., 0], own.values))
    whole = _product(factors)
    kept = tuple(c for c in whole.columns if c != column)
    return Factor(kept, whole.over((*kept, column)).sum(axis=-2))


def _product(factors: Sequence[Factor]) -> Factor:
    columns = tuple(dict.fromkeys(c for factor in factors for c in factor.columns))
    return Factor(columns, reduce(np.multiply, (factor.over(columns) for factor in factors)))


def _conditional(table: Table) -> Table:
    """The table as a distribution along its last axis but one; where nothing is possible, an even one: it is never drawn from."""
    total = table.sum(axis=-2, keepdims=True)
    found: Table = np.divide(table, total, out=np.full(table.shape, 1 / table.shape[-2]), where=total > 0)
    return found
