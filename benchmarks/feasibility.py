"""What it takes to know whether a model has room for one more pair: microseconds a candidate, beside working the tree out anew.

    python -m benchmarks.feasibility

Simulated networks of 15, 50 and 100 columns; a model that grows pair by pair, in random order, to 2^19 cells. In each of its states all
pairs of columns are asked for. "asked" is the mean of a state, over its candidates; "grown" a state's own; "anew" an elimination of all
that the model holds and one candidate. Medians over the states; the largest in brackets.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.command import machine
from benchmarks.results import FOLDER, SCHEMA
from benchmarks.tables import table_named
from dpsynth.domain import Domain
from dpsynth.inference.growth import growth
from dpsynth.inference.junction import tree_cells
from dpsynth.strategies.aim import MODEL_CELLS
from dpsynth.version import VERSION

NETWORKS = ["network-15x100", "network-50x100", "network-100x100"]
STATES = 60
"""At most, of one model: a small one is full before that."""


@dataclass(frozen=True)
class Took:
    """Microseconds, median and largest over the states of one model."""

    data: str
    columns: int
    states: int
    asked: tuple[float, float]
    grown: tuple[float, float]
    anew: tuple[float, float]

    def row(self) -> str:
        shown = [f"{median:>8,.0f} ({most:,.0f})" for median, most in (self.asked, self.grown, self.anew)]
        return f"{self.data:<18} {self.columns:>7} {self.states:>6} " + " ".join(part.rjust(18) for part in shown)


def took(name: str, domain: Domain) -> Took:
    """A model that takes every pair it has room for."""
    pairs = [*combinations(domain.columns, 2)]
    order = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    model = growth(domain)
    asked: list[float] = []
    grown: list[float] = []
    anew: list[float] = []
    for pair in order:
        if len(grown) == STATES or not model.fits(pair, MODEL_CELLS):
            continue
        start = time.perf_counter()
        model = model.grown(pair)
        grown.append(time.perf_counter() - start)
        start = time.perf_counter()
        for candidate in pairs:
            model.fits(candidate, MODEL_CELLS)
        asked.append((time.perf_counter() - start) / len(pairs))
        start = time.perf_counter()
        tree_cells(domain, [*model.cliques, pair])
        anew.append(time.perf_counter() - start)
    return Took(name, len(domain.columns), len(grown), *map(_micro, (asked, grown, anew)))


def _micro(seconds: Sequence[float]) -> tuple[float, float]:
    return 1e6 * statistics.median(seconds), 1e6 * max(seconds)


def main(words: list[str] | None = None) -> int:
    """A row for each network, and the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="by name, or files of codes")
    parser.add_argument("--machine", default=machine(), help="kind of machine, for the record")
    parser.add_argument("--out", type=Path, default=FOLDER / "feasibility.json")
    given = parser.parse_args(words)
    print(f"{'microseconds':<18} columns states {'asked':>18} {'grown':>18} {'anew':>18}")
    runs = []
    for name in given.networks:
        runs.append(took(name, table_named(name).domain))
        print(runs[-1].row(), flush=True)
    facts = {"benchmark": "feasibility", "schema": SCHEMA, "machine": given.machine, "version": VERSION}
    given.out.write_text(json.dumps({**facts, "runs": [asdict(run) for run in runs]}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
