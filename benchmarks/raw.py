"""A table as published, strings and empty cells, against the same table coded beforehand: error of whole releases, types, categories.

    python -m benchmarks.raw adult-raw.csv adult.csv

The first file is released under the columns of benchmarks/adult-raw.toml, and scored on the cells of that spec; the second is a file of
codes (adult-domain.json beside it). Prints the mean 2-way distance of every draw and the ratio of the medians. Ends with 1 where names,
order, types or categories of the records' columns differ from those of the table.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmarks.command import command, machine
from benchmarks.release import Limits, release
from benchmarks.results import FOLDER, SCHEMA, Setting
from benchmarks.score import score
from benchmarks.tables import PublicTable, compact, schema_of, table_named
from dpsynth.evaluation.distance import encode
from dpsynth.schema import Schema
from dpsynth.version import VERSION

COLUMNS = Path(__file__).with_name("adult-raw.toml")
SPEC = """[release]
name = "benchmark"
purpose = "Benchmark on public data"
[data]
source = {source}
[unit]
id = ""
[budget]
ledger = "ledger"
epsilon = {epsilon}
delta = {delta}
[synthesis]
seed = {seed}
"""


def read(path: Path) -> pd.DataFrame:
    """A table as texts, with nothing but the empty cell as missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])


def released(table: Path, columns: str, setting: Setting, seed: int, folder: Path) -> Path:
    """The records of one release, as CSV."""
    words = SPEC.format(source=json.dumps(str(table.resolve())), epsilon=setting.epsilon, delta=setting.delta, seed=seed)
    (folder / "spec.toml").write_text(words + columns, encoding="utf-8")
    command("ledger", "init", "ledger", "--epsilon", setting.epsilon, "--delta", setting.delta, folder=folder)
    command("run", "spec.toml", "--out", "out", folder=folder)
    return folder / "out" / "synthetic.csv"


def differences(table: pd.DataFrame, records: pd.DataFrame, schema: Schema) -> list[str]:
    """How the records' columns differ from the table's: in names and order, in being whole numbers, in having empty cells, in labels.

    A label of the table that no record has is no difference: it may be too rare.
    """
    if list(records.columns) != list(table.columns):
        return [f"columns {list(records.columns)}, the table has {list(table.columns)}"]
    found = []
    for column in schema.modelled:
        theirs, ours = table[column.name], records[column.name]
        if ours.isna().any() and not theirs.isna().any():
            found.append(f"{column.name}: empty cells")
        if column.kind == "integer":
            if not ours.dropna().str.fullmatch(r"-?\d+").all():
                found.append(f"{column.name}: not whole numbers")
        elif new := set(ours.dropna()) - set(theirs.dropna()):
            found.append(f"{column.name}: {len(new)} labels that the table has not")
    return found


def main(words: list[str] | None = None) -> int:
    """Releases both tables as often as asked, writes the distances and prints their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path)
    parser.add_argument("coded", type=Path)
    parser.add_argument("--epsilon", default="1")
    parser.add_argument("--delta", default="1e-9")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--machine", default=machine())
    parser.add_argument("--out", type=Path, default=FOLDER / "raw.json")
    given = parser.parse_args(words)
    columns = COLUMNS.read_text(encoding="utf-8")
    schema = schema_of(columns)
    frame, coded = read(given.raw), table_named(str(given.coded))
    table = PublicTable(given.raw.stem, schema.domain, compact(schema.domain, [encode(schema, frame)], len(frame)))
    facts, wrong, means = [], set[str](), dict[str, list[float]]()
    for repeat in range(given.repeats):
        setting = Setting(table.name, "default", given.epsilon, given.delta)
        with tempfile.TemporaryDirectory(prefix="dpsynth-benchmark-") as folder:
            records = read(released(given.raw, columns, setting, repeat, Path(folder)))
        wrong.update(differences(frame, records, schema))
        own = score(table, compact(schema.domain, [encode(schema, records)], len(records)))
        other = release(coded, Setting(coded.name, "default", given.epsilon, given.delta), repeat, Limits())
        facts += [{**asdict(setting), **asdict(own), "repeat": repeat, "rows": len(records)}, asdict(other)]
        for name, mean in ((table.name, own.mean["2"]), (coded.name, other.mean["2"])):
            means.setdefault(name, []).append(mean)
            print(f"{name:<12} {mean:.5f}", flush=True)
        whole = {"benchmark": "raw", "schema": SCHEMA, "machine": given.machine, "version": VERSION, "runs": facts}
        given.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print("\n".join(["Columns, types and categories are the table's." if not wrong else "Differences:", *sorted(wrong)]))
    print(f"Ratio of the medians: {statistics.median(means[table.name]) / statistics.median(means[coded.name]):.3f}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
