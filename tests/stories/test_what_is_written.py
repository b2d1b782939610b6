"""Which files a run writes, and what they do not say."""

import getpass
import json
import re
import socket
from pathlib import Path

import pytest

from tests.stories.world import ROOT, World, people, readable, spawn, tree

BUNDLE = {"synthetic.csv", "release.json", "measurements.npz", "model.npz", "report.html"}
ROWS = 12347


def test_nothing_is_written_but_the_bundle_and_the_ledger(tmp_path):
    world = World.made(tmp_path / "work")
    places = {name: tmp_path / name for name in ("home", "temp", "cwd")}
    for place in places.values():
        place.mkdir()
    home = {"HOME": places["home"], "XDG_CACHE_HOME": places["home"] / "cache", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {key: str(value) for key, value in {**home, "TMPDIR": places["temp"]}.items()}
    before = tree(tmp_path)
    result = spawn("run", str(world.spec_file), "--out", str(world.out), cwd=places["cwd"], **environment)
    assert result.returncode == 0, result.stderr
    after = tree(tmp_path)
    assert set(after) - set(before) == {f"work/out/{name}" for name in BUNDLE}
    assert {name for name in before if after[name] != before[name]} == {"work/account/ledger.jsonl"}
    assert {path.name for path in world.folder.iterdir()} == {"people.csv", "spec.toml", "account", "out"}
    assert not any(list(place.iterdir()) for place in places.values())
    for command in (
        ["sample", str(world.out), "--rows", "9", "--out", "drawn.csv"],
        ["verify", str(world.out)],
        ["report", str(world.out)],
    ):
        assert spawn(*command, cwd=places["cwd"], **environment).returncode == 0
    assert set(tree(tmp_path)) - set(after) == {"cwd/drawn.csv"}
    assert tree(tmp_path)["work/out/report.html"] == after["work/out/report.html"]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three releases of one table of 12,347 rows under strong noise: an exact count would stand in all, chance puts it in none."""
    worlds = []
    for number in range(3):
        lines = list(people(ROWS)) if not worlds else worlds[0].source.read_text().splitlines()[1:]
        world = World.made(tmp_path_factory.mktemp(f"strong-{number}"), lines=lines, epsilon=0.02)
        assert world.run().exit_code == 0
        worlds.append(world)
    return worlds


def numbers(world):
    """Every whole number in what was written, and how many records there are."""
    texts = [readable(path) for path in world.out.iterdir()] + [world.ledger_bytes()]
    found = {int(token) for text in texts for token in re.findall(rb"(?<![0-9a-f])[0-9]{4,6}(?![0-9a-f])", text.replace(b",", b" "))}
    found |= {int(token.replace(b",", b"")) for token in re.findall(rb"\b[0-9]{2},[0-9]{3}\b", (world.out / "report.html").read_bytes())}
    return found | {len((world.out / "synthetic.csv").read_bytes().splitlines()) - 1}


def test_the_exact_number_of_rows_is_in_no_output(three):
    assert not all(ROWS in numbers(world) for world in three)
    rows = [world.facts()["synthesis"]["rows"] for world in three]
    assert all(count in numbers(world) for count, world in zip(rows, three, strict=True))  # the search finds what is there
    assert len(set(rows)) > 1
    assert all(world.facts()["synthesis"]["rows_from"] == "the noisy total" for world in three)


def test_outputs_name_no_place_no_person_and_no_machine(three):
    world = three[0]
    secret = {str(world.folder), world.folder.name, "people.csv", "spec.toml", str(Path.home()) + "/", socket.gethostname(), str(ROOT)}
    secret = {word for word in secret if len(word) > 5}  # a machine called "vm" is in any few thousand random bytes
    for path in world.out.iterdir():
        text = readable(path)
        assert not [word for word in secret if word.encode() in text], path.name
    entries = [{key: value for key, value in entry.items() if key != "actor"} for entry in world.entries()]
    assert not [word for word in secret if word in json.dumps(entries)]
    assert {entry["actor"] for entry in world.entries()} == {getpass.getuser()}


def keys(value):
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_no_key_and_no_sentence_tells_how_long_it_took(three):
    world = three[0]
    names = set(keys(world.facts())) | set(keys(world.entries()))
    assert not [name for name in names if re.search(r"second|duration|elapsed|time|host|path|started", name)]
    assert not re.search(rb"[0-9] ?(s|ms|seconds|minutes)\b", (world.out / "report.html").read_bytes().split(b"</style>")[-1])
    stamps = re.findall(rb"[0-9]{2}:[0-9]{2}:[0-9]{2}", b"".join(readable(path) for path in world.out.iterdir()))
    assert not stamps  # a day is enough


def test_a_public_number_of_rows_is_kept_and_declared(tmp_path):
    world = World.made(tmp_path, rows=41)
    assert world.run().exit_code == 0
    assert len((world.out / "synthetic.csv").read_text().splitlines()) == 42
    facts = world.facts()
    assert facts["synthesis"]["rows_from"] == "the spec"
    assert any("41" in line for line in facts["unprotected"])
