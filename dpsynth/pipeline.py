"""The way of the data, stage by stage; a stage never sees what an earlier one read. The shells call these functions in this order.

prepare (charge the cap) -> measure (rows to answers, then the rows are gone) -> fit -> sample -> write.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.accountant import LARGEST_EPSILON, epsilon_of, guarantee_for
from dpsynth.core.curator import Curator
from dpsynth.core.engine import Engine
from dpsynth.core.ledger import Ledger
from dpsynth.core.ledger_chain import Entry
from dpsynth.engines.catalog import Source
from dpsynth.engines.source import open_source
from dpsynth.errors import BudgetRefused, DpsynthError, ProtocolError, SourceError, SpecError, TargetsRefused
from dpsynth.inference.estimators import estimator
from dpsynth.inference.model import Model
from dpsynth.inference.zeros import zeros_of
from dpsynth.privacy import GDP, ZCDP, Guarantee, Rho, plain
from dpsynth.release.certificate import Certificate, Completed, Heading, LedgerReference, Settings
from dpsynth.sampling.records import draw_codes
from dpsynth.sampling.table import decode
from dpsynth.spec import Spec
from dpsynth.strategies.discovery import completed, discovery, given_away
from dpsynth.strategies.registry import strategy_named
from dpsynth.strategies.strategy import Plan, Strategy
from dpsynth.strategies.targets import three_digits_up
from dpsynth.transcript import Discoverer, Measurement, Replay, Transcript
from dpsynth.version import VERSION

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]
OpenRows = Callable[[], Engine]
budget_for = lru_cache(maxsize=256)(guarantee_for)
"""It depends on its arguments alone and takes a tenth of a second, and a run needs it several times."""


def silent(_: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Approved:
    """A release whose cap is in the ledger (`prepare` is None for a rehearsal, which charges nothing)."""

    spec: Spec
    guarantee: Guarantee
    ledger: Ledger | None
    prepare: Entry | None


def planned(spec: Spec) -> tuple[Guarantee, Plan]:
    """The budget and what would be asked with it. Raises SpecError where it cannot work, targets included; reads no data.

    The same (epsilon, delta) buys more where every answer will be Gaussian; where the plan says otherwise, it is made for zCDP.
    """
    given = given_away(spec.schema, spec.delta)
    guarantee = budget_for(spec.epsilon, spec.delta, GDP, given)
    plan = _plan(spec, guarantee)
    if guarantee.track == GDP and not plan.gaussian():
        guarantee = budget_for(spec.epsilon, spec.delta, ZCDP, given)
        plan = _plan(spec, guarantee)
    return guarantee, plan


def _plan(spec: Spec, guarantee: Guarantee) -> Plan:
    try:
        return _questions(spec, guarantee)
    except TargetsRefused as error:
        least = least_epsilon(guarantee.rho.value * error.times, spec.delta, guarantee.track)
        raise TargetsRefused(f"{error}. The targets as they are need budget.epsilon {plain(least)}", error.times) from None
    except SpecError as error:
        enough = _epsilon_that_works(spec, guarantee.track)
        if enough is None:
            raise
        raise SpecError(f"{error}. The least that works at this delta is budget.epsilon {plain(enough)}") from None


def _epsilon_that_works(spec: Spec, track: str) -> Fraction | None:
    """The least epsilon above the spec's, of three digits, with which its questions can be asked; None where no budget helps."""

    def works(epsilon: Fraction) -> bool:
        try:
            _questions(spec, budget_for(epsilon, spec.delta, track, given_away(spec.schema, spec.delta)))
        except SpecError:
            return False
        return True

    low, high = spec.epsilon, spec.epsilon
    while not works(high):
        if high == LARGEST_EPSILON:
            return None
        low, high = high, min(2 * high, Fraction(LARGEST_EPSILON))
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return three_digits_up(high)


def _questions(spec: Spec, guarantee: Guarantee) -> Plan:
    """What completes the schema, then the strategy's questions about the most cells that it may have by then."""
    first = discovery(spec.schema, spec.unit, guarantee.rho, guarantee.given).planned(spec.schema, spec.unit)
    rest = Rho(guarantee.rho.value - sum(question.rho.value for question in first))
    plan = strategy_of(spec).plan(spec.schema.largest, spec.unit, rest)
    return replace(plan, cap=guarantee.rho, questions=(*first, *plan.questions)) if first else plan


