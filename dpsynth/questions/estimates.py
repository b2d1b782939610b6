"""Public estimates of tables, as scores compare them with exact counts: int64[cells] in units of 2^-16 rows."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.questions.score import ROWS_LIMIT, SCORE_BITS


def score_estimate(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """float64[cells] of estimated rows -> int64[cells] in units of 2^-16 rows, as scores want them."""
    return np.rint(np.ldexp(rows, SCORE_BITS)).astype(np.int64)


def unchangeable(estimate: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same values over bytes: neither a later write nor a subclass's arithmetic can reach what is compared with exact counts.

    Raises SpecError for anything but int64[cells].
    """
    if not isinstance(estimate, np.ndarray) or estimate.dtype != np.int64 or estimate.ndim != 1:
        raise SpecError(f"an estimate must be int64[cells], got {getattr(estimate, 'dtype', type(estimate).__name__)}")
    kept: object = estimate.base  # numpy's types leave bytes out of what may lie under an array
    if type(estimate) is np.ndarray and type(kept) is bytes:
        return estimate
    return np.frombuffer(estimate.tobytes(), dtype=np.int64)


def check_estimates(cliques: Sequence[Clique], estimates: Sequence[NDArray[np.int64]], what: str) -> None:
    """Refuses public estimates that are none: there has to be one a clique, of at most 2^40 rows. Raises SpecError."""
    if not cliques:
        raise SpecError(f"{what} at least one table, got none")
    if len(cliques) != len(estimates):
        raise SpecError(f"{what} tables with an estimate each, got {len(cliques)} tables and {len(estimates)} estimates")
    for clique, estimate in zip(cliques, estimates, strict=True):
        if absolute_sum(estimate) > ROWS_LIMIT << SCORE_BITS:
            raise SpecError(f"the estimate of {list(clique)} holds more than 2^40 rows")


def absolute_sum(values: NDArray[np.int64]) -> int:
    """The sum of |values|, exact whatever they are: an int64 sum would wrap around, and |-2^63| is no int64."""
    sizes = np.abs(values).view(np.uint64)
    return (int((sizes >> np.uint64(32)).sum()) << 32) + int((sizes & np.uint64(0xFFFFFFFF)).sum())


def table_digests(tables: Sequence[NDArray[np.int64]]) -> list[str]:
    """SHA-256 of each table's little-endian values."""
    return [hashlib.sha256(np.ascontiguousarray(table, dtype="<i8").tobytes()).hexdigest() for table in tables]
