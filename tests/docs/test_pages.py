"""What the pages say is true: their code runs, their links lead somewhere, each line the verifier prints is explained."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dpsynth.errors import BudgetRefused, SourceError, SpecError, VerificationFailed
from dpsynth.replay import verify_with_replay
from dpsynth.verify.verify import verify, verify_ledger
from tests.stories.world import World

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
PACKAGE = ROOT / "dpsynth"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_in(folder, *command):
    """The command in a fresh environment, with `dpsynth` and `python` as an activated environment has them."""
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    for name, arguments in (("python", ""), ("dpsynth", " -m dpsynth")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_the_shell_blocks_run_as_pasted(tmp_path):
    """Those of README, then those of docs/verify.md, which look at the same release."""
    script = "".join(block for page in (ROOT / "README.md", DOCS / "verify.md") for block in blocks(page, "sh"))
    done = run_in(tmp_path, "bash", "-eu", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nVERIFIED\n") == 5
    assert "REHEARSAL on made-up rows" in done.stdout
    women = (tmp_path / "women.csv").read_text().splitlines()
    assert len(women) == 1001
    assert all(",Female," in line for line in women[1:])


def test_the_python_blocks_run_as_pasted(tmp_path):
    (block,) = blocks(ROOT / "README.md", "python")
    done = run_in(tmp_path, sys.executable, "-c", block)
    assert done.returncode == 0, done.stderr
    assert "(1, 1e-9)-differential privacy" in done.stdout
    assert (tmp_path / "adult-from-python" / "release.json").is_file()


def test_the_examples_are_short():
    assert all(len(block.strip().splitlines()) <= 11 for language in ("python", "sh") for block in blocks(ROOT / "README.md", language))


def test_every_other_block_is_of_a_known_language():
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) % 2 == 0, page.name
        assert set(fences[::2]) <= {"", "sh", "python", "toml", "console"}, page.name


def slugs(page):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_exist(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            name, _, anchor = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.exists(), target
            assert not anchor or anchor in slugs(linked), target


def explained():
    """Patterns of the lines that docs/verify.md explains, with their kind; `...` stands for a printed value."""
    rows = re.findall(r"^\| (ok|warning|trust): (.*?) \| .+ \|$", (DOCS / "verify.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [(kind, re.compile(".+".join(map(re.escape, text.split("..."))))) for kind, text in rows]


def places(lines):
    """The row of docs/verify.md that explains each line; None where none does."""
    known = explained()
    return [next((i for i, (k, pattern) in enumerate(known) if k == kind and pattern.fullmatch(text)), None) for kind, text in lines]


def test_each_line_of_the_verifier_is_explained_and_none_is_made_up(tmp_path):
    assert run_in(tmp_path, "dpsynth", "demo", "--quiet", "--out", "demo").returncode == 0
    folder, account = tmp_path / "demo", tmp_path / "demo-ledger"
    with_ledger, alone, ledger = (places(v.lines) for v in (verify(folder, account), verify(folder), verify_ledger(account)))
    world = World.made(tmp_path / "small")
    assert world.run().exit_code == 0
    replayed = places(verify_with_replay(world.out).lines)
    entries = (account / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (account / "ledger.jsonl").write_bytes(b"".join(entries[:-1]))  # as if the run had stopped before RELEASED
    seen = [*with_ledger, *alone, *ledger, *replayed, *places(verify(folder, account).lines)]
    assert None not in seen
    assert set(seen) == set(range(len(explained())))
    assert with_ledger == sorted(with_ledger)


def test_the_exit_codes_are_the_real_ones():
    stated = {int(code) for code in re.findall(r"^\| (\d) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)}
    assert stated == {0, *(error.exit_code for error in (SpecError, BudgetRefused, VerificationFailed, SourceError))}


def test_every_module_has_its_place_in_the_architecture_page():
    table = (DOCS / "architecture.md").read_text(encoding="utf-8").split("## Rooms")[1].split("## The way of the data")[0]
    named = set(re.findall(r"`(\w+)`", table))
    rooms = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - {"__init__", "__main__"} <= named


def test_the_picture_of_the_report_is_small():
    picture = DOCS / "report.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size < 300_000
