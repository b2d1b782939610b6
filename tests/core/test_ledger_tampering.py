"""Edits of a ledger are found, named by the entry, by the package and by the verifier alike."""

import hashlib
import json
from fractions import Fraction

import pytest

from dpsynth import canonical
from dpsynth.core.ledger import LEDGER_FILE, Ledger
from dpsynth.core.ledger_chain import read_account
from dpsynth.errors import BudgetRefused, LedgerInvalid
from dpsynth.verify import verify
from tests.core.accounts import charge, completed, lines, opened


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return lines(completed(tmp_path_factory.mktemp("account") / "a"))


def package_accepts(data):
    try:
        read_account(data.removesuffix(b"\n").split(b"\n"))
    except LedgerInvalid:
        return False
    return True


def verifier_accepts(data):
    try:
        verify.chain(data)
    except Exception:  # noqa: BLE001 - whatever it raises, it does not accept
        return False
    return True


def test_a_byte_flipped_anywhere_is_found(whole):
    for place in range(len(whole) - 1):
        for flip in (0x01, 0x20, 0x80):
            changed = whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
            assert not package_accepts(changed), place
            if flip == 0x01:
                assert not verifier_accepts(changed), place


@pytest.mark.parametrize("number", range(8))
def test_an_edit_is_named_by_the_entry_it_is_in(whole, number):
    entries = whole.splitlines()
    entries[number] = entries[number].replace(b'"actor":"', b'"actor":"x')
    with pytest.raises(LedgerInvalid, match=f"from entry {number} on"):
        read_account(entries)


def rearranged(entries):
    yield "deleted", [entries[:i] + entries[i + 1 :] for i in range(len(entries) - 1)]
    yield "repeated", [entries[: i + 1] + entries[i:] for i in range(len(entries))]
    yield "swapped", [[*entries[:i], entries[i + 1], entries[i], *entries[i + 2 :]] for i in range(len(entries) - 1)]
    yield "blank line", [[*entries[:i], b"", *entries[i:]] for i in range(len(entries))]


def test_lines_deleted_repeated_swapped_or_added_are_found(whole):
    for what, variants in rearranged(whole.splitlines()):
        for variant in variants:
            assert not package_accepts(b"\n".join(variant)), what
            assert not verifier_accepts(b"\n".join([*variant, b""])), what


def test_two_forks_of_a_ledger_cannot_be_joined(tmp_path):
    ledger = opened(tmp_path / "account")
    trunk = lines(ledger)
    charge(ledger)
    (first,) = lines(ledger)[len(trunk) :].splitlines()
    (ledger.folder / LEDGER_FILE).write_bytes(trunk)
    charge(ledger)
    joined = lines(ledger) + first + b"\n"
    assert not package_accepts(joined)
    assert not verifier_accepts(joined)


def test_an_entry_of_one_fork_cannot_follow_another(tmp_path):
    ledger = opened(tmp_path / "account")
    trunk, forks = lines(ledger), []
    for _ in range(2):
        (ledger.folder / LEDGER_FILE).write_bytes(trunk)
        charge(ledger)
        ledger.note("the fourth entry")
        forks.append(lines(ledger))
    (one, other) = (fork.splitlines(keepends=True) for fork in forks)
    assert package_accepts(b"".join([*one[:3], one[3]]))
    mixed = b"".join([*one[:3], other[3]])
    assert not package_accepts(mixed)
    assert not verifier_accepts(mixed)


def resealed(whole, number, **changes):
    """The ledger with one entry changed and every hash from there on computed afresh, as its owner could."""
    entries = [json.loads(line) for line in whole.splitlines()]
    entries[number].update(changes)
    for seq, entry in enumerate(entries):
        entry["prev"] = entries[seq - 1]["hash"] if seq else "0" * 64
        facts = {key: value for key, value in entry.items() if key != "hash"}
        entry["hash"] = hashlib.sha256(b"\x00" + canonical_or_json(facts)).hexdigest()
    return b"\n".join(map(canonical_or_json, entries)) + b"\n"


def canonical_or_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_resealing_without_a_change_gives_the_same_ledger(whole):
    assert resealed(whole, 0) == whole


