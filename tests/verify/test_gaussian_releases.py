"""Releases on the Gaussian track: the verifier accepts a real one with noisy errors, and rejects forgeries of errors, tracks and sums."""

import re
import shutil
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.core.accountant import guarantee_for
from dpsynth.core.ledger import Ledger
from dpsynth.errors import BudgetRefused, SpecError
from dpsynth.privacy import GDP, ZCDP, PrivacyUnit, Rho, gaussian_rho
from dpsynth.release.record import read_arrays, transcript_arrays, transcript_facts, transcript_from, write_arrays
from dpsynth.verify import verify as verifier
from dpsynth.verify.verify import verify, verify_ledger
from tests.core.accounts import charge, opened
from tests.verify.bundles import build, facts, retold, seal

EPSILON, DELTA = "1", "1e-9"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    build(folder / "bundle", folder / "ledger", GDP)
    return folder


@pytest.fixture
def release(original, tmp_path):
    """A copy to forge: (bundle, ledger folder)."""
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy" / "bundle", tmp_path / "copy" / "ledger"


def failure(verdict):
    (text,) = [text for kind, text in verdict.lines if kind == "FAIL"]
    return text


def forged(release, change):
    record = facts(release[0])
    change(record)
    seal(release[0], record)
    return verify(release[0])


def test_a_gaussian_release_verifies_and_says_what_its_track_proves(release):
    verdict = verify(*release)
    assert verdict.ok, verdict
    claim = facts(release[0])["guarantee"]
    assert claim["track"] == GDP
    assert Fraction(claim["epsilon"]) < Fraction(claim["zcdp_epsilon"])
    assert "1 lists of errors (D = 2 x 2^16)" in str(verdict)
    assert "mu-GDP with mu^2 = 2 rho" in str(verdict)
    assert f"as zCDP implies ({verifier.short(Fraction(claim['zcdp_epsilon']))}" in str(verdict)


def test_errors_go_to_disk_and_back(release, tmp_path):
    record = facts(release[0])
    transcript = transcript_from(record["exchanges"], read_arrays(release[0] / "measurements.npz"))
    assert transcript.digest() == record["transcript"]
    assert [event.mechanism for event in transcript.events][3] == "gaussian-errors"
    assert transcript_facts(transcript) == record["exchanges"]
    write_arrays(tmp_path / "again.npz", transcript_arrays(transcript))
    assert (tmp_path / "again.npz").read_bytes() == (release[0] / "measurements.npz").read_bytes()


def exchange(record):
    return record["exchanges"][1]


def event(record):
    return exchange(record)["events"][0]


def text(value):
    return f"{value.numerator}/{value.denominator}"


def respend(record):
    record["spent"] = text(sum(Fraction(e["rho"]) for x in record["exchanges"] for e in x["events"]))


def charged(record, outcomes=2, sensitivity=2 << 16, scale=None):
    """The errors' event with other parameters, at the cost they imply."""
    scale = Fraction(event(record)["scale"]) if scale is None else scale
    cost = gaussian_rho(sensitivity, scale).value * outcomes
    event(record).update(outcomes=outcomes, sensitivity=sensitivity, scale=text(scale), rho=text(cost))
    respend(record)


def little_noise(record):
    first = record["exchanges"][0]
    first["tables"][0]["sigma"] = first["events"][0]["scale"] = "1/2"
    first["events"][0]["rho"] = text(gaussian_rho(2, Fraction(1, 2)).value)
    respend(record)


def shared(record):
    """The errors in the exchange of the first tables."""
    first, second = record["exchanges"][:2]
    second["events"][0]["question"] = first["question"]
    first["events"] += second["events"]
    first["errors"] = second["errors"]
    del record["exchanges"][1]


def in_one_event(record):
    """A table that the errors' event is made to pay for."""
    moved = record["exchanges"][0]["tables"].pop()
    exchange(record)["tables"].append(moved)


def claimed(**changes):
    return lambda record: record["guarantee"].update(changes)


