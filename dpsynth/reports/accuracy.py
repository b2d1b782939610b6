"""What the release was asked to be accurate about, and what its noise keeps of it, from the certificate's facts."""

from dataclasses import dataclass
from typing import Any

from dpsynth import canonical
from dpsynth.privacy import plain
from dpsynth.reports.wording import joined
from dpsynth.strategies.targets import three_digits_up

LISTED = 40


@dataclass(frozen=True)
class TargetLine:
    """One target: shares of the rows that were asked for and that the noise keeps within, with at least that probability."""

    what: str
    asked: str
    kept: str
    confidence: str


@dataclass(frozen=True)
class AccuracyView:
    """Targets, and tables with their weights (the heaviest first), with how many of each are not listed."""

    targets: tuple[TargetLine, ...]
    targets_left: int
    weights: tuple[tuple[str, str], ...]
    weights_left: int


def accuracy_view(facts: dict[str, Any]) -> AccuracyView:
    """The targets and weights of a certificate, ready to print; shares are rounded up."""
    targets = tuple(_line(target) for target in facts["targets"][:LISTED])
    weights = sorted(((canonical.rational(w["weight"]), joined(w["columns"])) for w in facts["weights"]), key=lambda w: -w[0])
    return AccuracyView(
        targets,
        len(facts["targets"]) - len(targets),
        tuple((what, plain(weight)) for weight, what in weights[:LISTED]),
        max(0, len(weights) - LISTED),
    )


def _line(target: dict[str, Any]) -> TargetLine:
    within, kept, confidence = (canonical.rational(target[key]) for key in ("within", "promised", "confidence"))
    kept_up = f"{float(three_digits_up(kept * 100)):g}%"
    return TargetLine(joined(target["columns"]), f"{plain(within * 100)}%", kept_up, f"{plain(confidence * 100)}%")
