"""Cuts between the ordered cells of a column."""

from dataclasses import dataclass
from fractions import Fraction

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.questions.noisy_maximum import LARGEST_WEIGHT, NoisyMaximum
from dpsynth.questions.scale import check_scale, exact_float


@dataclass(frozen=True)
class QuantileQuestion(NoisyMaximum):
    """Before which of a column's cells about `part` of `parts` equal shares of its rows lie.

        score of the cut before cell i = -|(parts - part) below_i - part above_i|

    below_i, above_i: rows in cells below i, and in the others. cells: of ordered values; cells after them, and those of `apart`, hold rows
    that take no part. scale: of the Gumbel noise, in weighted rows.
    """

    column: str
    cells: int
    part: int
    parts: int
    scale: float
    apart: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", exact_float(self.scale))
        check_scale(self.scale, f"the scale of a quantile of {self.column!r}")
        object.__setattr__(self, "apart", tuple(self.apart))
        whole = all(type(value) is int for value in (self.cells, self.part, self.parts, *self.apart))
        if (
            not whole
            or not all(0 <= cell < self.cells for cell in self.apart)
            or not 1 <= self.part < self.parts <= LARGEST_WEIGHT
            or self.cells < 2
        ):
            raise SpecError(f"a quantile of {self.column!r} must be one of at most {LARGEST_WEIGHT} parts of at least two cells")

    @property
    def weight(self) -> int:
        """A row below moves a score by parts - part, one above by part, up or down."""
        return max(self.part, self.parts - self.part)

    def digest(self) -> str:
        """Names this question: equal questions have equal digests."""
        scale = canonical.rational_text(Fraction(self.scale))
        return canonical.digest(["quantile", self.column, self.cells, self.part, self.parts, scale, list(self.apart)])
