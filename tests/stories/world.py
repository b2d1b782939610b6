"""A small protected table, its spec and its ledger: what every story starts from."""

import json
import os
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from dpsynth.cli import main
from dpsynth.core.ledger import Ledger
from dpsynth.spec import Spec

ROOT = Path(__file__).parents[2]
DELTA = "1e-6"
LEDGER_EPSILON = "1.6"
"""At delta 1e-6 this holds two releases of epsilon 1, and not three."""

COLUMNS = {
    "age": {"kind": "integer", "min": 17, "max": 90, "bins": 8},
    "sex": {"kind": "categorical", "values": ["F", "M"], "other": False},
    "job": {"kind": "categorical", "values": ["clerk", "smith"], "missing": True},
    "code": {"kind": "code", "size": 4},
    "score": {"kind": "number", "min": 0, "max": 10, "bins": 5, "decimals": 2},
    "member": {"kind": "boolean", "missing": True},
}
HEADER = ",".join(COLUMNS)


def people(rows, seed=0):
    """Lines of a made-up table with the columns above."""
    draw = random.Random(seed)
    for _ in range(rows):
        job, member = draw.choice(["clerk", "smith", "", "baker"]), draw.choice(["yes", "no", ""])
        yield f"{draw.randint(17, 90)},{draw.choice('FM')},{job},{draw.randint(0, 3)},{draw.uniform(0, 10):.2f},{member}"


def _word(value):
    return json.dumps(value, ensure_ascii=False)


def toml(sections):
    """A spec file's text; JSON's words for texts, numbers and lists are TOML's."""
    lines = []
    for section, values in sections.items():
        tables = {f"columns.{_word(name)}": column for name, column in values.items()} if section == "columns" else {section: values}
        for title, pairs in tables.items():
            lines += [f"[{title}]", *(f"{key} = {_word(value)}" for key, value in pairs.items())]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class World:
    """A folder with `people.csv`, `spec.toml` and, once opened, the ledger `account`."""

    folder: Path

    @classmethod
    def made(cls, folder, *, lines=None, header=HEADER, columns=None, opened=True, epsilon=1, **synthesis):
        """lines: the rows as CSV text, 300 people where left out. synthesis: keys of that section."""
        folder.mkdir(parents=True, exist_ok=True)
        world = cls(folder)
        world.source.write_text("\n".join([header, *(people(300) if lines is None else lines)]) + "\n", encoding="utf-8")
        world.write_spec(columns=columns or COLUMNS, epsilon=epsilon, **synthesis)
        if opened:
            Ledger.init(world.account, epsilon=LEDGER_EPSILON, delta=DELTA)
        return world

    def write_spec(self, *, columns=None, epsilon=1, unit=None, release=None, **synthesis):
        sections = {
            "release": {"name": "people-1", "purpose": "a story", **(release or {})},
            "data": {"source": "people.csv"},
            "unit": unit or {},
            "budget": {"ledger": "account", "epsilon": epsilon, "delta": float(DELTA)},
            "synthesis": {"strategy": "mst", **synthesis},  # the quickest that selects; the demo and the replay tell the default's story
            "columns": columns or COLUMNS,
        }
        self.spec_file.write_text(toml(sections), encoding="utf-8")

    @property
    def source(self):
        return self.folder / "people.csv"

    @property
    def spec_file(self):
        return self.folder / "spec.toml"

    @property
    def account(self):
        return self.folder / "account"

    @property
    def out(self):
        return self.folder / "out"

    @property
    def partial(self):
        return self.folder / ".out.partial"

    def spec(self):
        return Spec.from_file(self.spec_file)

    def ledger_bytes(self):
        return (self.account / "ledger.jsonl").read_bytes()

    def entries(self):
        """The ledger's lines as values, read from the disk."""
        return [json.loads(line) for line in self.ledger_bytes().splitlines()]

    def types(self):
        """The types of the entries after GENESIS and POLICY."""
        return [entry["type"] for entry in self.entries()[2:]]

    def facts(self, out=None):
        return json.loads(((out or self.out) / "release.json").read_bytes())

    def run(self, *more, out=None):
        return dpsynth("run", self.spec_file, "--out", out or self.out, *more)

    def verify(self, out=None):
        return dpsynth("verify", out or self.out, "--ledger", self.account)


def dpsynth(*arguments):
    """The command line in this process. An exception that is no exit is a fault of the program: it is raised here."""
    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # click 8.2 keeps the streams apart by itself
        runner = CliRunner()
    result = runner.invoke(main, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def spawn(*arguments, cwd, **environment):
    """The same in a process of its own."""
    return python("-m", "dpsynth", *arguments, cwd=cwd, **environment)


def python(*arguments, cwd, **environment):
    """A Python process that finds this checkout, whatever folder it starts in."""
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    words = [sys.executable, *map(str, arguments)]
    return subprocess.run(words, cwd=cwd, env=own, capture_output=True, text=True, timeout=120, check=False)


def tree(folder):
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def readable(path):
    """A file's bytes; of an .npz archive, its members' names and bytes."""
    if path.suffix != ".npz":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(info.filename.encode() + archive.read(info) for info in archive.infolist())
