"""The reviewer's walk in docs/reviewer.md: its commands run as pasted on an account like the one it shows, and print what it shows."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_pages import run_in
from tests.stories.world import dpsynth, people

PAGE = Path(__file__).parents[2] / "docs" / "reviewer.md"
SPEC = """
[release]
name = "{name}"
purpose = "{purpose}"
[data]
source = "visits.csv"
[unit]
id = "patient"
max_rows = 2
[budget]
ledger = "budgets/visits"
epsilon = {epsilon}
delta = 1e-9
[synthesis]
strategy = "{strategy}"
[columns.age]
kind = "integer"
min = 17
max = 90
bins = 8
source = "public: admission form, field 3"
[columns.sex]
kind = "categorical"
values = ["F", "M"]
other = false
source = "public: admission form, field 4"
"""


def account(folder, monkeypatch):
    """What a reviewer is given: budgets/visits, out/visits-2030, allowed_signers and the text HEAD."""
    monkeypatch.chdir(folder)
    rows = [f"{number // 2},{line}" for number, line in enumerate(people(300))]
    Path("visits.csv").write_text("\n".join(["patient,age,sex,job,code,score,member", *rows]) + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "dpo"], check=True)
    Path("allowed_signers").write_text(f"dpo@hospital.example {Path('dpo.pub').read_text()}")
    opened = ["--epsilon", "2", "--delta", "1e-8", "--unit", "patient", "--max-rows", "4", "--approver", "Data protection officer"]
    opened += ["--covers", "the extracts of 2029 and 2030", "--signer", "dpo@hospital.example=dpo.pub"]
    steps = [
        ["ledger", "init", "budgets/visits", *opened],
        ["run", written("visits-2029", "Public-use file for teaching", "independent", 1), "--out", "out/visits-2029"],
        ["run", written("visits-2030", "Public-use file for teaching, second year", "mst", 0.5), "--out", "out/visits-2030"],
        ["ledger", "note", "budgets/visits", "The extract of 2029 was deleted on 3 March 2030"],
        ["ledger", "sign", "budgets/visits", "--key", "dpo"],
    ]
    for step in steps:
        result = dpsynth(*step, *(["--quiet"] if step[0] == "run" else []))
        assert result.exit_code == 0, result.stderr
    (held,) = (line for line in Path("budgets/visits/ledger.jsonl").read_text().splitlines() if '"seq":4,' in line)
    Path("HEAD").write_text(re.search(r'"hash":"([0-9a-f]{64})"', held)[1])


def written(name, purpose, strategy, epsilon):
    Path(f"{name}.toml").write_text(SPEC.format(name=name, purpose=purpose, strategy=strategy, epsilon=epsilon))
    return f"{name}.toml"


def masked(text):
    """Without what differs from run to run: hashes, days and the name of whoever runs it."""
    text = re.sub(r"\b[0-9a-f]{16,64}\b", "HASH", text)
    text = re.sub(r"20\d\d-\d\d-\d\d", "DAY", text)
    text = re.sub(r"(DAY +\S+ +|by )[a-z_][a-z0-9_.-]*\b", r"\1USER", text)
    return re.sub(r"-{3,}", "---", re.sub(r" +", " ", text))


def walk():
    """(commands, what they print) of the page, in order."""
    return re.findall(r"^```sh\n(.*?)^```\n+^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)")
def test_every_command_of_the_walk_prints_what_the_page_shows(tmp_path, monkeypatch):
    account(tmp_path, monkeypatch)
    shutil.copy(Path(__file__).parents[2] / "dpsynth" / "verify" / "verify.py", tmp_path / "verify.py")
    assert len(walk()) >= 5
    for commands, shown in walk():
        done = run_in(tmp_path, "bash", "-eu", "-c", commands)
        assert done.returncode == 0, done.stderr
        assert masked(done.stdout).splitlines() == masked(shown).splitlines(), commands


def test_no_command_is_left_without_its_output():
    assert PAGE.read_text(encoding="utf-8").count("```sh\n") == len(walk())


if __name__ == "__main__":
    account(Path(os.environ["WALK"]), pytest.MonkeyPatch())