def strategy_of(spec: Spec) -> Strategy:
    """The spec's strategy, told of its targets, weights and workload."""
    return strategy_named(spec.strategy, spec.wishes, spec.marginals, zeros_of(spec.schema), spec.penalty)


def epsilon_for_targets(spec: Spec) -> Fraction:
    """The least epsilon of three digits that meets the targets at the spec's delta, whatever its own epsilon is.

    Raises SpecError where there are no targets.
    """
    if not spec.targets:
        raise SpecError("the spec has no targets, so every epsilon meets them: add [[targets]]")
    guarantee = budget_for(Fraction(1), spec.delta)  # any budget tells how many times as large a one is needed
    try:
        needs = (strategy_of(spec).plan(spec.schema.domain, spec.unit, guarantee.rho).needs or guarantee.rho).value
    except TargetsRefused as error:
        needs = guarantee.rho.value * error.times
    least = least_epsilon(needs, spec.delta, GDP)
    enough = planned(replace(spec, epsilon=least))[0].rho.value >= needs if 0 < least <= LARGEST_EPSILON else False
    return least if enough else least_epsilon(needs, spec.delta, ZCDP)


def least_epsilon(rho: Fraction, delta: Fraction, track: str) -> Fraction:
    """The least epsilon of three digits whose budget at delta, on that track, is at least rho."""
    return three_digits_up(epsilon_of(rho, delta, track))


def checked_source(spec: Spec, data: object = None) -> Source:
    """The source with what is public about it checked: it opens and has the columns. Raises SourceError or SpecError; free."""
    source = open_source(spec.source, spec.delimiter, table=spec.table) if data is None else open_source(data, spec.delimiter)
    source.check(spec.schema, spec.unit)
    return source


def prepare(spec: Spec) -> Approved:
    """Charge the whole cap. Raises BudgetRefused; then nothing was charged."""
    guarantee, plan = planned(spec)
    ledger = Ledger.open(spec.ledger)
    entry = ledger.prepare(
        release=spec.name,
        purpose=spec.purpose,
        unit=spec.unit,
        rho=guarantee.rho,
        track=guarantee.track,
        delta=guarantee.given,
        plan=plan.digest(),
    )
    return Approved(spec, guarantee, ledger, entry)


def rehearsal(spec: Spec) -> Approved:
    """The same without a ledger: for made-up rows only."""
    return Approved(spec, planned(spec)[0], None, None)


def measure(approved: Approved, open_rows: OpenRows) -> Transcript:
    """Ask the strategy's questions and forget the rows. A failure is written to the ledger as ABORTED and stays spent."""
    try:
        return _answers(approved, open_rows)
    except BaseException as error:
        if approved.ledger is not None and approved.prepare is not None:
            approved.ledger.aborted(approved.prepare.id, f"the run stopped before its answers were complete ({_word(error)})")
        raise


def _answers(approved: Approved, open_rows: OpenRows) -> Transcript:
    spec = approved.spec
    try:
        guarantee = approved.guarantee
        curator = Curator(open_rows(), spec.unit, guarantee.rho, guarantee.track, guarantee.given)
        try:
            _ask(spec, guarantee, curator)
        finally:
            curator.close()
        return curator.transcript()
    except DpsynthError:
        raise
    except Exception as error:
        kind = type(error).__name__
    # Whatever went wrong beside the rows may quote them: only the kind of failure leaves, and no chain of exceptions hangs on it.
    raise SourceError(f"the private rows could not be measured ({kind}); what was charged stays spent")


def _ask(spec: Spec, guarantee: Guarantee, asker: Discoverer) -> tuple[Measurement, ...]:
    """Complete the schema, then ask what the strategy asks about it."""
    schema, informed = completed(spec.schema, asker, guarantee.given)
    return strategy_of(replace(spec, schema=schema)).measure(informed)


def record_measured(approved: Approved, transcript: Transcript) -> LedgerReference | None:
    """Write MEASURED, unless it is there already; returns what the certificate names. None for a rehearsal."""
    if approved.ledger is None or approved.prepare is None:
        return None
    account = approved.ledger.read()
    entry = next((e for e in account.of(approved.prepare.id) if e.type == "MEASURED"), None)
    if entry is None:
        entry = approved.ledger.measured(approved.prepare.id, transcript.digest(), len(transcript.events))
    elif entry.body["transcript"] != transcript.digest():
        raise BudgetRefused("the ledger's MEASURED entry names other answers than these: restore them from a copy")
    return LedgerReference(account.dataset, approved.prepare.id, approved.prepare.hash, entry.hash)


