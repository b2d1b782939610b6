"""What a forger tries on a bundle and its ledger: each breaks one rule of the verifier and keeps all others."""

import hashlib
import json
import warnings
import zipfile
from fractions import Fraction

import numpy as np

from dpsynth.core.accountant import guarantee_for
from dpsynth.release.record import read_arrays, write_arrays
from dpsynth.verify.verify import up
from tests.faults.forging import forge, plain_json

GAUSSIAN, ERRORS, CHOICE, LABELS = "discrete-gaussian", "gaussian-errors", "noisy-max", "gaussian-threshold"


def event(record, mechanism):
    return next(e for exchange in record["exchanges"] for e in exchange["events"] if e["mechanism"] == mechanism)


def exchange_of(record, mechanism):
    return next(x for x in record["exchanges"] if any(e["mechanism"] == mechanism for e in x["events"]))


def of_type(chain, kind):
    return next(entry for entry in chain if entry["type"] == kind)


def setting(*path, value):
    """A change that puts a value at a path."""

    def change(thing):
        for key in path[:-1]:
            thing = thing[key]
        thing[path[-1]] = value

    return change


def in_event(of, /, **values):
    return lambda record: event(record, of).update(values)


def in_entry(kind, **values):
    return lambda chain: of_type(chain, kind).update(values)


def both(*changes):
    def change(thing):
        for each in changes:
            each(thing)

    return change


def rewritten(name, made):
    """A change of one file of the bundle: made(bytes) -> bytes."""
    return lambda bundle: (bundle / name).write_bytes(made((bundle / name).read_bytes()))


def rearranged(change):
    """A change of the arrays in measurements.npz."""

    def files(bundle):
        arrays = dict(read_arrays(bundle / "measurements.npz"))
        change(arrays)
        write_arrays(bundle / "measurements.npz", arrays)

    return files


def raw_array(change):
    """The first member of measurements.npz with its raw bytes changed."""

    def files(bundle):
        path = bundle / "measurements.npz"
        with zipfile.ZipFile(path) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        with zipfile.ZipFile(path, "w") as archive:
            for number, (name, data) in enumerate(members):
                archive.writestr(name, change(data) if number == 0 else data)

    return files


def squeezed(bundle):
    """The same arrays, packed by a method that this format does not use."""
    path = bundle / "measurements.npz"
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in members:
            archive.writestr(name, data)


def linked(name):
    def change(release):
        (release.bundle / name).rename(release.bundle.parent / "elsewhere")
        (release.bundle / name).symlink_to(release.bundle.parent / "elsewhere")

    return change


def raw(name, change):
    """Bytes of release.json or ledger.jsonl changed, and nothing made to fit."""

    def forgery(release):
        path = (release.bundle if name == "release.json" else release.ledger) / name
        path.write_bytes(change(path.read_bytes()))

    return forgery


def resealed_text(old, new):
    """release.json with a text replaced and the digest made anew over what a lenient reader would read."""

    def change(data):
        text = data.decode().replace(old, new)
        record = json.loads(text)
        claimed = record.pop("digest")
        record = json.loads(plain_json(record))
        return text.replace(claimed, hashlib.sha256(plain_json(record)).hexdigest()).encode()

    return raw("release.json", change)


def forged(**changes):
    return lambda release: forge(release, **changes)


def extra_release(**values):
    """Another PREPARE after the rest; by default a small one that may stand there."""

    def entries(chain):
        new = {**of_type(chain, "PREPARE"), "id": "f" * 32, "rho": "1/1024"}
        chain.append({**new, **values})

    return entries


def added(**values):
    """An entry after the rest that charges nothing."""
    blank = {"type": "NOTE", "id": "", "release": "", "rho": "0/1", "delta": "0/1", "track": "", "body": {"text": ""}}
    return lambda chain: chain.append({**chain[-1], **blank, **values})


def policy(chain, **values):
    body = {**of_type(chain, "POLICY")["body"], **values}
    return {"type": "POLICY", "id": "", "release": "", "rho": "0/1", "delta": "0/1", "track": "", "body": body}


def overdrawn_then_raised(chain):
    """A charge beyond the policy, and a larger policy after it."""
    extra_release(rho="5/1")(chain)
    chain.append({**chain[-1], **policy(chain, epsilon="900/1")})


