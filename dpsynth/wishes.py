"""What a release should be accurate about: targets a table must meet, and weights of tables that matter more. All of it is public."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.domain import Clique
from dpsynth.errors import SpecError

WEIGHTS = (Fraction(1, 100), Fraction(100))
CONFIDENCES = (Fraction(1, 2), Fraction(999_999, 1_000_000))
ROWS_ABOUT = (1, 10**9)


@dataclass(frozen=True)
class Target:
    """Accuracy that a noisy table must have, before anything is denoised.

        P( 1/2 sum over cells |noise| <= within * rows ) >= confidence

    within: share of the rows that the noise may misplace (the total variation distance between the noisy and the exact table).
    """

    columns: Clique
    within: Fraction
    confidence: Fraction = Fraction(19, 20)

    def __post_init__(self) -> None:
        least, most = CONFIDENCES
        if not 0 < self.within < 1:
            raise SpecError(f"targets.within of {list(self.columns)} must be above 0 and below 1, got {float(self.within):g}")
        if not least <= self.confidence <= most:
            allowed = f"from {float(least):g} to {float(most):g}"
            raise SpecError(f"targets.confidence of {list(self.columns)} must be {allowed}, got {float(self.confidence):g}")

    def sentence(self) -> str:
        """The target in words."""
        return f"{' x '.join(self.columns)} within {float(self.within):g} at {float(self.confidence * 100):g} %"


@dataclass(frozen=True)
class TableWeight:
    """How many times a table's error counts; tables without a weight count once."""

    columns: Clique
    weight: Fraction

    def __post_init__(self) -> None:
        least, most = WEIGHTS
        if not least <= self.weight <= most:
            raise SpecError(f"weights.weight of {list(self.columns)} must be from {float(least):g} to {most}, got {float(self.weight):g}")


@dataclass(frozen=True)
class Wishes:
    """Targets and weights of one release.

    rows_about: a public guess of the number of rows, which targets need: the true number is private.
    """

    targets: tuple[Target, ...] = ()
    weights: tuple[TableWeight, ...] = ()
    rows_about: int | None = None

    def __post_init__(self) -> None:
        if self.targets and self.rows_about is None:
            raise SpecError(
                "[[targets]] are shares of the rows, and how many there are is private: state a public guess in synthesis.rows_about"
            )
        named = [weight.columns for weight in self.weights]
        if twice := next((columns for columns in named if named.count(columns) > 1), None):
            raise SpecError(f"[[weights]] names the table {list(twice)} twice: leave one of them")

    @property
    def tables(self) -> tuple[Clique, ...]:
        """Every table that is named."""
        return tuple(dict.fromkeys([*(target.columns for target in self.targets), *(weight.columns for weight in self.weights)]))

    @property
    def weight_of(self) -> dict[Clique, float]:
        """Weights by table."""
        return {each.columns: float(each.weight) for each in self.weights}

    def rows(self, within: Fraction) -> int:
        """The largest sum of absolute noise, in whole rows, that is within that share."""
        return int(2 * within * (self.rows_about or 0))


NO_WISHES = Wishes()


@dataclass(frozen=True)
class Promise:
    """A target and the share that the planned noise keeps within, at the target's confidence."""

    target: Target
    within: Fraction

    def facts(self) -> dict[str, Any]:
        """For machines: canonical values, rationals as p/q."""
        target = self.target
        numbers = {"within": target.within, "confidence": target.confidence, "promised": self.within}
        return {"columns": list(target.columns), **{key: canonical.rational_text(value) for key, value in numbers.items()}}
