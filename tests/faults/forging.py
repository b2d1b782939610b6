"""A small real release, and a forger who may change anything and makes all digests, sums and hashes fit again."""

import hashlib
import json
import shutil
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from dpsynth import canonical
from dpsynth.core.accountant import guarantee_for
from dpsynth.core.curator import Curator
from dpsynth.core.ledger import Ledger
from dpsynth.engines.codes import CodesEngine, Texts
from dpsynth.inference.model import FitReport
from dpsynth.privacy import GDP, PrivacyUnit
from dpsynth.questions import ErrorsQuestion, LabelsQuestion, MarginalQuestion, SelectionQuestion, threshold_for
from dpsynth.release.certificate import Certificate, Completed, Heading, LedgerReference, Settings
from dpsynth.release.record import transcript_arrays, write_arrays
from dpsynth.schema import Schema, column_from
from dpsynth.verify import verify

UNIT = PrivacyUnit("person", 2)
TOWN = column_from("town", {"kind": "open", "at_most": 3})
COLUMNS = (
    column_from("sex", {"kind": "categorical", "values": ["f", "m"], "source": "public: the form"}),
    column_from("age", {"kind": "integer", "min": 0, "max": 99, "bins": 4}),
)
SCHEMA = Schema((*COLUMNS, TOWN))
"""As declared."""
CODES = {"sex": np.array([0, 1, 2, 0] * 1000), "age": np.array([1, 3, 0, 2] * 1000)}
TOWNS = Texts(("Ely", "Rye", None), np.array([0, 0, 1, 2] * 1000, dtype=np.uint32))
DELTA = Fraction(1, 10**9)


@dataclass(frozen=True)
class Released:
    """A bundle and the folder of its ledger."""

    bundle: Path
    ledger: Path

    def copied(self, folder):
        shutil.copytree(self.bundle, folder / "bundle")
        shutil.copytree(self.ledger, folder / "ledger")
        return Released(folder / "bundle", folder / "ledger")

    def facts(self):
        return json.loads((self.bundle / "release.json").read_bytes())

    def entries(self):
        return [json.loads(line) for line in (self.ledger / "ledger.jsonl").read_bytes().splitlines()]


def released(folder, track):
    """Labels, tables and errors, and on the zCDP track a selection; charged, certified, recorded."""
    ledger = Ledger.init(folder / "ledger", epsilon="2", delta=DELTA, unit="person")
    guarantee = guarantee_for(Fraction(1), DELTA, track, DELTA / 10)
    charge = {"rho": guarantee.rho, "track": track, "delta": guarantee.given}
    entry = ledger.prepare(release="small", purpose="a test", unit=UNIT, **charge, plan="0" * 64)
    curator = Curator(CodesEngine(SCHEMA.domain, CODES, {"town": TOWNS}), UNIT, guarantee.rho, track, guarantee.given)
    labels = curator.ask(LabelsQuestion("town", 90.0, threshold_for(guarantee.given, UNIT, 90.0), 3)).labels
    town = TOWN.with_labels(labels.texts)
    schema = Schema((*COLUMNS, town))
    curator.recode(schema.domain, {"town": town.rule})
    estimates = tuple(np.zeros(schema.domain.cells(clique), dtype=np.int64) for clique in (("sex",), ("age",)))
    curator.ask(MarginalQuestion((("sex",), ("age",)), (60.0, 60.5)))
    curator.ask(ErrorsQuestion((("sex",), ("age",)), estimates, 80.0))
    if track != GDP:
        curator.ask(SelectionQuestion((("sex",), ("age",)), estimates, (1, 3), 200.0))
    transcript = curator.transcript()
    measured = ledger.measured(entry.id, transcript.digest(), len(transcript.events))
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "synthetic.csv").write_text("sex,age\nf,31\n")
    write_arrays(bundle / "measurements.npz", transcript_arrays(transcript))
    write_arrays(bundle / "model.npz", {"weights": np.ones(3)})
    certificate = Certificate(
        Heading("small", "a test", "2030-01-01"),
        schema,
        UNIT,
        guarantee,
        transcript,
        Settings("independent", "maxent", 2, 7, 1, "the spec", "csv"),
        FitReport("maxent", True, 1, 0.0, 0.0, 3),
        LedgerReference(ledger.read().dataset, entry.id, entry.hash, measured.hash),
        {"dpsynth": "0", "python": "3"},
        discovery=Completed(SCHEMA, 1),
    )
    facts = {**certificate.facts(), "files": digests(bundle)}
    facts["digest"] = canonical.digest(facts)
    (bundle / "release.json").write_bytes(canonical.dumps(facts) + b"\n")
    ledger.released(entry.id, facts["digest"])
    return Released(bundle, folder / "ledger")