def of_another_unit(kind):
    def entries(chain):
        body = json.loads(json.dumps(of_type(chain, kind)["body"]))
        body["unit"] = {**body["unit"], "id": "household"}
        added(type=kind, id="f" * 32, rho="1/1024", track="zcdp", body=body)(chain) if kind == "PREPARE" else added(type=kind, body=body)(
            chain
        )

    return entries


def cut(data):
    return data[: data.rindex(b"\n", 0, -1) + 1]


def other_track(chain):
    found = of_type(chain, "PREPARE")
    found["track"] = {"gdp": "zcdp", "zcdp": "gdp"}[found["track"]]


def last_entry(**values):
    """The ledger's last entry changed, with the hash that it then has unless that is what was changed."""

    def forgery(release):
        chain = release.entries()
        chain[-1].update(values)
        content = {key: value for key, value in chain[-1].items() if key != "hash"}
        chain[-1]["hash"] = values.get("hash", hashlib.sha256(b"\x00" + plain_json(content)).hexdigest())
        (release.ledger / "ledger.jsonl").write_bytes(b"".join(plain_json(entry) + b"\n" for entry in chain))

    return forgery


def priced(found):
    """The price that an event's parameters imply."""
    precision = 1 / Fraction(found["scale"]) ** 2
    cost = found["sensitivity"] ** 2 * precision / 2
    gaussian = up(cost * (1 + precision / 9)) * (found["outcomes"] if found["mechanism"] == ERRORS else 1)
    rho = up(cost) if found["mechanism"] == CHOICE else gaussian
    found["rho"] = f"{rho.numerator}/{rho.denominator}"


def dearer(mechanism, times=1, more=0):
    """An event with a larger sensitivity, paid for."""

    def change(record):
        found = event(record, mechanism)
        found["sensitivity"] = found["sensitivity"] * times + more
        priced(found)

    return change


def quarter(found):
    rho = Fraction(found["rho"]) / 4
    return f"{rho.numerator}/{rho.denominator}"


def roomy(chain):
    """A policy and a charge with room for a large claim."""
    of_type(chain, "POLICY")["body"].update(epsilon="900/1")
    of_type(chain, "PREPARE").update(rho="20/1")


def fine_noise(record):
    """Noise of scale 1/2, paid for, in a claim that has room for it."""
    event(record, GAUSSIAN)["scale"] = exchange_of(record, GAUSSIAN)["tables"][0]["sigma"] = "1/2"
    priced(event(record, GAUSSIAN))
    record["guarantee"].update(rho="20/1", epsilon="100/1", zcdp_epsilon="100/1", alpha="3/1")


def paid_twice(mechanism):
    """The same event once more, paid for, with no answer of its own."""

    def change(record):
        found = exchange_of(record, mechanism)
        found["events"].append(dict(event(record, mechanism)))

    return change


def in_table(**values):
    return lambda record: exchange_of(record, GAUSSIAN)["tables"][0].update(values)


def told(*texts):
    """Other labels than those found, with as many counts."""
    changed = rearranged(lambda arrays: arrays.update({"labels-00000": np.full(len(texts), 9999)}))
    return forged(facts=lambda record: exchange_of(record, LABELS)["labels"].update(texts=list(texts)), files=changed)


def labels_elsewhere(mechanism):
    """Labels that ride on another answer."""
    added = rearranged(lambda arrays: arrays.update({"more": np.full(1, 9999)}))
    return forged(facts=lambda record: exchange_of(record, mechanism).update(labels={"texts": ["Ayr"], "array": "more"}), files=added)


def choice_beside_errors(record):
    """A selection and a list of errors in one exchange."""
    kept, gone = exchange_of(record, ERRORS), exchange_of(record, CHOICE)
    kept["events"] += [{**found, "question": kept["question"]} for found in gone["events"]]
    kept["selected"] = gone["selected"]
    record["exchanges"].remove(gone)


def table_twice(record):
    first = exchange_of(record, GAUSSIAN)
    for name in ("tables", "events"):
        first[name].insert(1, dict(first[name][0]))


def member_twice(bundle):
    """An archive that holds two members of the same name."""
    path = bundle / "measurements.npz"
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in [members[0], *members]:
            archive.writestr(name, data)


def nothing_asked(bundle):
    write_arrays(bundle / "measurements.npz", {})


