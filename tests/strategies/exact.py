"""An asker whose noise a test chooses: exact counts plus what a function of the test says. It lives in tests only."""

import numpy as np

from dpsynth.core.mechanisms import l1_score, selection_scores
from dpsynth.errors import BudgetRefused
from dpsynth.privacy import PrivacyUnit
from dpsynth.questions import ErrorsQuestion, MarginalQuestion
from dpsynth.transcript import Answer, Measurement


def without_noise(counts, sigma):
    return counts


class ExactAsker:
    """Answers from a joint table; the selection takes the largest score (or what `choose` says)."""

    def __init__(self, domain, table, cap, unit=PrivacyUnit(), noise=without_noise, choose=np.argmax):
        self.domain, self.unit = domain, unit
        self.table, self.cap, self.noise, self.choose = table, cap, noise, choose
        self.questions = []

    def remaining(self):
        left = self.cap
        for question in self.questions:
            left = left - question.cost(self.unit)
        return left

    def counts(self, clique):
        others = tuple(i for i, column in enumerate(self.domain.columns) if column not in clique)
        return self.table.sum(axis=others).reshape(-1)

    def ask(self, question):
        if question.cost(self.unit) > self.remaining():
            raise BudgetRefused("too dear")
        self.questions.append(question)
        if isinstance(question, MarginalQuestion):
            pairs = zip(question.cliques, question.sigmas, strict=True)
            return Answer(tuple(Measurement(c, self.noise(self.counts(c), sigma).astype(np.int64), sigma) for c, sigma in pairs))
        if isinstance(question, ErrorsQuestion):
            exact = [l1_score(self.counts(c), e, 1) for c, e in zip(question.cliques, question.estimates, strict=True)]
            return Answer(errors=self.noise(np.array(exact, dtype=np.int64), question.noise_scale()).astype(np.int64))
        return Answer(selected=int(self.choose(selection_scores([self.counts(c) for c in question.candidates], question))))


class BlindAsker:
    """Answers of the right shape with nothing behind them, for domains too large to count: 50 rows a cell, or `rows` in all."""

    def __init__(self, domain, cap, unit=PrivacyUnit(), seed=0, rows=None):
        self.rows = rows
        self.domain, self.unit, self._left, self.questions = domain, unit, cap, []
        self._rng = np.random.default_rng(seed)

    def remaining(self):
        return self._left

    def ask(self, question):
        cost = question.cost(self.unit)
        if cost > self._left:
            raise BudgetRefused("too dear")
        self._left = self._left - cost
        self.questions.append(question)
        if isinstance(question, MarginalQuestion):
            draws = [
                self._rng.normal(self._mean(c), min(sigma, 1e12), self.domain.cells(c))
                for c, sigma in zip(question.cliques, question.sigmas, strict=True)
            ]
            return Answer(
                tuple(
                    Measurement(c, np.rint(values).astype(np.int64), sigma)
                    for c, values, sigma in zip(question.cliques, draws, question.sigmas, strict=True)
                )
            )
        if isinstance(question, ErrorsQuestion):
            return Answer(errors=np.rint(self._rng.normal(1e6, min(question.noise_scale(), 1e12), len(question.cliques))).astype(np.int64))
        return Answer(selected=int(self._rng.integers(len(question.candidates))))

    def _mean(self, clique):
        return 50 if self.rows is None else self.rows / self.domain.cells(clique)