def digests(bundle):
    files = [path for path in bundle.iterdir() if path.name not in ("release.json", "report.html")]
    return {f.name: {"sha256": hashlib.sha256(f.read_bytes()).hexdigest(), "bytes": f.stat().st_size} for f in files}


def plain_json(value):
    """The bytes of any value that JSON can hold, canonical or not."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def forge(release, *, facts=None, late=None, entries=None, late_entries=None, files=None):
    """Changes the certificate (`facts`), then makes sums, transcript and digests fit; `late` changes it once more before it is sealed.

    entries: changes the ledger before its hashes are made anew; late_entries: the same, after the certificate was made to fit it.
    files: changes files of the bundle before they are digested.
    """
    record, chain = release.facts(), release.entries()
    for change, value in ((files, release.bundle), (facts, record)):
        if change:
            change(value)
    record.update(spent=_spent(record), transcript=_transcript(release.bundle, record), files=digests(release.bundle))
    own = record["ledger"]["entry"]
    count = sum(len(exchange["events"]) for exchange in record["exchanges"])
    for entry in chain:
        if entry["type"] == "MEASURED" and entry["id"] == own:
            entry["body"] = {"transcript": record["transcript"], "events": count}
    if entries:
        entries(chain)
    rechain(chain)
    for kind, key in (("PREPARE", "prepare"), ("MEASURED", "measured")):
        record["ledger"][key] = next((e["hash"] for e in chain if e["type"] == kind and e["id"] == own), "")
    if late:
        late(record)
    del record["digest"]
    record["digest"] = hashlib.sha256(plain_json(record)).hexdigest()
    for entry in chain:
        if entry["type"] == "RELEASED" and entry["id"] == own:
            entry["body"] = {"certificate": record["digest"]}
    if late_entries:
        late_entries(chain)
    rechain(chain)
    (release.bundle / "release.json").write_bytes(plain_json(record) + b"\n")
    (release.ledger / "ledger.jsonl").write_bytes(b"".join(plain_json(entry) + b"\n" for entry in chain))


def rechain(chain):
    """Numbers, links and hashes of entries, made anew as whoever may write the file could; a number written as true stays."""
    for seq, entry in enumerate(chain):
        entry.update(seq=entry["seq"] if entry["seq"] is True else seq, prev=chain[seq - 1]["hash"] if seq else "0" * 64)
        content = {key: value for key, value in entry.items() if key != "hash"}
        entry["hash"] = hashlib.sha256(b"\x00" + plain_json(content)).hexdigest()


def _spent(record):
    total = sum((Fraction(event["rho"]) for exchange in record["exchanges"] for event in exchange["events"]), Fraction(0))
    return f"{total.numerator}/{total.denominator}"


def _transcript(bundle, record):
    """The digest that answers and events have now, whatever form the arrays have; zeros where one is missing."""
    parts = []
    try:
        with zipfile.ZipFile(bundle / "measurements.npz") as archive:
            for exchange in record["exchanges"]:
                tables = [[table["columns"], _values(archive, table["array"])] for table in exchange["tables"]]
                errors = exchange["errors"] and _values(archive, exchange["errors"])
                labels = exchange["labels"] and [exchange["labels"]["texts"], _values(archive, exchange["labels"]["array"])]
                answer = hashlib.sha256(plain_json([tables, exchange["selected"], errors, labels])).hexdigest()
                parts.append([exchange["question"], answer, [[event[key] for key in verify.EVENT_KEYS] for event in exchange["events"]]])
    except KeyError:
        return "0" * 64
    return hashlib.sha256(plain_json(parts)).hexdigest()


def _values(archive, name):
    data = archive.read(f"{name}.npy")
    return hashlib.sha256(data[10 + int.from_bytes(data[8:10], "little") :]).hexdigest()
