"""The curator: the only object that joins rows and noise.

Rules, each enforced here:
 1. Questions are answered only while the exact sums of costs and of deltas stay at or below their caps (a privacy filter:
    Feldman and Zrnic, arXiv:2008.11193; Whitehouse et al., arXiv:2203.05481), whatever earlier answers the question was made from.
 2. A refused question draws nothing, spends nothing and does not poison a later, smaller one.
 3. What a mechanism charges is the cost the question announced; any difference withholds the answer.
 4. Only answers leave. After `close`, the rows are gone and every question is refused.
 5. What is costed is what is answered: a question is of one of the known types, and the curator answers its own copy of it.
 6. On the Gaussian track only questions that are Gaussian are answered: one of another kind would void what the sum is read as.
 7. Cells may change between questions, by a map that is public; which rows count never does.
 8. There is one account: a curator answers one question at a time, cannot be copied, and refuses in a forked process.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule
from dpsynth.core import mechanisms
from dpsynth.core.engine import Engine
from dpsynth.domain import Clique, Domain
from dpsynth.errors import BudgetRefused, ProtocolError, SpecError
from dpsynth.labels import Recoding
from dpsynth.privacy import GDP, NOTHING, ZCDP, PrivacyUnit, Rho
from dpsynth.questions import (
    ROWS_LIMIT,
    ErrorsQuestion,
    LabelsQuestion,
    MarginalQuestion,
    QuantileQuestion,
    Question,
    SelectionQuestion,
    absolute_sum,
)
from dpsynth.transcript import Answer, Event, Exchange, Transcript


class Curator:
    """An `Asker` that answers from rows, with noise, within a cap, and writes down every answer and what it cost."""

    def __init__(self, engine: Engine, unit: PrivacyUnit, cap: Rho, track: str = ZCDP, delta: Fraction = Fraction(0)) -> None:
        """cap, delta: what all answers together may cost, and give away beyond."""
        self._engine: Engine | None = engine
        if track not in (ZCDP, GDP):
            raise ProtocolError(f"costs are accounted on the track {ZCDP!r} or {GDP!r}, got {track!r}")
        self._unit, self._cap, self._domain, self._track = unit, cap, engine.domain, track
        self._exchanges: list[Exchange] = []
        self._charged: list[Event] = []
        self._spent = NOTHING
        self._delta, self._given = delta, Fraction(0)
        self._lock, self._process = threading.Lock(), os.getpid()

    @property
    def domain(self) -> Domain:
        return self._domain

    @property
    def unit(self) -> PrivacyUnit:
        return self._unit

    def remaining(self) -> Rho:
        """The cap less all that was charged."""
        return self._cap - self._spent

    def transcript(self) -> Transcript:
        """Everything that has left so far."""
        return Transcript(tuple(self._exchanges))

    def close(self) -> None:
        """Forget the rows."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def ask(self, question: Question) -> Answer:
        """The noisy answer. Raises BudgetRefused where it costs more than remains, SpecError for cliques outside the domain."""
        if os.getpid() != self._process:
            raise ProtocolError("a forked process holds a copy of the budget, not the budget: ask in the process that opened the data")
        if type(question) not in (MarginalQuestion, ErrorsQuestion, SelectionQuestion, LabelsQuestion, QuantileQuestion):
            known = "MarginalQuestion, ErrorsQuestion, SelectionQuestion, LabelsQuestion and QuantileQuestion"
            raise ProtocolError(f"a curator answers {known}, got {type(question).__name__}")
        with self._lock:
            return self._answer(replace(question))

    def recode(self, domain: Domain, recodings: Mapping[str, Recoding]) -> None:
        """Switch to another public domain, for good: the cells of each named column change by its recoding. Nothing leaves.

        Raises ProtocolError where recodings and domains do not fit, and after `close`.
        """
        with self._lock:
            engine = self._open_engine()
            _refuse_misfits(self._domain, domain, recodings)
            engine.recode(domain, dict(recodings))
            if engine.domain != domain:
                raise ProtocolError("the engine has other cells than it was told to have")
            self._domain = domain

    def __reduce__(self) -> NoReturn:
        raise ProtocolError("a curator cannot be copied or pickled: a copy could spend the same budget again")

    def _answer(self, question: Question) -> Answer:
        engine = self._open_engine()
        if self._track == GDP and not question.gaussian():
            raise ProtocolError("this run is accounted as Gaussian: ask only for tables, errors and labels with noise of at least 1")
        cost, delta = question.cost(self._unit), question.delta(self._unit)
        if delta > self._delta - self._given:
            raise BudgetRefused("this question gives away more delta than remains: ask with a higher threshold")
        if cost > self.remaining():
            raise BudgetRefused(
                f"this question costs rho = {_show(cost)} but only {_show(self.remaining())} remains: ask with more noise or fewer tables"
            )
        before = len(self._charged)
        answer = self._reply(engine, question)
        events = tuple(self._charged[before:])
        charged = sum((event.rho.value for event in events), Fraction(0)), sum((event.delta for event in events), Fraction(0))
        if charged != (cost.value, delta):
            raise ProtocolError("a mechanism charged another cost than the question announced: the answer is withheld")
        self._exchanges.append(Exchange(question.digest(), answer, events))
        return answer

    def _reply(self, engine: Engine, question: Question) -> Answer:
        match question:
            case MarginalQuestion():
                return self._measure(engine, question)
            case ErrorsQuestion() | SelectionQuestion():
                return self._compare(engine, question)
            case LabelsQuestion():
                return self._find(engine, question)
            case QuantileQuestion():
                return self._cut(engine, question)

    def _measure(self, engine: Engine, question: MarginalQuestion) -> Answer:
        cliques = [self._known(clique) for clique in question.cliques]
        digest = question.digest()
        tables = zip(self._counts(engine, cliques), cliques, question.sigmas, strict=True)
        return Answer(
            tuple(mechanisms.measure(counts, clique, self._unit, sigma, digest, self._charge) for counts, clique, sigma in tables)
        )

    def _compare(self, engine: Engine, question: ErrorsQuestion | SelectionQuestion) -> Answer:
        """Answers from the distances of exact tables from public estimates."""
        asked = question.cliques if isinstance(question, ErrorsQuestion) else question.candidates
        cliques = [self._known(clique) for clique in asked]
        for clique, estimate in zip(cliques, question.estimates, strict=True):
            if len(estimate) != self._domain.cells(clique):
                raise SpecError(f"the estimate of {list(clique)} must have {self._domain.cells(clique)} cells, got {len(estimate)}")
        counts = self._counts(engine, cliques)
        if any(absolute_sum(table) >= ROWS_LIMIT for table in counts):
            raise OverflowError("a table of 2^40 rows or more is beyond what scores can hold exactly")
        if isinstance(question, ErrorsQuestion):
            return Answer(errors=mechanisms.errors(counts, question, self._unit, self._charge))
        return Answer(selected=mechanisms.select(counts, question, self._unit, self._charge))

    def _find(self, engine: Engine, question: LabelsQuestion) -> Answer:
        """Labels by the exact numbers of rows that hold each text of an open column."""
        counts = engine.labels(question.column)
        if any(type(text) is not str or type(count) is not int or count < 0 for text, count in counts.items()):
            raise ProtocolError("the engine's labels are not texts with numbers of rows: nothing was drawn")
        return Answer(labels=mechanisms.labels(counts, question, self._unit, self._charge))

    def _cut(self, engine: Engine, question: QuantileQuestion) -> Answer:
        """A place by the exact table of one column."""
        clique = self._known((question.column,))
        if question.cells > self._domain.cells(clique):
            raise SpecError(f"a quantile of {question.column!r} is of its {self._domain.cells(clique)} cells, not of {question.cells}")
        (counts,) = self._counts(engine, [clique])
        if absolute_sum(counts) >= ROWS_LIMIT:
            raise OverflowError("a table of 2^40 rows or more is beyond what scores can hold exactly")
        return Answer(selected=mechanisms.cut(counts[: question.cells], question, self._unit, self._charge))

    def _counts(self, engine: Engine, cliques: list[Clique]) -> Sequence[NDArray[np.int64]]:
        """Exact tables, each of the size that the domain says: a wrong one would be noticed too late, after a draw."""
        tables = engine.counts(cliques)
        expected = [(np.dtype(np.int64), (self._domain.cells(clique),)) for clique in cliques]
        if [(table.dtype, table.shape) for table in tables] != expected:
            raise ProtocolError("the engine's tables are not int64[cells] of the cliques that were asked for: nothing was drawn")
        return tables

    def _charge(self, event: Event) -> None:
        if self._spent + event.rho > self._cap:
            raise BudgetRefused("the budget of this run is used up: nothing was drawn")
        if self._given + event.delta > self._delta:
            raise BudgetRefused("the delta of this run is given away: nothing was drawn")
        self._spent, self._given = self._spent + event.rho, self._given + event.delta
        self._charged.append(event)

    def _known(self, clique: tuple[str, ...]) -> tuple[str, ...]:
        if self._domain.clique(clique) != clique:
            raise SpecError(f"a clique must be written in the order of the domain, got {list(clique)}")
        return clique

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ProtocolError("the rows are gone: no question can be asked after the curator was closed")
        return self._engine


def _refuse_misfits(before: Domain, after: Domain, recodings: Mapping[str, Recoding]) -> None:
    """Raises ProtocolError where a recoding leaves the new domain, whatever the rows hold: an engine would notice only what they do."""
    if not set(before.columns) <= set(after.columns) <= {*before.columns, *recodings}:
        raise ProtocolError("a new domain has the columns of the old one, and those that are recoded")
    for column, size in after.size.items():
        recoding = recodings.get(column)
        if recoding is None:
            fits = before.size[column] == size
        elif isinstance(recoding, LabelRule):
            cells = [recoding.outside, recoding.missing, *(cell for _, cell in recoding.cells)]
            fits = column not in before.size and all(type(cell) is int and 0 <= cell < size for cell in cells)
        else:
            fits = recoding.dtype == np.int64 and recoding.shape == (before.size.get(column),)
            fits = fits and 0 <= int(recoding.min()) <= int(recoding.max()) < size
        if not fits:
            raise ProtocolError(f"the recoding of {column!r} does not give each of its cells, or each text, a cell of the new domain")


def _show(rho: Rho) -> str:
    return f"{float(rho.value):.6g}"
