"""The Python interface: plan, run, resume, rehearse, sample. The only place, beside the command line, where the rooms meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth import canonical, pipeline
from dpsynth.accounts import largest_epsilon
from dpsynth.core.accountant import epsilon_of, guarantee_for
from dpsynth.core.ledger import Ledger, cumulative_epsilon, refuse_unless_admitted
from dpsynth.core.ledger_chain import joined
from dpsynth.engines.catalog import Source
from dpsynth.engines.madeup import made_up_engine
from dpsynth.engines.reader import open_engine
from dpsynth.errors import BudgetRefused, SourceError, SpecError
from dpsynth.inference.model import Model
from dpsynth.pipeline import Approved, Progress, silent
from dpsynth.privacy import Guarantee, Rho
from dpsynth.release.bundle import Bundle, read_bundle, write_bundle
from dpsynth.release.certificate import LedgerReference, schema_of
from dpsynth.release.partial import Partial
from dpsynth.reports.html import render
from dpsynth.reports.plan_table import PlanTable, Standing
from dpsynth.reports.registry import FILE_NAME, RegistryEntry, registry_entry
from dpsynth.sampling.records import sample_records
from dpsynth.schema import Schema
from dpsynth.spec import Spec
from dpsynth.transcript import Transcript

if TYPE_CHECKING:
    import pandas as pd

REHEARSAL_ROWS = 1000


@dataclass(frozen=True)
class Release:
    """A bundle on disk: its records, its guarantee, and any number of further records, which are free."""

    folder: Path
    facts: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> "Release":
        """The release in a bundle's folder. Raises SpecError where it is none or was changed."""
        bundle = read_bundle(Path(folder))
        return cls(bundle.folder, bundle.facts)

    @cached_property
    def data(self) -> "pd.DataFrame":
        """The synthetic records."""
        return Bundle(self.folder, self.facts).records()

    @cached_property
    def model(self) -> Model:
        """The fitted model: any marginal, in expected rows."""
        return Bundle(self.folder, self.facts).model()

    @cached_property
    def schema(self) -> Schema:
        """The public facts about the table."""
        return schema_of(self.facts)

    @property
    def guarantee(self) -> Guarantee:
        """What is claimed."""
        claim = self.facts["guarantee"]
        numbers = {key: canonical.rational(claim[key]) for key in ("epsilon", "delta", "alpha", "zcdp_epsilon", "given")}
        return Guarantee(rho=Rho(canonical.rational(claim["rho"])), track=claim["track"], **numbers)

    @property
    def report(self) -> Path:
        """The report, to open in a browser."""
        return self.folder / "report.html"

    def sample(self, rows: int, *, seed: int = 0, where: Mapping[str, object] | None = None) -> "pd.DataFrame":
        """Fresh records from the model: post-processing, free. `where` fixes columns to values the schema lists."""
        return sample_records(self.model, self.schema, rows, seed, where or {})


def read_spec(spec: Spec | str | Path) -> Spec:
    """A spec as it is, or from its file. Raises SpecError."""
    return spec if isinstance(spec, Spec) else Spec.from_file(spec)


def plan(spec: Spec | str | Path, *, rows_about: int | None = None) -> PlanTable:
    """What a run would ask, with which noise, at which cost, and what would remain; reads no data.

    rows_about: a public guess of the number of rows, in place of the spec's; relative errors and targets need one.
    Raises SpecError where it cannot work; for targets out of reach it names the nearest ones within reach, and the epsilon that would do.
    """
    spec = read_spec(spec)
    spec = spec if rows_about is None else replace(spec, rows_about=rows_about)
    guarantee, questions = pipeline.planned(spec)
    least = None if questions.needs is None else pipeline.least_epsilon(questions.needs.value, spec.delta, guarantee.track)
    return PlanTable(spec.name, spec.unit, guarantee, questions, _standing(spec, guarantee), spec.rows_about, least)


def epsilon_for_targets(spec: Spec | str | Path, *, rows_about: int | None = None) -> Fraction:
    """The least epsilon, rounded up to three digits, that meets the spec's targets at its delta; reads no data.

    The spec's own epsilon does not matter. rows_about: a public guess of the number of rows, in place of the spec's.
    Raises SpecError where there are no targets.
    """
    spec = read_spec(spec)
    return pipeline.epsilon_for_targets(spec if rows_about is None else replace(spec, rows_about=rows_about))


