"""The discrete domain: each column has a fixed, public number of cells."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from dpsynth.errors import SpecError

Clique = tuple[str, ...]
"""A set of columns, written in the order of the domain. A marginal over it has one cell for each combination."""

MAX_CELLS = 1 << 31


@dataclass(frozen=True)
class Domain:
    """Columns and how many cells each has; cliques are flattened in C order (the last column moves fastest)."""

    columns: tuple[str, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.columns) != len(self.sizes):
            raise SpecError(f"a domain needs one size a column, got {len(self.columns)} columns and {len(self.sizes)} sizes")
        if len(set(self.columns)) != len(self.columns):
            raise SpecError("a domain needs distinct column names: rename the duplicates")
        for column, size in zip(self.columns, self.sizes, strict=True):
            if size < 1:
                raise SpecError(f"column {column!r} must have at least 1 cell, got {size}")

    @cached_property
    def size(self) -> Mapping[str, int]:
        """Cells of each column."""
        return MappingProxyType(dict(zip(self.columns, self.sizes, strict=True)))

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Place of each column."""
        return MappingProxyType({column: i for i, column in enumerate(self.columns)})

    def clique(self, columns: Iterable[str]) -> Clique:
        """The columns in the order of the domain. Raises SpecError for an unknown or repeated column."""
        given = tuple(columns)
        unknown = [column for column in given if column not in self.position]
        if unknown:
            raise SpecError(f"unknown columns {unknown} in {list(given)}: the domain has {list(self.columns)}")
        if len(set(given)) != len(given):
            raise SpecError(f"a clique names a column twice: {list(given)}")
        return tuple(sorted(given, key=self.position.__getitem__))

    def shape(self, clique: Clique) -> tuple[int, ...]:
        """Cells along each column of the clique."""
        size = self.size
        return tuple([size[column] for column in clique])

    def cells(self, clique: Clique) -> int:
        """Cells of the clique's table: the product of its columns' sizes (1 for the empty clique)."""
        return math.prod(self.shape(clique))
