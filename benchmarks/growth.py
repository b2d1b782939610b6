"""Time and memory of whole releases against rows and columns of a simulated table.

python -m benchmarks.growth                                            rows 10^4 to 10^7 at 10 columns, columns 10 to 100 at 10^5 rows
python -m benchmarks.growth --rows 10000 100000 --columns 10 20        a smaller one
python -m benchmarks.growth --shapes 100x1000000 --out width.json      one shape

A release that is refused or takes too long is noted, and the next one is made.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence

from benchmarks.plots import plot_growth
from benchmarks.release import DEFAULT, measured, middle, shared_arguments
from benchmarks.results import FOLDER, Results, Run, Setting
from benchmarks.tables import table_named

ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
COLUMNS = (10, 20, 50, 100)
HEADER = (
    f"{'strategy':<12} {'epsilon':>7} {'columns':>7} {'cells':>6} {'rows':>11} {'seconds':>8}"
    f" {'CPU s':>8} {'MiB':>6} {'1-way':>8} {'2-way':>8}"
)


def row_of(runs: Sequence[Run]) -> str:
    """The median of repeated runs."""
    first = runs[0]
    seconds, cpu, peak = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds", "peak_mib"))
    errors = " ".join(f"{middle(run.mean.get(k) for run in runs):>8}" for k in "12")
    shape = f"{first.columns:>7} {first.cells:>6} {first.table_rows:>11,}"
    return f"{first.strategy:<12} {first.epsilon:>7} {shape} {seconds:>8.1f} {cpu:>8.1f} {peak:>6.0f} {errors}"


def shapes(given: argparse.Namespace) -> list[str]:
    """COLUMNSxROWS of each table, the smallest first: those asked for by name, or both ways to grow."""
    if given.shapes:
        return list(given.shapes)
    pairs = {(given.columns_at, rows) for rows in given.rows} | {(columns, given.rows_at) for columns in given.columns}
    return [f"{columns}x{rows}" for columns, rows in sorted(pairs, key=lambda shape: (shape[0] * shape[1], shape))]


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS, help="numbers of rows at --columns-at columns")
    parser.add_argument("--columns", type=int, nargs="*", default=COLUMNS, help="numbers of columns at --rows-at rows")
    parser.add_argument("--columns-at", type=int, default=10, help="columns while rows grow (default: %(default)s)")
    parser.add_argument("--rows-at", type=int, default=100_000, help="rows while columns grow (default: %(default)s)")
    parser.add_argument("--shapes", nargs="+", metavar="COLUMNSxROWS", help="these tables and no others")
    parser.add_argument("--family", default="network", help="family of the tables (default: %(default)s)")
    parser.add_argument("--epsilon", default="1")
    shared_arguments(parser, strategies=[DEFAULT], repeats=1)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Runs every shape; 1 where a release failed."""
    given = arguments(words)
    path = given.out or FOLDER / "growth.json"
    asked = (
        (table, Setting(table.name, strategy, given.epsilon, given.delta))
        for table in (table_named(f"{given.family}-{shape}") for shape in shapes(given))
        for strategy in given.strategies
    )
    print(HEADER)
    results = measured(Results("growth", given.machine), asked, given, path, row_of)
    if not given.no_plot and len({run.data for run in results.runs}) > 1:
        print(f"Plot: {plot_growth(results.facts(), path.with_suffix('.png'))}")
    return int(bool(results.failures))


if __name__ == "__main__":
    sys.exit(main())
