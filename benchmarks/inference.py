"""Both tree estimators on the same cliques and the same noise: error, seconds, memory, duality gap.

    python -m benchmarks.inference                                           packaged table and three simulated networks
    python -m benchmarks.inference adult.csv nltcs.csv network-50x20000      files of codes (NAME-domain.json beside them), networks by name

Two settings for every table and noise. "pairs": each pair by itself, measured together with its two one-way tables. "tree": all one-way
tables and the pairs furthest from independence that a junction tree of so many cells has room for, in a fresh process for each estimator.
Errors are mean total variation distances of a pair. Seconds are wall time of a fit, the first in its process and the median of later ones;
MiB are what a fit adds to the peak of another process, one that has fitted three columns before: what a fit holds, without its code. The
first fit includes compilers: private-pgm's in every process, maxent's only the first time on a machine, as it keeps its code on disk; that
is taken once ("compiled", seconds). Ratios are maxent / private-pgm.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from benchmarks.command import machine
from benchmarks.plots import COLOURS, MARKERS
from benchmarks.results import FOLDER, SCHEMA
from benchmarks.tables import PACKAGED, PublicTable, table_named
from dpsynth.domain import Clique, Domain
from dpsynth.inference.growth import growth
from dpsynth.inference.interchange import quiet_mbi
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.model import Estimator
from dpsynth.inference.private_pgm import PrivatePgm
from dpsynth.inference.tree_kernel import dot
from dpsynth.inference.tree_model import TreeModel
from dpsynth.transcript import Measurement
from dpsynth.version import VERSION

T = TypeVar("T")

TABLES = [PACKAGED, "network-20x20000", "network-50x20000", "network-100x20000"]
SIGMAS = [30.0, 45.0, 100.0]
CELLS = [1_000, 10_000, 100_000, 1_000_000]
REPEATS, ENOUGH = 9, 2.0
"""Later fits: the median of so many, fewer where they took so many seconds."""

LINEAR_CELLS, LINEAR = (10_000, 1_000_000), 1e-6
"""Where the plot shows what linear time looks like, and its seconds a cell."""

ESTIMATORS: Mapping[str, type[MaxEnt] | type[PrivatePgm]] = {"maxent": MaxEnt, "private-pgm": PrivatePgm}
HEADER = " ".join(
    [f"{'table':<22} {'setting':<8} {'sigma':>6} {'cells':>9} {'estimator':<12}", " measured   others  first s  again s    MiB gap"]
)


@dataclass(frozen=True)
class Fit:
    """One estimator on one problem; None is what was not taken. measured, others: mean error of measured pairs and of the rest."""

    data: str
    setting: str
    sigma: float
    cells: int
    estimator: str
    measured: float
    others: float | None = None
    seconds: float | None = None
    seconds_again: float | None = None
    mib: float | None = None
    gap: float | None = None

    @property
    def problem(self) -> tuple[str, str, float, int, str]:
        """What was fitted, and by what; both estimators are always run together."""
        return self.data, self.setting, self.sigma, self.cells, self.estimator

    def row(self) -> str:
        def shown(value: float | None, form: str) -> str:
            return "-".rjust(int(form.partition(".")[0])) if value is None else format(value, form)

        numbers = [shown(self.measured, "9.5f"), shown(self.others, "8.5f"), shown(self.seconds, "8.2f"), shown(self.seconds_again, "8.2f")]
        start = f"{self.data:<22} {self.setting:<8} {self.sigma:>6g} {self.cells:>9,} {self.estimator:<12}"
        return " ".join([start, *numbers, shown(self.mib, "6.0f"), shown(self.gap, "5.0e")])


@dataclass(frozen=True, eq=False)
class Problem:
    """Noisy tables, and the exact ones of the pairs that errors are taken of; it travels between processes."""

    columns: Clique
    sizes: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    exact: Mapping[Clique, np.ndarray]

    @property
    def domain(self) -> Domain:
        return Domain(self.columns, self.sizes)


def counts(table: PublicTable, clique: Clique) -> np.ndarray:
    """int64[cells]: rows of the table in each cell."""
    codes = [table.codes[:, table.domain.position[column]].astype(np.int64) for column in clique]
    return np.bincount(np.ravel_multi_index(codes, table.domain.shape(clique)), minlength=table.domain.cells(clique))


def problem(table: PublicTable, cliques: Sequence[Clique], sigma: float, domain: Domain, pairs: Iterable[Clique]) -> Problem:
    """The cliques with noise that depends on the table's name, the clique and sigma only: every estimator sees the same."""
    measured = []
    for clique in cliques:
        rng = np.random.default_rng([*map(ord, table.name), *(table.domain.position[c] for c in clique), int(sigma * 1000)])
        exact = counts(table, clique)
        measured.append(Measurement(clique, np.rint(exact + rng.normal(0, sigma, len(exact))).astype(np.int64), sigma))
    return Problem(domain.columns, domain.sizes, tuple(measured), {pair: counts(table, pair) for pair in pairs})


