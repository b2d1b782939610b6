"""Bundles made up for tests: noisy tables of simulated shares, and a model of independent columns."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import prod

import numpy as np

from dpsynth import canonical
from dpsynth.core.accountant import guarantee_for
from dpsynth.inference.model import FitReport
from dpsynth.privacy import PrivacyUnit
from dpsynth.questions import MarginalQuestion, SelectionQuestion, sigma_for
from dpsynth.release.bundle import MEASUREMENTS, Bundle
from dpsynth.release.certificate import Certificate, Heading, LedgerReference, Settings
from dpsynth.release.record import transcript_arrays, write_arrays
from dpsynth.transcript import Answer, Event, Exchange, Measurement, Transcript

REPORT = FitReport("maxent", converged=True, steps=120, gap=4.2e-5, tolerance=1e-4, cells=900)
LEDGER = LedgerReference("made-up", "0f" * 16, "ab" * 32, "cd" * 32)


@dataclass(frozen=True, eq=False)
class Independent:
    """A model whose columns are independent: float64[cells] of shares for each column."""

    domain: object
    shares: dict
    total: float
    report: FitReport = REPORT

    def marginal(self, clique):
        table = np.full(1, self.total)
        for column in clique:
            table = np.outer(table, self.shares[column]).ravel()
        return table


@dataclass(frozen=True)
class MadeUpBundle(Bundle):
    """A bundle whose model is given."""

    fitted: object

    def model(self):
        return self.fitted


def noisy_tables(model, cliques, rng, sigma):
    """One exchange that measures the cliques, each with the noise of the same sigma."""
    question = MarginalQuestion(tuple(cliques), (sigma,) * len(cliques))
    measurements = tuple(
        Measurement(clique, np.rint(model.marginal(clique) + rng.normal(0, sigma, model.domain.cells(clique))).astype(np.int64), sigma)
        for clique in cliques
    )
    each = MarginalQuestion(((),), (sigma,)).cost(PrivacyUnit())
    events = tuple(Event("discrete-gaussian", m.clique, 1, Fraction(m.sigma), len(m.values), each, question.digest()) for m in measurements)
    return Exchange(question.digest(), Answer(measurements), events)


def selection(clique, candidates, scale):
    """One exchange that picks a clique."""
    empty = np.zeros(1, dtype=np.int64)
    question = SelectionQuestion(((),) * candidates, (empty,) * candidates, (1,) * candidates, scale)
    event = Event(
        "noisy-max",
        clique,
        question.sensitivity(PrivacyUnit()),
        Fraction(question.noise_scale()),
        candidates,
        question.cost(PrivacyUnit()),
        question.digest(),
    )
    return Exchange(question.digest(), Answer(selected=0), (event,))


def simulated(schema, total, rng):
    """A model with uneven shares."""
    raw = {column.name: rng.gamma(0.5, size=column.size) + 1e-3 for column in schema.columns}
    return Independent(schema.domain, {name: table / table.sum() for name, table in raw.items()}, float(total))


def made_up_bundle(
    folder, schema, *, total=30_000, cliques=None, selections=True, rehearsal=False, fit=REPORT, exchanges=(), epsilon=1, **changes
):
    """A bundle in the folder: by default all single columns and a path of pairs, chosen by selections.

    cliques: those to measure instead. exchanges: more of them. changes: of the certificate's fields.
    """
    rng = np.random.default_rng(7)
    model = replace(simulated(schema, max(total, 0), rng), report=fit)
    guarantee = guarantee_for(Fraction(epsilon), Fraction(1, 10**9))
    pairs = [pair for pair in pairwise(schema.domain.columns) if prod(schema.domain.shape(pair)) < 10_000]
    cliques = [*((name,) for name in schema.domain.columns), *pairs] if cliques is None else cliques
    picks = [selection(pair, len(pairs) - i, sigma_for(guarantee.rho, PrivacyUnit(), 3 * len(pairs))) for i, pair in enumerate(pairs)]
    asked = noisy_tables(model, cliques, rng, sigma_for(guarantee.rho.share(Fraction(1, 2)), PrivacyUnit(), len(cliques)))
    if total < 0:
        asked = replace(asked, answer=Answer(tuple(replace(m, values=m.values - abs(total)) for m in asked.answer.measurements)))
    transcript = Transcript((asked, *(picks if selections else ()), *exchanges))
    settings = Settings("mst", "maxent", 2, 7, max(0, round(total)), "the noisy total", "csv")
    heading, software = Heading("made-up", "Try the report", "2026-02-03"), {"python": "3.11", "dpsynth": "0.1.0"}
    ledger = None if rehearsal else LEDGER
    certificate = Certificate(heading, schema, PrivacyUnit(), guarantee, transcript, settings, fit, ledger, software)
    return written(folder, replace(certificate, **changes), model)


def written(folder, certificate, model):
    """What the report reads of a bundle, with digests of nothing in particular."""
    write_arrays(folder / MEASUREMENTS, transcript_arrays(certificate.transcript))
    files = {name: {"sha256": "5e" * 32, "bytes": 12_345} for name in ("synthetic.csv", "measurements.npz", "model.npz")}
    facts = {**certificate.facts(), "files": files}
    return MadeUpBundle(folder, {**facts, "digest": canonical.digest(facts)}, model)
