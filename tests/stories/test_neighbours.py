"""One hostile row changes noisy numbers and nothing else: no file, no message, no exit code, no domain."""

import re
import traceback
from itertools import pairwise

import pytest

from dpsynth import api, pipeline
from dpsynth.engines.codes import CodesEngine
from tests.stories.world import HEADER, World, dpsynth, people, readable, tree

CANARY = "Zq7canaryXw"
HOSTILE = {
    "new category": f"40,{CANARY},smith,1,5.00,yes",
    "huge number": "1e308,F,smith,1,1e308,yes",
    "not a number": "NaN,F,smith,1,inf,yes",
    "text in numbers": f"{CANARY},F,smith,{CANARY},{CANARY},{CANARY}",
    "formula": f"40,F,=cmd|'{CANARY}'!A1,1,5.00,yes",
    "markup": f"40,<script>{CANARY}</script>,smith,1,5.00,yes",
    "SQL": f"40,F'); DROP TABLE coded; -- {CANARY},smith,1,5.00,yes",
    "NUL": f"40,F\0{CANARY},sm\0ith,1,5.00,yes",
    "over-long text": f"40,F,{CANARY * 50_000},1,5.00,yes",
    "over-long line": f"40,F,{CANARY * 200_000},1,5.00,yes",
    "nulls": ",,,,,",
    "too few fields": f"{CANARY}",
    "too many fields": "40,F,smith,1,5.00,yes" + f",{CANARY}" * 50,
    "open quote": f'40,"{CANARY},smith,1,5.00,yes',
    "stray quote": f'40,F,"smith"{CANARY}",1,5.00,yes',
    "bare return": f"40,F,smith\r{CANARY},1,5.00,yes",
    "half surrogate": f"40,\udcff\udcfe{CANARY},smith,1,5.00,yes",
    "many digits": f"{'9' * 5000},F,smith,{'1' * 5000},0.{'0' * 5000}1,yes",
    "escape code": f"40,\x1b[31m{CANARY},smith,1,5.00,yes",
    "header again": HEADER,
}
ROWS = list(people(200))


def world_of(folder, lines):
    """The hostile bytes go to the file as they are."""
    world = World.made(folder)
    text = "\n".join([HEADER, *lines]) + "\n"
    world.source.write_bytes(text.encode(errors="surrogateescape"))
    return world


def plain(world, text):
    """A message without its numbers and without the folder of the test."""
    return re.sub(r"[0-9][0-9.e-]*", "#", text.replace(str(world.folder), "FOLDER"))


def shape(value):
    """A value without the numbers and names that noise may change."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def public_facts(world):
    facts = world.facts()
    kept = {key: facts[key] for key in ("format", "schema", "unit", "guarantee", "spent", "software", "release")}
    return kept, shape({**facts, "exchanges": facts["exchanges"][:2]}), len(facts["exchanges"]), sorted(facts["files"])


def everything(world):
    """All bytes that a run left behind, archives unpacked; without the source."""
    files = [path for path in world.folder.rglob("*") if path.is_file() and path not in (world.source, world.spec_file)]
    return b"\n".join(readable(path) for path in files)


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The run on the table without the hostile row."""
    world = world_of(tmp_path_factory.mktemp("without"), ROWS)
    return world, world.run()


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_hostile_row_is_not_seen_outside_the_noise(without, tmp_path, kind):
    other, expected = without
    world = world_of(tmp_path, [*ROWS[:100], HOSTILE[kind], *ROWS[100:]])
    result = world.run()
    assert result.exit_code == expected.exit_code == 0
    assert plain(world, result.stdout) == plain(other, expected.stdout)
    assert plain(world, result.stderr) == plain(other, expected.stderr)
    assert public_facts(world) == public_facts(other)
    assert set(tree(world.folder)) == set(tree(other.folder))
    assert CANARY not in result.stdout + result.stderr
    assert CANARY.encode() not in everything(world)
    assert world.verify().exit_code == 0