def errors(model: TreeModel, exact: Mapping[Clique, np.ndarray]) -> dict[Clique, float]:
    """Total variation distance of each pair's table."""
    found = zip(exact.items(), model.marginals(list(exact)), strict=True)
    return {pair: float(np.abs(table / table.sum() - truth / truth.sum()).sum() / 2) for (pair, truth), table in found}


def each_pair(table: PublicTable, sigma: float, most: int, least_cells: int = 0) -> list[Fit]:
    """The setting "pairs", of those with more than so many cells: at most so many of them, evenly spaced."""
    pairs = [pair for pair in combinations(table.domain.columns, 2) if table.domain.cells(pair) > least_cells]
    pairs = pairs[:: -(-len(pairs) // most)]
    found: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for pair in pairs:
        domain = Domain(pair, table.domain.shape(pair))
        given = problem(table, [(pair[0],), (pair[1],), pair], sigma, domain, [pair])
        for name, make in ESTIMATORS.items():
            found[name].append(errors(make().fit(domain, given.measurements), given.exact)[pair])
    cells = sum(map(table.domain.cells, pairs))
    setting = f"pairs over {least_cells} cells" if least_cells else "pairs"
    return [Fit(table.name, setting, sigma, cells, name, float(np.mean(found[name]))) for name in ESTIMATORS]


def tree_pairs(table: PublicTable, cells: int) -> tuple[list[Clique], int]:
    """The pairs furthest from independence that a tree of so many cells has room for, and its cells."""
    shares = {column: counts(table, (column,)) / len(table.codes) for column in table.domain.columns}

    def distance(pair: Clique) -> float:
        independent = np.outer(shares[pair[0]], shares[pair[1]]).ravel()
        return float(np.abs(counts(table, pair) / len(table.codes) - independent).sum())

    found: list[Clique] = []
    grown = growth(table.domain)
    for pair in sorted(combinations(table.domain.columns, 2), key=distance, reverse=True):
        if grown.fits(pair, cells):
            grown = grown.grown(pair)
            found.append(pair)
    return found, grown.cells


def one_tree(table: PublicTable, sigma: float, cells: int, most: int) -> list[Fit]:
    """The setting "tree", each estimator in a process of its own; errors of at most so many unmeasured pairs."""
    pairs, size = tree_pairs(table, cells)
    others = [pair for pair in combinations(table.domain.columns, 2) if pair not in pairs]
    others = others[:: max(1, -(-len(others) // most))]
    given = problem(table, [*((column,) for column in table.domain.columns), *pairs], sigma, table.domain, [*pairs, *others])
    fits = []
    for name in ESTIMATORS:
        seconds, again, gap, found = apart(timed, name, given)
        mib = apart(held, name, given)
        own, rest = [found[pair] for pair in pairs], [found[pair] for pair in others]
        other = float(np.mean(rest)) if rest else None
        fits.append(Fit(table.name, "tree", sigma, size, name, float(np.mean(own)) if own else 0.0, other, seconds, again, mib, gap))
    return fits


def apart(measure: Callable[..., T], *given: object) -> T:
    """A measurement in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *given).result()


def imported(name: str) -> Estimator:
    """An estimator whose imports are done, which are no part of a fit; nor is what numba imports at its first call."""
    if name == "private-pgm":
        quiet_mbi()
    dot(np.ones(1), np.ones(1))
    MaxEnt().fit(Domain(("a",), (2,)), [])
    return ESTIMATORS[name]()


def held(name: str, given: Problem) -> float:
    """MiB that a fit adds to the peak of a process that has fitted a cycle of three small columns before, so that its code is loaded."""
    estimator, small = imported(name), Domain(("a", "b", "c"), (9, 8, 3))
    cliques = [*((column,) for column in small.columns), *combinations(small.columns, 2)]
    rng = np.random.default_rng(0)
    estimator.fit(small, [Measurement(c, rng.poisson(900.0, small.cells(c)), 30.0) for c in cliques])
    before = peak_mib()
    estimator.fit(given.domain, given.measurements)
    return peak_mib() - before


def timed(name: str, given: Problem) -> tuple[float, float, float | None, dict[Clique, float]]:
    """Seconds of the first fit and of later ones, the gap where it is measured, errors."""
    estimator = imported(name)
    start = time.perf_counter()
    model = estimator.fit(given.domain, given.measurements)
    first = time.perf_counter() - start
    again: list[float] = []
    while len(again) < REPEATS and sum(again) < ENOUGH:
        gc.collect()  # a collection that the first fit left behind is no part of the next
        start = time.perf_counter()
        estimator.fit(given.domain, given.measurements)
        again.append(time.perf_counter() - start)
    assert isinstance(model, TreeModel)
    gap = model.report.gap if model.report.certified else None
    return first, median(again), gap, errors(model, given.exact)


def compiled() -> float:
    """Seconds of a small fit of maxent on a machine that has no code of it yet: its loops are compiled, once."""
    with TemporaryDirectory() as empty:
        os.environ["NUMBA_CACHE_DIR"] = empty
        try:
            return apart(first_of_all)
        finally:
            del os.environ["NUMBA_CACHE_DIR"]


def first_of_all() -> float:
    """Seconds of a fit of one pair."""
    estimator = imported("maxent")
    start = time.perf_counter()
    estimator.fit(Domain(("a", "b"), (3, 3)), [Measurement(("a", "b"), np.arange(9), 1.0)])
    return time.perf_counter() - start


def peak_mib() -> float:
    """Largest resident size of this process so far; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def ratios(fits: Sequence[Fit]) -> str:
    """maxent / private-pgm of two fits of one problem."""
    ours, theirs = fits
    names = ("measured", "others", "seconds", "seconds_again", "mib")
    known = [(n, getattr(ours, n), getattr(theirs, n)) for n in names]
    return "    ratio: " + ", ".join(f"{name} {a / b:.3g}" for name, a, b in known if a is not None and b)


def known(path: Path) -> dict[tuple[str, str, float, int, str], Fit]:
    """The figures that a file has already: those of a problem that is run again give way."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    return {fit.problem: fit for fit in (Fit(**run) for run in runs)}


def plot(fits: Sequence[Fit], path: Path, title: str) -> Path:
    """Seconds of a later fit against cells of the tree: a line for each table, and where twice the cells take twice as long."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    panel = figure.subplots()
    known = [(fit.data, fit.estimator, fit.cells, fit.seconds_again) for fit in fits if fit.seconds_again is not None]
    for place, data in enumerate(dict.fromkeys(data for data, *_ in known)):
        for name, dash in zip(ESTIMATORS, ("-", ":"), strict=True):
            own = sorted((cells, seconds) for table, estimator, cells, seconds in known if (table, estimator) == (data, name))
            panel.plot(
                [x for x, _ in own],
                [y for _, y in own],
                dash,
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                markersize=4,
            )
        panel.plot([], [], "-", color=COLOURS[place % len(COLOURS)], marker=MARKERS[place % len(MARKERS)], markersize=4, label=data)
    for name, dash in zip(ESTIMATORS, ("-", ":"), strict=True):
        panel.plot([], [], dash, color="#3a3a3a", label=name)
    panel.plot(LINEAR_CELLS, [x * LINEAR for x in LINEAR_CELLS], "--", color="#8a8f98", linewidth=1, label="linear")
    panel.set(xscale="log", yscale="log", xlabel="cells of the junction tree", ylabel="seconds of a fit, compiled", title=title)
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.title.set_fontsize(9)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    return path


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES, help="files of codes, networks by name, or the packaged table")
    parser.add_argument("--sigmas", type=float, nargs="*", default=SIGMAS, help='of the setting "pairs"')
    parser.add_argument("--cells", type=int, nargs="*", default=CELLS, help="of the trees, whose sigma is 30")
    parser.add_argument("--pairs", type=int, default=120, help="pairs at most, evenly spaced (default: %(default)s)")
    parser.add_argument("--pair-cells", type=int, default=0, help='in the setting "pairs", those with more cells (default: all)')
    parser.add_argument("--machine", default=machine(), help="kind of machine, for the record")
    parser.add_argument("--out", type=Path, default=FOLDER / "inference.json")
    parser.add_argument("--no-plot", action="store_true")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Every table in both settings; what is known so far is written after every problem, beside what the file had."""
    given = arguments(words)
    fits = known(given.out)
    once = compiled() if given.cells else None
    print(HEADER if once is None else f"maxent's first fit on a machine, with its compiler: {once:.1f} s\n{HEADER}", flush=True)
    for table in map(table_named, given.tables):
        for pairs, sigma, cells in [*((True, s, 0) for s in given.sigmas), *((False, SIGMAS[0], c) for c in given.cells)]:
            found = each_pair(table, sigma, given.pairs, given.pair_cells) if pairs else one_tree(table, sigma, cells, given.pairs)
            fits.update((fit.problem, fit) for fit in found)
            print("\n".join([*(fit.row() for fit in found), ratios(found)]), flush=True)
            facts: dict[str, Any] = {
                "benchmark": "inference",
                "schema": SCHEMA,
                "machine": given.machine,
                "version": VERSION,
                "compiled": once,
            }
            given.out.parent.mkdir(parents=True, exist_ok=True)
            runs = [asdict(fits[each]) for each in sorted(fits)]
            given.out.write_text(json.dumps({**facts, "runs": runs}, indent=1) + "\n", encoding="utf-8")
    if not given.no_plot:
        print(f"Plot: {plot([*fits.values()], given.out.with_suffix('.png'), f'dpsynth {VERSION}, {given.machine}')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
