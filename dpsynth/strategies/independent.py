"""`independent`: every one-way table and nothing else; the baseline that keeps no dependence between columns."""

from collections.abc import Mapping
from dataclasses import dataclass

from dpsynth.domain import Clique, Domain
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import sigma_for
from dpsynth.strategies.emphasis import emphasised
from dpsynth.strategies.strategy import Plan, planned_tables, refuse_large
from dpsynth.strategies.targets import Division, divided
from dpsynth.transcript import Asker, Measurement, measure
from dpsynth.wishes import NO_WISHES, Wishes
from dpsynth.workload import Workload


@dataclass(frozen=True)
class Independent:
    """One-way tables of all columns, with equal noise where nothing is wished.

    workload: its tables that must be measured are measured as well; marginals that it weighs make the noise of their tables smaller.
    """

    wishes: Wishes = NO_WISHES
    workload: Workload | None = None
    name: str = "independent"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One table a column, and those that must be measured."""
        must = must_tables(self.workload)
        refuse_large(domain, (*singles(domain), *must))
        return planned_singles(self.name, domain, unit, cap, emphasised(self.wishes, self.workload, (*singles(domain), *must)), must)

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """All tables, in one question."""
        must = must_tables(self.workload)
        wishes = emphasised(self.wishes, self.workload, (*singles(asker.domain), *must))
        return measure_tables(asker, divided_singles(asker.domain, asker.unit, asker.remaining(), wishes, must).sigmas)


def must_tables(workload: Workload | None) -> tuple[Clique, ...]:
    """Tables of more than one column that must be measured; single columns are measured anyway."""
    return tuple(clique for clique in workload.must if len(clique) > 1) if workload else ()


def singles(domain: Domain) -> tuple[Clique, ...]:
    """Each column as a clique of its own."""
    return tuple((column,) for column in domain.columns)


def divided_singles(domain: Domain, unit: PrivacyUnit, rho: Rho, wishes: Wishes, more: tuple[Clique, ...] = ()) -> Division:
    """A sigma for each one-way table, and for each of `more`, for at most rho together; equal ones where nothing is wished."""
    tables = (*singles(domain), *more)
    return divided(domain, unit, dict.fromkeys(tables, sigma_for(rho, unit, len(tables))), wishes)


def planned_singles(strategy: str, domain: Domain, unit: PrivacyUnit, cap: Rho, wishes: Wishes, more: tuple[Clique, ...] = ()) -> Plan:
    """The plan of one-way tables, and of `more` that must be measured, and nothing else."""
    division = divided_singles(domain, unit, cap, wishes, more)
    one_way = {clique: sigma for clique, sigma in division.sigmas.items() if clique not in more}
    must = {clique: division.sigmas[clique] for clique in more}
    questions = planned_tables("one-way table", domain, unit, one_way) + planned_tables("table that must be measured", domain, unit, must)
    return Plan(strategy, cap, questions, division.promises, division.needs(cap))


def measure_tables(asker: Asker, sigmas: Mapping[Clique, float]) -> tuple[Measurement, ...]:
    """Noisy tables, in one question."""
    return measure(asker, tuple(sigmas), list(sigmas.values()))
