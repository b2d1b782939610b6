"""Signed heads: what they prove, whom they trust, and that a roll-back does not get past them. Keys are made by ssh-keygen."""

import shutil
import subprocess

import pytest

from dpsynth.accounts import check_ledger
from dpsynth.core import signatures
from dpsynth.core.ledger import LEDGER_FILE, POLICY_FILE
from dpsynth.core.ledger_heads import FOLDER, head_of, read_heads, sign_head
from dpsynth.core.signatures import NAMESPACE, is_signer_line, sign, signer_line, signer_of
from dpsynth.errors import LedgerInvalid, SpecError, VerificationFailed
from tests.core.accounts import charge, completed, content, lines, opened

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Private keys of three people by name; NAME.pub is beside each."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "bob", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@here", "-f", folder / name], check=True)
    return {name: folder / name for name in ("ada", "bob", "eve")}


def line_of(keys, name):
    return signer_line(f"{name}={keys[name]}.pub")


def signed_by(keys, *names):
    """The text of an allowed-signers file."""
    return "".join(line_of(keys, name) + "\n" for name in names)


@pytest.fixture
def account(tmp_path, keys):
    """A ledger that names ada, with a release after it."""
    ledger = opened(tmp_path / "account", signers=[line_of(keys, "ada")])
    charge(ledger)
    return ledger


def signed(ledger, key):
    return sign_head(ledger.folder, ledger.read(), key)


def kinds(ledger, **options):
    """Kinds of the lines that are about heads."""
    return [kind for kind, _ in check_ledger(ledger.folder, **options).lines[2:]]


def reader(tmp_path, keys, *names):
    file = tmp_path / "allowed_signers"
    file.write_text(signed_by(keys, *names))
    return file


def test_a_signed_head_verifies_here_and_with_ssh_keygen_alone(account, keys, tmp_path):
    kept = signed(account, keys["ada"])
    verdict = check_ledger(account.folder)
    assert verdict.ok
    assert f"ada, whom the ledger itself names, signed on {kept.head.day} that entry 2 is {kept.head.hash[:16]}" in str(verdict)
    allowed = reader(tmp_path, keys, "ada")
    head = account.folder / FOLDER / kept.file
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "ada", "-n", NAMESPACE, "-s", f"{head}.sig"]
    assert subprocess.run(command, input=head.read_bytes(), capture_output=True, check=False).returncode == 0
    assert "whom the given file" in str(check_ledger(account.folder, signers=allowed))


def test_what_comes_after_a_signature_is_said_to_rest_on_none(account, keys):
    signed(account, keys["ada"])
    account.note("later")
    verdict = check_ledger(account.folder)
    assert verdict.ok
    assert "the last entry rests on no signature yet" in str(verdict)


def test_a_roll_back_is_caught_by_a_signed_head(account, keys, tmp_path):
    trunk = lines(account)
    charge(account)
    signed(account, keys["ada"])
    (account.folder / LEDGER_FILE).write_bytes(trunk)
    verdict = check_ledger(account.folder)
    assert not verdict.ok
    assert "but this ledger ends before it: it was rolled back or rewritten" in str(verdict)
    charge(account)  # another fork of the same length
    verdict = check_ledger(account.folder, signers=reader(tmp_path, keys, "ada"))
    assert not verdict.ok
    assert "holds another entry there" in str(verdict)


def test_a_roll_back_is_caught_by_a_held_head_even_where_the_signed_heads_went_too(account):
    trunk = lines(account)
    held = charge(account).hash
    assert "the head you hold is entry 3 of this chain; 0 entries came after it" in str(check_ledger(account.folder, held=[held]))
    (account.folder / LEDGER_FILE).write_bytes(trunk)
    assert check_ledger(account.folder).ok  # the chain alone cannot show it
    verdict = check_ledger(account.folder, held=[held])
    assert not verdict.ok
    assert "is not in this chain: the ledger was rolled back or rewritten since" in str(verdict)


@pytest.mark.parametrize("held", ["", "0" * 64, "\x1b[2J", "x" * 10_000])
def test_a_held_head_that_is_none_fails_and_is_shown_harmlessly(account, held):
    verdict = check_ledger(account.folder, held=[held])
    assert not verdict.ok
    assert "\x1b" not in str(verdict)


