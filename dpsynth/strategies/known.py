"""What was found out about columns before a strategy asks, so that nothing that was paid for is lost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Domain
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import Question
from dpsynth.transcript import Answer, Asker, Measurement

_ROUNDING = 1 / 12
"""Variance of rounding to whole rows."""


@dataclass(frozen=True, eq=False)
class Known:
    """A noisy one-way table whose cells were not all measured alike.

    values: float64[cells] in rows. variances: float64[cells] of their noise in rows^2; infinite where nothing is known of a cell.
    """

    values: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def summed(cls, values: NDArray[np.int64], sigma: float, recoding: NDArray[np.int64], cells: int) -> "Known":
        """A fine table summed over the cells that became one: a cell made of n has n times the variance."""
        sums = np.bincount(recoding, weights=values.astype(np.float64), minlength=cells).astype(np.float64)
        return cls(sums, sigma**2 * np.bincount(recoding, minlength=cells).astype(np.float64))

    def joined(self, measurement: Measurement) -> Measurement:
        """Both together, cell by cell by inverse variance.

        A measurement has one sigma: its square is the mean of the cells' variances, which is exact for the total of the table, and for
        what its cells say beyond the total exact on average.
        """
        known, measured = 1 / self.variances, 1 / measurement.sigma**2
        values = (known * self.values + measured * measurement.values) / (known + measured)
        sigma = float(np.sqrt(np.mean(1 / (known + measured)) + _ROUNDING))
        return Measurement(measurement.clique, np.rint(values).astype(np.int64), sigma)


class Informed:
    """An asker that adds what is known to the first table of each column that a strategy measures."""

    def __init__(self, asker: Asker, known: Mapping[str, Known]) -> None:
        self._asker, self._known = asker, dict(known)

    @property
    def domain(self) -> Domain:
        return self._asker.domain

    @property
    def unit(self) -> PrivacyUnit:
        return self._asker.unit

    def remaining(self) -> Rho:
        """As the asker says."""
        return self._asker.remaining()

    def ask(self, question: Question) -> Answer:
        """The asker's answer, with known tables joined to measured ones."""
        answer = self._asker.ask(question)
        return replace(answer, measurements=tuple(map(self._joined, answer.measurements)))

    def _joined(self, measurement: Measurement) -> Measurement:
        column = measurement.clique[0] if len(measurement.clique) == 1 else None
        return self._known.pop(column).joined(measurement) if column in self._known else measurement