def mixed_beyond_zcdp(chain):
    """A release on the other track: the sum would be within the policy if all were Gaussian, and is not."""
    own = of_type(chain, "PREPARE")
    caps = [guarantee_for(Fraction(2), Fraction(1, 10**9), track).rho.value for track in ("zcdp", "gdp")]
    rest = sum(caps, Fraction(0)) / 2 - Fraction(own["rho"])
    extra_release(rho=f"{rest.numerator}/{rest.denominator}", track={"gdp": "zcdp", "zcdp": "gdp"}[own["track"]])(chain)


def joined_exchanges(record):
    """A selection or list of errors moved into the exchange of the tables."""
    first, other = exchange_of(record, GAUSSIAN), record["exchanges"][-1]
    for found in other["events"]:
        found["question"] = first["question"]
    first["events"] = other["events"] + first["events"]
    first.update(selected=other["selected"], errors=other["errors"])
    record["exchanges"].remove(other)


ON_BOTH_TRACKS = {
    "a byte of a text": raw("release.json", lambda data: data.replace(b'"a test"', b'"a tess"')),
    "a space": raw("release.json", lambda data: data.replace(b'{"digest"', b'{ "digest"')),
    "two line ends": raw("release.json", lambda data: data + b"\n"),
    "no line end": raw("release.json", lambda data: data[:-1]),
    "a key repeated": resealed_text('"format":', '"format":"x","format":'),
    "an integer that is a float": resealed_text('"degree":2', '"degree":2.0'),
    "an integer of 41 digits": forged(late=setting("synthesis", "degree", value=10**40)),
    "NaN": raw("release.json", lambda data: data.replace(b'"degree":2', b'"degree":NaN')),
    "another format": forged(late=setting("format", value="dpsynth-release/1")),
    "a rehearsal": forged(late=setting("rehearsal", value=True)),
    "rehearsal as a number": forged(late=setting("rehearsal", value=0)),
    "a file more": lambda release: (release.bundle / "more.csv").write_text("x"),
    "a file less": lambda release: (release.bundle / "synthetic.csv").unlink(),
    "a file changed": lambda release: (release.bundle / "synthetic.csv").write_text("sex,age\nm,31\n"),
    "a file listed with another size": forged(late=setting("files", "synthetic.csv", "bytes", value=1)),
    "a file listed with another digest": forged(late=setting("files", "synthetic.csv", "sha256", value="0" * 64)),
    "a linked file": linked("synthetic.csv"),
    "a linked certificate": linked("release.json"),
    "no rows": forged(late=setting("unit", "max_rows", value=0)),
    "rows that are a text": forged(late=setting("unit", "max_rows", value="2")),
    "rows that are true": forged(late=setting("unit", "max_rows", value=True)),
    "other neighbours": forged(facts=setting("unit", "neighbours", value="change-one")),
    "several rows of nobody": forged(facts=setting("unit", "id", value="")),
    "no cells": forged(facts=lambda record: record["schema"][0].update(cells=0)),
    "an event made cheaper": forged(facts=in_event(GAUSSIAN, rho="1/1024")),
    "an event made dearer": forged(facts=in_event(GAUSSIAN, rho="1/200")),
    "errors made cheaper": forged(facts=in_event(ERRORS, rho="1/1024")),
    "errors that cost as one": forged(facts=lambda record: event(record, ERRORS).update(outcomes=1)),
    "a smaller sensitivity": forged(facts=in_event(GAUSSIAN, sensitivity=1)),
    "a sensitivity of 0": forged(facts=in_event(GAUSSIAN, sensitivity=0, rho="0/1")),
    "a larger sensitivity": forged(facts=in_event(GAUSSIAN, sensitivity=4)),
    "a larger sensitivity, paid for": forged(facts=dearer(GAUSSIAN, 2)),
    "errors of larger sensitivity, paid for": forged(facts=dearer(ERRORS, 2)),
    "another table": forged(facts=in_event(GAUSSIAN, outcomes=99)),
    "errors of a table": forged(facts=in_event(ERRORS, columns=["sex"])),
    "no outcomes": forged(facts=in_event(ERRORS, outcomes=0, rho="0/1")),
    "no noise": forged(facts=in_event(ERRORS, scale="0/1")),
    "an unknown mechanism": forged(facts=in_event(ERRORS, mechanism="laplace")),
    "a scale not in lowest terms": forged(facts=both(in_event(GAUSSIAN, scale="120/2"), in_table(sigma="120/2"))),
    "a scale with a sign": forged(facts=in_event(GAUSSIAN, scale="-60/1")),
    "a scale that is a float": forged(facts=in_event(GAUSSIAN, scale="60.0")),
    "a scale of 500 digits": forged(facts=in_event(GAUSSIAN, scale="6" * 500 + "/1")),
    "an event of another question": forged(facts=in_event(GAUSSIAN, question="0" * 64)),
    "a table that nobody paid for": forged(facts=lambda record: exchange_of(record, GAUSSIAN)["events"].pop()),
    "a table with other noise than its event": forged(facts=lambda record: exchange_of(record, GAUSSIAN)["tables"][0].update(sigma="50/1")),
    "errors that nobody paid for": forged(facts=lambda record: exchange_of(record, ERRORS)["events"].clear()),
    "errors paid for and withheld": forged(facts=lambda record: exchange_of(record, ERRORS).update(errors=None)),
    "errors paid for twice": forged(facts=paid_twice(ERRORS)),
    "other answers beside a table": forged(facts=joined_exchanges),
    "a selection that nobody paid for": forged(facts=lambda record: exchange_of(record, GAUSSIAN).update(selected=0)),
    "a transcript of other answers": forged(late=setting("transcript", value="0" * 64)),
    "a selection that rides on errors": forged(facts=lambda record: exchange_of(record, ERRORS).update(selected=0)),
    "an array under a name that is there twice": forged(facts=table_twice, files=member_twice),
    "an array more": forged(files=rearranged(lambda arrays: arrays.update({"more": np.zeros(1, dtype=np.int64)}))),
    "an array less": forged(files=rearranged(lambda arrays: arrays.pop("table-00001"))),
    "an array of floats": forged(files=rearranged(lambda arrays: arrays.update({"table-00000": arrays["table-00000"].astype(float)}))),
    "an array of another length": forged(files=rearranged(lambda arrays: arrays.update({"table-00000": np.zeros(9, dtype=np.int64)}))),
    "an array of another version": forged(files=raw_array(lambda data: data[:6] + b"\x02" + data[7:])),
    "an array cut short": forged(files=raw_array(lambda data: data[:-8])),
    "an array with more at its end": forged(files=raw_array(lambda data: data + b"\0" * 8)),
    "a huge array": forged(files=raw_array(lambda data: data + b"\0" * 9000)),
    "arrays packed in another way": forged(files=squeezed),
    "one array for two tables": forged(
        facts=lambda record: exchange_of(record, GAUSSIAN)["tables"][1].update(array="table-00000"),
        files=rearranged(lambda arrays: arrays.pop("table-00001")),
    ),
    "a sum that is none": forged(late=setting("spent", value="1/1024")),
    "a claim below the sum": forged(late=setting("guarantee", "rho", value="1/1024")),
    "no rho": forged(late=setting("guarantee", "rho", value="0/1")),
    "a claim without a cost": forged(
        facts=lambda record: record["exchanges"].clear(), files=nothing_asked, late=setting("guarantee", "rho", value="0/1")
    ),
    "a smaller epsilon": forged(late=lambda record: record["guarantee"].update(epsilon="9/10", zcdp_epsilon="9/10")),
    "a smaller epsilon on its track": forged(late=setting("guarantee", "epsilon", value="9/10")),
    "a smaller zCDP epsilon": forged(late=lambda record: record["guarantee"].update(epsilon="1/2", zcdp_epsilon="1/2")),
    "a smaller delta": forged(late=setting("guarantee", "delta", value="1/10000000000000")),
    "no delta": forged(late=setting("guarantee", "delta", value="0/1")),
    "a delta of 1": forged(late=setting("guarantee", "delta", value="1/1")),
    "no epsilon": forged(late=setting("guarantee", "epsilon", value="0/1")),
    "a witness of 1": forged(late=setting("guarantee", "alpha", value="1/1")),
    "another witness": forged(late=setting("guarantee", "alpha", value="500/1")),
    "a huge witness": forged(late=setting("guarantee", "alpha", value="1" + "0" * 11 + "/1")),
    "a huge epsilon": forged(late=lambda record: record["guarantee"].update(epsilon="10000000/1", zcdp_epsilon="10000000/1")),
    "a huge rho": forged(late=lambda record: record["guarantee"].update(rho="1000000000/1")),
    "another track": forged(late=setting("guarantee", "track", value="rdp"), entries=in_entry("PREPARE", track="zcdp")),
    "a torn ledger": raw("ledger.jsonl", lambda data: data[:-1]),
    "a ledger that lost its last entries": raw("ledger.jsonl", lambda data: cut(cut(cut(data)))),
    "a ledger without the measurement": forged(late_entries=lambda chain: [chain.remove(e) for e in chain[3:]]),
    "a ledger of another dataset": forged(entries=lambda chain: chain[0]["body"].update(dataset="other")),
    "a byte of the ledger": raw("ledger.jsonl", lambda data: data.replace(b'"a test"', b'"a tess"')),
    "an entry with a key more": forged(entries=lambda chain: chain[3].update(more=1)),
    "an entry numbered otherwise": last_entry(seq=9),
    "an entry with another hash": last_entry(hash="0" * 64),
    "an entry of version true": forged(entries=lambda chain: chain[3].update(v=True)),
    "an entry of version and number true": forged(entries=lambda chain: chain[1].update(v=True, seq=True)),
    "an entry of version 2": forged(entries=lambda chain: chain[3].update(v=2)),
    "an entry that names another": last_entry(prev="0" * 64),
    "another PREPARE": forged(late=setting("ledger", "prepare", value="0" * 64)),
    "another MEASURED": forged(late=setting("ledger", "measured", value="0" * 64)),
    "a smaller charge": forged(entries=in_entry("PREPARE", rho="1/100")),
    "a charge on the other track": forged(entries=other_track),
    "a charge for another unit": forged(
        entries=lambda chain: of_type(chain, "PREPARE")["body"].update(unit={"id": "person", "max_rows": 1, "neighbours": "add-remove"})
    ),
    "MEASURED of other answers": forged(entries=in_entry("MEASURED", body={"transcript": "", "events": 3})),
    "RELEASED of another certificate": forged(late_entries=in_entry("RELEASED", body={"certificate": "0" * 64})),
    "a first entry that is no GENESIS": forged(entries=lambda chain: chain[0].update(type="NOTE")),
    "a second entry that is no POLICY": forged(entries=lambda chain: chain.insert(1, {**chain[0], "type": "NOTE"})),
    "two GENESIS": forged(entries=lambda chain: chain.append(dict(chain[0]))),
    "a refund": forged(entries=added(type="REFUND", rho="1/1024")),
    "a NOTE that charges rho": forged(entries=added(rho="1/1024")),
    "a NOTE that charges delta": forged(entries=added(delta="1/100000000000")),
    "a NOTE that charges both alike": forged(entries=added(rho="1/1024", delta="1/1024")),
    "a NOTE on a track": forged(entries=added(track="gdp")),
    "an entry of an unknown type": forged(entries=added(type="REMARK")),
    "a PREPARE for another unit": forged(entries=of_another_unit("PREPARE")),
    "a POLICY for another unit": forged(entries=of_another_unit("POLICY")),
    "a PREPARE of nothing": forged(entries=extra_release(rho="0/1")),
    "a PREPARE on no track": forged(entries=extra_release(track="")),
    "a PREPARE without an id": forged(entries=extra_release(id="")),
    "a PREPARE under an id that is used": forged(entries=both(extra_release(), extra_release())),
    "a PREPARE with other neighbours": forged(
        entries=extra_release(body={"unit": {"id": "person", "max_rows": 1, "neighbours": "change-one"}, "purpose": "", "plan": ""})
    ),
    "a RELEASED without a MEASURED": forged(entries=both(extra_release(), added(type="RELEASED", id="f" * 32, body={}))),
    "a MEASURED without a PREPARE": forged(entries=added(type="MEASURED", id="e" * 32, body={})),
    "an account that is within its policy only if all were Gaussian": forged(entries=mixed_beyond_zcdp),
    "an overdrawn account": forged(entries=extra_release(rho="5/1")),
    "an overdrawn account whose policy was raised later": forged(entries=overdrawn_then_raised),
    "an account that gave away all of its delta": forged(entries=extra_release(delta="1/1000000000")),
    "an account that gave away too much delta": forged(entries=both(extra_release(delta="999/1000000000000", rho="7/200"))),
}

