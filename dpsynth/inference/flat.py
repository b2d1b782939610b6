"""Linear maps between flat vectors of residual tables, as sparse matrices: one product in place of many small ones.

A flat vector holds the tables of some cliques one after the other, each in C order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dpsynth.domain import Clique
from dpsynth.inference.residuals import subsets

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Where the tables of distinct cliques lie. shapes: of each table."""

    cliques: tuple[Clique, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each table lies."""
        ends = np.cumsum([0, *map(math.prod, self.shapes)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @cached_property
    def shape(self) -> Mapping[Clique, tuple[int, ...]]:
        """Of each clique's table."""
        return dict(zip(self.cliques, self.shapes, strict=True))

    @property
    def length(self) -> int:
        """Numbers in a flat vector."""
        return self.slices[-1].stop if self.slices else 0

    def interactions(self, flat: Vector) -> Vector:
        """Each table without its means along every axis (see `residuals.interaction`), overwriting the vector."""
        for means, group in self._axes:
            flat -= (means @ flat)[group]
        return flat

    def tables(self, cliques: Sequence[Clique]) -> sparse.csr_array:
        """[cells of the cliques' tables, flat]: residuals added up to the table of each clique (see `residuals.table_of`)."""
        columns = [self._columns(clique) for clique in cliques]
        data = [np.tile(self._shares(clique), len(own)) for clique, own in zip(cliques, columns, strict=True)]
        lengths = np.concatenate([[0], *(np.full(len(own), own.shape[1]) for own in columns)])
        shares = np.concatenate([np.zeros(0), *data])
        places = np.concatenate([np.zeros(0, np.int32), *(own.reshape(-1) for own in columns)])
        return sparse.csr_array((shares, places, np.cumsum(lengths)), shape=(sum(map(len, columns)), self.length))

    def _columns(self, clique: Clique) -> NDArray[np.int32]:
        """int32[cells, non-empty subsets]: where each of a cell's residuals lies."""
        shape = self.shape[clique]
        found = []
        for part in _parts(clique):
            where = self.slices[self._place[part]]
            across = [size if column in part else 1 for column, size in zip(clique, shape, strict=True)]
            own = np.arange(where.start, where.stop, dtype=np.int32).reshape(across)
            found.append(np.broadcast_to(own, shape).reshape(-1))
        return np.stack(found, axis=1)

    def _shares(self, clique: Clique) -> Vector:
        cells = math.prod(self.shape[clique])
        return np.array([math.prod(self.shape[part]) / cells for part in _parts(clique)])

    @cached_property
    def _place(self) -> Mapping[Clique, int]:
        return {clique: i for i, clique in enumerate(self.cliques)}

    @cached_property
    def _axes(self) -> tuple[tuple[sparse.csr_array, NDArray[np.int32]], ...]:
        """For each axis: the means along it, and which of them each number belongs to (the last, which is 0, without that axis)."""
        return tuple(self._means(axis) for axis in range(max(map(len, self.shapes), default=0)))

    def _means(self, axis: int) -> tuple[sparse.csr_array, NDArray[np.int32]]:
        group = np.full(self.length, -1, dtype=np.int32)
        share = np.zeros(self.length)
        groups = 0
        for where, shape in zip(self.slices, self.shapes, strict=True):
            if axis < len(shape):
                rest = [*shape[:axis], 1, *shape[axis + 1 :]]
                own = np.arange(groups, groups + math.prod(rest), dtype=np.int32).reshape(rest)
                group[where] = np.broadcast_to(own, shape).reshape(-1)
                share[where] = 1 / shape[axis]
                groups += own.size
        held = np.flatnonzero(group >= 0)
        entries = (share[held], (group[held], held))
        group[group < 0] = groups
        return sparse.csr_array(entries, shape=(groups + 1, self.length)), group


def _parts(clique: Clique) -> list[Clique]:
    return [part for part in subsets(clique) if part]