def exact_tables(world):
    """The exact one-way tables, which only tests see."""
    spec = world.spec()
    engine = api.open_engine(pipeline.checked_source(spec), spec.schema, spec.unit)
    return engine.counts([(column,) for column in spec.schema.domain.columns])


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_row_is_one_row_at_most_and_moves_no_other(without, tmp_path, kind):
    world = world_of(tmp_path, [*ROWS[:100], HOSTILE[kind], *ROWS[100:]])
    for before, after in zip(exact_tables(without[0]), exact_tables(world), strict=True):
        moved = (after - before).tolist()
        rows = 0 if kind == "over-long line" else 1  # a line that long is no row
        assert sorted(moved) == [0] * (len(moved) - rows) + [1] * rows


@pytest.mark.parametrize("kind", ["new category", "text in numbers"])
@pytest.mark.parametrize("source", ["parquet", "data frame", "arrow"])
def test_typed_sources_do_not_leak_either(tmp_path, kind, source):
    import pandas as pd

    world = world_of(tmp_path, ROWS)
    names = HEADER.split(",")
    frame = pd.DataFrame([line.split(",") for line in [*ROWS, HOSTILE[kind]]], columns=names)
    if source == "parquet":
        frame.to_parquet(tmp_path / "people.parquet")
        api.run(world.spec(), out=world.out, data=tmp_path / "people.parquet")
        (tmp_path / "people.parquet").unlink()
    else:
        api.run(world.spec(), out=world.out, data=frame if source == "data frame" else arrow(frame))
    assert CANARY.encode() not in everything(world)
    assert world.verify().exit_code == 0


def arrow(frame):
    import pyarrow as pa

    return pa.Table.from_pandas(frame)


def test_a_first_line_that_may_be_a_row_is_not_shown(world):
    world.source.write_text(f"40,{CANARY},smith,1,5.00,yes\n" + "\n".join(people(5)) + "\n")
    result = world.run()
    assert result.exit_code == 2
    assert CANARY not in result.stderr + result.stdout
    assert world.types() == []


def chain(error):
    """The texts of an exception and of all that hang on it."""
    while error is not None:
        yield "".join(traceback.format_exception(error)) + repr(error.args)
        error = error.__context__


@pytest.mark.parametrize("place", ["read", "count", "answer"])
def test_a_library_that_quotes_a_row_is_not_quoted(world, monkeypatch, place):
    from dpsynth.core import mechanisms
    from dpsynth.engines import reader

    def quote(*_, **__):
        raise RuntimeError(f"could not convert {CANARY!r}")

    owner, name = {"read": (reader, "_coded"), "count": (CodesEngine, "counts"), "answer": (mechanisms, "measure")}[place]
    monkeypatch.setattr(owner, name, quote)
    result = world.run()
    assert result.exit_code == 5
    assert CANARY not in result.stderr + result.stdout
    assert CANARY.encode() not in everything(world)
    assert world.types() == ["PREPARE", "ABORTED"]
    with pytest.raises(Exception, match="could not be") as caught:
        api.run(world.spec(), out=world.out)
    assert not any(CANARY in text for text in chain(caught.value))


def test_the_working_folder_of_a_stopped_run_holds_no_row(tmp_path, monkeypatch):
    world = world_of(tmp_path, [*ROWS, *HOSTILE.values()])

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "record_measured", interrupt)
    assert world.run().exit_code == 1
    assert world.partial.is_dir()
    assert CANARY.encode() not in everything(world)
    spec = (world.partial / "spec.json").read_bytes()
    assert b"people.csv" in spec  # the search does read that folder


def test_errors_of_later_commands_do_not_leak(tmp_path):
    world = world_of(tmp_path, [*ROWS, HOSTILE["new category"]])
    assert world.run().exit_code == 0
    result = dpsynth("sample", world.out, "--rows", 3, "--out", tmp_path / "x.csv", "--where", "sex=unheard")
    assert result.exit_code == 2
    assert CANARY not in result.stderr


def test_the_order_of_the_rows_is_not_the_order_of_the_records(tmp_path):
    """With little noise a sorted table gives records that are not sorted."""
    lines = [f"{age},F,smith,1,5.00,yes" for age in sorted([20] * 150 + [80] * 150)]
    world = World.made(tmp_path, lines=lines, epsilon=1.5)
    assert world.run().exit_code == 0
    ages = [int(line.split(",")[0]) > 53 for line in (world.out / "synthetic.csv").read_text().splitlines()[1:]]
    assert sum(ages) > 50
    assert sum(a != b for a, b in pairwise(ages)) > 50
