"""A byte changed anywhere in a ledger of 50 entries, or in a certificate, is found."""

from fractions import Fraction
from functools import lru_cache

import pytest

from dpsynth.core.ledger_chain import extended, parse, read_account
from dpsynth.privacy import Rho
from dpsynth.verify import verify
from tests.core.accounts import charge, lines, opened
from tests.faults.forging import released

FLIPS = (0x01, 0x20, 0x80)
TINY = Rho(Fraction(1, 1 << 14))


@pytest.fixture(scope="module")
def ledger_lines(tmp_path_factory):
    """The lines of a ledger with 50 entries of every type, some of them about the same release."""
    ledger = opened(tmp_path_factory.mktemp("account") / "a", unit="", approvers=("Ada",))
    while len(ledger.read().entries) < 17:
        entry = charge(ledger, TINY)
        ledger.measured(entry.id, "1" * 64, 4)
        ledger.released(entry.id, "2" * 64)
    ledger.aborted(charge(ledger, TINY).id, "gave up")
    ledger.change_policy(epsilon="1.5", approvers=("Ada",))
    while len(ledger.read().entries) < 50:
        ledger.note("looked at it")
    found = lines(ledger).splitlines()
    assert len(found) == 50
    return found


def test_the_package_refuses_every_changed_byte_of_a_ledger(ledger_lines):
    """What stood before a line is read once; a line that does not follow it ends the reading there."""
    accepted = []
    for number, line in enumerate(ledger_lines):
        before = read_account(ledger_lines[:number])
        assert extended(before, parse(line)).entries[-1].seq == number
        for place in range(len(line)):
            changed = line[:place] + bytes([line[place] ^ FLIPS[place % 3]]) + line[place + 1 :]
            try:
                extended(before, parse(changed))
            except (ValueError, KeyError, TypeError):
                continue
            accepted.append((number, place))
    assert accepted == []


def test_the_verifier_refuses_every_changed_byte_of_a_ledger(ledger_lines, monkeypatch):
    """The whole chain up to the changed line, for each byte; unchanged lines are decoded once, pure functions computed once."""
    decoded, real = {}, verify.read_canonical

    def read(line, what):
        if line not in known:
            return real(line, what)
        if line not in decoded:
            decoded[line] = real(line, what)
        return decoded[line]

    known = set(ledger_lines)
    monkeypatch.setattr(verify, "read_canonical", read)
    for pure in ("_rational", "delta_bound"):
        monkeypatch.setattr(verify, pure, lru_cache(maxsize=None, typed=True)(getattr(verify, pure)))
    text, accepted = b"", []
    for number, line in enumerate(ledger_lines):
        for place in range(len(line)):
            changed = line[:place] + bytes([line[place] ^ FLIPS[place % 3]]) + line[place + 1 :]
            if chain_accepts(text + changed + b"\n"):
                accepted.append((number, place))
        text += line + b"\n"
    assert chain_accepts(text)
    assert accepted == []


def chain_accepts(data):
    try:
        verify.chain(data)
    except Exception:  # noqa: BLE001 - whatever it raises, it does not accept
        return False
    return True


@pytest.mark.parametrize("track", ["zcdp", "gdp"])
def test_every_changed_byte_of_a_certificate_is_found(tmp_path, track, monkeypatch):
    release = released(tmp_path, track)
    whole, accepted = (release.bundle / "release.json").read_bytes(), []
    for place in range(len(whole)):
        for flip in FLIPS:
            changed = whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
            monkeypatch.setattr(verify, "_read_bytes", lambda _, changed=changed: changed)
            try:
                list(verify.certificate(release.bundle, {}))
            except Exception:  # noqa: BLE001 - as above
                continue
            accepted.append((place, flip))
    assert accepted == []


@pytest.mark.parametrize("name", ["synthetic.csv", "measurements.npz", "model.npz"])
def test_every_changed_byte_of_a_bundles_file_is_found(tmp_path, name):
    release = released(tmp_path, "zcdp")
    file = release.bundle / name
    whole, state = file.read_bytes(), {"record": release.facts()}
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(verify.Broken, match="was changed"):
            list(verify.files(release.bundle, state))
    file.write_bytes(whole)
    assert verify.verify(release.bundle, release.ledger).ok
