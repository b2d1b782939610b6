"""What was asked, what was answered, what it cost; and an `Asker` that answers from that record, with no data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical
from dpsynth.domain import Clique, Domain
from dpsynth.errors import ProtocolError
from dpsynth.labels import Recoding
from dpsynth.privacy import NOTHING, PrivacyUnit, Rho
from dpsynth.questions import (
    SCORE_BITS,
    ErrorsQuestion,
    LabelsQuestion,
    MarginalQuestion,
    QuantileQuestion,
    Question,
    SelectionQuestion,
    table_digests,
)


@dataclass(frozen=True)
class Event:
    """One draw of noise: what a mechanism did, built where the noise was drawn.

    mechanism: "discrete-gaussian", "gaussian-errors", "noisy-max" or "gaussian-threshold". clique: the columns measured; () for errors and
    selections. sensitivity: how far one unit moves the exact values. scale: of the noise, in the same units, the very float that was used.
    outcomes: cells or errors measured, candidates chosen from, or labels told at most. question: digest of the question.
    threshold: what a label's noisy count had to reach, 0 for the others; delta: what that gives away beyond rho.
    """

    mechanism: str
    clique: Clique
    sensitivity: int
    scale: Fraction
    outcomes: int
    rho: Rho
    question: str
    threshold: int = 0
    delta: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A noisy marginal: the exact counts plus noise of standard deviation `sigma` rows, independent in each cell.

    values: int64[cells] in rows, in C order of the clique; not writable, so that a record stays what was released.
    """

    clique: Clique
    values: NDArray[np.int64]
    sigma: float

    def __post_init__(self) -> None:
        values = self.values.view()
        values.setflags(write=False)
        object.__setattr__(self, "values", values)


@dataclass(frozen=True, eq=False)
class Labels:
    """Texts that an open column holds, the most frequent first, with their noisy numbers of rows.

    counts: int64[texts] in rows; not writable.
    """

    texts: tuple[str, ...]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = self.counts.view()
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a curator gives back: measurements, noisy errors, the place of the selected candidate, or labels.

    errors: int64[cliques], in units of 2^-16 rows.
    """

    measurements: tuple[Measurement, ...] = ()
    selected: int | None = None
    errors: NDArray[np.int64] | None = None
    labels: Labels | None = None

    def __post_init__(self) -> None:
        if self.errors is not None:
            errors = self.errors.view()
            errors.setflags(write=False)
            object.__setattr__(self, "errors", errors)

    def digest(self) -> str:
        """Names the released values."""
        values = table_digests([m.values for m in self.measurements])
        tables = [[list(m.clique), digest] for m, digest in zip(self.measurements, values, strict=True)]
        errors = None if self.errors is None else table_digests([self.errors])[0]
        labels = None if self.labels is None else [list(self.labels.texts), table_digests([self.labels.counts])[0]]
        return canonical.digest([tables, self.selected, errors, labels])


@dataclass(frozen=True, eq=False)
class Exchange:
    """A question's digest with its answer and the events that answering it caused."""

    question: str
    answer: Answer
    events: tuple[Event, ...]


@dataclass(frozen=True, eq=False)
class Transcript:
    """Everything that left the trusted rooms, in order."""

    exchanges: tuple[Exchange, ...] = field(default=())

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(event for exchange in self.exchanges for event in exchange.events)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(m for exchange in self.exchanges for m in exchange.answer.measurements)

    def spent(self) -> Rho:
        """The exact sum of the events' costs."""
        return reduce(add, (event.rho for event in self.events), NOTHING)

    def given(self) -> Fraction:
        """The exact sum of the events' deltas."""
        return sum((event.delta for event in self.events), Fraction(0))

    def digest(self) -> str:
        """Names the whole record: questions, released values and costs."""
        return canonical.digest([[e.question, e.answer.digest(), [_facts(v) for v in e.events]] for e in self.exchanges])


