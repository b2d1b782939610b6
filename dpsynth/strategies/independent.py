"""`independent`: every one-way table and nothing else; the baseline that keeps no dependence between columns."""

from collections.abc import Mapping
from dataclasses import dataclass

from dpsynth.domain import Clique, Domain
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import sigma_for
from dpsynth.strategies.strategy import Plan, planned_tables, refuse_large
from dpsynth.strategies.targets import Division, divided
from dpsynth.transcript import Asker, Measurement, measure
from dpsynth.wishes import NO_WISHES, Wishes


@dataclass(frozen=True)
class Independent:
    """One-way tables of all columns, with equal noise where nothing is wished."""

    wishes: Wishes = NO_WISHES
    name: str = "independent"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One table a column."""
        refuse_large(domain, singles(domain))
        return planned_singles(self.name, domain, unit, cap, self.wishes)

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """All one-way tables, in one question."""
        return measure_tables(asker, divided_singles(asker.domain, asker.unit, asker.remaining(), self.wishes).sigmas)


def singles(domain: Domain) -> tuple[Clique, ...]:
    """Each column as a clique of its own."""
    return tuple((column,) for column in domain.columns)


def divided_singles(domain: Domain, unit: PrivacyUnit, rho: Rho, wishes: Wishes) -> Division:
    """A sigma for each one-way table, for at most rho together; equal ones where nothing is wished."""
    return divided(domain, unit, dict.fromkeys(singles(domain), sigma_for(rho, unit, len(domain.columns))), wishes)


def planned_singles(strategy: str, domain: Domain, unit: PrivacyUnit, cap: Rho, wishes: Wishes) -> Plan:
    """The plan of one-way tables and nothing else."""
    division = divided_singles(domain, unit, cap, wishes)
    return Plan(strategy, cap, planned_tables("one-way table", domain, unit, division.sigmas), division.promises, division.needs(cap))


def measure_tables(asker: Asker, sigmas: Mapping[Clique, float]) -> tuple[Measurement, ...]:
    """Noisy tables, in one question."""
    return measure(asker, tuple(sigmas), list(sigmas.values()))
