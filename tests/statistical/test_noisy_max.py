"""The selection is the exponential mechanism P(i) ~ exp(score_i / scale), exactly: frequencies at a stated false-alarm rate."""

import numpy as np
import pytest
from scipy import stats

from dpsynth.core import noise
from dpsynth.core.curator import Curator
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import SelectionQuestion
from tests.core.rows import TWO_BY_TWO, ListedRows

FALSE_ALARM = 1e-7
DRAWS = 4_000


def significance(picks, scores, scale):
    """How likely frequencies this far from exp(score / scale) are."""
    weights = np.exp((np.array(scores) - max(scores)) / scale)
    expected = DRAWS * weights / weights.sum()
    return stats.chisquare(np.bincount(picks, minlength=len(scores)), expected).pvalue


@pytest.mark.parametrize(("scores", "scale"), [((0, 0, 0), 5.0), ((10, 12, 9, 7), 3.0), ((1 << 61, (1 << 61) + 2), 2.0), ((-5, -9), 4.0)])
def test_candidates_are_chosen_as_often_as_the_exponential_mechanism_does(scores, scale):
    table = np.array(scores, dtype=np.int64)
    assert significance([noise.noisy_argmax(table, scale) for _ in range(DRAWS)], scores, scale) > FALSE_ALARM / 10


def test_the_check_tells_half_the_scale_apart():
    table = np.array([10, 12, 9, 7], dtype=np.int64)
    assert significance([noise.noisy_argmax(table, 1.5) for _ in range(DRAWS)], (10, 12, 9, 7), 3.0) < FALSE_ALARM / 10


def test_a_curators_selection_follows_the_scores_of_the_rows():
    rows = ListedRows(TWO_BY_TWO, [(0, 0), (0, 1), (0, 1)])
    estimates = tuple(np.array(rows_estimated, dtype=np.int64) << 16 for rows_estimated in ([1, 2], [1, 2]))
    question = SelectionQuestion((("a",), ("b",)), estimates, (1, 3), 4.0)
    scores = [2 + 2, 0]  # |3 - 1| + |0 - 2| and 3 (|1 - 1| + |2 - 2|), in rows
    curator = Curator(rows, PrivacyUnit(), Rho.up(question.cost(PrivacyUnit()).value * DRAWS))
    assert significance([curator.ask(question).selected for _ in range(DRAWS)], scores, 4.0) > FALSE_ALARM / 10


@pytest.mark.parametrize(("penalties", "scores"), [((3, 0), (4 - 3, 0)), ((0, 2), (4, 3 * (0 - 2))), ((9, 1), (4 - 9, 3 * (0 - 1)))])
def test_a_curators_selection_follows_the_scores_less_their_penalties(penalties, scores):
    rows = ListedRows(TWO_BY_TWO, [(0, 0), (0, 1), (0, 1)])
    estimates = tuple(np.array(rows_estimated, dtype=np.int64) << 16 for rows_estimated in ([1, 2], [1, 2]))
    question = SelectionQuestion((("a",), ("b",)), estimates, (1, 3), 4.0, tuple(rows << 16 for rows in penalties))
    curator = Curator(rows, PrivacyUnit(), Rho.up(question.cost(PrivacyUnit()).value * DRAWS))
    picks = [curator.ask(question).selected for _ in range(DRAWS)]
    assert significance(picks, scores, 4.0) > FALSE_ALARM / 10
    assert significance(picks, (4, 0), 4.0) < FALSE_ALARM / 10  # what they would be without
