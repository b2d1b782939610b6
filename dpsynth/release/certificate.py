"""release.json: everything an outsider needs to recompute the guarantee, as canonical values."""

from dataclasses import dataclass
from typing import Any

from dpsynth import canonical
from dpsynth.errors import SpecError
from dpsynth.inference.model import FitReport
from dpsynth.knowledge import PublicTable
from dpsynth.lint import lint_lines, stated_facts
from dpsynth.privacy import Guarantee, PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.release.record import transcript_facts
from dpsynth.schema import Schema, schema_from
from dpsynth.transcript import Transcript
from dpsynth.wishes import Promise, TableWeight
from dpsynth.workload import MustHave, WorkloadTable

FORMAT = "dpsynth-release/3"


@dataclass(frozen=True)
class LedgerReference:
    """Where the ledger records this release: its account, its id, and the hashes of its PREPARE and MEASURED entries."""

    dataset: str
    entry: str
    prepare: str
    measured: str

    def facts(self) -> dict[str, str]:
        return {"dataset": self.dataset, "entry": self.entry, "prepare": self.prepare, "measured": self.measured}


@dataclass(frozen=True)
class Settings:
    """How the tables were chosen, and the records made from the answers. rows_from: "the spec" or "the noisy total"."""

    strategy: str
    estimator: str
    degree: int
    seed: int
    rows: int
    rows_from: str
    format: str
    iterations: int | None = None
    pairs_with: tuple[str, ...] = ()
    table_cells: int | None = None
    penalty: str | None = None

    def facts(self) -> dict[str, Any]:
        return {**vars(self), "pairs_with": list(self.pairs_with)}


@dataclass(frozen=True)
class Heading:
    """What the release is called, why it exists, on which day (UTC) it was made."""

    name: str
    purpose: str
    day: str

    def facts(self) -> dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class Completed:
    """The schema as it was declared, where answers completed it, and how many questions, the first of the transcript, that took."""

    declared: Schema
    exchanges: int

    def facts(self) -> dict[str, Any]:
        return {"declared": _with_cells(self.declared), "exchanges": self.exchanges}


@dataclass(frozen=True)
class Certificate:
    """All that release.json says but the digests of the files beside it. `ledger` is None for a rehearsal.

    promises, weights, rows_about: what the release was asked to be accurate about, what its noise keeps, and the guess that this rests on.
    registry: what only people know about it. workload, must_have: the tables that the spec lists.
    rows_source: who says the number of synthetic rows and the guess of those in the source.
    """

    heading: Heading
    schema: Schema
    unit: PrivacyUnit
    guarantee: Guarantee
    transcript: Transcript
    settings: Settings
    fit: FitReport
    ledger: LedgerReference | None
    software: dict[str, str]
    promises: tuple[Promise, ...] = ()
    weights: tuple[TableWeight, ...] = ()
    rows_about: int | None = None
    registry: Publication = Publication()
    workload: tuple[WorkloadTable, ...] = ()
    must_have: tuple[MustHave, ...] = ()
    discovery: Completed | None = None
    rows_source: str = ""
    public: tuple[PublicTable, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The canonical values, without files and digest."""
        unit = {"id": self.unit.id, "max_rows": self.unit.max_rows, "neighbours": self.unit.neighbours}
        columns = _with_cells(self.schema)
        return {
            "format": FORMAT,
            "rehearsal": self.ledger is None,
            "release": self.heading.facts(),
            "schema": columns,
            "rules": self.schema.rule_facts(),
            "discovery": self.discovery.facts() if self.discovery else None,
            "unit": {**unit, "enforced": enforcement(self.unit)},
            "guarantee": _guarantee_facts(self.guarantee),
            "exchanges": transcript_facts(self.transcript),
            "transcript": self.transcript.digest(),
            "spent": canonical.rational_text(self.transcript.spent().value),
            "unprotected": self._unprotected(),
            "targets": [promise.facts() for promise in self.promises],
            "weights": [{"columns": list(w.columns), "weight": canonical.rational_text(w.weight)} for w in self.weights],
            "workload": [{"columns": list(table.columns), "weight": table.weight} for table in self.workload],
            "must_have": [{"columns": list(table.columns)} for table in self.must_have],
            "public": [table.facts() for table in self.public],
            "synthesis": {**self.settings.facts(), "rows_about": self.rows_about, "rows_source": self.rows_source},
            "fit": _fit_facts(self.fit),
            "ledger": self.ledger.facts() if self.ledger else None,
            "registry": self.registry.facts(),
            "software": self.software,
        }

    def _unprotected(self) -> list[str]:
        """What the guarantee does not cover, each with who says so."""
        declared = self.discovery.declared if self.discovery else self.schema
        rows = self.settings.rows if self.settings.rows_from == "the spec" else None
        return lint_lines(declared, stated_facts(declared, rows, self.rows_about, self.rows_source, self.public))


def _with_cells(schema: Schema) -> list[dict[str, Any]]:
    return [{**facts, "cells": column.size} for facts, column in zip(schema.facts(), schema.columns, strict=True)]


def enforcement(unit: PrivacyUnit) -> str:
    """How the bound on a unit's rows holds, in words."""
    if not unit.id:
        return "each row is one unit, so no unit has more than one row"
    kept = f"at most {unit.max_rows} rows of each value of {unit.id!r} were kept"
    return f"{kept}, chosen at random by the operating system's generator; rows without it were dropped"


def declared_of(facts: dict[str, Any]) -> Schema:
    """The schema as it was declared, before answers completed it. Raises SpecError."""
    return _schema(facts["schema"] if facts["discovery"] is None else facts["discovery"]["declared"], facts["rules"])


def schema_of(facts: dict[str, Any]) -> Schema:
    """The schema of the records: what was declared and, where it left something open, found. Raises SpecError."""
    return _schema(facts["schema"], facts["rules"])


def _schema(columns: list[dict[str, Any]], rules: list[dict[str, Any]]) -> Schema:
    try:
        schema = schema_from([{key: value for key, value in column.items() if key != "cells"} for column in columns], rules)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
        raise SpecError("the certificate's schema is damaged: restore release.json from a copy") from None
    if [column.get("cells") for column in columns] != [column.size for column in schema.columns]:
        raise SpecError("the certificate's schema states other numbers of cells than its columns have: restore release.json from a copy")
    return schema


def _guarantee_facts(guarantee: Guarantee) -> dict[str, str]:
    numbers = {"epsilon": guarantee.epsilon, "delta": guarantee.delta, "given": guarantee.given, "rho": guarantee.rho.value}
    numbers |= {"alpha": guarantee.alpha, "zcdp_epsilon": guarantee.zcdp_epsilon}
    return {"track": guarantee.track, **{key: canonical.rational_text(value) for key, value in numbers.items()}}


def _fit_facts(fit: FitReport) -> dict[str, Any]:
    # Canonical JSON holds no floats: a reader needs four digits of these, as text.
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in vars(fit).items()}
