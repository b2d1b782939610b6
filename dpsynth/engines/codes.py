"""Exact counts over coded rows held in memory: the engine the curator talks to.

The same rows give the same counts, bit for bit, in whatever order and pieces they come: whole numbers are only added.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule
from dpsynth.domain import MAX_CELLS, Clique, Domain
from dpsynth.errors import ProtocolError, SpecError
from dpsynth.labels import Recoding

CHUNK_ROWS = 1 << 18
"""Rows whose cells are computed at a time: bounds the memory of int64 positions."""


def code_dtype(size: int) -> np.dtype[Any]:
    """The smallest unsigned dtype that holds 0 .. size - 1: a function of the public size alone."""
    return np.min_scalar_type(size - 1)


def check_cliques(domain: Domain, cliques: Sequence[Clique]) -> None:
    """Raises SpecError for a clique that is unknown, out of order or too large."""
    for clique in cliques:
        if domain.clique(clique) != tuple(clique):
            raise SpecError(f"a clique must be in the order of the domain, got {list(clique)}: use Domain.clique")
        if domain.cells(clique) > MAX_CELLS:
            raise SpecError(f"a marginal over {list(clique)} has {domain.cells(clique)} cells, at most {MAX_CELLS} are possible")


@dataclass(frozen=True, eq=False)
class Texts:
    """An open column: the texts that occur (None: missing) and which of them each row holds. Private.

    places: whole numbers[rows], each a place in `listed`.
    """

    listed: Sequence[str | None] = field(repr=False)
    places: NDArray[np.integer] = field(repr=False)


class CodesEngine:
    """One array of codes per column; knows nothing of units, sources or noise."""

    def __init__(self, domain: Domain, codes: Mapping[str, NDArray[np.integer]], texts: Mapping[str, Texts] | None = None) -> None:
        """codes: whole numbers[rows] for each column of the domain, each below the column's size. texts: of the open columns.

        Raises ProtocolError where columns are absent or not whole numbers, lengths differ or a code lies outside the domain.
        """
        self._domain = domain
        self._texts = dict(texts or {})
        self._codes: dict[str, NDArray[np.integer]] | None = {}
        lengths = {len(column) for column in codes.values()} | {len(held.places) for held in self._texts.values()}
        if set(codes) != set(domain.columns) or len(lengths) > 1:
            raise ProtocolError("codes need one array per column of the domain, all of one length")
        for name, size in zip(domain.columns, domain.sizes, strict=True):
            column = codes[name]
            if column.ndim != 1 or column.dtype.kind not in "iu":
                raise ProtocolError(f"codes of column {name!r} must be whole numbers in one dimension")
            if len(column) and not (column.min() >= 0 and column.max() < size):
                raise ProtocolError(f"codes of column {name!r} must lie from 0 to {size - 1}")
            self._codes[name] = column.astype(code_dtype(size), copy=False)
        self._rows = max(lengths, default=0)

    @property
    def domain(self) -> Domain:
        return self._domain

    def counts(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """Exact marginals: int64[cells] of rows for each clique, in C order; the empty clique has one cell.

        Raises ProtocolError after `close`; SpecError for a clique that is unknown, out of order or too large.
        """
        if self._codes is None:
            raise ProtocolError("this engine is closed: the rows are gone and no question can be answered")
        check_cliques(self._domain, cliques)
        return [self._marginal(self._codes, clique) for clique in cliques]

    def _marginal(self, codes: Mapping[str, NDArray[np.integer]], clique: Clique) -> NDArray[np.int64]:
        cells = self._domain.cells(clique)
        if not clique:
            return np.array([self._rows], dtype=np.int64)
        marginal = np.zeros(cells, dtype=np.int64)
        step = max(CHUNK_ROWS, cells)  # bincount costs a pass over the cells: never more of those passes than over the rows
        for start in range(0, self._rows, step):
            positions = self._positions(codes, clique, slice(start, start + step))
            marginal += np.bincount(positions, minlength=cells)
        return marginal

    def _positions(self, codes: Mapping[str, NDArray[np.integer]], clique: Clique, rows: slice) -> NDArray[np.int64]:
        """int64[rows]: each row's cell, the last column fastest."""
        positions = codes[clique[0]][rows].astype(np.int64)
        for column in clique[1:]:
            positions *= self._domain.size[column]
            positions += codes[column][rows]
        return positions

    def labels(self, column: str) -> dict[str, int]:
        """Exact: how many rows hold each text of an open column that has no cells yet; rows where it is missing are in none.

        Raises ProtocolError for any other column, and after `close`.
        """
        if self._codes is None or column not in self._texts:
            raise ProtocolError(f"labels are counted of open columns before they have cells, got {column!r}")
        held = self._texts[column]
        counts = np.bincount(held.places, minlength=len(held.listed)).tolist()
        return {text: count for text, count in zip(held.listed, counts, strict=True) if text is not None and count}

    def recode(self, domain: Domain, recodings: Mapping[str, Recoding]) -> None:
        """Switch to another domain, for good: the cells of each named column change by its recoding, others stay as they are.

        Raises ProtocolError where recodings and domains do not fit, and after `close`; nothing has changed then.
        """
        fit = {*self._domain.columns, *self._texts} == {*domain.columns} and {*self._texts} <= {*recodings} <= {*domain.columns}
        if self._codes is None or not fit:
            raise ProtocolError("a new domain must have the same columns, with a recoding for each open one, while the rows are there")
        codes = {name: self._recoded(name, recodings[name]) if name in recodings else self._codes[name] for name in domain.columns}
        changed = CodesEngine(domain, codes)
        self._domain, self._codes, self._texts = domain, changed._codes, {}

    def _recoded(self, name: str, recoding: Recoding) -> NDArray[np.integer]:
        """The column's new codes, each row's by what it held."""
        if isinstance(recoding, LabelRule):
            if self._codes is None or name not in self._texts:
                raise ProtocolError(f"{name!r} is no open column: it cannot be recoded by texts")
            held = self._texts[name]
            cells = np.array([recoding.cell(text) for text in held.listed], dtype=np.int64)
            return np.asarray(cells[held.places])
        if self._codes is None or name not in self._codes or recoding.shape != (self._domain.size[name],):
            raise ProtocolError(f"a recoding of {name!r} must have one new cell for each of its cells")
        return np.asarray(recoding[self._codes[name]])

    def close(self) -> None:
        """Forget the rows: every later question is refused."""
        self._codes = None
        self._texts = {}
        self._rows = 0

    def __repr__(self) -> str:
        """Public facts only: a debugger or log shows no row and no count."""
        return f"CodesEngine({len(self._domain.columns)} columns{', closed' if self._codes is None else ''})"

    def __reduce__(self) -> NoReturn:
        raise ProtocolError("an engine holds private rows and cannot be pickled or copied")
