"""Error, time and memory of whole releases: runs the command line as a user would and scores the records it writes.

python -m benchmarks.release adult-packaged dependent binary --strategies default mst independent --epsilons 0.1 1 10

A table is `adult-packaged`, a simulated one by its name (see benchmarks/simulated.py), or a file of codes, .csv or .parquet, with its
domain as NAME-domain.json beside it. A strategy may name its estimator: mst/private-pgm. Prints a line for each table, strategy and
epsilon: the median of the repeats.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.command import TIME_LIMIT, CommandFailed, command, machine
from benchmarks.plots import plot_release
from benchmarks.results import FOLDER, Failure, Results, Run, Setting
from benchmarks.score import PAIRS, SPLIT, TRIPLES, remarks, score
from benchmarks.tables import PACKAGED, PublicTable, records, table_named
from dpsynth.domain import Domain

DEFAULT = "default"
"""The word for leaving `strategy` out of the spec."""

Row = Callable[[Sequence[Run]], str]
"""The repeats of one setting as one line of the printed table."""


@dataclass(frozen=True)
class Limits:
    """Seconds a release may take, and how many pairs and triples of columns are scored at most."""

    seconds: float = TIME_LIMIT
    pairs: int = PAIRS
    triples: int = TRIPLES


def spec_text(domain: Domain, setting: Setting, seed: int) -> str:
    """A spec with kind code columns."""
    strategy, _, estimator = setting.strategy.partition("/")
    chosen = {} if strategy == DEFAULT else {"strategy": strategy}
    fitted = {"estimator": estimator} if estimator else {}
    sections: dict[str, dict[str, Any]] = {
        "release": {"name": "benchmark", "purpose": "Benchmark on public data"},
        "data": {"source": "table.parquet"},
        "unit": {"id": "", "max_rows": 1, "neighbours": "add-remove"},
        "budget": {"ledger": "ledger", "epsilon": Decimal(setting.epsilon), "delta": Decimal(setting.delta)},
        "synthesis": {**chosen, **fitted, "seed": seed, "format": "parquet"},
    }
    columns: dict[str, dict[str, Any]] = {
        f"columns.{json.dumps(name)}": {"kind": "code", "size": size, "source": "public: benchmark table"}
        for name, size in domain.size.items()
    }
    return "\n".join(line for name, facts in {**sections, **columns}.items() for line in _section(name, facts))


def _section(name: str, facts: dict[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"{key} = {json.dumps(value) if isinstance(value, str) else value}" for key, value in facts.items())


def release(table: PublicTable, setting: Setting, repeat: int, limits: Limits) -> Run:
    """One release from ledger to score, in a folder of its own. Raises CommandFailed."""
    with tempfile.TemporaryDirectory(prefix="dpsynth-benchmark-") as name:
        folder = Path(name)
        table.write(folder / "table.parquet")
        (folder / "spec.toml").write_text(spec_text(table.domain, setting, repeat) + "\n", encoding="utf-8")
        command("ledger", "init", "ledger", "--epsilon", setting.epsilon, "--delta", setting.delta, folder=folder)
        took = command("run", "spec.toml", "--out", "out", folder=folder, time_limit=limits.seconds)
        released = records(folder / "out" / "synthetic.parquet", table.domain)
    return Run(
        **vars(setting),
        **vars(score(table, released, limits.pairs, limits.triples)),
        repeat=repeat,
        columns=len(table.domain.columns),
        cells=sum(table.domain.sizes),
        table_rows=len(table.codes),
        rows=len(released),
        seconds=round(took.seconds, 2),
        cpu_seconds=round(took.cpu_seconds, 2),
        peak_mib=round(took.peak_mib, 1),
    )


def repeated(table: PublicTable, setting: Setting, repeats: int, limits: Limits) -> tuple[tuple[Run, ...], tuple[Failure, ...]]:
    """The releases of one setting, each with noise of its own, until one fails: the next would fail as well, after as long."""
    runs: list[Run] = []
    for repeat in range(repeats):
        try:
            runs.append(release(table, setting, repeat, limits))
        except CommandFailed as failed:
            return tuple(runs), (Failure(**vars(setting), repeat=repeat, reason=str(failed)),)
    return tuple(runs), ()


def measured(results: Results, asked: Iterable[tuple[PublicTable, Setting]], given: argparse.Namespace, path: Path, row: Row) -> Results:
    """All releases that are asked for: prints a line for each setting and writes what is known after each."""
    limits = Limits(given.time_limit, given.pairs, given.triples)
    said: list[str] = []
    for table, setting in asked:
        runs, failures = repeated(table, setting, given.repeats, limits)
        if runs:
            print(row(runs), flush=True)
            said += [remark for remark in remarks(table.name, runs[0]) if remark not in said]
        for failure in failures:
            print(f"{failure.data} {failure.strategy} {failure.epsilon} failed: {failure.reason}", flush=True)
        results = results.plus(runs, failures)
        results.write(path)
    print("\n".join([*said, f"Median of {given.repeats} noise draws. {given.machine}. Results: {path}"]))
    return results


HEADER = (
    f"{'data':<22} {'strategy':<15} {'epsilon':>7}"
    f" {'1-way':>8} {'2-way':>8} {'3-way':>8} {'max 1':>8} {'max 2':>8} {'max 3':>8}"
    + "".join(f" {name:>8}" for name in SPLIT)
    + f" {'seconds':>8} {'MiB':>6}"
)


def row_of(runs: Sequence[Run]) -> str:
    """The median of repeated runs: mean and largest distance by k, mean distance of pairs by the cells of their table, time, memory."""
    errors = [[run.mean.get(k) for run in runs] for k in "123"]
    worst = [[run.maximum.get(k) for run in runs] for k in "123"]
    by_size = [[run.pairs[name]["mean"] if name in run.pairs else None for run in runs] for name in SPLIT]
    cells = "".join(f" {middle(values):>8}" for values in (*errors, *worst, *by_size))
    seconds, peak = (statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "peak_mib"))
    return f"{runs[0].data:<22} {runs[0].strategy:<15} {runs[0].epsilon:>7}{cells} {seconds:>8.1f} {peak:>6.0f}"


def middle(values: Iterable[float | None]) -> str:
    """The median of distances, or a dash where none was scored."""
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.5f}" if known else "-"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=[PACKAGED], help=f"tables, as above (default: {PACKAGED})")
    parser.add_argument("--domain", type=Path, help="domain of the one table given, where it is not NAME-domain.json beside it")
    parser.add_argument("--epsilons", nargs="+", default=["1"])
    shared_arguments(parser, strategies=[DEFAULT, "mst", "independent"], repeats=3)
    given = parser.parse_args(words)
    if given.domain and len(given.tables) != 1:
        parser.error(f"--domain belongs to one table, got {len(given.tables)}: put NAME-domain.json beside each")
    return given


def shared_arguments(parser: argparse.ArgumentParser, strategies: list[str], repeats: int) -> None:
    """What releases are made with, and where results go."""
    parser.add_argument("--strategies", nargs="+", default=strategies, help=f"strategies, or {DEFAULT} (default: {' '.join(strategies)})")
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--repeats", type=int, default=repeats, help="noise draws of each release (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of columns that are scored at most (default: %(default)s)")
    parser.add_argument("--triples", type=int, default=TRIPLES, help="with more triples none is scored (default: %(default)s)")
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, help="seconds a release may take (default: %(default)s)")
    parser.add_argument("--machine", default=machine(), help="kind of machine, kept with the results (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="JSON file of the results (default: one in benchmarks/results); the plot goes beside it")
    parser.add_argument("--no-plot", action="store_true", help="no plot, which needs matplotlib")


def main(words: list[str] | None = None) -> int:
    """Runs every combination; 1 where a release failed."""
    given = arguments(words)
    path = given.out or FOLDER / f"{Path(given.tables[0]).stem if len(given.tables) == 1 else 'release'}.json"
    asked = (
        (table, Setting(table.name, strategy, epsilon, given.delta))
        for table in (table_named(word, given.domain) for word in given.tables)
        for strategy, epsilon in product(given.strategies, given.epsilons)
    )
    print(HEADER)
    results = measured(Results("release", given.machine), asked, given, path, row_of)
    if not given.no_plot and results.runs:
        print(f"Plot: {plot_release(results.facts(), path.with_suffix('.png'))}")
    return int(bool(results.failures))


if __name__ == "__main__":
    sys.exit(main())