def unpaid(record):
    exchange(record)["events"].clear()
    respend(record)


FORGERIES = {
    "fewer errors than were released": (lambda r: charged(r, outcomes=1), r"is not int64\[1\]"),
    "more errors than were released": (lambda r: charged(r, outcomes=3), r"is not int64\[3\]"),
    "no errors": (lambda r: event(r).update(outcomes=0, rho="0/1"), "not a whole number of at least 1"),
    "one error's price for two": (lambda r: event(r).update(rho=text(Fraction(event(r)["rho"]) / 2)), "cheaper or dearer"),
    "more noise at the old price": (lambda r: event(r).update(scale=text(Fraction(event(r)["scale"]) * 2)), "cheaper or dearer"),
    "more noise than was drawn": (lambda r: charged(r, scale=Fraction(120 << 16)), "does not hold the answers of the transcript"),
    "the cost of zCDP alone": (
        lambda r: event(r).update(rho=text(verifier.up(Fraction((2 << 16) ** 2) / (2 * Fraction(event(r)["scale"]) ** 2)) * 2)),
        "cheaper or dearer",
    ),
    "errors that move less": (lambda r: charged(r, sensitivity=1 << 16), "another sensitivity than the unit implies"),
    "weighted errors": (lambda r: charged(r, sensitivity=2 * 2 << 16), "another sensitivity than the unit implies"),
    "errors as a table": (lambda r: event(r).update(columns=["sex"]), "another table than it measured"),
    "errors nobody paid for": (unpaid, "without an event that pays"),
    "errors that were paid for and left out": (lambda r: exchange(r).update(errors=None), "without an event that pays"),
    "errors under a table's name": (lambda r: exchange(r).update(errors="table-00000"), "other arrays than the answers"),
    "errors beside tables": (shared, "shares its exchange"),
    "a table beside errors": (in_one_event, "without an event that pays"),
    "errors and a selection": (lambda r: exchange(r).update(selected=0), "without an event that pays"),
    "a scale below 1": (little_noise, "not Gaussian with a scale of at least 1"),
    "a smaller epsilon": (claimed(epsilon="99/100"), "better than GDP with"),
    "a smaller epsilon of zCDP": (claimed(zcdp_epsilon="1/1"), "better than rho-zCDP implies"),
    "an epsilon of zCDP below the claim": (claimed(zcdp_epsilon="9/10"), "out of all proportion"),
    "the Gaussian epsilon on the zCDP track": (claimed(track="zcdp"), "track that is not proved"),
    "a smaller delta": (claimed(delta="9/10000000000"), "better than"),
}


