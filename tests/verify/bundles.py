"""A small real release on disk: rows to answers through the curator, charged to a ledger, certified; and ways to forge it."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np

from dpsynth import canonical
from dpsynth.core.accountant import guarantee_for
from dpsynth.core.curator import Curator
from dpsynth.core.ledger import Ledger
from dpsynth.inference.model import FitReport
from dpsynth.privacy import GDP, ZCDP, PrivacyUnit
from dpsynth.questions import ErrorsQuestion, MarginalQuestion, SelectionQuestion
from dpsynth.release.certificate import Certificate, Heading, LedgerReference, Settings
from dpsynth.release.record import transcript_arrays, write_arrays
from dpsynth.schema import Schema, column_from
from tests.core.rows import ListedRows

UNIT = PrivacyUnit("person", 2)
SCHEMA = Schema(
    (
        column_from("sex", {"kind": "categorical", "values": ["f", "m"], "source": "public: the form"}),
        column_from("age", {"kind": "integer", "min": 0, "max": 99, "bins": 4}),
        column_from("smokes", {"kind": "boolean", "missing": True}),
    )
)
ROWS = [(0, 1, 0), (1, 3, 2), (2, 0, 1), (0, 2, 0)]
FILES = ("synthetic.csv", "measurements.npz", "model.npz")


def answered(cap, track):
    """A transcript with tables, then on the Gaussian track noisy errors and on the other one a selection with a penalty, then a table."""
    curator = Curator(ListedRows(SCHEMA.domain, ROWS), UNIT, cap, track)
    curator.ask(MarginalQuestion((("sex",), ("age",), ("smokes",)), (40.0, 40.0, 41.5)))
    pairs = (("sex", "age"), ("age", "smokes"))
    estimates = tuple(np.zeros(SCHEMA.domain.cells(pair), dtype=np.int64) for pair in pairs)
    if track == GDP:
        chosen = pairs[int(curator.ask(ErrorsQuestion(pairs, estimates, 60.0)).errors.argmax())]
    else:
        chosen = pairs[curator.ask(SelectionQuestion(pairs, estimates, (1, 3), 200.0, (0, 3 << 16))).selected]
    curator.ask(MarginalQuestion((chosen,), (50.0,)))
    return curator.transcript()


def build(folder, ledger_folder, track=ZCDP):
    """Writes the bundle; returns its ledger."""
    ledger = Ledger.init(ledger_folder, epsilon="2", delta="1e-9", unit="person")
    guarantee = guarantee_for(Fraction(1), Fraction(1, 10**9), track)
    entry = ledger.prepare(release="small", purpose="a test", unit=UNIT, rho=guarantee.rho, track=track, delta=Fraction(0), plan="0" * 64)
    transcript = answered(guarantee.rho, track)
    measured = ledger.measured(entry.id, transcript.digest(), len(transcript.events))
    folder.mkdir()
    (folder / "synthetic.csv").write_text("sex,age,smokes\nf,31,true\n")
    write_arrays(folder / "measurements.npz", transcript_arrays(transcript))
    write_arrays(folder / "model.npz", {"weights": np.ones(3)})
    (folder / "report.html").write_text("<p>not digested")
    certificate = Certificate(
        Heading("small", "a test", "2030-01-01"),
        SCHEMA,
        UNIT,
        guarantee,
        transcript,
        Settings("mst", "maxent", 2, 7, 1, "the spec", "csv"),
        FitReport("maxent", True, 1, 0.0, 0.0, 3),
        LedgerReference(ledger.read().dataset, entry.id, entry.hash, measured.hash),
        {"python": "3"},
    )
    digest = seal(folder, certificate.facts())
    ledger.released(entry.id, digest)
    return ledger


def facts(folder):
    return json.loads((folder / "release.json").read_bytes())


def seal(folder, record):
    """Writes a certificate whose digests are right, whatever else it says; returns its digest."""
    record = {key: value for key, value in record.items() if key not in ("digest", "files")}
    names = sorted(path.name for path in folder.iterdir() if path.name not in ("release.json", "report.html"))
    record["files"] = {name: {"sha256": sha256((folder / name).read_bytes()), "bytes": (folder / name).stat().st_size} for name in names}
    record["digest"] = canonical.digest(record)
    (folder / "release.json").write_bytes(canonical.dumps(record) + b"\n")
    return record["digest"]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def retold(ledger, **replaced):
    """The ledger written anew by someone who may choose every entry: type -> changes of the entry."""
    account, entries = ledger.read(), []
    for entry in account.entries:
        if (changes := replaced.get(entry.type, {})) is None:
            continue
        previous = entries[-1].hash if entries else "0" * 64
        entries.append(replace(entry, seq=len(entries), prev=previous, **changes).sealed())
    (ledger.folder / "ledger.jsonl").write_bytes(b"".join(entry.line() for entry in entries))
    return {entry.type: entry for entry in entries}