def test_a_reader_who_trusts_nobody_that_signed_gets_no_verification(account, keys, tmp_path):
    signed(account, keys["ada"])
    assert kinds(account, signers=reader(tmp_path, keys, "bob")) == ["warning", "FAIL"]
    assert kinds(account, signers=reader(tmp_path, keys)) == ["warning", "FAIL"]
    assert kinds(account, signers=reader(tmp_path, keys, "bob", "ada")) == ["ok"]


def test_only_a_signer_of_the_account_signs(account, keys):
    before = content(account)
    with pytest.raises(SpecError, match=r"eve is not the key of a signer of this account: those are ada"):
        signed(account, keys["eve"])
    assert content(account) == before


def test_a_key_rolls_over_once_the_old_one_signed_the_policy_that_names_the_new_one(account, keys, tmp_path):
    signed(account, keys["ada"])
    account.change_policy(approvers=["the owner"], signers=[line_of(keys, "bob")])
    with pytest.raises(SpecError, match="counts once an old one has signed after that"):
        signed(account, keys["bob"])
    signed(account, keys["ada"])
    account.note("bob takes over")
    signed(account, keys["bob"])
    for signers in (None, reader(tmp_path, keys, "ada")):
        assert kinds(account, signers=signers) == ["ok", "ok", "ok"]
    with pytest.raises(SpecError, match="those are bob"):
        signed(account, keys["ada"])  # the old key is out


def test_a_new_key_that_no_old_one_signed_for_counts_for_nothing(account, keys):
    account.change_policy(approvers=["whoever can write the file"], signers=[line_of(keys, "eve")])
    head = head_of(account.read())
    folder = account.folder / FOLDER
    folder.mkdir()
    (folder / "000003.json").write_bytes(head.statement())
    (folder / "000003.json.sig").write_bytes(sign(head.statement(), keys["eve"]))
    assert kinds(account) == ["warning"]


def test_the_same_head_can_be_signed_twice_and_an_account_without_signers_by_anyone(tmp_path, keys):
    ledger = opened(tmp_path / "account")
    assert signed(ledger, keys["ada"]).file == "000001.json"
    assert signed(ledger, keys["bob"]).file == "000001-2.json"
    assert kinds(ledger) == ["warning", "warning"]  # the ledger names nobody
    assert kinds(ledger, signers=reader(tmp_path, keys, "ada", "bob")) == ["ok", "ok"]


@pytest.mark.parametrize("change", [b'"seq":1', b'"day":"2'])
def test_a_statement_that_was_changed_is_signed_by_nobody(account, keys, change):
    file = account.folder / FOLDER / signed(account, keys["ada"]).file
    file.write_bytes(file.read_bytes().replace(change[:-1] + b"2", change[:-1] + b"3"))
    assert kinds(account) == ["warning"]


def test_a_signature_over_something_else_counts_for_nothing(account, keys):
    file = account.folder / FOLDER / signed(account, keys["ada"]).file
    other = ["ssh-keygen", "-q", "-Y", "sign", "-n", "another-use", "-f", keys["ada"]]
    signature = subprocess.run(other, input=file.read_bytes(), capture_output=True, check=True).stdout
    for hostile in (signature, b"", b"-----BEGIN SSH SIGNATURE-----\n", b"\x00" * 100, b"x" * (1 << 17)):
        file.with_name(f"{file.name}.sig").write_bytes(hostile)
        verdict = check_ledger(account.folder)
        assert "rest on" not in str(verdict)
        assert [kind for kind, _ in verdict.lines[2:]] in (["warning"], ["FAIL"])


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"[]\n",
        b"{}\n",
        b'{"v":1}\n',
        b'{"v":NaN}\n',
        b"[" * 60_000,
        b"\xff",
        b'{"dataset":1,"day":"","hash":"","seq":1,"v":1}\n',
        b"9" * 70_000,
    ],
)
def test_a_file_that_is_no_head_fails_the_verification(account, keys, hostile):
    file = account.folder / FOLDER / signed(account, keys["ada"]).file
    file.write_bytes(hostile)
    with pytest.raises(VerificationFailed, match="is not a head"):
        read_heads(account.folder)
    assert not check_ledger(account.folder).ok


def test_a_head_that_is_a_link_is_not_followed(account, keys):
    file = account.folder / FOLDER / signed(account, keys["ada"]).file
    file.rename(account.folder / "elsewhere")
    file.symlink_to(account.folder / "elsewhere")
    assert not check_ledger(account.folder).ok


