"""How many rows the noise of a table misplaces: quantiles of the sum of absolute discrete Gaussian noise, never too small.

Lemma. Z discrete Gaussian of parameter sigma, N ~ N(0, sigma^2), theta = 2 sum_{k >= 1} exp(-2 pi^2 sigma^2 k^2). For whole m >= 1

    P(|Z| >= m) <= P(|N| >= m - 1/2) + theta [ m - 1/2 <= sigma ].

Proof. g(x) = exp(-x^2 / 2 sigma^2) is concave on |x| <= sigma and convex on either side of it, and the sum of g over all whole
numbers is 1 + theta times its integral (Poisson summation). Where m - 1/2 >= sigma, convexity gives g(z) <= integral of g over
z +- 1/2 for each z >= m: add up the tail. Where m - 1/2 <= sigma, concavity gives g(z) >= that integral for each |z| < m, so
P(|Z| < m) >= P(|N| < m - 1/2) / (1 + theta). Source: the Hermite-Hadamard inequality; the noise is that of Canonne, Kamath,
Steinke, arXiv:2004.00010.

So sums of independent |Z| are bounded by sums of independent variables with these tails, and those are computed: by convolution for up to
CONVOLVED cells, and by Chernoff's inequality, which is 1 % larger at that many cells and less beyond. The smaller bound counts.
"""

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import erfc

CONVOLVED = 4096
"""Tables of more cells take Chernoff's bound alone."""

LENGTH = 1 << 18
"""Points of the convolution at most: sums beyond that many rows are rounded up to multiples of a power of two."""

ARITHMETIC = 1e-9
"""Probability set aside for what is cut off (below 1e-13: 12 sigma of one cell, 8 of the sum) and for rounding in the transform."""

BITS = 15
"""Limits on sigma have this many bits after the leading one: rounded inward, and the same wherever they are computed."""

Vector = NDArray[np.float64]


@lru_cache(maxsize=1 << 14)
def misplaced(cells: int, sigma: float, confidence: float) -> int:
    """Rows s with P(sum over cells |Z_i| > s) <= 1 - confidence: the least one, to the width of the grid; increasing in sigma."""
    risk = 1 - confidence - ARITHMETIC
    bound = _by_chernoff(cells, sigma, risk)
    return min(bound, _by_convolution(cells, sigma, risk)) if cells <= CONVOLVED else bound


@lru_cache(maxsize=1 << 14)
def largest_sigma(cells: int, rows: int, confidence: float) -> float:
    """The largest sigma, of 16 significant bits, from 2^-6 to 2^40, whose noise sums to at most `rows` with that confidence."""
    # Half of all draws of |Z| exceed 0.67 sigma - 1/2, so that at this sigma the sum is too large.
    most = min(40, math.ceil(math.log2(2 * (rows + 1) / cells + 2)))
    codes = range(-6 << BITS, (most << BITS) + 1)
    place = bisect_right(codes, rows, key=lambda code: misplaced(cells, _sigma(code), confidence))
    return _sigma(codes[max(place - 1, 0)])


def _sigma(code: int) -> float:
    """The floats of 16 significant bits in order, 1 at 0."""
    return math.ldexp((1 << BITS) + code % (1 << BITS), code // (1 << BITS) - BITS)


def _magnitudes(sigma: float, step: int) -> Vector:
    """float64[points]: bounds, as by the lemma, on the probabilities of |Z| / step rounded up to 0, 1, 2 ... (to 12 sigma)."""
    edges = step * np.arange(math.ceil(12 * sigma / step) + 2) + 0.5
    theta = 2.1 * math.exp(-2 * (math.pi * sigma) ** 2)  # the terms after the first are below 1e-8 of it where it is used, at sigma >= 1/2
    above = np.minimum(erfc(edges / (sigma * math.sqrt(2))) + theta * (edges <= sigma), 1.0)
    return np.asarray(-np.diff(above, prepend=1.0))


def _by_convolution(cells: int, sigma: float, risk: float) -> int:
    # A sum of |N| is above its mean plus 8 sigma sqrt(cells) with probability below 2e-14 (Gaussian concentration).
    # Up to 4 rows a cell more for rounding and theta.
    reach = cells * (sigma + 4) + 8 * sigma * math.sqrt(cells)
    step = _power(reach / (LENGTH - cells))
    length = _power(reach / step + cells)
    total = np.fft.irfft(np.fft.rfft(_magnitudes(sigma, step), length) ** cells, length)
    return step * int(np.argmax(np.cumsum(total) >= 1 - risk))


def _by_chernoff(cells: int, sigma: float, risk: float) -> int:
    """The least over t of (cells log E exp(t |Z|) - log risk) / t: a bound for every t, so the search need not be exact."""
    step = _power(sigma / 1024)
    single = _magnitudes(sigma, step)
    rows = step * np.arange(len(single), dtype=np.float64)
    about = math.log(math.sqrt(-2 * math.log(risk) / cells) / sigma)

    def bound(log_t: float) -> float:
        t = math.exp(log_t)
        return (cells * math.log(float(single @ np.exp(t * rows))) - math.log(risk)) / t

    found = minimize_scalar(bound, bounds=(about - 2, about + 2), method="bounded", options={"xatol": 1e-4})
    return math.ceil(float(found.fun))


def _power(least: float) -> int:
    """The least power of two that is not below it."""
    return 1 << max(0, math.ceil(math.log2(max(least, 1.0))))
