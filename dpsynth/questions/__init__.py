"""The questions a curator answers, each with its cost as a pure function of public values.

Costs add up in one unit, rho. Where every question of a run is `gaussian`, their sum may also be read as Gaussian differential privacy
with mu^2 = 2 rho, which promises more (proofs/gaussian-track.md).
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

from dpsynth.privacy import NOTHING, PrivacyUnit, Rho
from dpsynth.questions.errors import ErrorsQuestion
from dpsynth.questions.estimates import absolute_sum, check_estimates, score_estimate, table_digests
from dpsynth.questions.labels import LabelsQuestion, threshold_for
from dpsynth.questions.marginals import MarginalQuestion
from dpsynth.questions.noisy_maximum import LARGEST_WEIGHT, NoisyMaximum
from dpsynth.questions.quantile import QuantileQuestion
from dpsynth.questions.scale import LEAST_GAUSSIAN_SCALE, SIGMA_LIMITS, check_scale, sigma_for
from dpsynth.questions.score import ROWS_LIMIT, SCORE_BITS
from dpsynth.questions.selection import LARGEST_PENALTY, SelectionQuestion, score_penalty

__all__ = [
    "LARGEST_PENALTY",
    "LARGEST_WEIGHT",
    "LEAST_GAUSSIAN_SCALE",
    "ROWS_LIMIT",
    "SCORE_BITS",
    "SIGMA_LIMITS",
    "ErrorsQuestion",
    "LabelsQuestion",
    "MarginalQuestion",
    "NoisyMaximum",
    "QuantileQuestion",
    "Question",
    "SelectionQuestion",
    "absolute_sum",
    "check_estimates",
    "check_scale",
    "score_estimate",
    "score_penalty",
    "sigma_for",
    "table_digests",
    "threshold_for",
    "total_cost",
]

Question = MarginalQuestion | ErrorsQuestion | SelectionQuestion | LabelsQuestion | QuantileQuestion


def total_cost(questions: Sequence[Question], unit: PrivacyUnit) -> Rho:
    """The exact sum of the questions' costs."""
    return reduce(add, (question.cost(unit) for question in questions), NOTHING)
