"""Privacy noise: OpenDP's exact samplers on integers, and nothing else. No seed reaches them.

They draw from the operating system's cryptographic generator. `contrib` is the only OpenDP feature that is switched on.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNT_LIMIT = (1 << 62) - 1
"""Counts and scores beyond this are refused before the draw: no sum or difference of two of them overflows int64."""


def discrete_gaussian(counts: NDArray[np.int64], sigma: float) -> NDArray[np.int64]:
    """counts + Z with independent Z of P(Z = z) proportional to exp(-z^2 / (2 sigma^2)) in each cell.

    counts: int64[cells]. sigma: in the units of the counts.
    Source: Canonne, Kamath, Steinke, arXiv:2004.00010, as implemented by OpenDP (make_gaussian on i64).
    """
    return np.array(_gaussian(sigma)(_exact(counts)), dtype=np.int64)


def above_threshold(counts: NDArray[np.int64], sigma: float, threshold: int) -> dict[int, int]:
    """Place -> noisy count, of the counts that are at least the threshold after discrete Gaussian noise; the others are not told.

    counts: int64[labels]. Source: OpenDP make_gaussian_threshold on i64. What it gives away is not taken from OpenDP, whose bound is for
    noisy counts beyond the threshold, while a count equal to it is released too: see proofs/threshold-discovery.md.
    """
    exact = _exact(counts)
    released = _gaussian_threshold(sigma, threshold)(dict(enumerate(exact))) if exact else {}
    return {int(place): int(noisy) for place, noisy in released.items()}


def noisy_argmax(scores: NDArray[np.int64], scale: float) -> int:
    """The place of the largest score after Gumbel noise of the given scale: the exponential mechanism, P(i) ~ exp(score_i / scale).

    scores: int64[candidates]; they may move up or down between neighbours, so the mechanism is built with monotonic=False.
    Source: OpenDP make_noisy_max (exact).
    """
    return int(_noisy_max(scale)(_exact(scores)))


def _exact(values: NDArray[np.int64]) -> list[int]:
    if values.dtype != np.int64 or values.ndim != 1:
        raise TypeError(f"noise is added to int64[cells], got {values.dtype} with {values.ndim} axes")
    if len(values) and (values.min() < -COUNT_LIMIT or values.max() > COUNT_LIMIT):
        raise OverflowError("a count or score is at or beyond 2^62, where sums are no longer exact")
    exact: list[int] = values.tolist()
    return exact


@cache
def _gaussian(sigma: float) -> Any:
    domains, measurements, metrics, _ = _opendp()
    vectors = domains.vector_domain(domains.atom_domain(T="i64"))
    return measurements.make_gaussian(vectors, metrics.l2_distance(T="f64"), scale=sigma)


@cache
def _gaussian_threshold(sigma: float, threshold: int) -> Any:
    domains, measurements, metrics, _ = _opendp()
    maps = domains.map_domain(domains.atom_domain(T="i64"), domains.atom_domain(T="i64"))
    metric = metrics.l02inf_distance(metrics.absolute_distance(T="f64"))
    return measurements.make_gaussian_threshold(maps, metric, scale=sigma, threshold=threshold)


@cache
def _noisy_max(scale: float) -> Any:
    domains, measurements, metrics, measures = _opendp()
    vectors = domains.vector_domain(domains.atom_domain(T="i64"))
    metric = metrics.linf_distance(T="i64", monotonic=False)
    return measurements.make_noisy_max(vectors, metric, measures.zero_concentrated_divergence(), scale=scale)


@cache
def _opendp() -> tuple[Any, Any, Any, Any]:
    # opendp.prelude imports scikit-learn where it is installed, which takes seconds: the submodules do not.
    from opendp import domains, measurements, measures, metrics
    from opendp.mod import enable_features

    enable_features("contrib")
    return domains, measurements, metrics, measures
