"""What the ordered kinds share: cells that are neighbouring bins and single points, and the values drawn from them."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Keys, Modelled, is_whole
from dpsynth.kinds.slope import slopes

DEFAULT_BINS, DEFAULT_GRID = 32, 512
MOST_FOUND = {"adaptive": 128, "quantiles": 32}
"""Ways to find bins, and how many at most."""
ADAPTIVE_GRID = 1024
"""Cells of a grid whose best partition is found in seconds."""

INSIDE = ("uniform", "linear")


def ordered_keys(scalar: tuple[type, ...]) -> Keys:
    """The keys of an ordered kind whose values are declared as one of these types."""
    bounds: Keys = {"min": (scalar, True), "max": (scalar, True), "binning": ((str,), False), "grid": ((int,), False)}
    return {**bounds, "bins": ((int,), False), "edges": ((list,), False), "spikes": ((list,), False), "inside": ((str,), False)}


@dataclass(frozen=True, kw_only=True)
class Ordered(Modelled):
    """Values from least to most, in neighbouring bins.

    bins: of equal width, None where `edges` are given. edges: the cut points, least and most among them; each bin holds its lower one, the
    last one both. spikes: values with cells of their own; a bin is cut in two around them, and they are never drawn from it.
    inside: how the values of a bin are drawn: "uniform", or "linear" (by a density that leans towards the fuller neighbour).
    binning: "equal", or how the run finds the bins, of which there are `at_most`: "adaptive" or "quantiles". `bins` is then the fine grid.
    """

    bins: int | None = None
    binning: str = "equal"
    at_most: int = 0
    edges: tuple[Any, ...] = ()
    spikes: tuple[Any, ...] = ()
    inside: str = "uniform"

    def check(self) -> None:
        if (self.bins is None) == (not self.edges):
            raise self.refusal("give either bins or edges")
        if self.inside not in INSIDE:
            raise self.refusal(f"inside must be one of {list(INSIDE)}, got {self.inside!r}")
        self.check_bounds()
        if self.bins is not None:
            self.check_bins(self.bins)
        self._check_binning()
        if self.edges and (self.edges[0], self.edges[-1]) != self.bounds:
            ends = f"{self._written(self.edges[:1])} to {self._written(self.edges[-1:])}"
            raise self.refusal(f"edges must begin with min and end with max, got {ends}")
        if any(b <= a for a, b in pairwise(self.edges)):
            raise self.refusal("edges must be strictly increasing")
        if len(set(self.spikes)) < len(self.spikes):
            raise self.refusal("spikes must differ from each other")
        for spike in self.spikes:
            if not self.bounds[0] <= spike <= self.bounds[1]:
                raise self.refusal(f"spikes must lie from min to max, got {self._written([spike])}")

    def _check_binning(self) -> None:
        if self.binning not in ("equal", *MOST_FOUND):
            raise self.refusal(f"binning must be one of {['equal', *MOST_FOUND]}, got {self.binning!r}")
        if self.at_most and not self.discovers:
            raise self.refusal(f"grid is for bins that are found: add binning = one of {list(MOST_FOUND)}, or leave it out")
        if self.discovers and self.bins is None:
            raise self.refusal("bins are found or edges are declared, not both: leave one of binning and edges out")
        if self.binning == "adaptive" and (self.bins or 0) > ADAPTIVE_GRID:
            raise self.refusal(f"a grid of adaptive binning has at most {ADAPTIVE_GRID} cells, got {self.bins}")
        most = min(MOST_FOUND.get(self.binning, 0), self.bins or 0)
        if self.discovers and (not is_whole(self.at_most) or not 2 <= self.at_most <= most):
            raise self.refusal(f"bins must be from 2 to {most} of {self.binning} binning on a grid of {self.bins}, got {self.at_most!r}")

    @property
    def discovers(self) -> bool:
        return self.binning != "equal"

    @property
    def largest(self) -> int:
        """The bins that may remain, of which spikes may cut one each, and the cells beside them."""
        return min(self.size, self.at_most + 2 * len(self.spikes) + self.missing) if self.discovers else self.size

    @abstractmethod
    def with_bins(self, first: Sequence[int]) -> Self:
        """The column that could have been declared, had it been known which of its own cells begin a bin. Spikes stay."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[Any, Any]:
        """Least and most."""

    @abstractmethod
    def check_bounds(self) -> None:
        """Raises SpecError where least, most and what else the kind has contradict each other."""

    @abstractmethod
    def check_bins(self, bins: int) -> None:
        """Raises SpecError where there cannot be so many bins."""

    @abstractmethod
    def scalar(self, value: Any) -> Any:
        """A bound, edge or spike as a spec would write it, without floats."""

    @property
    @abstractmethod
    def starts(self) -> tuple[Any, ...]:
        """The least value of each own cell; more may follow."""

    @property
    @abstractmethod
    def lone(self) -> NDArray[np.bool_]:
        """bool[own cells]: which are spikes."""

    @property
    def own_cells(self) -> int:
        return len(self.lone)

    def _written(self, values: Sequence[Any]) -> str:
        return ", ".join(str(self.scalar(value)) for value in values)

    def shape_facts(self) -> dict[str, Any]:
        """min, max, bins or edges, spikes, and inside where it is not the usual."""
        found: dict[str, Any] = {"binning": self.binning, "grid": self.bins, "bins": self.at_most} if self.discovers else {}
        bins: dict[str, Any] = (
            found or {"bins": self.bins} if self.bins is not None else {"edges": [self.scalar(edge) for edge in self.edges]}
        )
        spikes = {"spikes": [self.scalar(spike) for spike in self.spikes]} if self.spikes else {}
        inside = {} if self.inside == "uniform" else {"inside": self.inside}
        return {"min": self.scalar(self.bounds[0]), "max": self.scalar(self.bounds[1]), **bins, **spikes, **inside}

    def leaning(self, cells: NDArray[np.integer], starts: NDArray[Any]) -> NDArray[np.float64]:
        """float64[own cells]: how the density leans inside each, by the records that are drawn; 0 for spikes.

        starts: of the own cells, then the end of the last one.
        """
        found = np.zeros(self.own_cells)
        bins = np.flatnonzero(~self.lone)
        counts = np.bincount(cells, minlength=self.own_cells)[bins]
        found[bins] = slopes(counts.astype(np.float64), starts[:-1][bins].astype(np.float64), starts[1:][bins].astype(np.float64))
        return found


def shape(given: Mapping[str, Any], position: Callable[[Any], Any], most_bins: Callable[[Any, Any], int]) -> dict[str, Any]:
    """The declared bounds and bins as fields. position: what a declared value is; most_bins: how many bins there can be by default."""
    least, most = position(given["min"]), position(given["max"])
    possible = max(1, most_bins(least, most))
    default = None if "edges" in given else min(DEFAULT_BINS, possible)
    bins, binning = given.get("bins", default), given.get("binning", "equal")
    found: dict[str, Any] = {"at_most": given["grid"]} if "grid" in given else {}
    if binning != "equal":
        bins, found = given.get("grid", None if "edges" in given else min(DEFAULT_GRID, possible)), {"binning": binning, "at_most": bins}
    edges, spikes = (tuple(map(position, given.get(key, ()))) for key in ("edges", "spikes"))
    inside = given.get("inside", "uniform")
    return {"least": least, "most": most, "bins": bins, "edges": edges, "spikes": spikes, "inside": inside, **found}