def replayed(spec: Spec, guarantee: Guarantee, transcript: Transcript) -> tuple[Measurement, ...]:
    """The strategy's measurements, from the answers on record alone. Raises ProtocolError where the record is another strategy's."""
    replay = Replay(transcript, spec.schema.domain, spec.unit, guarantee.rho)
    measurements = _ask(spec, guarantee, replay)
    if not replay.finished():
        raise ProtocolError("the transcript holds more answers than the strategy asks for: it was made by another one")
    return measurements


def whole(spec: Spec, guarantee: Guarantee, transcript: Transcript) -> Spec:
    """The spec with the schema that the answers on record complete. Raises ProtocolError where they are another schema's."""
    replay = Replay(transcript, spec.schema.domain, spec.unit, guarantee.rho)
    return replace(spec, schema=completed(spec.schema, replay, guarantee.given)[0])


def fit(spec: Spec, measurements: tuple[Measurement, ...]) -> Model:
    """The model of the noisy tables."""
    beliefs = {table.columns: table.shares(spec.schema) for table in spec.public}
    return estimator(spec.estimator, spec.iterations, beliefs).fit(spec.schema.domain, measurements, zeros_of(spec.schema))


def row_count(spec: Spec, model: Model) -> int:
    """The public number of rows of the spec, or else the noisy total, at least 0."""
    return max(0, round(model.total)) if spec.rows is None else spec.rows


def records(spec: Spec, model: Model) -> "pd.DataFrame":
    """Synthetic records for the spec's public seed."""
    return decode(spec.schema, draw_codes(model, row_count(spec, model), spec.seed), spec.seed)


def certificate(approved: Approved, transcript: Transcript, model: Model, reference: LedgerReference | None) -> Certificate:
    """Everything release.json says but the files' digests."""
    spec = approved.spec
    rows_from = "the noisy total" if spec.rows is None else "the spec"
    settings = Settings(spec.strategy, spec.estimator, spec.degree, spec.seed, row_count(spec, model), rows_from, spec.format)
    settings = replace(settings, iterations=spec.iterations, pairs_with=spec.pairs_with, table_cells=spec.table_cells, penalty=spec.penalty)
    heading = Heading(spec.name, spec.purpose, datetime.now(UTC).date().isoformat())
    promises = planned(spec)[1].promises
    schema = whole(spec, approved.guarantee, transcript).schema
    facts = (heading, schema, spec.unit, approved.guarantee, transcript, settings, model.report, reference, software())
    asked = (spec.workload, spec.must_have)
    found = None
    if schema != spec.schema:
        found = Completed(spec.schema, discovery(spec.schema, spec.unit, approved.guarantee.rho, approved.guarantee.given).exchanges)
    wishes = (promises, spec.wishes.weights, spec.rows_about)
    return Certificate(*facts, *wishes, spec.registry, *asked, discovery=found, rows_source=spec.rows_source, public=spec.public)


def software() -> dict[str, str]:
    """Versions of what made the release."""
    names = ("duckdb", "networkx", "numpy", "opendp", "pandas", "scipy")
    return {"dpsynth": VERSION, "python": platform.python_version(), **{name: version(name) for name in names}}


def resume_point(ledger: Ledger, entry_id: str) -> Entry:
    """The PREPARE entry of an unfinished release. Raises BudgetRefused where the ledger does not know it or it was aborted."""
    own = ledger.read().of(entry_id)
    prepare_entry = next((entry for entry in own if entry.type == "PREPARE"), None)
    if prepare_entry is None or any(entry.type == "ABORTED" for entry in own):
        raise BudgetRefused(f"the ledger {ledger.folder} holds no unfinished release {entry_id}: start a new run")
    return prepare_entry


def bundle_path(out: str | Path) -> Path:
    """Where a bundle goes, as an absolute path: the working folder stands beside it. Raises SpecError where no folder can be named so."""
    path = Path(out).absolute()
    if path.name in ("", "..") or not path.name.isprintable():
        raise SpecError(f"--out must name a folder of its own, got {str(out)!r}")
    return path


def _word(error: BaseException) -> str:
    return {"KeyboardInterrupt": "interrupted", "MemoryError": "out of memory"}.get(type(error).__name__, "failed")
