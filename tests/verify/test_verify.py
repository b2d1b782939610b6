"""The verifier accepts a real release and rejects every forgery of it that can be told without private data."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dpsynth.core.accountant import best_alpha, guarantee_for
from dpsynth.core.ledger import Ledger
from dpsynth.privacy import GDP, ZCDP, gaussian_rho, noisy_max_rho
from dpsynth.release.record import write_arrays
from dpsynth.verify import verify as verifier
from dpsynth.verify.verify import verify
from tests.verify.bundles import FILES, build, facts, retold, seal

SOURCE = Path(verifier.__file__)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    build(folder / "bundle", folder / "ledger")
    return folder


@pytest.fixture
def release(original, tmp_path):
    """A copy to forge: (bundle, ledger folder)."""
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy" / "bundle", tmp_path / "copy" / "ledger"


def failures(verdict):
    return [text for kind, text in verdict.lines if kind == "FAIL"]


def test_a_real_release_verifies_and_says_what_it_rests_on(release):
    verdict = verify(*release)
    assert verdict.ok, verdict
    kinds = [kind for kind, _ in verdict.lines]
    assert kinds.count("trust") == len(verifier.TRUSTED)
    assert "warning" not in kinds
    assert "RELEASED" in str(verdict)
    assert verifier.verify_ledger(release[1]).ok


def test_without_a_ledger_there_is_a_warning(release):
    verdict = verify(release[0])
    assert verdict.ok
    assert "nothing shows that the budget was charged" in str(verdict)


def test_the_report_is_not_part_of_the_proof(release):
    (release[0] / "report.html").write_text("changed")
    assert verify(*release).ok
    (release[0] / "report.html").unlink()
    assert verify(*release).ok


@pytest.mark.parametrize("name", [*FILES, "release.json"])
def test_a_byte_flipped_anywhere_is_found(release, name):
    path = release[0] / name
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 120)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert not verify(*release).ok, place
    for other in (data[:-1], data + b"\n", data + b"x", b""):
        path.write_bytes(other)
        assert not verify(*release).ok
    path.write_bytes(data)
    assert verify(*release).ok


@pytest.mark.parametrize("place", range(0, 4000, 131))
def test_a_byte_flipped_in_the_ledger_is_found(release, place):
    path = release[1] / "ledger.jsonl"
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert not verify(*release).ok
    assert not verifier.verify_ledger(release[1]).ok


def forged(release, change):
    """The verdict on the certificate after `change`, sealed again; the ledger is left out, as it would name the old digest."""
    record = facts(release[0])
    change(record)
    seal(release[0], record)
    return verify(release[0])


def test_sealing_again_without_a_change_verifies(release):
    assert forged(release, lambda record: None).ok


def first_event(record):
    return record["exchanges"][0]["events"][0]


def selection_event(record):
    return record["exchanges"][1]["events"][0]


def set_in(find, **values):
    return lambda record: find(record).update(values)


def respend(record, **guarantee):
    record["spent"] = str_fraction(sum(Fraction(e["rho"]) for x in record["exchanges"] for e in x["events"]))
    record["guarantee"].update(guarantee)


def str_fraction(value):
    return f"{value.numerator}/{value.denominator}"


def without_event(record):
    del record["exchanges"][0]["events"][1]
    respend(record)


def without_exchange(record):
    del record["exchanges"][2]
    respend(record)


def cheaper(record):
    first_event(record)["rho"] = "1/1152921504606846976"
    respend(record)


def dearer(record):
    first_event(record)["rho"] = str_fraction(Fraction(first_event(record)["rho"]) + Fraction(1, 1 << 60))
    respend(record)


def less_noise_than_said(record):
    event = first_event(record)
    event["scale"] = "80/1"
    event["rho"] = str_fraction(gaussian_rho(2, Fraction(80)).value)
    respend(record)


def smaller_unit(record):
    for exchange in record["exchanges"]:
        for event in exchange["events"]:
            event["sensitivity"] //= 2
            event["rho"] = str_fraction(COST[event["mechanism"]](event["sensitivity"], Fraction(event["scale"])).value)
    respend(record)


def narrower_claim(record):
    respend(record, rho=str_fraction(Fraction(record["spent"]) - Fraction(1, 1 << 60)))


COST = {"discrete-gaussian": gaussian_rho, "noisy-max": noisy_max_rho}


def halved(*keys):
    return lambda record: record["guarantee"].update({key: str_fraction(Fraction(record["guarantee"][key]) / 2) for key in keys})


def swapped_tables(record):
    tables = record["exchanges"][0]["tables"]
    tables[0]["array"], tables[1]["array"] = tables[1]["array"], tables[0]["array"]


def claims_nothing(record):
    record["guarantee"]["alpha"] = "1/1"


FORGERIES = {
    "cheaper event": (cheaper, "cheaper or dearer than its parameters imply"),
    "dearer event": (dearer, "cheaper or dearer than its parameters imply"),
    "smaller sensitivity": (set_in(first_event, sensitivity=1), "another sensitivity than"),
    "smaller sensitivity everywhere": (smaller_unit, "another sensitivity than"),
    "sensitivity of a selection below a row": (set_in(selection_event, sensitivity=1 << 16), "another sensitivity than"),
    "sensitivity of a selection beyond any weight": (set_in(selection_event, sensitivity=33 * 2 << 16), "another sensitivity than"),
    "table of other columns": (set_in(first_event, columns=["age"]), "another table than it measured"),
    "unknown mechanism": (set_in(first_event, mechanism="laplace", sensitivity=2 << 16, columns=[]), "not by a mechanism that is proved"),
    "noise that was not drawn": (less_noise_than_said, "without an event that pays"),
    "table without an event": (without_event, "without an event that pays"),
    "selection without an event": (lambda r: r["exchanges"][1]["events"].clear(), "without an event that pays"),
    "event without a selection": (set_in(lambda r: r["exchanges"][1], selected=None), "without an event that pays"),
    "selection that was not there": (set_in(lambda r: r["exchanges"][1], selected=2), "does not exist"),
    "event of another question": (set_in(first_event, question="0" * 64), "without an event that pays"),
    "unit of another kind": (set_in(lambda r: r["unit"], neighbours="change-one"), "not one this format can protect"),
    "rows of nobody": (set_in(lambda r: r["unit"], id=""), "not one this format can protect"),
    "sum above the claim": (narrower_claim, "cost more than the claimed rho"),
    "other sum": (set_in(lambda r: r, spent="1/2"), "not the sum of the events"),
    "smaller epsilon": (halved("epsilon", "zcdp_epsilon"), "better than rho-zCDP implies"),
    "smaller epsilon than zCDP's, without the Gaussian track": (halved("epsilon"), "track that is not proved"),
    "smaller delta": (halved("delta"), "better than rho-zCDP implies"),
    "delta of zero": (set_in(lambda r: r["guarantee"], delta="0/1"), "out of all proportion"),
    "delta below zero": (set_in(lambda r: r["guarantee"], delta="-1/2"), "lowest terms"),
    "no witness": (claims_nothing, "out of all proportion"),
    "a witness beyond the digits": (set_in(lambda r: r["guarantee"], alpha=f"{10**99}/1"), "out of all proportion"),
    "another track": (set_in(lambda r: r["guarantee"], track="pure"), "track that is not proved"),
    "rational not in lowest terms": (set_in(lambda r: r["guarantee"], epsilon="2/2"), "lowest terms"),
    "exchange left out": (without_exchange, "measurements.npz holds other arrays"),
    "tables swapped": (swapped_tables, "not int64|larger than its table|does not hold the answers"),
    "other transcript": (set_in(lambda r: r, transcript="0" * 64), "does not hold the answers"),
    "more cells than were measured": (lambda r: r["schema"][0].update(cells=4), "another table than it measured"),
    "the Gaussian track with a selection": (set_in(lambda r: r["guarantee"], track="gdp"), "noisy-max.* is not Gaussian"),
    "rehearsal": (set_in(lambda r: r, rehearsal=True), "REHEARSAL"),
    "other format": (set_in(lambda r: r, format="dpsynth-release/1"), "another format"),
    "nothing inside": (lambda r: r.clear(), "cannot be read"),
    "events of the wrong type": (set_in(lambda r: r, exchanges=7), "cannot be read"),
}


@pytest.mark.parametrize(("change", "words"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_certificate_is_rejected_for_the_right_reason(release, change, words):
    verdict = forged(release, change)
    assert not verdict.ok
    assert len(failures(verdict)) == 1
    import re

    assert re.search(words, failures(verdict)[0]), failures(verdict)


def test_a_claim_exactly_at_the_sum_verifies(release):
    def exact(record):
        rho, epsilon = Fraction(record["spent"]), Fraction(record["guarantee"]["epsilon"])
        record["guarantee"].update(rho=record["spent"], alpha=str_fraction(best_alpha(rho, epsilon)))

    assert forged(release, exact).ok


def test_an_array_nobody_paid_for_is_found(release):
    with np.load(release[0] / "measurements.npz") as loaded:
        arrays = dict(loaded)
    write_arrays(release[0] / "measurements.npz", {**arrays, "exact": np.arange(3)})
    verdict = forged(release, lambda record: None)
    assert "other arrays than the answers that were paid for" in failures(verdict)[0]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("told", [False, True])
def test_an_array_hidden_under_a_name_used_twice_is_found(release, told):
    path = release[0] / "measurements.npz"
    with zipfile.ZipFile(path) as archive:
        data = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in data.items():
            archive.writestr(name if name != "table-00001.npy" or not told else "table-00000.npy", value)
        if not told:
            archive.writestr("table-00000.npy", data["table-00000.npy"])
    verdict = forged(release, lambda record: told and record["exchanges"][0]["tables"][1].update(array="table-00000"))
    assert "other arrays than the answers that were paid for" in failures(verdict)[0]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_cannot_be_unpacked_in_bounded_steps_is_rejected(release, method):
    path = release[0] / "measurements.npz"
    with zipfile.ZipFile(path) as archive:
        data = {info.filename: archive.read(info) for info in archive.infolist()}
    for way, ok in ((zipfile.ZIP_STORED, True), (method, False)):
        with zipfile.ZipFile(path, "w", way) as archive:
            for name, value in data.items():
                archive.writestr(name, value)
        assert forged(release, lambda record: None).ok is ok


def npz(release, **entries):
    """measurements.npz with some of its arrays' bytes replaced."""
    path = release[0] / "measurements.npz"
    with zipfile.ZipFile(path) as archive:
        data = {info.filename: archive.read(info) for info in archive.infolist()}
    data.update({f"{name}.npy": value for name, value in entries.items()})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in data.items():
            archive.writestr(name, value)
    return path


