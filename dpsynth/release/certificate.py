"""release.json: everything an outsider needs to recompute the guarantee, as canonical values."""

from dataclasses import dataclass
from typing import Any

from dpsynth import canonical
from dpsynth.column import DECLARED
from dpsynth.errors import SpecError
from dpsynth.inference.model import FitReport
from dpsynth.privacy import Guarantee, PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.release.record import transcript_facts
from dpsynth.schema import Schema, schema_from
from dpsynth.transcript import Transcript
from dpsynth.wishes import Promise, TableWeight

FORMAT = "dpsynth-release/2"


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
    """How the records were made from the answers. rows_from: "the spec" or "the noisy total"."""

    strategy: str
    estimator: str
    degree: int
    seed: int
    rows: int
    rows_from: str
    format: str

    def facts(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Heading:
    """What the release is called, why it exists, on which day (UTC) it was made."""

    name: str
    purpose: str
    day: str

    def facts(self) -> dict[str, str]:
        return dict(vars(self))


@dataclass(frozen=True)
class Certificate:
    """All that release.json says but the digests of the files beside it. `ledger` is None for a rehearsal.

    promises, weights, rows_about: what the release was asked to be accurate about, what its noise keeps, and the guess that this rests on.
    registry: what only people know about it.
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

    def facts(self) -> dict[str, Any]:
        """The canonical values, without files and digest."""
        unit = {"id": self.unit.id, "max_rows": self.unit.max_rows, "neighbours": self.unit.neighbours}
        columns = [{**facts, "cells": self.schema.domain.size[facts["name"]]} for facts in self.schema.facts()]
        return {
            "format": FORMAT,
            "rehearsal": self.ledger is None,
            "release": self.heading.facts(),
            "schema": columns,
            "unit": {**unit, "enforced": enforcement(self.unit)},
            "guarantee": _guarantee_facts(self.guarantee),
            "exchanges": transcript_facts(self.transcript),
            "transcript": self.transcript.digest(),
            "spent": canonical.rational_text(self.transcript.spent().value),
            "unprotected": unprotected(self.schema, self.settings, self.rows_about),
            "targets": [promise.facts() for promise in self.promises],
            "weights": [{"columns": list(w.columns), "weight": canonical.rational_text(w.weight)} for w in self.weights],
            "synthesis": {**self.settings.facts(), "rows_about": self.rows_about},
            "fit": _fit_facts(self.fit),
            "ledger": self.ledger.facts() if self.ledger else None,
            "registry": self.registry.facts(),
            "software": self.software,
        }


def enforcement(unit: PrivacyUnit) -> str:
    """How the bound on a unit's rows holds, in words."""
    if not unit.id:
        return "each row is one unit, so no unit has more than one row"
    kept = f"at most {unit.max_rows} rows of each value of {unit.id!r} were kept"
    return f"{kept}, chosen at random by the operating system's generator; rows without it were dropped"


def unprotected(schema: Schema, settings: Settings, rows_about: int | None) -> list[str]:
    """What the guarantee does not cover, each with who declared it."""
    declared = [column.name for column in schema.columns if not column.source]
    listed = [f"column {column.name!r}: its cells, from {column.source or DECLARED}" for column in schema.columns]
    rows = [f"the number of synthetic rows, {settings.rows}, declared public in the spec"] if settings.rows_from == "the spec" else []
    rows += [] if rows_about is None else [f"the guess of {rows_about} rows in the source, declared public in the spec"]
    columns = "1 column rests" if len(declared) == 1 else f"{len(declared)} columns rest"
    warning = [f"{columns} on the data owner's word that the facts were not read off the data"] if declared else []
    return [*rows, *warning, *listed]


def schema_of(facts: dict[str, Any]) -> Schema:
    """The schema that a certificate states. Raises SpecError."""
    try:
        schema = schema_from([{key: value for key, value in column.items() if key != "cells"} for column in facts["schema"]])
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
        raise SpecError("the certificate's schema is damaged: restore release.json from a copy") from None
    if [column.get("cells") for column in facts["schema"]] != list(schema.domain.sizes):
        raise SpecError("the certificate's schema states other numbers of cells than its columns have: restore release.json from a copy")
    return schema


def _guarantee_facts(guarantee: Guarantee) -> dict[str, str]:
    numbers = {"epsilon": guarantee.epsilon, "delta": guarantee.delta, "rho": guarantee.rho.value}
    numbers |= {"alpha": guarantee.alpha, "zcdp_epsilon": guarantee.zcdp_epsilon}
    return {"track": guarantee.track, **{key: canonical.rational_text(value) for key, value in numbers.items()}}


def _fit_facts(fit: FitReport) -> dict[str, Any]:
    # Canonical JSON holds no floats: a reader needs four digits of these, as text.
    return {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in vars(fit).items()}
