"""The title and the guarantee in plain words, from the certificate's facts."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth import canonical
from dpsynth.privacy import plain
from dpsynth.reports.wording import factor_up, percent, percent_up, plural

FALSE_ALARMS = (0.01, 0.05, 0.2)


@dataclass(frozen=True)
class GuaranteeView:
    """The claim as it is printed: every bound rounded up.

    attacks: (share of absent people accused, largest share of present people found) for three attackers.
    """

    epsilon: str
    delta: str
    rho: str
    factor: str
    presence: str
    unit: str
    enforced: str
    attacks: tuple[tuple[str, str], ...]
    spent: str
    spent_share: str
    gaussian: bool
    zcdp_epsilon: str
    delta_rows: str


def guarantee_view(facts: dict[str, Any]) -> GuaranteeView:
    """The guarantee of a certificate, ready to print."""
    claim, unit = facts["guarantee"], facts["unit"]
    epsilon, delta, rho = (canonical.rational(claim[key]) for key in ("epsilon", "delta", "rho"))
    spent = canonical.rational(facts["spent"])
    rows = facts["synthesis"]["rows"]
    return GuaranteeView(
        epsilon=plain(epsilon),
        delta=plain(delta),
        rho=plain(rho),
        factor=factor_up(epsilon),
        presence=presence(unit["id"]),
        unit=unit_words(unit["id"], unit["max_rows"]),
        enforced=unit["enforced"],
        attacks=tuple((percent(a), percent_up(found_at_most(epsilon, delta, a))) for a in FALSE_ALARMS),
        spent=plain(spent),
        spent_share=percent(float(spent / rho)) if rho else "0%",
        gaussian=claim["track"] == "gdp",
        zcdp_epsilon=plain(canonical.rational(claim["zcdp_epsilon"])),
        delta_rows=plain(delta * rows) if rows else "",
    )


def presence(unit_id: str) -> str:
    """The difference between neighbouring tables, as the start of a sentence."""
    return (
        f"Whether or not all rows of one value of {unit_id!r} are in the table" if unit_id else "Whether or not any one row is in the table"
    )


def unit_words(unit_id: str, max_rows: int) -> str:
    """Whom the guarantee protects, in one or two sentences."""
    if not unit_id:
        return (
            "Each row is taken to be one person. "
            "Where one person has several rows, each row is protected, but the person as a whole less so."
        )
    used = f"At most {plural(max_rows, 'row')} of each value can have been used."
    return f"All rows with one value of column {unit_id!r} are protected together. {used}"


def found_at_most(epsilon: Fraction, delta: Fraction, false_alarms: float) -> float:
    """Largest share of present people that any test finds which accuses that share of absent ones.

    min(1, e^epsilon a + delta, 1 - e^-epsilon (1 - delta - a))
    Source: the testing regions of Kairouz, Oh, Viswanath, arXiv:1311.0776, for both orders of the neighbours.
    """
    e, d = min(float(epsilon), 700.0), float(delta)
    return min(1.0, math.exp(e) * false_alarms + d, 1 - math.exp(-e) * max(0.0, 1 - d - false_alarms))
