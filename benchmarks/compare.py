"""Which errors grew between two results of release.py.

python -m benchmarks.compare OLD.json NEW.json

Ends with 1 where a mean k-way error grew by more than 5 %. Time and memory are shown and not judged: they depend on the machine.
"""

import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 0.05

Setting = tuple[str, str, float, float]
"""Data, strategy, epsilon, delta."""


@dataclass(frozen=True)
class Change:
    """One measure of one setting, as the mean over its repeats, before and after."""

    setting: Setting
    measure: str
    old: float
    new: float

    @property
    def ratio(self) -> float:
        return self.new / self.old if self.old else (1.0 if self.new == self.old else float("inf"))

    @property
    def regression(self) -> bool:
        return self.measure.endswith("error") and self.ratio > 1 + TOLERANCE

    def line(self) -> str:
        """The change as one line of the printed table."""
        data, strategy, epsilon, delta = self.setting
        mark = "  WORSE" if self.regression else ""
        where = f"{data:<12} {strategy:<12} {epsilon:>8g} {delta:>8g}"
        return f"{where} {self.measure:<12} {self.old:>10.5g} {self.new:>10.5g} {self.ratio - 1:>+8.1%}{mark}"


def measures(runs: Iterable[dict[str, Any]]) -> dict[tuple[Setting, str], float]:
    """The mean of each measure over the repeats of each setting."""
    found: dict[tuple[Setting, str], list[float]] = {}
    for run in runs:
        setting = (run["data"], run["strategy"], float(run["epsilon"]), float(run["delta"]))
        errors = {f"{k}-way error": value for k, value in run["mean"].items()}
        for measure, value in {**errors, "seconds": run["seconds"], "peak MiB": run["peak_mib"]}.items():
            found.setdefault((setting, measure), []).append(value)
    return {key: statistics.fmean(values) for key, values in found.items()}


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Every measure that both results have."""
    before, after = measures(old["runs"]), measures(new["runs"])
    return [Change(*key, before[key], after[key]) for key in before if key in after]


def main(words: list[str]) -> int:
    """Prints every change; 1 where an error grew, 2 where there is nothing to compare."""
    if len(words) != 2:
        print("usage: compare.py OLD.json NEW.json", file=sys.stderr)
        return 2
    old, new = (json.loads(Path(word).read_text(encoding="utf-8")) for word in words)
    found = changes(old, new)
    if not found:
        print("the two results have no setting (data, strategy, epsilon, delta) in common: compare others", file=sys.stderr)
        return 2
    if old["machine"] != new["machine"]:
        print(f"machines differ ({old['machine']} / {new['machine']}): time and memory say little")
    print(f"{'data':<12} {'strategy':<12} {'epsilon':>8} {'delta':>8} {'measure':<12} {'old':>10} {'new':>10} {'change':>8}")
    print("\n".join(change.line() for change in found))
    return int(any(change.regression for change in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
