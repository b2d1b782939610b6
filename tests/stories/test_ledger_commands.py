"""An owner and a reviewer at the command line: every command of the account, for people and for machines."""

import json
import shutil
import subprocess

import pytest

from tests.stories.world import World, dpsynth


@pytest.fixture
def account(tmp_path):
    return World.made(tmp_path).account


def said(*words):
    """What a command prints for machines."""
    result = dpsynth(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_note_and_a_new_policy_are_entries(account):
    assert "entry 2: looked at it" in dpsynth("ledger", "note", account, "looked at it").stdout
    changed = said("ledger", "policy", account, "--epsilon", 3, "--approver", "Ada", "--covers", "both extracts")
    facts = said("ledger", "show", account)
    assert (changed["seq"], facts["epsilon"], facts["covers"], facts["approvers"]) == (3, "3/1", "both extracts", ["Ada"])
    assert facts["notes"][0]["text"] == "looked at it"
    assert facts["head"] == changed["hash"]
    shown = dpsynth("ledger", "show", account).stdout
    assert "approved by Ada; entry 3" in shown and "note:     looked at it" in shown
    assert said("ledger", "verify", account)["ok"]


@pytest.mark.parametrize(
    "words",
    [
        ["note", ""],
        ["note", "two\nlines"],
        ["policy"],
        ["policy", "--epsilon", "3"],
        ["policy", "--approver", "Ada"],
        ["policy", "--approver", "Ada", "--epsilon", "nan"],
        ["policy", "--approver", "Ada", "--signer", "ada=missing.pub"],
        ["sign", "--key", "missing"],
    ],
    ids=" ".join,
)
def test_what_nobody_can_mean_is_refused_and_changes_nothing(account, words):
    before = (account / "ledger.jsonl").read_bytes()
    result = dpsynth("ledger", words[0], account, *words[1:])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert (account / "ledger.jsonl").read_bytes() == before


def test_commands_on_no_ledger_say_how_to_open_one(tmp_path):
    for words in (["note", "x"], ["policy", "--approver", "a", "--epsilon", "1"], ["show"], ["export", "--out", tmp_path / "out"]):
        result = dpsynth("ledger", words[0], tmp_path / "none", *words[1:])
        assert result.exit_code == 3
        assert "dpsynth ledger init" in result.stderr


def test_an_export_names_its_files(account, tmp_path):
    facts = said("ledger", "export", account, "--out", tmp_path / "export")
    assert facts["ok"]
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == ["entries.csv", "ledger.html", "releases.csv"]
    assert dpsynth("ledger", "export", account, "--out", tmp_path / "export").exit_code == 2


def test_a_held_head_catches_a_roll_back(account):
    trunk = (account / "ledger.jsonl").read_bytes()
    held = said("ledger", "note", account, "something was released")["hash"]
    assert dpsynth("ledger", "verify", account, "--head", held).exit_code == 0
    (account / "ledger.jsonl").write_bytes(trunk)
    assert dpsynth("ledger", "verify", account).exit_code == 0
    result = dpsynth("ledger", "verify", account, "--head", held)
    assert result.exit_code == 4
    assert result.stdout.endswith("NOT VERIFIED\n")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")
def test_an_account_is_opened_signed_and_checked_by_someone_who_trusts_the_key(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ada"], check=True)
    account = tmp_path / "account"
    words = ["--epsilon", 1, "--delta", "1e-6", "--signer", f"ada={tmp_path / 'ada.pub'}"]
    assert said("ledger", "init", account, *words)["folder"] == str(account)
    signed = said("ledger", "sign", account, "--key", tmp_path / "ada")
    assert signed["seq"] == 1
    (tmp_path / "allowed").write_text(f"ada@example.org {(tmp_path / 'ada.pub').read_text()}")
    result = dpsynth("ledger", "verify", account, "--signers", tmp_path / "allowed", "--head", signed["hash"])
    assert result.exit_code == 0
    assert "ada@example.org, whom the given file" in result.stdout
    assert dpsynth("ledger", "verify", account, "--signers", tmp_path / "missing").exit_code == 2


def test_a_release_is_registered_with_what_people_add(released, tmp_path):
    out = tmp_path / "people.yaml"
    refused = dpsynth("registry", released.out, "--out", out)
    assert refused.exit_code == 2
    assert "only people know registry.curators" in refused.stderr
    assert not out.exists()
    spec = tmp_path / "spec.toml"
    facts = {"curator_type": "Government", "description": "People", "region": "Here"}
    section = "".join(f'{key} = "{value}"\n' for key, value in facts.items()) + 'curators = ["The office"]\nauthors = ["Ada"]\n'
    spec.write_text(f"{released.spec_file.read_text()}\n[registry]\n{section}")
    entry = said("registry", released.out, "--spec", spec, "--out", out)
    assert (entry["tier"], entry["missing"]) == (2, [])
    assert "actors" in entry["missing_for_tier_3"]
    assert 'data_curator_name: "The office"' in out.read_text()
    assert dpsynth("registry", released.out, "--spec", spec, "--out", out).exit_code == 2  # never over another
    assert said("registry", released.out, "--draft", "--out", tmp_path / "draft.yaml")["missing"][0] == "curators"
