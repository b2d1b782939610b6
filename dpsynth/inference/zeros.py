"""Structural zeros: combinations of cells that public rules make impossible; every model gives them probability 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.schema import Schema


@dataclass(frozen=True, eq=False)
class StructuralZeros:
    """Which combinations of a few columns' cells can occur: public, from the rules of a schema.

    clique: the columns, in the order of the domain. allowed: bool[shape of the clique], at least one cell of it true.
    """

    clique: Clique
    allowed: NDArray[np.bool_]


Zeros = tuple[StructuralZeros, ...]
"""All of a schema's; together they leave at least one record, and a record can occur where each of them allows it."""


def zero_arrays(domain: Domain, zeros: Zeros) -> dict[str, NDArray[np.generic]]:
    """As a model file holds them, one after the other: how many columns each names, which, and its cells; nothing where there are none."""
    if not zeros:
        return {}
    return {
        "zero_lengths": np.array([len(zero.clique) for zero in zeros], dtype=np.int64),
        "zero_columns": np.array([domain.position[column] for zero in zeros for column in zero.clique], dtype=np.int64),
        "zero_allowed": np.concatenate([zero.allowed.reshape(-1) for zero in zeros]),
    }


def zeros_read(domain: Domain, lengths: NDArray[np.int64], columns: NDArray[np.int64], allowed: NDArray[np.bool_]) -> Zeros:
    """What `zero_arrays` wrote. Raises ValueError where it does not fit the domain."""
    fits = len(lengths) > 0 and bool((lengths >= 1).all() and (lengths <= len(domain.columns)).all()) and int(lengths.sum()) == len(columns)
    if not fits or not ((columns >= 0) & (columns < len(domain.columns))).all():
        raise ValueError("structural zeros of another domain")
    names, start = [domain.columns[place] for place in columns.tolist()], 0
    found = []
    for end, length in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True):
        clique = tuple(names[end - length : end])
        cells = domain.cells(clique)
        if list(map(domain.position.__getitem__, clique)) != sorted({domain.position[c] for c in clique}) or cells > len(allowed) - start:
            raise ValueError("structural zeros of another domain")
        found.append(StructuralZeros(clique, allowed[start : start + cells].reshape(domain.shape(clique))))
        start += cells
    if start != len(allowed):
        raise ValueError("structural zeros of another domain")
    return tuple(found)


def zeros_of(schema: Schema) -> Zeros:
    """What the schema's rules make impossible among its modelled columns."""
    return tuple(StructuralZeros(schema.domain.clique(table.columns), table.allowed) for table in schema.book.tables)
