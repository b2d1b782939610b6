"""What the curator asks of a source of rows: exact counts. Counts never leave the trusted rooms."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain


class Engine(Protocol):
    """Rows with each unit's contribution already bounded."""

    @property
    def domain(self) -> Domain:
        """The public domain the rows are encoded in."""
        ...

    def counts(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """Exact marginals: int64[cells] of rows for each clique, in C order; the empty clique has one cell."""
        ...

    def close(self) -> None:
        """Forget the rows: every later question is refused."""
        ...
