"""Which pairs of columns were measured, and why: from the record of answers, with distances from the model."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.domain import Clique
from dpsynth.inference.model import Model
from dpsynth.reports.comparison import combined, dependence
from dpsynth.reports.costs import expected_error_rows
from dpsynth.reports.wording import DASH, count, distance, joined, plural
from dpsynth.strategies.all_pairs import ALL_AT_ONCE
from dpsynth.transcript import Transcript

LISTED = 40


@dataclass(frozen=True)
class MeasuredPair:
    """A pair, the noise of all its answers together, and shares of the rows: that noise misplaces, that independence would."""

    what: str
    sigma: str
    noise: str
    apart: str


@dataclass(frozen=True)
class PairsView:
    """Sentences, and where not all pairs were measured as planned, those that depend most; `left` counts the measured pairs not listed."""

    why: tuple[str, ...]
    lines: tuple[MeasuredPair, ...] = ()
    left: int = 0


def pairs_view(strategy: str, targets: Sequence[Clique], transcript: Transcript, model: Model) -> PairsView:
    """How many pairs were measured and by which rule.

    targets: tables with an accuracy target.
    """
    possible = math.comb(len(model.domain.columns), 2)
    times: Counter[Clique] = Counter(m.clique for m in transcript.measurements if len(m.clique) == 2)
    if strategy != "all-pairs":
        return PairsView(_chosen(len(times), possible, transcript))
    asked = any(event.mechanism == "gaussian-errors" for event in transcript.events)
    if len(times) == possible and not asked:
        return PairsView(_as_planned(times))
    sigmas = {pair: sigma for pair, (_, sigma) in combined(transcript.measurements).items() if pair in times}
    apart = {pair: dependence(pair, model) if model.total > 0 else 0.0 for pair in sigmas}
    first = sorted(sigmas, key=lambda pair: (-round(apart[pair], 9), sigmas[pair], pair))[:LISTED]
    lines = tuple(_line(pair, sigmas[pair], apart[pair], model) for pair in first)
    return PairsView(_worth_it(times, possible, asked, targets), lines, len(sigmas) - len(lines))


def _chosen(measured: int, possible: int, transcript: Transcript) -> tuple[str, ...]:
    """Where a strategy picks tables one by one, or none of several columns."""
    if not possible:
        return ()
    if not measured:
        return (f"None of the {plural(possible, 'pair')} of columns was measured by itself.",)
    picks = sum(event.mechanism == "noisy-max" for event in transcript.events)
    how = f", chosen by {plural(picks, 'noisy selection')}" if picks else ""
    return (f"{measured:,} of {plural(possible, 'pair')} of columns {'was' if measured == 1 else 'were'} measured{how}.",)


def _as_planned(times: Counter[Clique]) -> tuple[str, ...]:
    if not times:
        return ()
    again = sum(number > 1 for number in times.values())
    all_of_them = "The only pair of columns was" if len(times) == 1 else f"All {plural(len(times), 'pair')} of columns were"
    second = f"{again:,} of them got a second look, where the first answers promised that it lowers the error most."
    return (f"{all_of_them} measured, as planned.", *([second] if again else []))


def _worth_it(times: Counter[Clique], possible: int, asked: bool, targets: Sequence[Clique]) -> tuple[str, ...]:
    measured = f"{len(times):,}" if times else "None"
    were = "were worth their" if len(times) > 1 else "was worth its"
    few = (
        f"of more than {ALL_AT_ONCE}, most depend too little, however many rows there are."
        if possible > ALL_AT_ONCE
        else "the noisy single columns showed too few rows to measure every pair well."
    )
    how = (
        "A noisy answer told how far pairs are from independence, and the budget went to the pairs and single columns whose expected error "
        "it lowers most: among pairs of like size, those furthest from independence."
        if asked
        else "Noise would have drowned the answer how far pairs are from independence, so that was not asked, and the budget went to the "
        "tables whose expected error it lowers most by their size alone."
    )
    promised = ["Pairs with an accuracy target were measured in any case."] if any(len(table) == 2 for table in targets) else []
    return (f"{measured} of {plural(possible, 'pair')} {were} noise: {few}", how, *promised, *_others(len(times), possible - len(times)))


def _others(measured: int, others: int) -> list[str]:
    if not measured:
        return ["The model holds all pairs independent, for it knows single columns only."]
    held = f"The model holds the other{f' {others:,}' if others > 1 else ''} near independence"
    return [f"{held}: it knows of {'them' if others > 1 else 'it'} only what single columns and measured pairs imply."] if others else []


def _line(pair: Clique, sigma: float, apart: float, model: Model) -> MeasuredPair:
    if model.total <= 0:
        return MeasuredPair(joined(pair), count(sigma), DASH, DASH)
    misplaced = model.domain.cells(pair) * expected_error_rows(sigma) / (2 * model.total)
    return MeasuredPair(joined(pair), count(sigma), distance(misplaced), distance(apart))
