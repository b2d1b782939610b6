"""Quasi-independence: the two-way table nearest to independence that has given margins and is 0 where nothing can occur.

    table = allowed * outer(u, v), with u and v so that rows and columns add up to the margins

Source: Goodman, "The analysis of cross-classified data", JASA 63 (1968), 1091-1131; by iterative proportional fitting.
"""

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]

ROUNDS = 100


def quasi_independent(rows: Table, columns: Table, allowed: NDArray[np.bool_]) -> Table:
    """float64[k_a, k_b]; rows: float64[k_a] and columns: float64[k_b] with one sum. Where no table has these margins, one close to them."""
    return fitted_margins(np.where(allowed, np.outer(rows, columns) / max(float(rows.sum()), 1e-300), 0.0), rows, columns)


def fitted_margins(table: Table, rows: Table, columns: Table) -> Table:
    """The table of the same zeros and odds ratios with the margins, if there is one; its columns always add up as asked."""
    for _ in range(ROUNDS):
        table = table * _ratio(rows, table.sum(axis=1))[:, None]
        table = table * _ratio(columns, table.sum(axis=0))[None, :]
    return table


def _ratio(wanted: Table, held: Table) -> Table:
    return np.divide(wanted, held, out=np.zeros(len(wanted)), where=held > 0)
