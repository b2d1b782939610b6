"""`independent`: every one-way table and nothing else; the baseline that keeps no dependence between columns."""

from dataclasses import dataclass

from dpsynth.domain import Clique, Domain
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import MarginalQuestion, sigma_for
from dpsynth.strategies.strategy import Plan, PlannedQuestion, refuse_large
from dpsynth.transcript import Asker, Measurement, measure


@dataclass(frozen=True)
class Independent:
    """One-way tables of all columns with equal noise."""

    name: str = "independent"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One table a column, each at the same sigma."""
        refuse_large(domain, singles(domain))
        return Plan(self.name, cap, planned_singles(domain, unit, cap))

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """All one-way tables, in one question."""
        return measure_singles(asker, asker.remaining())


def singles(domain: Domain) -> tuple[Clique, ...]:
    """Each column as a clique of its own."""
    return tuple((column,) for column in domain.columns)


def planned_singles(domain: Domain, unit: PrivacyUnit, rho: Rho) -> tuple[PlannedQuestion, ...]:
    """The one-way tables as a plan shows them."""
    sigma = sigma_for(rho, unit, len(domain.columns))
    return tuple(
        PlannedQuestion(
            "one-way table", "discrete-gaussian", clique, 1, domain.cells(clique), sigma, MarginalQuestion((clique,), (sigma,)).cost(unit)
        )
        for clique in singles(domain)
    )


def measure_singles(asker: Asker, rho: Rho) -> tuple[Measurement, ...]:
    """All one-way tables with equal noise, for at most rho together."""
    cliques = singles(asker.domain)
    return measure(asker, cliques, [sigma_for(rho, asker.unit, len(cliques))] * len(cliques))
