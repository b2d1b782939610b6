"""The report: one self-contained HTML page, made from a bundle alone; the same bundle always gives the same page."""

from functools import cache
from typing import TYPE_CHECKING, Any

from dpsynth import canonical
from dpsynth.release.certificate import schema_of
from dpsynth.release.record import read_arrays, transcript_from
from dpsynth.reports import trust
from dpsynth.reports.accuracy import accuracy_view
from dpsynth.reports.comparison import comparison_view
from dpsynth.reports.costs import cost_view
from dpsynth.reports.guarantee import guarantee_view
from dpsynth.reports.pairs import pairs_view
from dpsynth.reports.self_assessment import self_assessment
from dpsynth.reports.wording import count, plural, shown
from dpsynth.transcript import Transcript
from dpsynth.verify.verify import TRUSTED

if TYPE_CHECKING:
    from jinja2 import Environment

    from dpsynth.release.bundle import Bundle


def render(bundle: "Bundle") -> str:
    """The whole page as text. Raises SpecError for a damaged bundle."""
    return environment().get_template("report.html.j2").render(values(bundle))


def values(bundle: "Bundle") -> dict[str, Any]:
    """Everything the template shows, by section."""
    from dpsynth.release.bundle import MEASUREMENTS

    facts = bundle.facts
    transcript = transcript_from(facts["exchanges"], read_arrays(bundle.folder / MEASUREMENTS))
    first = facts["discovery"]["exchanges"] if facts["discovery"] else 0
    of_strategy = Transcript(transcript.exchanges[first:])
    schema, model, targets = schema_of(facts), bundle.model(), [tuple(target["columns"]) for target in facts["targets"]]
    return {
        "rehearsal": facts["rehearsal"],
        "release": facts["release"],
        "strategy": facts["synthesis"]["strategy"],
        "rows": count(facts["synthesis"]["rows"]),
        "rows_from": facts["synthesis"]["rows_from"],
        "columns": plural(sum(column.in_records for column in schema.columns), "column"),
        "guarantee": guarantee_view(facts),
        "costs": cost_view(transcript.events, canonical.rational(facts["guarantee"]["rho"])),
        "accuracy": accuracy_view(facts),
        "pairs": pairs_view(facts["synthesis"]["strategy"], targets, of_strategy, model),
        "comparison": comparison_view(schema, of_strategy.measurements, model),
        "fit": trust.fit_view(facts),
        "unprotected": trust.unprotected_view(facts),
        "assessment": self_assessment(facts),
        "blind_spots": trust.BLIND_SPOTS,
        "digests": trust.digests(facts),
        "ledger": trust.ledger_rows(facts),
        "shows": trust.SHOWS,
        "trusted": TRUSTED,
        "settings": trust.settings_rows(facts),
        "software": sorted(facts["software"].items()),
        "schema": trust.column_rows(facts),
    }


@cache
def environment() -> "Environment":
    """Templates of this folder; every value is escaped, and invisible characters are spelled out."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("dpsynth.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
