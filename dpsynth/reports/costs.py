"""What was asked, and what each answer cost, from the record of events."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from dpsynth.privacy import plain
from dpsynth.questions import SCORE_BITS
from dpsynth.reports.wording import DASH, count, joined, percent, plural
from dpsynth.transcript import Event

SHOWN = 30
LISTED = 300
KINDS = {
    "total": "Number of rows",
    "one": "One-column tables",
    "pair": "Two-column tables",
    "wide": "Wider tables",
    "errors": "Errors of estimates",
    "choice": "Selections",
    "labels": "Searches for labels",
}
_OF_SCORES = {"gaussian-errors": "errors", "noisy-max": "choice"}
"""Mechanisms whose noise falls on scores, in units of 2^-16 rows, not on cells."""

_OUTCOMES = {"errors": "table", "labels": "label"}
_MANY = {**dict.fromkeys(("total", "one", "pair", "wide"), "table"), "errors": "question", "choice": "selection", "labels": "question"}


@dataclass(frozen=True)
class CostLine:
    """One question, or one group of equal selections: `width` is its bar, in percent of the longest."""

    kind: str
    what: str
    size: str
    sigma: str
    error: str
    rho: str
    share: str
    width: float


@dataclass(frozen=True)
class CostPart:
    """All questions of one kind together: `start` and `width` in percent of the cap."""

    kind: str
    name: str
    share: str
    start: float
    width: float


@dataclass(frozen=True)
class CostView:
    """The bar of the whole cap, the most costly lines, the next ones, and what is left over in words."""

    parts: tuple[CostPart, ...]
    lines: tuple[CostLine, ...]
    more: tuple[CostLine, ...]
    rest: str
    answers: str


def cost_view(events: Sequence[Event], cap: Fraction) -> CostView:
    """Costs by question, dearest first, as shares of the cap."""
    groups = sorted(grouped(events), key=lambda group: -_rho(group))
    longest = _rho(groups[0]) if groups else Fraction(1)
    lines = [_line(group, cap, longest) for group in groups[:LISTED]]
    left = groups[LISTED:]
    rest = f"and {len(left):,} more, {percent(float(sum(map(_rho, left), Fraction(0)) / cap))} of the cap together" if left else ""
    return CostView(_parts(groups, cap), tuple(lines[:SHOWN]), tuple(lines[SHOWN:]), rest, plural(len(events), "answer"))


def grouped(events: Sequence[Event]) -> list[list[Event]]:
    """Each table by itself; selections with the same noise together; in the order asked."""
    groups: dict[object, list[Event]] = {}
    for place, event in enumerate(events):
        key = (event.scale, event.sensitivity) if event.mechanism == "noisy-max" else place
        groups.setdefault(key, []).append(event)
    return list(groups.values())


def kind_of(event: Event) -> str:
    """The key in KINDS."""
    if event.mechanism in _OF_SCORES:
        return _OF_SCORES[event.mechanism]
    if event.mechanism == "gaussian-threshold":
        return "labels"
    return ("total", "one", "pair")[len(event.clique)] if len(event.clique) < 3 else "wide"


def expected_error_rows(sigma: float) -> float:
    """Mean absolute noise of one cell: sqrt(2 / pi) sigma, in rows."""
    return math.sqrt(2 / math.pi) * sigma


def _rho(group: list[Event]) -> Fraction:
    return sum((event.rho.value for event in group), Fraction(0))


def _line(group: list[Event], cap: Fraction, longest: Fraction) -> CostLine:
    event, rho = group[0], _rho(group)
    kind = kind_of(event)
    sigma = math.ldexp(float(event.scale), -SCORE_BITS) if event.mechanism in _OF_SCORES else float(event.scale)
    return CostLine(
        kind=kind,
        what=_choices(group) if kind == "choice" else "errors of estimated tables" if kind == "errors" else joined(event.clique),
        size=_size(kind, group),
        sigma=count(sigma),
        error=DASH if kind == "choice" else count(expected_error_rows(sigma)),
        rho=plain(rho),
        share=percent(float(rho / cap)) if cap else DASH,
        width=round(100 * float(rho / longest), 2) if longest else 0.0,
    )


def _choices(group: list[Event]) -> str:
    return f"{plural(len(group), 'selection')} of a table to measure"


def _size(kind: str, group: list[Event]) -> str:
    if kind == "choice":
        return _candidates(group)
    return plural(group[0].outcomes, _OUTCOMES[kind]) if kind in _OUTCOMES else f"{group[0].outcomes:,}"


def _candidates(group: list[Event]) -> str:
    least, most = min(e.outcomes for e in group), max(e.outcomes for e in group)
    return plural(most, "candidate") if least == most else f"{least:,}{DASH}{most:,} candidates"


def _parts(groups: list[list[Event]], cap: Fraction) -> tuple[CostPart, ...]:
    sums: dict[str, Fraction] = dict.fromkeys(KINDS, Fraction(0))
    times = Counter(kind_of(event) for group in groups for event in group)
    for group in groups:
        sums[kind_of(group[0])] += _rho(group)
    parts, start = [], Fraction(0)
    for kind, rho in {**sums, "unspent": max(Fraction(0), cap - sum(sums.values(), Fraction(0)))}.items():
        share = rho / cap if cap else Fraction(0)
        if share > 0:
            name = f"{KINDS[kind]} ({plural(times[kind], _MANY[kind])})" if kind in KINDS else "Not spent, but claimed"
            parts.append(CostPart(kind, name, percent(float(share)), round(100 * float(start), 3), round(100 * float(share), 3)))
        start += share
    return tuple(parts)
