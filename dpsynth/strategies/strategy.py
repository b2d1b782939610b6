"""What every strategy offers, and the plan of what it would ask."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from dpsynth import canonical
from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import LEAST_GAUSSIAN_SCALE, MarginalQuestion
from dpsynth.transcript import Asker, Measurement
from dpsynth.wishes import Promise

CELL_LIMIT = 1 << 24
"""The largest table a strategy asks for: 128 MB of counts."""

DENOISED = 1 / 3
"""What jointly denoised pairs of UCI Adult kept, as a multiple of the cube root of their noise's energy, at epsilon 0.1 to 10; two tables
in three were within a factor of 1.7."""


@dataclass(frozen=True)
class PlannedQuestion:
    """One kind of question that will be asked `times` times.

    columns: what is measured; empty where earlier answers decide. cells: of one table, the largest possible where undecided.
    scale: sigma or selection scale, in rows. rho: cost of all `times` together. joint: whether it is denoised jointly with all other pairs.
    """

    what: str
    mechanism: str
    columns: Clique
    times: int
    cells: int
    scale: float
    rho: Rho
    joint: bool = False

    def expected_error_rows(self) -> float:
        """Mean absolute noise of one cell: sqrt(2 / pi) sigma, in rows."""
        return math.sqrt(2 / math.pi) * self.scale

    def expected_share(self, rows: int) -> float:
        """Mean share of that many rows that the noise misplaces: cells times the error of a cell / (2 rows), at most 1."""
        return min(1.0, self.cells * self.expected_error_rows() / 2 / rows)

    def denoised_share(self, rows: int) -> float | None:
        """What denoising may be expected to leave of it: (cells sigma^2 / rows^2)^(1/3) / 3; None where there is no experience."""
        return min(self.expected_share(rows), DENOISED * (self.cells * (self.scale / rows) ** 2) ** (1 / 3)) if self.joint else None


@dataclass(frozen=True)
class Plan:
    """What a release would ask and what it would cost, from public facts alone.

    promises: what the targets may count on. needs: the least cap that meets them; None without targets. notes: what is measured, and why.
    """

    strategy: str
    cap: Rho
    questions: tuple[PlannedQuestion, ...]
    promises: tuple[Promise, ...] = ()
    needs: Rho | None = None
    notes: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """Noise draws at most."""
        return sum(q.times * q.cells for q in self.questions if q.mechanism == "discrete-gaussian")

    def gaussian(self) -> bool:
        """Whether the release can be accounted as Gaussian: no other noise, and none so small that the proof does not cover it."""
        gaussian = ("discrete-gaussian", "gaussian-errors", "gaussian-threshold")
        return all(q.mechanism in gaussian and q.scale >= LEAST_GAUSSIAN_SCALE for q in self.questions)

    def facts(self) -> dict[str, Any]:
        """The plan as canonical values."""
        rows = [
            [
                q.what,
                q.mechanism,
                list(q.columns),
                q.times,
                q.cells,
                canonical.rational_text(Fraction(q.scale)),
                canonical.rational_text(q.rho.value),
            ]
            for q in self.questions
        ]
        return {"strategy": self.strategy, "cap": canonical.rational_text(self.cap.value), "questions": rows}

    def digest(self) -> str:
        """Names the plan: the ledger's PREPARE entry holds it."""
        return canonical.digest(self.facts())


class Strategy(Protocol):
    """Decides which questions to ask; sees the data only through an `Asker`."""

    @property
    def name(self) -> str:
        """As a spec writes it."""
        ...

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """What would be asked. Raises SpecError where the budget is too small, for the targets too, or a table too large."""
        ...

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """Ask, and return every noisy marginal. Deterministic: the same answers lead to the same next question."""
        ...


def planned_tables(
    what: str, domain: Domain, unit: PrivacyUnit, sigmas: Mapping[Clique, float], *, joint: bool = False
) -> tuple[PlannedQuestion, ...]:
    """Noisy tables as a plan shows them."""
    return tuple(
        PlannedQuestion(
            what, "discrete-gaussian", clique, 1, domain.cells(clique), sigma, MarginalQuestion((clique,), (sigma,)).cost(unit), joint
        )
        for clique, sigma in sigmas.items()
    )


def refuse_large(domain: Domain, cliques: Iterable[Clique]) -> None:
    """Raises SpecError for a table beyond the cell limit."""
    for clique in cliques:
        if domain.cells(clique) > CELL_LIMIT:
            raise SpecError(
                f"the table of {list(clique)} would have {domain.cells(clique)} cells, more than {CELL_LIMIT}: use fewer bins or values"
            )