WITH_LABELS = {
    "labels made cheaper": forged(facts=in_event(LABELS, rho="1/100000")),
    "labels made dearer": forged(facts=in_event(LABELS, rho="1/1000")),
    "labels of larger sensitivity, paid for": forged(facts=dearer(LABELS, 2)),
    "labels of a smaller sensitivity": forged(facts=in_event(LABELS, sensitivity=1)),
    "labels with less noise": forged(facts=in_event(LABELS, scale="80/1")),
    "labels that give away less": forged(facts=in_event(LABELS, delta="1/100000000000")),
    "labels that give away nothing": forged(facts=in_event(LABELS, delta="0/1")),
    "labels with a lower threshold": forged(facts=in_event(LABELS, threshold=300)),
    "labels with a threshold that hides nobody": forged(facts=in_event(LABELS, threshold=1)),
    "labels with a threshold that is no number": forged(facts=in_event(LABELS, threshold="700")),
    "labels with a threshold below 0": forged(facts=in_event(LABELS, threshold=-(10**9))),
    "labels of a column whose cells are declared": forged(facts=in_event(LABELS, columns=["sex"])),
    "labels of two columns": forged(facts=in_event(LABELS, columns=["town", "town"])),
    "labels of no column": forged(facts=in_event(LABELS, columns=[])),
    "labels of a column that is found by then": forged(facts=lambda record: record["discovery"].update(exchanges=0)),
    "a table with a threshold": forged(facts=in_event(GAUSSIAN, threshold=1)),
    "errors that give delta away": forged(facts=in_event(ERRORS, delta="1/1000000000000")),
    "labels that nobody paid for": labels_elsewhere(GAUSSIAN),
    "labels that ride on errors": labels_elsewhere(ERRORS),
    "labels paid for and withheld": forged(
        facts=lambda record: exchange_of(record, LABELS).update(labels=None), files=rearranged(lambda arrays: arrays.pop("labels-00000"))
    ),
    "labels paid for twice": forged(facts=paid_twice(LABELS)),
    "a label told twice": told("Ely", "Ely"),
    "more labels than asked for": told("Ely", "Rye", "Ayr", "Wem"),
    "labels that are no texts": told(1, 2),
    "a label more than counts": forged(facts=lambda record: exchange_of(record, LABELS)["labels"]["texts"].append("Ayr")),
    "another label": forged(
        late=lambda record: exchange_of(record, LABELS)["labels"].update(texts=["Ayr", *exchange_of(record, LABELS)["labels"]["texts"][1:]])
    ),
    "a claim that gives away less": forged(late=setting("guarantee", "given", value="1/1000000000000")),
    "a claim that gives all of delta away": forged(late=setting("guarantee", "given", value="1/1000000000")),
    "a charge that gives away less": forged(entries=in_entry("PREPARE", delta="1/1000000000000")),
}

