"""The rooms: walks every import of the package and refuses one that points the wrong way (docs: architecture, "Rooms")."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dpsynth"
VOCABULARY = frozenset(
    (
        "errors",
        "canonical",
        "domain",
        "workload",
        "privacy",
        "publication",
        "readings",
        "cells",
        "column",
        "kinds",
        "knowledge",
        "labels",
        "lint",
        "normal",
        "rules",
        "schema",
        "questions",
        "transcript",
        "location",
        "version",
        "wishes",
    )
)
POST_PROCESSING = ("inference", "strategies", "sampling", "release", "verify", "evaluation", "reports", "audits")
"""Each may import the vocabulary and what stands left of it; never core or engines."""
SHELLS = frozenset(
    ("accounts", "api", "cli", "cli_ledger", "cli_schema", "command", "demo", "pipeline", "replay", "synthesizer", "__init__", "__main__")
)
MAY_IMPORT = {
    **dict.fromkeys(VOCABULARY, VOCABULARY),
    "core": VOCABULARY | {"core"},
    "engines": VOCABULARY | {"core", "engines"},
    **{room: VOCABULARY | set(POST_PROCESSING[: place + 1]) for place, room in enumerate(POST_PROCESSING)},
    "verify": frozenset({"verify"}),  # it must run where nothing of the package is installed
    "spec": VOCABULARY | {"spec", "spec_keys"},  # reads a file into values of the vocabulary
    "spec_keys": frozenset(),
    "schemas": VOCABULARY | {"schemas", "spec_keys", "engines"},  # reads schemas of others, and the names and types of sources
    "data": frozenset(),
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module):
    """The room of a dotted name inside the package: "core" for dpsynth.core.noise, "__init__" for dpsynth itself."""
    return [*module.split("."), "__init__"][1]


def imported(source, module, is_package):
    """Dotted names of everything that the source imports, wherever in it; relative names made absolute."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) + 1 - node.level] if node.level else []
            start = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" if start == "dpsynth" else start for alias in node.names)


def wrong(source, module, is_package=False):
    """Imports that the module's room does not allow."""
    room = room_of(module)
    names = set(imported(source, module, is_package))
    inside = {name for name in names if name.split(".")[0] == "dpsynth"}
    refused = set() if room in SHELLS else {name for name in inside if room_of(name) not in MAY_IMPORT[room]}
    foreign = {name for name in names - inside if name.split(".")[0] not in sys.stdlib_module_names}
    return refused | (foreign if room == "verify" else set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_up_the_list_of_rooms(path):
    parts = ("dpsynth", *path.relative_to(PACKAGE).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    assert room_of(module) in MAY_IMPORT.keys() | SHELLS, "a new module or folder needs a place in this list of rooms"
    assert not wrong(path.read_text(encoding="utf-8"), module, is_package)


def test_the_walk_finds_the_package():
    assert {"schema.py", "cells.py"} <= {path.name for path in FILES}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dpsynth.strategies.aim", "from dpsynth.core.curator import Curator"),
        ("dpsynth.strategies.aim", "def late():\n    import dpsynth.engines.duck"),
        ("dpsynth.strategies.aim", "from ..core import curator"),
        ("dpsynth.strategies.aim", "from .. import api"),
        ("dpsynth.strategies.aim", "from dpsynth import core"),
        ("dpsynth.strategies.aim", "import dpsynth"),
        ("dpsynth.inference.tree", "from dpsynth.strategies import aim"),
        ("dpsynth.release.load", "from dpsynth.reports import page"),
        ("dpsynth.core.noise", "from dpsynth.inference import model"),
        ("dpsynth.core.noise", "from dpsynth.engines import duck"),
        ("dpsynth.schema", "from dpsynth.core import noise"),
        ("dpsynth.spec", "from dpsynth.strategies import registry"),
        ("dpsynth.verify.checks", "import numpy"),
        ("dpsynth.verify.checks", "from dpsynth.canonical import digest"),
    ],
)
def test_a_forbidden_import_is_caught(module, source):
    assert wrong(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dpsynth.strategies.aim", "import numpy\nfrom dpsynth import canonical\nfrom dpsynth.inference.model import Model"),
        ("dpsynth.strategies.aim", "from . import mst\nfrom .mst import tree\nfrom ..schema import Schema"),
        ("dpsynth.engines.duck", "from dpsynth.core.engine import Engine"),
        ("dpsynth.reports.page", "from dpsynth.release.load import load"),
        ("dpsynth.verify.checks", "import hashlib\nfrom . import ledger"),
        ("dpsynth.api", "from dpsynth.core import curator\nfrom dpsynth import reports"),
    ],
)
def test_an_allowed_import_is_not(module, source):
    assert not wrong(source, module)


def test_a_package_resolves_its_own_relative_imports():
    assert not wrong("from .aim import Aim", "dpsynth.strategies", is_package=True)
    assert wrong("from ..core import noise", "dpsynth.strategies", is_package=True)
