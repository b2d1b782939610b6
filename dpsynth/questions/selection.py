"""The table that is worth measuring most."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical
from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.questions.estimates import check_estimates, table_digests, unchangeable
from dpsynth.questions.noisy_maximum import LARGEST_WEIGHT, NoisyMaximum
from dpsynth.questions.scale import check_scale, exact_float
from dpsynth.questions.score import ROWS_LIMIT, SCORE_BITS

LARGEST_PENALTY = ROWS_LIMIT << SCORE_BITS
"""2^40 rows, in units of 2^-16 rows: a score is then at least -2^61, and neither a score nor a difference of two passes int64."""


@dataclass(frozen=True, eq=False)
class SelectionQuestion(NoisyMaximum):
    """Which candidate's table is furthest from its public estimate, in weighted L1 distance beyond its penalty.

        score_c = weight_c (|counts_c - estimate_c|_1 - penalty_c)

    estimates: int64[cells] for each candidate, in units of 2^-16 rows (see `score_estimate`); kept as copies nobody can write to.
    weights: positive integers. scale: of the Gumbel noise, in weighted rows.
    penalties: whole numbers in units of 2^-16 rows (see `score_penalty`), one for each candidate; () is none.
    """

    candidates: tuple[Clique, ...]
    estimates: tuple[NDArray[np.int64], ...]
    weights: tuple[int, ...]
    scale: float
    penalties: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(map(tuple, self.candidates)))
        object.__setattr__(self, "estimates", tuple(map(unchangeable, self.estimates)))
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "scale", exact_float(self.scale))
        object.__setattr__(self, "penalties", tuple(self.penalties) or (0,) * len(self.candidates))
        check_scale(self.scale, "the scale of a selection")
        check_estimates(self.candidates, self.estimates, "a selection chooses from")
        if not len(self.weights) == len(self.penalties) == len(self.candidates):
            raise SpecError("a selection needs one weight a candidate, and one penalty or none at all")
        for clique, weight, penalty in zip(self.candidates, self.weights, self.penalties, strict=True):
            if type(weight) is not int or not 1 <= weight <= LARGEST_WEIGHT:
                raise SpecError(f"the weight of {list(clique)} must be a whole number from 1 to {LARGEST_WEIGHT}, got {weight!r}")
            if type(penalty) is not int or not 0 <= penalty <= LARGEST_PENALTY:
                allowed = f"a whole number from 0 to {LARGEST_PENALTY} (2^40 rows)"
                raise SpecError(f"the penalty of {list(clique)} must be {allowed}, got {penalty!r}")

    @property
    def weight(self) -> int:
        """The largest weight: a row moves one cell by 1, so a distance by 1 at most. Penalties are the same whatever the rows."""
        return max(self.weights)

    def digest(self) -> str:
        """Names this question: equal questions have equal digests. One without penalties is named as before there were any."""
        facts = [list(map(list, self.candidates)), table_digests(self.estimates), list(self.weights)]
        penalties = [list(self.penalties)] if any(self.penalties) else []
        return canonical.digest(["selection", *facts, canonical.rational_text(Fraction(self.scale)), *penalties])


def score_penalty(rows: float) -> int:
    """Rows -> a penalty in units of 2^-16 rows, from 0 to that of 2^40 rows: beyond what any table is off, all are as dear."""
    return round(min(max(math.ldexp(rows, SCORE_BITS), 0.0), float(LARGEST_PENALTY)))