class Asker(Protocol):
    """All that a strategy sees of the data."""

    @property
    def domain(self) -> Domain:
        """The public domain."""
        ...

    @property
    def unit(self) -> PrivacyUnit:
        """Whom the answers protect."""
        ...

    def remaining(self) -> Rho:
        """Budget that is still unspent."""
        ...

    def ask(self, question: Question) -> Answer:
        """The noisy answer. Raises BudgetRefused when the question costs more than remains; nothing is spent then."""
        ...


class Discoverer(Asker, Protocol):
    """An asker whose columns may still change: what finding labels and edges needs."""

    def recode(self, domain: Domain, recodings: Mapping[str, Recoding]) -> None:
        """Switch to another public domain, for good: the cells of each named column change by its recoding. Costs nothing."""
        ...


class Replay:
    """Answers from a transcript: the same questions get the same answers, anything else is refused."""

    def __init__(self, transcript: Transcript, domain: Domain, unit: PrivacyUnit, cap: Rho) -> None:
        self._domain, self.unit = domain, unit
        self._left = list(transcript.exchanges)
        self._remaining = cap

    @property
    def domain(self) -> Domain:
        return self._domain

    def recode(self, domain: Domain, _: Mapping[str, Recoding]) -> None:
        """As the run did: there are no rows to recode."""
        self._domain = domain

    def remaining(self) -> Rho:
        """Budget that was unspent at this point of the run."""
        return self._remaining

    def ask(self, question: Question) -> Answer:
        """The answer on record. Raises ProtocolError at the first question that differs from it."""
        if not self._left:
            raise ProtocolError("the transcript holds no more answers: it was made by another strategy, version or setting")
        exchange = self._left.pop(0)
        if exchange.question != question.digest():
            raise ProtocolError("this question is not the one on record: the transcript was made by another strategy, version or setting")
        for event in exchange.events:
            self._remaining = self._remaining - event.rho
        return exchange.answer

    def finished(self) -> bool:
        """Whether every answer on record was asked for."""
        return not self._left


def measure(asker: Asker, cliques: Sequence[Clique], sigmas: Sequence[float]) -> tuple[Measurement, ...]:
    """Noisy marginals of the cliques, each with noise of its own standard deviation in rows."""
    return asker.ask(MarginalQuestion(tuple(cliques), tuple(sigmas))).measurements


def errors(asker: Asker, question: ErrorsQuestion) -> NDArray[np.float64]:
    """float64[cliques]: noisy L1 distances from the estimates, in rows. Raises ProtocolError where the answer holds others."""
    noisy = asker.ask(question).errors
    if noisy is None or len(noisy) != len(question.cliques):
        raise ProtocolError("a question for errors was answered without one a clique")
    return np.ldexp(noisy.astype(np.float64), -SCORE_BITS)


def select(asker: Asker, question: SelectionQuestion) -> Clique:
    """The candidate that the noisy maximum picked. Raises ProtocolError where the answer names none."""
    selected = asker.ask(question).selected
    if selected is None:
        raise ProtocolError("a selection was answered without a choice")
    return question.candidates[selected]


def labels(asker: Asker, question: LabelsQuestion) -> Labels:
    """The labels of an open column. Raises ProtocolError where the answer holds none, or more than were asked for."""
    found = asker.ask(question).labels
    if found is None or len(found.texts) != len(found.counts) or not len(set(found.texts)) == len(found.texts) <= question.at_most:
        raise ProtocolError("a question for labels was answered with something else")
    return found


def cut_point(asker: Asker, question: QuantileQuestion) -> int:
    """The cell before which the column is cut. Raises ProtocolError where the answer names none."""
    selected = asker.ask(question).selected
    if selected is None or not 0 <= selected < question.cells - 1:
        raise ProtocolError("a quantile was answered without a cut")
    return selected + 1


def _facts(event: Event) -> list[object]:
    return [
        event.mechanism,
        list(event.clique),
        event.sensitivity,
        canonical.rational_text(event.scale),
        event.outcomes,
        canonical.rational_text(event.rho.value),
        event.question,
        event.threshold,
        canonical.rational_text(event.delta),
    ]