PREPARE, MEASURED, NOTE = 2, 3, 7


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (PREPARE, {"rho": "2/2048"}),
        (PREPARE, {"rho": "0x1/1024"}),
        (PREPARE, {"rho": "-1/1024"}),
        (PREPARE, {"rho": "0/1"}),
        (PREPARE, {"rho": "1/0"}),
        (PREPARE, {"rho": "1e400"}),
        (PREPARE, {"rho": "NaN"}),
        (PREPARE, {"rho": "Infinity"}),
        (PREPARE, {"rho": " 1/1024"}),
        (PREPARE, {"rho": "1/1024\n"}),
        (PREPARE, {"rho": "\u0661/1024"}),
        (PREPARE, {"rho": "1" * 401 + "/1"}),
        (PREPARE, {"rho": "1" * 10**6 + "/1"}),
        (PREPARE, {"rho": 0.0009765625}),
        (PREPARE, {"rho": 1}),
        (PREPARE, {"rho": None}),
        (PREPARE, {"delta": "-1/10"}),
        (PREPARE, {"delta": "1/1"}),
        (PREPARE, {"id": ""}),
        (PREPARE, {"track": ""}),
        (PREPARE, {"track": "pure"}),
        (MEASURED, {"track": "gdp"}),
        (PREPARE, {"type": "NOTE"}),
        (PREPARE, {"type": "REFUND"}),
        (PREPARE, {"seq": True}),
        (PREPARE, {"seq": 10**50}),
        (PREPARE, {"v": 2}),
        (PREPARE, {"extra": 1}),
        (PREPARE, {"body": []}),
        (PREPARE, {"body": {"unit": {"id": "household", "max_rows": 1, "neighbours": "add-remove"}, "plan": "", "purpose": ""}}),
        (PREPARE, {"body": {"unit": {"id": "person", "max_rows": 1, "neighbours": "change-one"}, "plan": "", "purpose": ""}}),
        (MEASURED, {"rho": "1/1024"}),
        (MEASURED, {"id": "another"}),
        (MEASURED, {"type": "RELEASED"}),
        (MEASURED, {"type": "GENESIS"}),
        (NOTE, {"delta": "1/10"}),
        (0, {"type": "NOTE"}),
        (1, {"type": "NOTE"}),
        (1, {"body": {"epsilon": "2/2", "delta": "1/10", "unit": {"id": None, "max_rows": None}, "approvers": [], "covers": ""}}),
    ],
)
def test_a_resealed_ledger_still_has_to_obey_the_rules(whole, number, changes):
    changed = resealed(whole, number, **changes)
    assert not package_accepts(changed)
    assert not verifier_accepts(changed)


def test_a_release_is_prepared_once_under_an_id_of_its_own(whole):
    body = {"unit": {"id": "person", "max_rows": 1, "neighbours": "add-remove"}, "plan": "", "purpose": ""}
    finished, aborted = (json.loads(whole.splitlines()[number])["id"] for number in (PREPARE, 5))
    for entry_id, accepted in (("fresh", True), (finished, False), (aborted, False), ("", False)):
        changed = resealed(whole, NOTE, type="PREPARE", id=entry_id, rho="1/1024", track="zcdp", body=body)
        assert package_accepts(changed) is accepted
        assert verifier_accepts(changed) is accepted


def test_a_later_policy_cannot_change_the_unit(whole):
    policy = {"epsilon": "1/1", "delta": "1/1000000000", "approvers": [], "covers": ""}
    for unit, accepted in (("household", False), ("person", True), (None, True)):
        changed = resealed(whole, NOTE, type="POLICY", body={**policy, "unit": {"id": unit, "max_rows": None}})
        assert package_accepts(changed) is accepted
        assert verifier_accepts(changed) is accepted


def test_a_ledger_that_was_overdrawn_by_hand_is_refused_by_the_verifier_and_charges_no_more(whole, tmp_path):
    changed = resealed(whole, PREPARE, rho="5/1")
    assert not verifier_accepts(changed)
    (tmp_path / LEDGER_FILE).write_bytes(changed)
    with pytest.raises(BudgetRefused):
        charge(Ledger.open(tmp_path))


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b'{"a":' * 10_000 + b"\n",
        b'{"v":1,"v":1}\n',
        b"\xff\xfe\n",
        b"\x00\n",
        b'{"rho":NaN}\n',
        b'{"rho":1e400}\n',
        b'{"seq":' + b"9" * 5000 + b"}\n",
    ],
)
def test_a_file_that_is_no_ledger_is_refused(data, tmp_path):
    (tmp_path / LEDGER_FILE).write_bytes(data)
    with pytest.raises(LedgerInvalid, match="from entry 0 on"):
        Ledger.open(tmp_path).read()
    assert not verifier_accepts(data)
    assert not verify.verify_ledger(tmp_path).ok


def test_a_rolled_back_ledger_is_whole_but_ends_on_another_head(tmp_path):
    # The chain alone cannot show a roll-back: whoever holds the head, or a certificate, can.
    ledger = opened(tmp_path / "account")
    trunk = lines(ledger)
    entry = charge(ledger)
    (ledger.folder / LEDGER_FILE).write_bytes(trunk)
    assert ledger.read().head != entry.hash
    assert ledger.read().rho == Fraction(0)
    assert entry.hash not in {e.hash for e in ledger.read().entries}


def test_canonical_lines_and_plain_json_agree_on_entries(whole):
    for line in whole.splitlines():
        assert canonical.loads(line) == json.loads(line)
