"""What a benchmark leaves behind: a JSON file with one entry for each release.

Fields are added without a new schema number; where one changes its meaning or goes, SCHEMA grows.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.score import Score
from dpsynth.version import VERSION

SCHEMA = 1
FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Setting:
    """What is asked of a release; the numbers stay as they were typed."""

    data: str
    strategy: str
    epsilon: str
    delta: str


@dataclass(frozen=True)
class Run(Score, Setting):
    """One release: what was asked for, what it took, how many records it wrote, and how far they are off.

    repeat: number of the noise draw. columns, table_rows: of the table; cells: of all its columns together. seconds: wall time of the
    process, cpu_seconds: processor time on all cores, peak_mib: its largest resident size.
    """

    repeat: int
    columns: int
    cells: int
    table_rows: int
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Failure(Setting):
    """A release that was refused or stopped, with the last words of the command."""

    repeat: int
    reason: str


@dataclass(frozen=True)
class Results:
    """All releases of one call of a benchmark: `kind` says which, `machine` on what kind of machine."""

    kind: str
    machine: str
    runs: tuple[Run, ...] = ()
    failures: tuple[Failure, ...] = ()

    def plus(self, runs: tuple[Run, ...], failures: tuple[Failure, ...]) -> "Results":
        """These results and more."""
        return replace(self, runs=self.runs + runs, failures=self.failures + failures)

    def facts(self) -> dict[str, Any]:
        """As the file holds them."""
        return {
            "benchmark": self.kind,
            "schema": SCHEMA,
            "machine": self.machine,
            "version": VERSION,
            "runs": [asdict(run) for run in self.runs],
            "failures": [asdict(failure) for failure in self.failures],
        }

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.facts(), indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> Mapping[str, Any]:
    """The facts of a file of results. Raises ValueError for a schema that this version does not know."""
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if facts.get("schema") != SCHEMA:
        raise ValueError(f"{path} is of schema {facts.get('schema')}, this version reads {SCHEMA}: run the benchmark again")
    return facts
