"""A release made again from the answers in its bundle, and compared with what the bundle says. Reads no private rows, spends nothing.

Rules, in order; the first that does not hold ends the replay:
 1. The strategy, given the answers on record in turn, asks the questions on record and no others.
 2. The model fitted to the answers is the bundle's: bit for bit, or within 1e-6 of each array's largest value where processors differ.
 3. The certificate says what a run with these answers writes (schema, unit, guarantee, targets, weights, what is unprotected, settings).
 4. The records drawn from the bundle's model with the public seed are the bundle's.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth import canonical, pipeline
from dpsynth.errors import DpsynthError, VerificationFailed
from dpsynth.knowledge import PublicTable
from dpsynth.pipeline import Approved
from dpsynth.privacy import PrivacyUnit
from dpsynth.publication import Publication
from dpsynth.release.bundle import MEASUREMENTS, MODEL, Bundle, read_bundle, records_file, write_records
from dpsynth.release.certificate import LedgerReference, declared_of
from dpsynth.release.record import read_arrays, transcript_from
from dpsynth.spec import Spec
from dpsynth.verify.verify import Verdict, verify
from dpsynth.wishes import TableWeight, Target
from dpsynth.workload import MustHave, WorkloadTable

SHOWN = "--replay"
"""What the verifier's line of trust names that a replay takes the place of."""

TOLERANCE = 1e-6
OF_THE_RUN = ("software", "ledger")
"""What a certificate says about the run itself, beside its day: no replay can make it again."""


def verify_with_replay(folder: str | Path, ledger: str | Path | None = None) -> Verdict:
    """All that `verify` checks, and, where that holds, that questions, model, statements and records follow from the answers."""
    verdict = verify(folder, ledger)
    if not verdict.ok:
        return verdict
    trusted = [(kind, text) for kind, text in verdict.lines if kind == "trust" and SHOWN not in text]
    verdict.lines[:] = [line for line in verdict.lines if line[0] != "trust"]
    try:
        verdict.lines.extend(("ok", line) for line in replay_lines(Path(folder)))
    except DpsynthError as error:
        verdict.lines.append(("FAIL", f"the replay failed: {error}{_other_versions(Path(folder))}"))
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        verdict.lines.append(("FAIL", f"the replay failed: the bundle does not fit together ({type(error).__name__})"))
    verdict.lines.extend(trusted)
    return verdict


def replay_lines(folder: Path) -> Iterator[str]:
    """A sentence for each rule that holds. Raises VerificationFailed or another DpsynthError at the first that does not."""
    bundle = read_bundle(folder)
    facts = _with_penalty(bundle.facts)
    spec = spec_of(facts)
    transcript = transcript_from(facts["exchanges"], read_arrays(folder / MEASUREMENTS))
    approved = Approved(spec, pipeline.planned(spec)[0], None, None)
    measurements = pipeline.replayed(spec, approved.guarantee, transcript)
    questions = len(transcript.exchanges)
    yield f"the strategy {spec.strategy!r}, given these answers in turn, asks the {questions} questions on record and no others"
    whole = pipeline.whole(spec, approved.guarantee, transcript)
    model = pipeline.fit(whole, measurements)
    exact = _same_model(read_arrays(folder / MODEL), model.arrays())
    how = "bit for bit" if exact else f"within {TOLERANCE:g} of the largest value of each array, not bit for bit"
    yield f"the model fitted to these answers ({spec.estimator}) is {MODEL}, {how}"
    held = facts["ledger"]
    expected = pipeline.certificate(approved, transcript, model, LedgerReference(**held) if held is not None else None).facts()
    _refuse_other_statements(facts, expected, exact)
    yield "the certificate says what a run with these answers writes (not compared: day, software, ledger entries)"
    rows = expected["synthesis"]["rows"]
    yield f"the {rows} records drawn from that model with the public seed {spec.seed} are {_same_records(bundle, whole)}"


