"""Flat vectors: the tables of some cliques one after the other, each in C order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference import descent_kernel
from dpsynth.inference.residuals import subsets

Vector = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where the tables of distinct cliques lie. shapes: of each table."""

    cliques: tuple[Clique, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each table lies."""
        return tuple(slice(a, b) for a, b in pairwise(accumulate(map(math.prod, self.shapes), initial=0)))

    @cached_property
    def place(self) -> Mapping[Clique, int]:
        """Of each clique's table among the others."""
        return {clique: i for i, clique in enumerate(self.cliques)}

    @property
    def length(self) -> int:
        """Numbers in a flat vector."""
        return self.slices[-1].stop if self.slices else 0

    def split(self, flat: Vector) -> list[NDArray[np.float64]]:
        """Views of a flat vector as tables."""
        return [flat[where].reshape(shape) for where, shape in zip(self.slices, self.shapes, strict=True)]

    @cached_property
    def axes(self) -> Places:
        """int64[axes of all tables, 4]: where the table starts, its cells, those of the axis, those of all later axes."""
        rows = [
            (where.start, where.stop - where.start, along, math.prod(shape[axis + 1 :]))
            for where, shape in zip(self.slices, self.shapes, strict=True)
            for axis, along in enumerate(shape)
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def interactions(self, flat: Vector) -> Vector:
        """Each table without its means along every axis (see `residuals.interaction`), overwriting the vector."""
        descent_kernel.centred(flat, self.axes)
        return flat


@dataclass(frozen=True, eq=False)
class Sums:
    """For some cliques, what it takes to add the residuals of all their subsets up to tables (see `residuals.table_of`), and back.

    tables: int64[cliques, 6]: where the table starts among those of all the cliques, rows and cells of a row (along the last column), first
    part, last part, where its offsets start. parts: int64[parts, 2]: whether the subset has the last column, where the subset itself lies
    in a flat vector. shares: float64[parts], cells of the subset over cells of the clique. offsets: int32[...], for each clique [rows,
    parts]: where the row's numbers, or its only one, lie in a flat vector.
    """

    cliques: tuple[Clique, ...]
    tables: Places
    parts: Places
    shares: Vector
    offsets: NDArray[np.int32]

    @property
    def length(self) -> int:
        """Cells of all the cliques' tables."""
        return int((self.tables[:, 1] * self.tables[:, 2]).sum())


def sums(layout: Layout, cliques: Sequence[Clique]) -> Sums:
    """Of these cliques, whose subsets are all in the layout."""
    tables: list[tuple[int, ...]] = []
    parts: list[tuple[int, int]] = []
    shares: list[float] = []
    offsets = [np.zeros(0, np.int32)]
    start = held = 0
    for clique in cliques:
        shape = layout.shapes[layout.place[clique]]
        own = [part for part in subsets(clique) if part]
        rows, cells = math.prod(shape[:-1]), math.prod(shape)
        tables.append((start, rows, shape[-1], len(parts), len(parts) + len(own), held))
        found = np.empty((rows, len(own)), np.int32)
        for i, part in enumerate(own):
            where = layout.slices[layout.place[part]]
            last = part[-1] == clique[-1]
            across = [size if column in part else 1 for column, size in zip(clique[:-1], shape[:-1], strict=True)]
            runs = np.arange(where.start, where.stop, shape[-1] if last else 1, dtype=np.int32).reshape(across)
            found[:, i] = np.broadcast_to(runs, shape[:-1]).reshape(-1)
            parts.append((int(last), where.start))
            shares.append((where.stop - where.start) / cells)
        offsets.append(found.reshape(-1))
        start, held = start + cells, held + found.size
    places = np.array(tables, dtype=np.int64).reshape(-1, 6), np.array(parts, dtype=np.int64).reshape(-1, 2)
    return Sums(tuple(cliques), *places, np.array(shares), np.concatenate(offsets))
