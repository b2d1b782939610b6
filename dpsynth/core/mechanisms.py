"""The proved mechanisms. Each builds its event from the variables it is about to use, has it charged, and only then draws.

`charge` refuses (raises) when the event does not fit the budget; then nothing is drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dpsynth.core import noise
from dpsynth.domain import Clique
from dpsynth.labels import is_label
from dpsynth.privacy import PrivacyUnit, Rho, gaussian_rho, noisy_max_rho, threshold_delta
from dpsynth.questions import SCORE_BITS, ErrorsQuestion, LabelsQuestion, QuantileQuestion, SelectionQuestion
from dpsynth.transcript import Event, Labels, Measurement

Charge = Callable[[Event], None]


def measure(counts: NDArray[np.int64], clique: Clique, unit: PrivacyUnit, sigma: float, question: str, charge: Charge) -> Measurement:
    """A marginal with discrete Gaussian noise.

    counts: int64[cells], exact, in rows; one unit moves them by at most k = unit.max_rows steps of one cell by 1.
    Proof: proofs/discrete-gaussian.md, proofs/gaussian-track.md, proofs/marginal-sensitivity.md.
    """
    sensitivity = unit.max_rows
    scale = Fraction(sigma)
    charge(Event("discrete-gaussian", clique, sensitivity, scale, len(counts), gaussian_rho(sensitivity, scale), question))
    return Measurement(clique, noise.discrete_gaussian(counts, sigma), sigma)


def errors(counts: Sequence[NDArray[np.int64]], question: ErrorsQuestion, unit: PrivacyUnit, charge: Charge) -> NDArray[np.int64]:
    """int64[cliques]: |counts_c - estimate_c|_1 of each clique c in units of 2^-16 rows, with discrete Gaussian noise.

    counts: int64[cells] for each clique, exact, in rows. One unit moves every one of the C errors by at most D = k 2^16 steps of 1, so the
    answer costs C times what one error does. Proof: proofs/l1-score.md, proofs/discrete-gaussian.md, proofs/gaussian-track.md.
    """
    exact = np.array([l1_score(*each, 1) for each in zip(counts, question.estimates, strict=True)], dtype=np.int64)
    sensitivity, scale = question.sensitivity(unit), question.noise_scale()
    cost = Rho(gaussian_rho(sensitivity, Fraction(scale)).value * len(exact))
    charge(Event("gaussian-errors", (), sensitivity, Fraction(scale), len(exact), cost, question.digest()))
    return noise.discrete_gaussian(exact, scale)


def select(counts: Sequence[NDArray[np.int64]], question: SelectionQuestion, unit: PrivacyUnit, charge: Charge) -> int:
    """The place of the candidate with the largest noisy score, weight_c * (|counts_c - estimate_c|_1 - penalty_c) for candidate c.

    counts: int64[cells] for each candidate, exact, in rows. Scores are integers in units of 2^-16 rows; one unit moves each by at most
    D = k max(weight) 2^16, up or down: they are not monotone. With Gumbel scale s, rho = (2 D / s)^2 / 8.
    Proof: proofs/l1-score.md, proofs/noisy-max.md.
    """
    scores = selection_scores(counts, question)
    sensitivity = question.sensitivity(unit)
    scale = question.noise_scale()
    cost = noisy_max_rho(sensitivity, Fraction(scale))
    charge(Event("noisy-max", (), sensitivity, Fraction(scale), len(scores), cost, question.digest()))
    return noise.noisy_argmax(scores, scale)


def selection_scores(counts: Sequence[NDArray[np.int64]], question: SelectionQuestion) -> NDArray[np.int64]:
    """int64[candidates], from -2^61 to 2^62: the scores of a selection, exact; its penalties are the same whatever the counts."""
    tables = zip(counts, question.estimates, question.weights, question.penalties, strict=True)
    return np.array([l1_score(*each) for each in tables], dtype=np.int64)


def cut(counts: NDArray[np.int64], question: QuantileQuestion, unit: PrivacyUnit, charge: Charge) -> int:
    """The place of the cut with the largest noisy score, -|(n - j) below - j above| for part j of n; the first is before the second cell.

    counts: int64[cells], exact, in rows, of ordered values. Scores are integers in units of 2^-16 rows; one unit moves each by at most
    D = k max(j, n - j) 2^16, up or down. Proof: proofs/quantile-score.md, proofs/noisy-max.md.
    """
    taking_part = counts.copy()
    taking_part[list(question.apart)] = 0
    scores = quantile_scores(taking_part, question.part, question.parts)
    sensitivity, scale = question.sensitivity(unit), question.noise_scale()
    cost = noisy_max_rho(sensitivity, Fraction(scale))
    charge(Event("noisy-max", (), sensitivity, Fraction(scale), len(scores), cost, question.digest()))
    return noise.noisy_argmax(scores, scale)


def quantile_scores(counts: NDArray[np.int64], part: int, parts: int) -> NDArray[np.int64]:
    """int64[cells - 1]: how well the cut before each cell but the first splits the rows; exact below 2^40 rows and 32 parts."""
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    return np.asarray(-(np.abs((parts - part) * below - part * above) << SCORE_BITS))


def labels(counts: Mapping[str, int], question: LabelsQuestion, unit: PrivacyUnit, charge: Charge) -> Labels:
    """The texts whose count reaches the threshold after discrete Gaussian noise, by falling noisy count, at most `at_most` of them.

    counts: exact, in rows, of every text that occurs; one unit moves them by at most k = unit.max_rows steps of 1, and at most k texts
    are its own alone. A text that nobody holds, or that cannot be a label, takes no part.
    Proof: proofs/threshold-discovery.md, proofs/discrete-gaussian.md, proofs/gaussian-track.md.
    """
    texts = sorted(text for text, count in counts.items() if count > 0 and is_label(text))
    exact = np.array([counts[text] for text in texts], dtype=np.int64)
    sensitivity, sigma, threshold = unit.max_rows, question.sigma, question.threshold
    scale, delta = Fraction(sigma), threshold_delta(sensitivity, Fraction(sigma), threshold)
    cost = gaussian_rho(sensitivity, scale)
    told = (question.at_most, cost, question.digest(), threshold, delta)
    charge(Event("gaussian-threshold", (question.column,), sensitivity, scale, *told))
    noisy = noise.above_threshold(exact, sigma, threshold)
    first = sorted(noisy, key=lambda place: (-noisy[place], place))[: question.at_most]
    return Labels(tuple(texts[place] for place in first), np.array([noisy[place] for place in first], dtype=np.int64))


def l1_score(counts: NDArray[np.int64], estimate: NDArray[np.int64], weight: int, penalty: int = 0) -> int:
    """weight * (sum over cells of |counts 2^16 - estimate| - penalty), exact: with fewer than 2^40 rows on either side it is below 2^62."""
    if len(counts) != len(estimate):
        raise ValueError(f"an estimate must have the {len(counts)} cells of its table, got {len(estimate)}")
    return weight * (int(np.abs((counts << SCORE_BITS) - estimate).sum()) - penalty)