def spec_of(facts: Mapping[str, Any]) -> Spec:
    """What a certificate says the release was asked to be; without source and ledger, which a bundle does not name. Raises SpecError."""
    claim, asked, unit = facts["guarantee"], facts["synthesis"], facts["unit"]
    rational = canonical.rational
    return Spec(
        name=facts["release"]["name"],
        purpose=facts["release"]["purpose"],
        source="",
        ledger="",
        epsilon=rational(claim["epsilon"]),
        delta=rational(claim["delta"]),
        schema=declared_of(dict(facts)),
        unit=PrivacyUnit(unit["id"], unit["max_rows"], unit["neighbours"]),
        **{key: asked[key] for key in ("strategy", "estimator", "degree", "seed", "format", "rows_about", "rows_source")},
        **{key: asked[key] for key in ("iterations", "table_cells", "penalty")},
        pairs_with=tuple(asked["pairs_with"]),
        workload=tuple(WorkloadTable(tuple(t["columns"]), t["weight"]) for t in facts["workload"]),
        must_have=tuple(MustHave(tuple(t["columns"])) for t in facts["must_have"]),
        rows=asked["rows"] if asked["rows_from"] == "the spec" else None,
        targets=tuple(Target(tuple(t["columns"]), rational(t["within"]), rational(t["confidence"])) for t in facts["targets"]),
        weights=tuple(TableWeight(tuple(w["columns"]), rational(w["weight"])) for w in facts["weights"]),
        public=tuple(map(PublicTable.read, facts["public"])),
        registry=Publication.from_facts(facts["registry"]),
    )


def _with_penalty(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same, of a certificate from before it named the penalty of a selection: `aim` had the discount, others none."""
    asked = facts["synthesis"]
    return {**facts, "synthesis": {"penalty": "discount" if asked["strategy"] == "aim" else None, **asked}}


def _same_model(held: Mapping[str, NDArray[Any]], made: Mapping[str, NDArray[Any]]) -> bool:
    """Whether they are the same bit for bit. Raises VerificationFailed where they are not even close."""
    if {name: (a.dtype, a.shape) for name, a in held.items()} != {
        name: (np.asarray(a).dtype, np.asarray(a).shape) for name, a in made.items()
    }:
        raise VerificationFailed(f"{MODEL} holds other arrays than the model that is fitted to these answers")
    if all(held[name].tobytes() == np.asarray(made[name]).tobytes() for name in held):
        return True
    for name in held:
        if not _close(held[name], np.asarray(made[name])):
            raise VerificationFailed(f"{MODEL} is not the model that is fitted to these answers: its array {name!r} differs")
    return False


def _close(held: NDArray[Any], made: NDArray[Any]) -> bool:
    if held.dtype.kind != "f":
        return bool(np.array_equal(held, made))
    largest = float(np.abs(made, where=np.isfinite(made), out=np.zeros_like(made)).max(initial=0))
    return bool(np.allclose(held, made, rtol=0, atol=TOLERANCE * largest))


def _refuse_other_statements(said: Mapping[str, Any], expected: Mapping[str, Any], exact: bool) -> None:
    skipped = (*OF_THE_RUN, *(() if exact else ("fit",)))
    said = {**said, "release": {**said["release"], "day": expected["release"]["day"]}}
    others = [key for key in expected if key not in skipped and canonical.dumps(said[key]) != canonical.dumps(expected[key])]
    if others:
        raise VerificationFailed(f"the certificate says something else than a run with these answers writes, under {', '.join(others)}")


def _same_records(bundle: Bundle, spec: Spec) -> str:
    """The file's name and how close. Raises VerificationFailed where a record differs."""
    name, model, held = records_file(spec.format), bundle.model(), bundle.records()
    if len(held) != pipeline.row_count(spec, model):
        raise VerificationFailed(f"{name} does not hold the number of records that the certificate states")
    with tempfile.TemporaryDirectory() as work:
        made = Path(work)
        write_records(made / name, pipeline.records(spec, model))
        if (made / name).read_bytes() == (bundle.folder / name).read_bytes():
            return f"{name}, byte for byte"
        if Bundle(made, bundle.facts).records().equals(held):
            return f"{name}, value by value (its bytes are those of another version of the writer)"
    raise VerificationFailed(f"{name} does not hold the records that this model gives with the public seed {spec.seed}")


def _other_versions(folder: Path) -> str:
    """What is installed here in another version than the release was made with, in words."""
    try:
        said, here = read_bundle(folder).facts["software"], pipeline.software()
    except DpsynthError:
        return ""
    others = [f"{name} {str(said.get(name))[:40]} (here {version})" for name, version in here.items() if said.get(name) != version]
    return f". It was made with {', '.join(others)}: replay it with the same" if others else ""