WITH_A_SELECTION = {
    "a selection at the price of a monotone one": forged(
        facts=lambda record: event(record, CHOICE).update(rho=quarter(event(record, CHOICE)))
    ),
    "a selection of weight 33": forged(facts=dearer(CHOICE, 11)),
    "a selection of no whole weight": forged(facts=dearer(CHOICE, 1, 1)),
    "a selection of a table": forged(facts=in_event(CHOICE, columns=["sex"])),
    "a candidate that does not exist": forged(facts=lambda record: exchange_of(record, CHOICE).update(selected=2)),
    "a candidate that is no number": forged(facts=lambda record: exchange_of(record, CHOICE).update(selected=True)),
    "errors that ride on a selection": forged(
        facts=lambda record: exchange_of(record, CHOICE).update(errors="more"),
        files=rearranged(lambda arrays: arrays.update({"more": np.zeros(2, dtype=np.int64)})),
    ),
    "a selection beside errors": forged(facts=choice_beside_errors),
    "a candidate below the first": forged(facts=lambda record: exchange_of(record, CHOICE).update(selected=-1)),
    "a selection paid for and withheld": forged(facts=lambda record: exchange_of(record, CHOICE).update(selected=None)),
    "a selection paid for twice": forged(facts=paid_twice(CHOICE)),
    "a selection on the Gaussian track": forged(late=setting("guarantee", "track", value="gdp"), entries=in_entry("PREPARE", track="gdp")),
}

ON_THE_GAUSSIAN_TRACK = {
    "noise too fine for the Gaussian track": forged(facts=fine_noise, entries=roomy),
    "an epsilon above what zCDP implies": forged(late=setting("guarantee", "epsilon", value="2/1")),
    "an epsilon below what Gaussian noise implies": forged(late=setting("guarantee", "epsilon", value="99/100")),
    "a Gaussian claim beyond what is evaluated": forged(late=setting("guarantee", "epsilon", value="1/100")),
}