def _standing(spec: Spec, guarantee: Guarantee) -> Standing:
    try:
        account = Ledger.open(spec.ledger).read()
        refuse_unless_admitted(account, spec.unit, guarantee.rho, guarantee.track, guarantee.given)
    except BudgetRefused as error:
        return Standing(refused=str(error))
    policy = account.policy
    if policy is None:
        return Standing(refused="the ledger states no policy")
    sum_after, track = account.rho + guarantee.rho.value, joined(account.track, guarantee.track)
    delta = policy.delta - account.delta - guarantee.given
    rest = max(Fraction(0), guarantee_for(policy.epsilon, delta, track).rho.value - sum_after)
    left = largest_epsilon(rest, delta, track)
    return Standing(cumulative_epsilon(account), policy.epsilon, epsilon_of(sum_after, delta, track), left=left)


def run(
    spec: Spec | str | Path,
    *,
    out: str | Path,
    data: object = None,
    rehearse: bool = False,
    strict: bool = False,
    progress: Progress = silent,
) -> Release:
    """Spend the budget and write the bundle.

    data: a pandas or Arrow table to read instead of the spec's source. rehearse: the same way on made-up rows, charging nothing.
    strict: refuse facts without a public source.
    Raises SpecError (nothing was charged), SourceError, BudgetRefused.
    """
    spec = read_spec(spec)
    if strict:
        spec.refuse_undeclared()
    pipeline.planned(spec)
    partial = Partial(pipeline.bundle_path(out))
    if rehearse:
        return _rehearse(spec, data, partial, progress)
    source = pipeline.checked_source(spec, data)
    partial.begin(_anywhere(spec).facts())
    with partial.alone():
        try:
            approved = pipeline.prepare(spec)
        except BaseException:
            partial.end()
            raise
        return _measured_run(approved, source, partial, progress)


def _anywhere(spec: Spec) -> Spec:
    """The spec with its ledger as an absolute path: a run may be resumed from another folder."""
    return spec.charged_to(Path(spec.ledger).absolute())


def _measured_run(approved: Approved, source: Source, partial: Partial, progress: Progress) -> Release:
    spec = approved.spec
    if approved.prepare is None:
        raise SpecError("a run without a ledger entry is a rehearsal: use rehearse=True")
    partial.charged({"id": approved.prepare.id})
    progress(f"charged: {approved.guarantee.sentence()} is in the ledger (entry {approved.prepare.seq})")
    try:
        transcript = pipeline.measure(approved, lambda: open_engine(source, spec.schema, spec.unit))
    except BaseException:
        partial.end()
        raise
    partial.answered(transcript)
    progress(f"measured: {len(transcript.events)} noisy answers; the private rows are closed")
    return _finish(approved, transcript, partial, progress)


def _finish(approved: Approved, transcript: Transcript, partial: Partial, progress: Progress) -> Release:
    """From answers that are safely on disk to the bundle; touches no rows."""
    spec = approved.spec
    reference = pipeline.record_measured(approved, transcript)
    whole = pipeline.whole(spec, approved.guarantee, transcript)
    model = pipeline.fit(whole, pipeline.replayed(spec, approved.guarantee, transcript))
    progress(f"fitted: {model.report.estimator}, {model.report.cells} cells, {model.report.ending}")
    records = pipeline.records(whole, model)
    certificate = pipeline.certificate(approved, transcript, model, reference)
    digest = write_bundle(partial.out, certificate, model, records, render)
    _record_released(approved, reference, digest)
    partial.end()
    progress(f"released: {len(records)} records in {partial.out}")
    return Release.open(partial.out)


def _record_released(approved: Approved, reference: LedgerReference | None, digest: str) -> None:
    if approved.ledger is not None and reference is not None:
        approved.ledger.released(reference.entry, digest)


