"""How a node's table is summed to parts of its columns, by way of shared tables one column apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """A table on the way. host: place of the table that is one column wider; axis: of that column in it."""

    shape: tuple[int, ...]
    host: int
    axis: int


@dataclass(frozen=True)
class Lattice:
    """Cliques that are part of a node, and stopovers on the way to them, so that each sum runs over one column of one table.

    steps: wider ones first; step 0 is the node itself. places: of each clique among the steps. turns: the axes of each clique's own table
    in the node's order; back: and the other way round.
    """

    steps: tuple[Step, ...]
    places: tuple[int, ...]
    turns: tuple[tuple[int, ...], ...]
    back: tuple[tuple[int, ...], ...]

    def lower(self, table: Table) -> list[Table]:
        """The node's table summed to each clique."""
        found: list[Table] = [table]
        for step in self.steps[1:]:
            found.append(np.add.reduce(found[step.host], axis=step.axis))
        return [found[place].transpose(back) for place, back in zip(self.places, self.back, strict=True)]


def lattice(domain: Domain, node: Clique, cliques: Sequence[Clique]) -> Lattice:
    """The lattice of these cliques, all of them part of the node; the axes of their tables are in their own order."""
    along = [tuple(sorted(clique, key=node.index)) for clique in cliques]
    host_of: dict[Clique, Clique] = {}
    _route(domain, node, dict.fromkeys(along), host_of)
    order = [node, *sorted(host_of, key=len, reverse=True)]
    place = {clique: i for i, clique in enumerate(order)}
    steps = (Step(domain.shape(node), -1, -1), *(_step(domain, clique, host_of[clique], place) for clique in order[1:]))
    turns = tuple(tuple(clique.index(column) for column in turned) for clique, turned in zip(cliques, along, strict=True))
    back = tuple(tuple(turned.index(column) for column in clique) for clique, turned in zip(cliques, along, strict=True))
    return Lattice(steps, tuple(place[clique] for clique in along), turns, back)


def _step(domain: Domain, clique: Clique, host: Clique, place: Mapping[Clique, int]) -> Step:
    return Step(domain.shape(clique), place[host], next(i for i, column in enumerate(host) if column not in clique))


def _route(domain: Domain, wide: Clique, cliques: Iterable[Clique], host_of: dict[Clique, Clique]) -> None:
    """Gives every clique a host: the column that most of them lack (the largest of equals) is summed out for all these at once."""
    left = [clique for clique in cliques if len(clique) < len(wide) and clique not in host_of]
    while left:
        lacking = {column: sum(column not in clique for clique in left) for column in wide}
        column = max(wide, key=lambda c: (lacking[c], domain.size[c], c))
        narrow = tuple(c for c in wide if c != column)
        host_of.setdefault(narrow, wide)
        _route(domain, narrow, [clique for clique in left if column not in clique], host_of)
        left = [clique for clique in left if column in clique]
