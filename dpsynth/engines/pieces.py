"""Codes and texts on their way into arrays, batch by batch, without a second copy of the table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.engines.codes import Texts, code_dtype

GROWTH = 1.125
"""How much longer an array gets when it is full: what is ahead of its rows is memory too. The system moves pages, not rows."""


class Pieces:
    """sizes: cells of each column; 0: it is open, and its texts ("" where missing) are numbered as they come."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes, self._rows = sizes, 0
        self._arrays: list[NDArray[np.integer]] = [np.empty(0, dtype=code_dtype(size) if size else np.dtype(np.uint32)) for size in sizes]
        self._found: list[dict[str, int]] = [{} for _ in sizes]

    def add(self, batch: Any) -> None:
        """The next rows: a pyarrow record batch with a column of each."""
        start, end = self._rows, self._rows + batch.num_rows
        for array, column, size, found in zip(self._arrays, batch.columns, self._sizes, self._found, strict=True):
            if end > len(array):
                array.resize(max(end, int(GROWTH * len(array))), refcheck=False)
            array[start:end] = column.to_numpy(zero_copy_only=False) if size else _places(column, found)
        self._rows = end

    def joined(self) -> list[NDArray[np.integer] | Texts]:
        """Each column's rows; there are no more to come."""
        for array in self._arrays:
            array.resize(self._rows, refcheck=False)
        columns = zip(self._arrays, self._sizes, self._found, strict=True)
        return [array if size else Texts(tuple(text or None for text in found), array) for array, size, found in columns]


def _places(column: Any, found: dict[str, int]) -> NDArray[np.integer]:
    """Each row's place among the texts found so far, which those that are new are added to."""
    coded = column.dictionary_encode()
    own = np.array([found.setdefault(text, len(found)) for text in coded.dictionary.to_pylist()], dtype=np.uint32)
    return np.asarray(own[coded.indices.to_numpy(zero_copy_only=False)]) if len(own) else own
