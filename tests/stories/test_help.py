"""Help, examples and what a version costs."""

import shlex

import click
import pytest

from dpsynth.cli import main
from dpsynth.version import VERSION
from tests.stories.world import dpsynth, python, spawn


def commands(group=main, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def examples(path):
    """The lines to paste of a command's help."""
    help_text = dpsynth(*path, "--help").stdout
    _, found, lines = help_text.partition("Example:\n")
    assert found, f"the help of {path} shows no example"
    return [line.strip() for line in lines.splitlines() if line.strip()]


def test_all_promised_commands_are_there():
    of_ledger = {f"ledger {name}" for name in ("init", "show", "verify", "note", "policy", "sign", "export")}
    promised = {"demo", "plan", "run", "verify", "sample", "report", "registry", "schema import", "schema draft", *of_ledger}
    assert {" ".join(path) for path in COMMANDS} == promised


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_shows_examples_that_the_command_line_takes(path, monkeypatch):
    lines = examples(path)
    assert lines
    assert all(line.startswith("dpsynth " + " ".join(path)) for line in lines)
    calls = []
    for command in COMMANDS.values():
        monkeypatch.setattr(command, "callback", lambda **options: calls.append(options))
    for line in lines:
        result = dpsynth(*shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.stderr}"
    assert len(calls) == len(lines)


def test_a_group_without_a_command_shows_what_there_is():
    for words in ([], ["ledger"]):
        result = dpsynth(*words)
        assert "Commands:" in result.stdout + result.stderr


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["run", "--help"]], ids=" ".join)
def test_version_and_help_import_nothing_slow(tmp_path, words):
    code = (
        "import sys; from dpsynth.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print(sorted({'jax', 'mbi', 'numpy', 'opendp', 'pandas', 'pyarrow', 'scipy', 'duckdb'} & set(sys.modules)), file=sys.stderr)"
    )
    result = python("-c", code, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.strip() == "[]"


def test_the_module_runs_as_a_program(tmp_path):
    result = spawn("--version", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.strip() == f"dpsynth, version {VERSION}"
    assert result.stderr == ""
    assert spawn("nothing", cwd=tmp_path).returncode == 2
