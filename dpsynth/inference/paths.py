"""Marginals of columns that no node of a junction tree holds together: products along the paths that join them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.inference.junction import JunctionTree
from dpsynth.inference.propagation import collect

Table = NDArray[np.float64]

QUERY_LIMIT = 1 << 27
"""Cells of a single marginal, or of a table on the way to it: 1 GB."""

KEPT_CELLS = 1 << 23
"""Of all messages that are kept for later marginals: 64 MB."""


@dataclass(eq=False)
class Paths:
    """Answers many marginals of one model, and keeps what they have in common.

    chain: for each node p(new columns | separator). beliefs: p(columns of the node).
    A message, p(columns below a node | its separator), is the same for every marginal that asks for these columns and others elsewhere.
    """

    tree: JunctionTree
    chain: Sequence[Table]
    beliefs: Sequence[Table]
    _sent: dict[tuple[int, Clique], tuple[Table, Clique]] = field(default_factory=dict)
    _kept: int = 0

    def table(self, clique: Clique) -> Table:
        """float64[sizes of the clique's columns ...]: their joint distribution, by elimination.

        Each node sends its parent the sum of its conditional times its children's messages over all columns that neither the separator
        nor the clique needs; the highest node uses its belief. Raises SpecError where a table on the way would be too large.
        """
        first = self.tree.first
        own = {node: [c for c in clique if first[c] == node] for node in dict.fromkeys(map(first.__getitem__, clique))}
        received: dict[int, list[tuple[Table, Clique]]] = {node: [] for node in own}
        while len(received) > 1:
            node = max(received)
            message, below = self._message(node, received.pop(node), own.pop(node), clique)
            parent = self.tree.parents[node]
            received.setdefault(parent, []).append(message)
            own.setdefault(parent, []).extend(below)
        ((top, messages),) = received.items()
        table, columns = self._product([(self.beliefs[top], self.tree.nodes[top]), *messages], (), clique)
        return table.transpose([columns.index(column) for column in clique])

    def _message(
        self, node: int, received: list[tuple[Table, Clique]], below: list[str], clique: Clique
    ) -> tuple[tuple[Table, Clique], list[str]]:
        """What a node sends about the columns of the clique that it and the nodes below it are the first to hold, and these."""
        key = node, tuple(sorted(below))
        if key in self._sent:
            return self._sent[key], below
        sent = self._product([(self.chain[node], self.tree.nodes[node]), *received], self.tree.separators[node], clique)
        if self._kept + sent[0].size <= KEPT_CELLS:
            self._sent[key] = sent
            self._kept += sent[0].size
        return sent, below

    def _product(self, factors: list[tuple[Table, Clique]], keep: Clique, clique: Clique) -> tuple[Table, Clique]:
        """The product of a node's table and its messages, summed to `keep` and the columns of the clique among them."""
        wanted = {*keep, *clique}
        (table, columns), *rest = factors
        while True:
            later = wanted.union(*(others for _, others in rest))
            kept = tuple(column for column in columns if column in later)
            table, columns = collect(table, columns, kept), kept
            if not rest:
                return table, columns
            (message, others), *rest = rest
            later = wanted.union(*(more for _, more in rest))
            result = tuple(column for column in dict.fromkeys((*columns, *others)) if column in later)
            if (cells := self.tree.domain.cells(result)) > QUERY_LIMIT:
                raise SpecError(f"the marginal of {list(clique)} needs a table of {cells} cells on its way: ask for fewer columns")
            table = _contracted(table, columns, message, others, result)
            columns = result


def _contracted(left: Table, columns: Clique, right: Table, others: Clique, result: Clique) -> Table:
    """sum over the columns not in `result` of left * right, in a fixed order (no BLAS)."""
    letter = {column: i for i, column in enumerate(dict.fromkeys((*columns, *others)))}
    operands: list[Any] = [left, [letter[c] for c in columns], right, [letter[c] for c in others], [letter[c] for c in result]]
    return np.asarray(np.einsum(*operands, optimize=False), dtype=np.float64)