def test_a_head_of_another_account_is_no_head_of_this_one(account, keys, tmp_path):
    other = opened(tmp_path / "other", signers=[line_of(keys, "ada")])
    signed(other, keys["ada"])
    shutil.copytree(other.folder / FOLDER, account.folder / FOLDER)
    verdict = check_ledger(account.folder)
    assert not verdict.ok
    assert "is another dataset's" in str(verdict)


def test_a_broken_chain_is_neither_signed_nor_excused_by_a_signature(account, keys):
    signed(account, keys["ada"])
    file = account.folder / LEDGER_FILE
    file.write_bytes(file.read_bytes().replace(b"a test", b"A test"))
    with pytest.raises(LedgerInvalid):
        signed(account, keys["ada"])
    assert not check_ledger(account.folder).ok


def test_without_ssh_keygen_nothing_is_signed_and_a_reader_is_told(account, keys, tmp_path, monkeypatch):
    signed(account, keys["ada"])
    monkeypatch.setattr(signatures.shutil, "which", lambda _: None)
    with pytest.raises(SpecError, match="ssh-keygen is not on this machine: install OpenSSH"):
        signed(account, keys["ada"])
    assert "were not checked: ssh-keygen is not on this machine" in str(check_ledger(account.folder))
    with pytest.raises(SpecError, match="ssh-keygen is not on this machine"):
        check_ledger(account.folder, signers=reader(tmp_path, keys, "ada"))


@pytest.mark.parametrize("key", ["missing", "account/ledger.jsonl"])
def test_what_is_no_key_signs_nothing(account, tmp_path, key):
    with pytest.raises(SpecError, match="ssh-keygen could not sign"):
        signed(account, tmp_path / key)
    assert not (account.folder / FOLDER).exists()


@pytest.mark.parametrize(
    "text", ["ada", "=x.pub", "a b=ada.pub", "*=ada.pub", "ada=missing.pub", "ada=allowed_signers", "ada=.", "!ada=ada.pub"]
)
def test_a_signer_is_a_name_and_a_public_key(keys, text):
    name, _, file = text.partition("=")
    with pytest.raises(SpecError):
        signer_line(f"{name}={keys['ada'].parent / file}" if file else text)


def test_a_private_key_is_never_taken_for_a_public_one(keys):
    with pytest.raises(SpecError, match=r"give the \.pub file"):
        signer_line(f"ada={keys['ada']}")


@pytest.mark.parametrize(
    "line",
    ["", "ada", "* ssh-ed25519 " + "A" * 68, 'ada namespaces="x" ssh-ed25519 ' + "A" * 68, "ada ssh-ed25519 A\nbob ssh-ed25519 A", 3, None],
)
def test_no_line_of_a_policy_stands_for_more_than_one_key(line):
    assert not is_signer_line(line)


def test_a_signature_names_nobody_without_a_list(keys):
    assert signer_of(b"x", sign(b"x", keys["ada"]), "") is None
    assert signer_of(b"x", sign(b"x", keys["ada"]), signed_by(keys, "ada")) == "ada"
    assert signer_of(b"y", sign(b"x", keys["ada"]), signed_by(keys, "ada")) is None


def test_a_policy_changes_by_an_entry_and_what_was_spent_stays_spent(tmp_path):
    ledger = completed(tmp_path / "account")
    before, trunk = ledger.read(), lines(ledger)
    entry = ledger.change_policy(epsilon="0.5", approvers=["the owner"], covers="both extracts")
    after = ledger.read()
    assert lines(ledger).startswith(trunk)
    assert (entry.type, after.rho, after.policy.approvers, after.policy.covers) == ("POLICY", before.rho, ("the owner",), "both extracts")
    assert (after.policy.delta, after.policy.unit_id, after.policy.max_rows) == (before.policy.delta, "person", 3)
    assert 'epsilon = "0.5"' in (ledger.folder / POLICY_FILE).read_text()
    assert check_ledger(ledger.folder).ok


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"approvers": ["a"]},
        {"approvers": [], "epsilon": 2},
        {"approvers": ["a"], "epsilon": 0},
        {"approvers": ["a"], "delta": "nan"},
        {"approvers": "ada", "epsilon": 2},
        {"approvers": ["a\x1b"], "epsilon": 2},
        {"approvers": ["a"], "signers": ["no key"]},
    ],
)
def test_a_policy_that_nobody_can_mean_changes_nothing(tmp_path, change):
    ledger = completed(tmp_path / "account")
    before = content(ledger)
    with pytest.raises(SpecError):
        ledger.change_policy(**{"approvers": (), **change})
    assert content(ledger) == before
