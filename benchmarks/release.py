"""Error, time and memory of whole releases: runs the command line as a user would and scores the records it writes.

python benchmarks/release.py --strategies mst independent --epsilons 0.1 1 10 --repeats 3
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.domain import Domain
from dpsynth.evaluation.distance import encode, marginal_distances
from dpsynth.schema import Schema, column_from
from dpsynth.version import VERSION

RESULTS = Path(__file__).parent / "results"
DEFAULT = "default"
"""The word for leaving `strategy` out of the spec."""
COMMAND = "import sys; from dpsynth.cli import main; sys.exit(main())"
"""What the installed `dpsynth` script does, for the Python that runs this file."""
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class PublicTable:
    """A coded public table: codes int64[rows, columns] in the order of the domain."""

    name: str
    domain: Domain
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One release: what was asked for, what it took (wall seconds, peak MiB of the process) and how far its records are off.

    mean, maximum: total variation distance over all k-way marginals, by k. skipped: marginals of over a million cells, by k.
    """

    data: str
    strategy: str
    epsilon: str
    delta: str
    repeat: int
    seconds: float
    peak_mib: float
    rows: int
    mean: dict[str, float]
    maximum: dict[str, float]
    skipped: dict[str, int]


def packaged_table() -> PublicTable:
    """The table that comes with the package, coded by its own spec."""
    folder = resources.files("dpsynth").joinpath("data")
    sections = tomllib.loads(folder.joinpath("adult.toml").read_text(encoding="utf-8"), parse_float=Decimal)["columns"]
    schema = Schema(tuple(column_from(name, facts) for name, facts in sections.items()))
    with resources.as_file(folder.joinpath("adult.csv.gz")) as path:
        return PublicTable("adult", schema.domain, encode(schema, pd.read_csv(path, dtype=str, keep_default_na=False)))


def coded_table(data: Path, domain: Path) -> PublicTable:
    """A CSV of codes with its domain, a JSON object of sizes by column; columns of one cell hold nothing to learn and are left out."""
    sizes = json.loads(domain.read_text(encoding="utf-8"))
    schema = Schema(tuple(column_from(name, {"kind": "code", "size": size}) for name, size in sizes.items() if size > 1))
    return PublicTable(data.stem, schema.domain, encode(schema, pd.read_csv(data)))


def spec_text(table: PublicTable, strategy: str, epsilon: str, delta: str, seed: int) -> str:
    """A spec with kind code columns; the numbers stay as they were typed."""
    sections: dict[str, dict[str, Any]] = {
        "release": {"name": "benchmark", "purpose": "Benchmark on public data"},
        "data": {"source": "table.csv"},
        "unit": {"id": "", "max_rows": 1, "neighbours": "add-remove"},
        "budget": {"ledger": "ledger", "epsilon": Decimal(epsilon), "delta": Decimal(delta)},
        "synthesis": {**({} if strategy == DEFAULT else {"strategy": strategy}), "seed": seed, "format": "csv"},
    }
    columns: dict[str, dict[str, Any]] = {
        f"columns.{json.dumps(name)}": {"kind": "code", "size": size, "source": "public: benchmark table"}
        for name, size in table.domain.size.items()
    }
    return "\n".join(line for name, facts in {**sections, **columns}.items() for line in _section(name, facts))


def _section(name: str, facts: dict[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    yield from (f"{key} = {json.dumps(value) if isinstance(value, str) else value}" for key, value in facts.items())


def command(*words: str, folder: Path) -> tuple[float, float]:
    """Runs dpsynth with these words: (wall seconds, peak MiB). Raises SystemExit with its last words where it fails."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"dpsynth {' '.join(words)} ended with {process.returncode}:\n{said.read()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit / MEBIBYTE


def release(table: PublicTable, strategy: str, epsilon: str, delta: str, repeat: int) -> Run:
    """One release from ledger to score, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="dpsynth-benchmark-") as name:
        folder = Path(name)
        pd.DataFrame(table.codes, columns=list(table.domain.columns)).to_csv(folder / "table.csv", index=False)
        (folder / "spec.toml").write_text(spec_text(table, strategy, epsilon, delta, repeat) + "\n", encoding="utf-8")
        command("ledger", "init", "ledger", "--epsilon", epsilon, "--delta", delta, folder=folder)
        seconds, peak = command("run", "spec.toml", "--out", "out", folder=folder)
        records = pd.read_csv(folder / "out" / "synthetic.csv")[list(table.domain.columns)].to_numpy()
    scores = {str(k): marginal_distances(table.codes, records, table.domain, k) for k in (1, 2, 3) if k <= records.shape[1]}
    return Run(
        data=table.name,
        strategy=strategy,
        epsilon=epsilon,
        delta=delta,
        repeat=repeat,
        seconds=round(seconds, 2),
        peak_mib=round(peak, 1),
        rows=len(records),
        mean={k: score.mean for k, score in scores.items()},
        maximum={k: score.maximum for k, score in scores.items()},
        skipped={k: score.skipped for k, score in scores.items()},
    )


def machine() -> str:
    """The kind of machine in words: cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()}-core, {memory:.0f} GB"


def row(runs: Iterable[Run]) -> str:
    """The median of repeated runs, as one line of the printed table."""
    listed = list(runs)
    first = listed[0]
    errors = " ".join(f"{statistics.median(run.mean[k] for run in listed):>9.5f}" for k in first.mean)
    seconds, peak = (statistics.median(getattr(run, name) for run in listed) for name in ("seconds", "peak_mib"))
    return f"{first.data:<12} {first.strategy:<12} {first.epsilon:>8} {errors:<29} {seconds:>9.1f} {peak:>9.0f}"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="CSV of codes (default: the packaged table)")
    parser.add_argument("--domain", type=Path, help="JSON of sizes by column, for --data")
    parser.add_argument("--strategies", nargs="+", default=["mst", "independent"], help=f"strategies, or {DEFAULT}")
    parser.add_argument("--epsilons", nargs="+", default=["1.0"])
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--machine", default=machine(), help="kind of machine, kept with the results (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="where the results go (default: benchmarks/results/NAME.json)")
    given = parser.parse_args(words)
    if (given.data is None) != (given.domain is None):
        parser.error("--data and --domain go together: give both, or neither for the packaged table")
    return given


def main(words: list[str] | None = None) -> None:
    """Runs every combination, prints a line for each and writes all runs."""
    given = arguments(words)
    table = coded_table(given.data, given.domain) if given.data else packaged_table()
    print(f"{'data':<12} {'strategy':<12} {'epsilon':>8} {'1-way':>9} {'2-way':>9} {'3-way':>9} {'seconds':>9} {'peak MiB':>9}")
    runs: list[Run] = []
    for strategy, epsilon in product(given.strategies, given.epsilons):
        repeated = [release(table, strategy, epsilon, given.delta, repeat) for repeat in range(given.repeats)]
        print(row(repeated), flush=True)
        runs += repeated
    path = given.out or RESULTS / f"{table.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": given.machine, "version": VERSION, "runs": [asdict(run) for run in runs]}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"results: {path}")


if __name__ == "__main__":
    main()