def npy(header, values=b"\x00" * 24):
    header = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04K\x01.",
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3, 1), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", b"\x00" * 16),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", b"\x00" * 16),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", b"\x00" * 32),
        npy("(" * 60_000, b""),
    ],
)
def test_an_array_of_another_kind_is_rejected(release, data):
    npz(release, **{"table-00000": data})
    assert not forged(release, lambda record: None).ok


def test_a_bomb_is_not_unpacked(release):
    path = npz(release, **{"table-00000": b"\x00" * (200 << 20)})
    assert path.stat().st_size < 1 << 20
    verdict, peak = traced(lambda: forged(release, lambda record: None))
    assert "larger than its table" in failures(verdict)[0]
    assert peak < 20 << 20


def test_a_bomb_that_states_a_small_size_is_not_unpacked(release):
    honest = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }")
    path = npz(release, **{"table-00000": b"\x00" * (200 << 20)})
    data = path.read_bytes()
    lied = data.replace(struct.pack("<I", 200 << 20), struct.pack("<I", len(honest)))
    assert lied != data
    path.write_bytes(lied)
    verdict, peak = traced(lambda: forged(release, lambda record: None))
    assert not verdict.ok
    assert peak < 20 << 20


def traced(action):
    import tracemalloc

    tracemalloc.start()
    try:
        return action(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


RAW = {
    "duplicate keys": lambda data: data.replace(b'{"digest"', b'{"digest":"0","digest"', 1),
    "huge integer": lambda data: data.replace(b'"max_rows":2', b'"max_rows":' + b"2" * 5000),
    "integer of 41 digits": lambda data: data.replace(b'"max_rows":2', b'"max_rows":' + b"2" * 41),
    "float": lambda data: data.replace(b'"max_rows":2', b'"max_rows":2.0'),
    "NaN": lambda data: data.replace(b'"max_rows":2', b'"max_rows":NaN'),
    "Infinity": lambda data: data.replace(b'"max_rows":2', b'"max_rows":Infinity'),
    "deep nesting": lambda data: b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n",
    "spaces": lambda data: data.replace(b",", b", ", 1),
    "not UTF-8": lambda data: data.replace(b'"small"', b'"sm\xffll"'),
    "unescaped": lambda data: data.replace(b'"small"', '"smäll"'.encode()),
    "a list": lambda data: b"[" + data.strip() + b"]\n",
    "two lines": lambda data: data + data,
    "no newline": lambda data: data.rstrip(),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("change", RAW.values(), ids=RAW)
def test_json_that_is_not_canonical_is_rejected(release, change):
    path = release[0] / "release.json"
    data = path.read_bytes()
    path.write_bytes(change(data))
    assert path.read_bytes() != data
    verdict = verify(*release)
    assert "release.json" in failures(verdict)[0]


@pytest.mark.parametrize("name", ["../ledger/ledger.jsonl", "/etc/hostname", "sub/file", "..", "missing.csv"])
def test_a_file_outside_the_bundle_is_rejected(release, name):
    record = facts(release[0])
    seal(release[0], record)
    record = facts(release[0])
    record["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    write_sealed(release[0], record)
    assert "files and certificate differ" in failures(verify(release[0]))[0]


def write_sealed(folder, record):
    from dpsynth import canonical

    record = {key: value for key, value in record.items() if key != "digest"}
    (folder / "release.json").write_bytes(canonical.dumps({**record, "digest": canonical.digest(record)}) + b"\n")


def test_a_file_the_certificate_does_not_list_is_rejected(release):
    (release[0] / "rows.csv").write_text("secret")
    assert "rows.csv" in failures(verify(*release))[0]


@pytest.mark.parametrize("name", [*FILES, "release.json"])
def test_links_and_pipes_are_not_followed(release, name):
    path = release[0] / name
    path.rename(release[0].parent / "moved")
    path.symlink_to(release[0].parent / "moved")
    assert "plain file" in failures(verify(*release))[0]
    path.unlink()
    os.mkfifo(path)
    assert "plain file" in failures(verify(*release))[0]
    path.unlink()
    path.mkdir()
    assert "plain file" in failures(verify(*release))[0]


def test_a_name_cannot_write_on_the_screen(release):
    (release[0] / "a\x1b[2J\nok      VERIFIED").write_text("")
    printed = str(forged(release, lambda record: record["release"].update(name="\x1b[2J\u202e\ud800")))
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "\nok      VERIFIED" not in printed
    printed.encode()


def test_a_printed_loss_is_never_below_the_true_one():
    assert verifier.short(Fraction(10000001, 10000000)) == "1.00001"
    assert verifier.short(Fraction(1)) == "1"
    assert float(verifier.short(Fraction(1, 3 * 10**9))) > 1 / (3 * 10**9)


def retold_release(release, **replaced):
    """The bundle after its ledger was written anew and its certificate made to name the new entries."""
    entries = retold(Ledger(release[1]), **replaced)
    record = facts(release[0])
    for kind, key in (("PREPARE", "prepare"), ("MEASURED", "measured")):
        if kind in entries:
            record["ledger"][key] = entries[kind].hash
    seal(release[0], record)
    return verify(*release)


def test_a_ledger_and_certificate_told_anew_without_released_verify_with_a_warning(release):
    verdict = retold_release(release, RELEASED=None)
    assert verdict.ok, verdict
    assert "no RELEASED entry" in str(verdict)


PERSON = {"id": "person", "max_rows": 2, "neighbours": "add-remove"}
PREPARED = {"purpose": "a test", "plan": "0" * 64}
LEDGER_FORGERIES = {
    "PREPARE missing": ({"PREPARE": None, "MEASURED": None, "RELEASED": None}, "not in this ledger"),
    "MEASURED missing": ({"MEASURED": None, "RELEASED": None}, "not in this ledger"),
    "under another id": ({kind: {"id": "other"} for kind in ("PREPARE", "MEASURED", "RELEASED")}, "not in this ledger"),
    "for more rows": ({"PREPARE": {"body": {**PREPARED, "unit": {**PERSON, "max_rows": 3}}}, "RELEASED": None}, "or another track or unit"),
    "for another unit": (
        {"PREPARE": {"body": {**PREPARED, "unit": {**PERSON, "id": "household"}}}, "RELEASED": None},
        "cannot stand there",
    ),
    "charged less": ({"PREPARE": {"rho": Fraction(1, 1 << 20)}, "RELEASED": None}, "charged less"),
    "charged more than the policy": ({"PREPARE": {"rho": Fraction(1)}, "RELEASED": None}, "more than the policy allows"),
    "on another track": ({"PREPARE": {"track": "gdp"}, "RELEASED": None}, "or another track or unit"),
    "on no track": ({"PREPARE": {"track": ""}, "RELEASED": None}, "cannot stand there"),
    "another transcript": ({"MEASURED": {"body": {"transcript": "0" * 64, "events": 5}}, "RELEASED": None}, "another transcript"),
    "fewer events": ({"MEASURED": {"body": {"transcript": "", "events": 4}}, "RELEASED": None}, "another transcript"),
    "another certificate": ({}, "RELEASED entry names another certificate"),
    "another dataset": ({"GENESIS": {"body": {"dataset": "0" * 32}}, "RELEASED": None}, "not in this ledger"),
}


@pytest.mark.parametrize(("replaced", "words"), LEDGER_FORGERIES.values(), ids=LEDGER_FORGERIES)
def test_a_release_that_its_ledger_does_not_bear_out_is_rejected(release, replaced, words):
    if not replaced:
        record = facts(release[0])
        record["synthesis"]["seed"] = 8
        seal(release[0], record)
        verdict = verify(*release)
    else:
        verdict = retold_release(release, **replaced)
    assert len(failures(verdict)) == 1
    assert words in failures(verdict)[0]


def test_a_ledger_whose_entries_are_not_those_the_certificate_names_is_rejected(release):
    retold(Ledger(release[1]), PREPARE={"day": "2031-01-01"})
    assert "not those the certificate names" in failures(verify(*release))[0]


def test_another_ledger_is_not_this_releases(release, tmp_path):
    build(tmp_path / "other", tmp_path / "other-ledger")
    assert "not in this ledger" in failures(verify(release[0], tmp_path / "other-ledger"))[0]


def test_a_torn_ledger_is_reported_as_torn(release):
    path = release[1] / "ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert "torn" in failures(verify(*release))[0]


@pytest.mark.parametrize("missing", ["release.json", "measurements.npz", "ledger.jsonl", "everything"])
def test_what_is_missing_does_not_verify(release, missing):
    bundle, ledger = release
    if missing == "everything":
        bundle, ledger = bundle / "nowhere", ledger / "nowhere"
    else:
        (bundle / missing if missing != "ledger.jsonl" else ledger / missing).unlink()
    assert not verify(bundle, ledger).ok


def run_alone(folder, *arguments):
    shutil.copy(SOURCE, folder / "verify.py")
    command = [sys.executable, "-I", "-S", "verify.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"LC_ALL": "C"}, check=False)


def test_it_runs_alone_without_the_package(release, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run_alone(tmp_path / "empty", release[0], "--ledger", release[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nVERIFIED\n")
    record = facts(release[0])
    record["guarantee"]["delta"] = "1/10000000000000"
    record["release"]["name"] = "smäll \ud800"
    seal(release[0], record)
    done = run_alone(tmp_path / "empty", release[0], "--ledger", release[1])
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout.endswith("\nNOT VERIFIED\n")


def test_it_is_short_enough_to_read_and_needs_the_standard_library_only():
    import ast

    text = SOURCE.read_text()
    assert len(text.splitlines()) < 400
    names = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_the_ledgers_arithmetic_is_the_packages():
    for epsilon, delta in (("0.1", "1e-5"), ("1", "1e-9"), ("8", "1e-12"), ("1", "0.1")):
        for track in (ZCDP, GDP):
            claim = guarantee_for(Fraction(epsilon), Fraction(delta), track)
            account = {"open": True, "delta": Fraction(0), "policy": (claim.epsilon, claim.delta), "gaussian": track == GDP}
            assert verifier.within({**account, "rho": claim.rho.value})
            assert not verifier.within({**account, "rho": claim.rho.value * Fraction(1001, 1000)})


def test_a_certificate_of_a_thousand_questions_is_checked_quickly(release):
    import time

    record = facts(release[0])
    record["exchanges"] = [{**record["exchanges"][1], "events": record["exchanges"][1]["events"]}] * 1000
    state = {"record": json.loads(json.dumps(record))}
    start = time.monotonic()
    list(verifier.events(SOURCE, state))
    assert time.monotonic() - start < 5
