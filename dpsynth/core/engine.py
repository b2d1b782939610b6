"""What the curator asks of a source of rows: exact counts. Counts never leave the trusted rooms."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.labels import Recoding


class Engine(Protocol):
    """Rows with each unit's contribution already bounded.

    It starts with the cells that were declared. Open columns have none, so they are not in its domain: their texts are kept, trimmed and
    cut to `labels.LABEL_LETTERS + 1` letters, until a recoding gives them cells. The order hash of bounding takes the text where it takes
    the code of other columns ("" where it is missing), in the order of the schema.
    """

    @property
    def domain(self) -> Domain:
        """The public domain the rows are encoded in."""
        ...

    def counts(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """Exact marginals: int64[cells] of rows for each clique, in C order; the empty clique has one cell."""
        ...

    def labels(self, column: str) -> Mapping[str, int]:
        """Exact: how many rows hold each text of an open column that has no cells yet; rows where it is missing are in none.

        Raises ProtocolError for any other column.
        """
        ...

    def recode(self, domain: Domain, recodings: Mapping[str, Recoding]) -> None:
        """Switch to another public domain, for good: the cells of each named column change by its recoding, others stay as they are.

        A row counts in the new domain if and only if it did in the old one. Raises ProtocolError where recodings and domains do not fit.
        """
        ...

    def close(self) -> None:
        """Forget the rows: every later question is refused."""
        ...