@pytest.mark.parametrize(("change", "words"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_gaussian_release_is_rejected_for_the_right_reason(release, change, words):
    verdict = forged(release, change)
    assert not verdict.ok
    assert re.search(words, failure(verdict)), failure(verdict)


def test_errors_longer_than_was_paid_for_are_rejected_whoever_writes_the_digests(release):
    arrays = read_arrays(release[0] / "measurements.npz")
    name = facts(release[0])["exchanges"][1]["errors"]
    write_arrays(release[0] / "measurements.npz", {**arrays, name: np.append(arrays[name], 7)})
    assert "is not int64[2]" in failure(forged(release, lambda record: None))


@pytest.mark.parametrize("change", [lambda r: charged(r, outcomes=1), unpaid, lambda r: exchange(r).update(errors=None)])
def test_a_record_whose_errors_were_not_paid_for_cannot_be_read(release, change):
    record = facts(release[0])
    change(record)
    with pytest.raises(SpecError, match="the record of answers is damaged"):
        transcript_from(record["exchanges"], read_arrays(release[0] / "measurements.npz"))


def test_a_ledger_that_charged_on_another_track_is_rejected(release):
    """Told anew as zCDP the account would hold it too: but then nothing says that the answers were to be Gaussian."""
    entries = retold(Ledger(release[1]), PREPARE={"track": ZCDP}, RELEASED=None)
    record = facts(release[0])
    record["ledger"].update(prepare=entries["PREPARE"].hash, measured=entries["MEASURED"].hash)
    seal(release[0], record)
    assert "another track or unit" in failure(verify(*release))


def test_a_weaker_claim_than_the_ledgers_track_is_rejected(release):
    record = facts(release[0])
    record["guarantee"].update(track=ZCDP, epsilon=record["guarantee"]["zcdp_epsilon"])
    seal(release[0], record)
    assert verify(release[0]).ok  # the claim itself is true
    assert "another track or unit" in failure(verify(*release))


def halves():
    """Two of them fit the account as Gaussian, and not as zCDP."""
    return Rho.down(guarantee_for(Fraction(EPSILON), Fraction(DELTA), GDP).rho.value / 2)


@pytest.mark.parametrize("tracks", [(GDP, ZCDP), (ZCDP, GDP), (ZCDP, ZCDP)])
def test_accounts_are_gaussian_while_all_releases_are(tmp_path, tracks):
    ledger = opened(tmp_path / "gaussian", EPSILON, DELTA)
    for _ in range(2):
        charge(ledger, halves(), track=GDP)
    assert ledger.read().track == GDP
    assert verify_ledger(ledger.folder).ok
    other = opened(tmp_path / "mixed", EPSILON, DELTA)
    charge(other, halves(), track=tracks[0])
    before = other.read()
    with pytest.raises(BudgetRefused, match="together they would exceed"):
        charge(other, halves(), track=tracks[1])
    assert other.read() == before


@pytest.mark.parametrize("place", [0, 1])
def test_a_ledger_with_one_other_release_is_summed_as_zcdp_by_the_verifier_too(tmp_path, place):
    ledger = opened(tmp_path / "account", EPSILON, DELTA)
    entries = [charge(ledger, halves(), track=GDP) for _ in range(2)]
    account = ledger.read()
    chain = [*account.entries[:2], *(replace(entry, track=ZCDP if i == place else GDP) for i, entry in enumerate(entries))]
    write_chain(ledger, chain)
    assert "charge more than the policy allows" in failure(verify_ledger(ledger.folder))
    write_chain(ledger, [*account.entries[:2], *entries])
    assert verify_ledger(ledger.folder).ok


@pytest.mark.parametrize("later", ["same", "larger", "smaller"])
def test_sums_are_judged_by_the_policy_that_stood_when_they_were_charged(tmp_path, later):
    """What is too much under one policy is too much, whatever a later one allows."""
    ledger = opened(tmp_path / "account", EPSILON, DELTA)
    charge(ledger, halves(), track=GDP)
    charge(ledger, halves(), track=GDP)
    ledger.change_policy(epsilon={"same": EPSILON, "larger": "10", "smaller": "0.1"}[later], delta="2e-9", approvers=["owner"])
    assert verify_ledger(ledger.folder).ok
    entries = [replace(entry, track=ZCDP) if entry.type == "PREPARE" else entry for entry in ledger.read().entries]
    write_chain(ledger, entries)
    assert "cannot stand there, or follows what no policy allows" in failure(verify_ledger(ledger.folder))


def write_chain(ledger, entries):
    """Entries numbered and sealed anew."""
    sealed = []
    for entry in entries:
        sealed.append(replace(entry, seq=len(sealed), prev=sealed[-1].hash if sealed else "0" * 64).sealed())
    (ledger.folder / "ledger.jsonl").write_bytes(b"".join(entry.line() for entry in sealed))


def test_a_unit_of_the_certificate_is_the_ledgers_on_this_track_too(release):
    body = {"purpose": "a test", "plan": "0" * 64, "unit": vars(PrivacyUnit("person", 1))}
    entries = retold(Ledger(release[1]), PREPARE={"body": body}, RELEASED=None)
    record = facts(release[0])
    record["ledger"].update(prepare=entries["PREPARE"].hash, measured=entries["MEASURED"].hash)
    seal(release[0], record)
    assert "another track or unit" in failure(verify(*release))