def _rehearse(spec: Spec, data: object, partial: Partial, progress: Progress) -> Release:
    try:
        pipeline.checked_source(spec, data)
    except SourceError as error:
        progress(f"rehearsal: the source was not checked ({error})")
    if refused := plan(spec).standing.refused:
        progress(f"rehearsal: the real run would be refused ({refused})")
    partial.begin(spec.facts())
    try:
        approved = pipeline.rehearsal(spec)
        rows = REHEARSAL_ROWS if spec.rows is None else spec.rows
        transcript = pipeline.measure(approved, lambda: made_up_engine(spec.schema, rows))
        progress(f"rehearsal: {len(transcript.events)} answers about {rows} made-up rows; nothing was charged")
        return _finish(approved, transcript, partial, progress)
    finally:
        partial.end()


def resume(out: str | Path, *, progress: Progress = silent) -> Release:
    """Finish a run whose answers were already paid for; spends nothing and reads no rows.

    Raises SpecError where there is nothing to finish, BudgetRefused where the answers were not complete (what was charged stays spent).
    """
    partial = Partial(pipeline.bundle_path(out))
    with partial.alone():
        return _resumed(partial, progress)


def _resumed(partial: Partial, progress: Progress) -> Release:
    spec, entry = Spec.from_facts(partial.spec()), partial.entry()
    if entry is None:
        raise SpecError(
            f"the run stopped around its charge, before any answer: look at `dpsynth ledger show {spec.ledger}`, "
            f"remove {partial.folder}, start anew"
        )
    ledger = Ledger.open(spec.ledger)
    prepare_entry = pipeline.resume_point(ledger, entry["id"])
    guarantee, questions = pipeline.planned(spec)
    charged = (prepare_entry.release, prepare_entry.body["purpose"], prepare_entry.body["plan"])
    if charged != (spec.name, spec.purpose, questions.digest()):
        raise SpecError(f"the spec in {partial.folder} is not the one that was charged: restore it from a copy")
    approved = Approved(spec, guarantee, ledger, prepare_entry)
    transcript = partial.transcript()
    if transcript is None:
        ledger.aborted(prepare_entry.id, "the run stopped before its answers were complete")
        partial.end()
        raise BudgetRefused("the run stopped before its answers were complete: what it charged stays spent; start a new run")
    if partial.out.exists():
        return _already_written(approved, transcript, partial)
    return _finish(approved, transcript, partial, progress)


def _already_written(approved: Approved, transcript: Transcript, partial: Partial) -> Release:
    """The bundle is whole but the run stopped before its last entry."""
    release = Release.open(partial.out)
    reference = pipeline.record_measured(approved, transcript)
    if reference is None or release.facts["ledger"] != reference.facts():
        raise SpecError(f"{partial.out} is another release: move it away and resume again")
    status = approved.ledger.read().status[reference.entry] if approved.ledger else ""
    if status == "MEASURED":
        _record_released(approved, reference, release.facts["digest"])
    partial.end()
    return release


def rerender(folder: str | Path) -> Path:
    """Write report.html anew from the rest of the bundle. Raises SpecError."""
    bundle = read_bundle(Path(folder))
    path = bundle.folder / "report.html"
    try:
        page = render(bundle)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise SpecError(f"the bundle {folder} does not fit together, so there is no report of it: see `dpsynth verify {folder}`") from None
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path} cannot be written ({error.strerror}): give access, or copy the bundle") from None
    return path


def register(folder: str | Path, out: str | Path, spec: str | Path | None = None, *, draft: bool = False) -> RegistryEntry:
    """Write a bundle's entry for the public registry of deployments to `out`.

    spec: its `[registry]` section replaces what the release was made with. Raises SpecError where facts are missing, unless it is a draft.
    """
    out = Path(out)
    if not FILE_NAME.fullmatch(out.name):
        raise SpecError(f"the registry takes files named by a-z, 0-9 and _, ending in .yaml, got {out.name!r}")
    said, facts = None if spec is None else Spec.from_file(spec).registry, read_bundle(Path(folder)).facts
    try:
        entry = registry_entry(facts, said)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise SpecError(f"the certificate in {folder} does not fit together: see `dpsynth verify {folder}`") from None
    if entry.missing and not draft:
        keys = ", ".join(f"registry.{key}" for key in entry.missing)
        raise SpecError(f"only people know {keys}: write them to the [registry] section of a spec and name it with --spec, or use --draft")
    try:
        with open(out, "x", encoding="utf-8") as file:
            file.write(entry.yaml())
    except OSError as error:
        raise SpecError(f"{out} cannot be written ({error.strerror}): choose another --out") from None
    return entry
