"""Bins found from noisy counts, ours and PrivTree's, at the same budget and with as many bins at most.

    python -m benchmarks.bins                          simulated columns
    python -m benchmarks.bins adult-raw.csv            and the numeric columns of a file

Columns of at most 512 fine cells between public bounds. Ours measures the fine counts and places bins by them
(`dpsynth.strategies.partition`). PrivTree (Zhang, Xiao, Xie, arXiv:1601.03229) halves ranges by noisy decisions, here the fullest first; a
pure epsilon costs rho = epsilon^2 / 2. "placed" is the total variation distance between the exact fine counts and the same with each bin's
rows spread evenly over it: what the bins lose. "used" is that with the bins' counts measured once more for the same budget, as a strategy
measures them afterwards. Means over the draws, and numbers of bins.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.results import FOLDER, SCHEMA
from dpsynth.strategies.partition import partition
from dpsynth.version import VERSION

Vector = NDArray[np.float64]
CELLS = 512
MOST = 32
"""Bins at most, of both."""
RHOS = [1e-5, 3e-5, 1e-4, 1e-3]
"""A twentieth of a release at epsilon 0.1 to 1 and delta 1e-9 lies between the first and the last."""
REPEATS, ROWS = 16, 50_000


@dataclass(frozen=True)
class Found:
    """Means over the draws. placed, used: distances."""

    column: str
    rho: float
    method: str
    placed: float
    used: float
    bins: float


def simulated() -> dict[str, Vector]:
    """float64[512] of rows each: shapes that incomes, ages and amounts have."""
    x = np.linspace(0, 1, CELLS, endpoint=False)
    shapes = {
        "even": np.ones(CELLS),
        "bell": np.exp(-(((x - 0.4) / 0.1) ** 2) / 2),
        "two bells": np.exp(-(((x - 0.2) / 0.03) ** 2) / 2) + 0.6 * np.exp(-(((x - 0.7) / 0.1) ** 2) / 2),
        "falling": np.exp(-12 * x),
        "heavy tail": 1 / (1 + 200 * x) ** 1.5,
        "steps": 1.0 + 5 * ((x > 0.3) & (x < 0.45)) + 2 * (x > 0.8),
    }
    rng = np.random.default_rng(0)
    return {name: rng.multinomial(ROWS, shape / shape.sum()).astype(np.float64) for name, shape in shapes.items()}


def of_file(path: Path) -> dict[str, Vector]:
    """The numeric columns of a file in cells of whole numbers, as few to a cell as there is room for, from their least to their largest."""
    found = {}
    for name, values in pd.read_csv(path).select_dtypes("number").items():
        known = values.dropna()
        width = max(1, math.ceil((known.max() - known.min() + 1) / CELLS))
        if (cells := int((known.max() - known.min()) // width) + 1) > MOST:
            found[str(name)] = np.bincount(((known - known.min()) // width).astype(int), minlength=cells).astype(np.float64)
    return found


def ours(counts: Vector, rho: float, rng: np.random.Generator) -> tuple[int, ...]:
    """The cells that begin a bin."""
    sigma = deviation(rho)
    return partition(counts + rng.normal(0, sigma, len(counts)), sigma, MOST, np.zeros(len(counts), dtype=bool))


def privtree(counts: Vector, rho: float, rng: np.random.Generator) -> tuple[int, ...]:
    """The same by PrivTree with fanout 2 and threshold 0: lambda = 3 / epsilon, delta = lambda log 2."""
    scale = 3 / math.sqrt(2 * rho)
    bias = scale * math.log(2)

    def judged(start: int, end: int, depth: int) -> tuple[float, int, int, int]:
        return max(float(counts[start:end].sum()) - depth * bias, -bias) + rng.laplace(0, scale), start, end, depth

    whole = 1 << (len(counts) - 1).bit_length()
    leaves: list[int] = []
    ranges = [judged(0, whole, 0)]
    while ranges:
        seen, start, end, depth = ranges.pop(ranges.index(max(ranges)))
        if seen > 0 and end - start > 1 and len(leaves) + len(ranges) + 2 <= MOST:
            middle = (start + end) // 2
            ranges += [judged(start, middle, depth + 1), judged(middle, end, depth + 1)]
        else:
            leaves.append(start)
    return tuple(sorted(start for start in leaves if start < len(counts)))


METHODS: Mapping[str, Callable[[Vector, float, np.random.Generator], tuple[int, ...]]] = {"ours": ours, "privtree": privtree}


def deviation(rho: float) -> float:
    """Of the noise in each of a table's counts."""
    return math.sqrt(1 / (2 * rho))


def spread(starts: tuple[int, ...], sums: Vector, cells: int) -> Vector:
    """Each bin's rows evenly over its cells, none of them negative."""
    widths = np.diff([*starts, cells])
    return np.repeat(np.maximum(sums, 0) / widths, widths)


def distance(found: Vector, exact: Vector) -> float:
    """Total variation distance of the two distributions."""
    return float(np.abs(found / max(found.sum(), 1e-9) - exact / exact.sum()).sum() / 2)


def found(column: str, counts: Vector, rho: float, method: str) -> Found:
    """One method on one column."""
    rng, draws = np.random.default_rng([*map(ord, column), round(1 / rho)]), []
    for _ in range(REPEATS):
        starts = METHODS[method](counts, rho, rng)
        exact = np.add.reduceat(counts, starts)
        noisy = exact + rng.normal(0, deviation(rho), len(exact))
        draws.append((*(distance(spread(starts, sums, len(counts)), counts) for sums in (exact, noisy)), len(starts)))
    return Found(column, rho, method, *np.mean(draws, axis=0).tolist())


def main(words: list[str] | None = None) -> int:
    """A row for each column and budget, the ratio of the means, and the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="CSV files with a header")
    parser.add_argument("--rhos", type=float, nargs="*", default=RHOS)
    parser.add_argument("--out", type=Path, default=FOLDER / "bins.json")
    given = parser.parse_args(words)
    columns = simulated()
    for path in given.files:
        columns |= of_file(path)
    print(f"{'':<28} {'placed':>17} {'used':>17} {'bins':>13}\n{'column':<20} {'rho':>7} " + 3 * "    ours privtree ")
    runs: list[Found] = []
    for rho in given.rhos:
        for column, counts in columns.items():
            pair = [found(column, counts, rho, method) for method in METHODS]
            figures = " ".join(f"{a:>8.4f} {b:>8.4f}" for a, b in ((getattr(r, n) for r in pair) for n in ("placed", "used")))
            print(f"{column:<20} {rho:>7.0e} {figures} {pair[0].bins:>8.1f} {pair[1].bins:>8.1f}", flush=True)
            runs += pair
        own = {method: [run for run in runs if (run.rho, run.method) == (rho, method)] for method in METHODS}
        for figure in ("placed", "used"):
            means = {method: np.mean([getattr(run, figure) for run in own[method]]) for method in METHODS}
            print(f"    {figure} at rho {rho:g}: ratio of the means {means['ours'] / means['privtree']:.3f}")
    facts = {"benchmark": "bins", "schema": SCHEMA, "version": VERSION, "runs": [asdict(run) for run in runs]}
    given.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
