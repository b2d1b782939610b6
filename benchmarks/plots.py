"""Plots of results: error against epsilon of releases, time and memory against the size of the table.

python -m benchmarks.plots benchmarks/results/*.json      draws them again, a PNG beside each file

Points are medians of the noise draws, whiskers reach from the least to the largest.
"""

import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import read_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Facts = Mapping[str, Any]
COLOURS = ("#0b6fa4", "#d1495b", "#5b8c2a", "#8659a5", "#b07d12", "#3a3a3a", "#1fa3a3", "#c45fae", "#7a4b2b", "#8a8f98")
MARKERS = "os^DvxP<*>"
WAYS = {"2": ("-", "2-way"), "3": (":", "3-way")}
GROWS = {"table_rows": "columns", "columns": "table_rows"}
"""What grows, and what stays the same meanwhile."""
WORDS = {"table_rows": "rows", "columns": "columns"}
TOOK = {"seconds": "seconds (wall)", "peak_mib": "peak memory in MiB"}
LEAST_RANGE = 4
PANEL = 3.6
"""Inches of a panel's side."""


def plot_release(results: Facts, path: Path) -> Path:
    """A panel for each table: mean 2-way and 3-way distance against epsilon, a colour for each strategy."""
    runs = results["runs"]
    tables, strategies = _distinct(runs, "data"), _distinct(runs, "strategy")
    figure, panels = _panels(len(tables))
    for panel, data in zip(panels, tables, strict=True):
        panel.set_title(data, fontsize=10)
        for place, strategy in enumerate(strategies):
            own = [run for run in runs if run["data"] == data and run["strategy"] == strategy]
            for k, (dash, _) in WAYS.items():
                points = [(float(run["epsilon"]), run["mean"][k]) for run in own if k in run["mean"]]
                _line(panel, points, place, dash)
        _log_axes(panel, "epsilon", "mean total variation distance", [float(run["epsilon"]) for run in runs if run["data"] == data])
    handles = [_key(strategy, **_style(place, "-")) for place, strategy in enumerate(strategies)]
    handles += [_key(name, **(_style(0, dash) | {"color": "#3a3a3a", "marker": "h"})) for dash, name in WAYS.values()]
    return _saved(figure, handles, results, path)


def plot_growth(results: Facts, path: Path) -> Path:
    """Seconds and memory against rows at each number of columns, and against columns at each number of rows."""
    runs = results["runs"]
    lines = {across: _grown(runs, across, fixed) for across, fixed in GROWS.items()}
    names = [name for own in lines.values() for name in own]
    figure, panels = _panels(4)
    for panel, (measure, across) in zip(panels, product(TOOK, GROWS), strict=True):
        for name, own in lines[across].items():
            _line(panel, [(run[across], run[measure]) for run in own], names.index(name), "-")
        _log_axes(panel, WORDS[across], TOOK[measure], [run[across] for own in lines[across].values() for run in own])
    handles = [_key(name, **_style(place, "-")) for place, name in enumerate(names)]
    return _saved(figure, handles, results, path)


def _grown(runs: Sequence[Facts], across: str, fixed: str) -> dict[str, list[Facts]]:
    """The runs of each strategy at each value of `fixed`, where they have at least two values of `across`."""
    found: dict[str, list[Facts]] = {}
    for run in sorted(runs, key=itemgetter(fixed)):
        found.setdefault(f"{run['strategy']}, {run[fixed]:,} {WORDS[fixed]}", []).append(run)
    return {name: own for name, own in found.items() if len({run[across] for run in own}) > 1}


def _panels(number: int) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    across = min(number, 3) if number != 4 else 2
    down = math.ceil(number / across)
    figure = Figure(figsize=(max(across * PANEL * 1.15, 5.5), down * PANEL + 0.6), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for unused in grid[number:]:
        unused.set_axis_off()
    return figure, grid[:number]


def _line(panel: "Axes", points: Iterable[tuple[float, float]], place: int, dash: str) -> None:
    """The median at each x, with whiskers from the least to the largest; a distance of 0 has no place on a logarithmic axis."""
    at: dict[float, list[float]] = {}
    for x, y in points:
        if y > 0:
            at.setdefault(x, []).append(y)
    if not at:
        return
    xs = sorted(at)
    middles = [statistics.median(at[x]) for x in xs]
    below = [middle - min(at[x]) for x, middle in zip(xs, middles, strict=True)]
    above = [max(at[x]) - middle for x, middle in zip(xs, middles, strict=True)]
    panel.errorbar(xs, middles, yerr=[below, above], **_style(place, dash), markersize=4.5, linewidth=1.4, capsize=2.5)


def _labelled(ratio: float) -> Sequence[float]:
    """Which multiples of powers of ten have a label, for an axis whose end is this many times its start."""
    return range(1, 10) if ratio < 5 else (1, 2, 5) if ratio < 300 else (1,)


def _style(place: int, dash: Any) -> dict[str, Any]:
    """A colour and marker of its own for each place; hollow where the line is dotted."""
    hollow = {"markerfacecolor": "white"} if dash == ":" else {}
    return hollow | {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % len(MARKERS)], "linestyle": dash}


def _log_axes(panel: "Axes", across: str, up: str, at: Iterable[float]) -> None:
    """Both axes by powers of ten, with plain numbers; across, only those that were measured."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    panel.set_xscale("log")
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    if high / low < LEAST_RANGE:  # small differences must not look large
        middle = math.sqrt(low * high)
        low, high = panel.set_ylim(middle / math.sqrt(LEAST_RANGE), middle * math.sqrt(LEAST_RANGE))
    panel.yaxis.set_major_locator(LogLocator(subs=_labelled(high / low)))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.xaxis.set_major_locator(FixedLocator(sorted(set(at))))
    panel.xaxis.set_minor_locator(NullLocator())
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    panel.set_xlabel(across)
    panel.set_ylabel(up)
    panel.tick_params(labelsize=8)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)


def _key(name: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=name, **style)


def _saved(figure: "Figure", handles: Sequence[Any], results: Facts, path: Path) -> Path:
    entry = 0.75 + 0.075 * max(len(handle.get_label()) for handle in handles)  # inches
    across = max(1, min(len(handles), int(figure.get_figwidth() / entry)))
    figure.legend(handles=handles, loc="outside lower center", ncols=across, frameon=False, fontsize=9)
    epsilons, deltas = (", ".join(_distinct(results["runs"], key)) for key in ("epsilon", "delta"))
    said = f"dpsynth {results['version']}, {results['machine']}, epsilon {epsilons}, delta {deltas}"
    figure.suptitle(said, fontsize=9, color="#555555")
    figure.savefig(path, dpi=130)
    return path


def _distinct(runs: Iterable[Facts], key: str) -> list[str]:
    """The values of a key in the order of their first run."""
    return list(dict.fromkeys(run[key] for run in runs))


PLOTS = {"release": plot_release, "growth": plot_growth}


def main(words: Sequence[str]) -> None:
    """Draws each file's plot beside it."""
    for path in map(Path, words):
        facts = read_results(path)
        print(PLOTS[facts["benchmark"]](facts, path.with_suffix(".png")))


if __name__ == "__main__":
    main(sys.argv[1:])
