"""Time and memory of counting all pairs of columns of a simulated table: this package beside plain DuckDB and pandas, in one run.

python -m benchmarks.engines [--rows 1000000] [--columns 15] [--only dpsynth duckdb] [--time-limit 3600] [--out FILE]

Each way reads the same Parquet file in a process of its own; their counts are checked to be the same. `dpsynth` opens the file as a release
does (texts, the schema's rules, codes) and answers from memory; `duckdb` has one GROUP BY a pair on the file; `pandas` reads the file and
groups by each pair. A million rows take half a minute; 10^8 rows need 1 GB of disk, and pandas more than 8 GB of memory.
"""

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import machine
from benchmarks.results import FOLDER, SCHEMA
from benchmarks.simulated import simulated
from dpsynth.domain import Clique, Domain
from dpsynth.version import VERSION

Counted = Iterator[NDArray[np.int64]]
"""int64[cells] of each pair, in order."""


def by_dpsynth(path: Path, domain: Domain, pairs: list[Clique]) -> Iterator[Counted]:
    """First the empty answer of having read, then the tables."""
    from dpsynth.engines.reader import open_engine
    from dpsynth.engines.source import open_source
    from dpsynth.privacy import PrivacyUnit
    from dpsynth.schema import Schema

    schema = Schema.from_columns({name: {"kind": "code", "size": size} for name, size in domain.size.items()})
    engine = open_engine(open_source(path), schema, PrivacyUnit())
    yield iter(())
    yield (table for pair in pairs for table in engine.counts([pair]))


def by_duckdb(path: Path, domain: Domain, pairs: list[Clique]) -> Iterator[Counted]:
    """There is nothing to read before the first query."""
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET enable_progress_bar = false")
    yield iter(())
    for pair in pairs:
        a, b = pair
        query = f"SELECT {a}::BIGINT * {domain.size[b]} + {b} AS cell, count(*) AS n FROM read_parquet(?) GROUP BY cell"  # noqa: S608 - our names
        found: dict[str, Any] = connection.execute(query, [str(path)]).fetchnumpy()
        yield iter([filled(found["cell"], found["n"], domain.cells(pair))])


def by_pandas(path: Path, domain: Domain, pairs: list[Clique]) -> Iterator[Counted]:
    """Whole columns in memory."""
    import pandas as pd

    frame = pd.read_parquet(path)
    yield iter(())
    for pair in pairs:
        sizes = frame.groupby(list(pair)).size()
        cells = sizes.index.get_level_values(0).to_numpy(np.int64) * domain.size[pair[1]] + sizes.index.get_level_values(1).to_numpy(
            np.int64
        )
        yield iter([filled(cells, sizes.to_numpy(), domain.cells(pair))])


WAYS: dict[str, Callable[[Path, Domain, list[Clique]], Iterator[Counted]]] = {
    "dpsynth": by_dpsynth,
    "duckdb": by_duckdb,
    "pandas": by_pandas,
}


def filled(cells: NDArray[Any], rows: NDArray[Any], size: int) -> NDArray[np.int64]:
    """The table whose other cells are empty."""
    table = np.zeros(size, dtype=np.int64)
    table[np.asarray(cells, dtype=np.int64)] = rows
    return table


def counted(way: str, path: Path, domain: Domain) -> dict[str, Any]:
    """What one way takes: seconds until it has read and until it has counted, and a digest of all tables."""
    pairs: list[Clique] = list(itertools.combinations(domain.columns, 2))
    start, digest = time.perf_counter(), hashlib.sha256()
    answers = WAYS[way](path, domain, pairs)
    next(answers)
    read = time.perf_counter() - start
    for answer in answers:
        for table in answer:
            digest.update(table.tobytes())
    return {"read": read, "count": time.perf_counter() - start - read, "digest": digest.hexdigest(), "pairs": len(pairs)}


def in_a_process(way: str, path: Path, domain: Domain, seconds: float) -> dict[str, Any] | None:
    """`counted` in a fresh process, with the most memory it held; None where it failed or took too long."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        worker = [sys.executable, "-m", "benchmarks.engines", "--worker", way, str(path), json.dumps(dict(domain.size)), str(out)]
        launcher = [sys.executable, str(Path(__file__).with_name("launcher.py")), str(seconds), *worker]
        code, _, _, peak = json.loads(subprocess.run(launcher, stdout=subprocess.PIPE, check=True).stdout)
        return None if code else {**json.loads(out.read_text()), "peak": peak}


def line(way: str, took: dict[str, Any], rows: int, least: float) -> str:
    """One row of the table that is printed."""
    both = took["read"] + took["count"]
    return (
        f"{way:<8} {took['read']:>9.2f} {took['count']:>9.2f} {1e9 * both / rows:>11.0f} {1e3 * took['count'] / took['pairs']:>14.2f}"
        f" {took['peak'] / 2**20:>9.0f} {both / least:>6.2f}"
    )


def write(path: Path, added: list[dict[str, Any]], machine: str) -> None:
    """The figures, beside those of other sizes and ways that the file has already."""
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    again = {tuple(run[key] for key in ("rows", "columns", "way")) for run in added}
    kept = [run for run in runs if tuple(run[key] for key in ("rows", "columns", "way")) not in again]
    runs = sorted([*kept, *added], key=lambda run: (run["columns"], run["rows"], run["way"]))
    facts = {"benchmark": "engines", "schema": SCHEMA, "machine": machine, "version": VERSION, "runs": runs}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main(words: list[str] | None = None) -> None:
    """Writes the table, counts it each way, prints what that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--folder", type=Path, help="where the Parquet file is kept; left out: a temporary folder")
    parser.add_argument("--time-limit", type=float, default=3600.0, help="seconds for each way")
    parser.add_argument("--out", type=Path, default=FOLDER / "engines.json", help="figures of this size take the place of those it had")
    parser.add_argument("--machine", default=machine(), help="kind of machine, for the record")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.worker:
        way, file, written, out = given.worker
        domain = Domain(*zip(*json.loads(written).items(), strict=True))
        Path(out).write_text(json.dumps(counted(way, Path(file), domain)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        table = simulated(f"network-{given.columns}x{given.rows}")
        path = (given.folder or Path(temporary)) / f"{table.name}.parquet"
        if not path.exists():
            table.write(path)
        took = {way: in_a_process(way, path, table.network.domain, given.time_limit) for way in given.only}
    done = {way: figures for way, figures in took.items() if figures is not None}
    sizes = table.network.domain.sizes
    print(f"{given.rows:,} rows, {given.columns} columns of {min(sizes)} to {max(sizes)} cells, all pairs")
    print("         read [s] count [s] ns per row ms per marginal peak MiB  ratio")
    least = min((figures["read"] + figures["count"] for figures in done.values()), default=1.0)
    for way in given.only:
        print(line(way, done[way], given.rows, least) if way in done else f"{way:<8} failed, or took longer than {given.time_limit:g} s")
    if len({figures["digest"] for figures in done.values()}) > 1:
        sys.exit("the ways do not agree on the counts")
    added = [{"rows": given.rows, "columns": given.columns, "way": way, **figures} for way, figures in done.items()]
    write(given.out, added, given.machine)


if __name__ == "__main__":
    main()
