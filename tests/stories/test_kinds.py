"""A file of every kind of column comes back in the same columns, types, formats and order; names and notes do not."""

import random
from datetime import date, timedelta

import pandas as pd
import pytest

from dpsynth.api import Release
from dpsynth.evaluation.distance import encode
from dpsynth.spec import Spec
from tests.stories.world import World, dpsynth

LAW = "public: the form"
COLUMNS = {
    "visit": {"kind": "identifier", "replace": "uuid"},
    "born": {"kind": "date", "min": "1930-01-01", "max": "2019-12-31", "bins": 9, "format": "%d.%m.%Y", "missing": True},
    "ward": {"kind": "categorical", "values": ["A", "B"], "unfold": {"C": 1, "D": 3}},
    "notes": {"kind": "text"},
    "triage": {"kind": "categorical", "values": ["low", "high"], "ordered": True, "other": False},
    "cost": {"kind": "number", "min": 0, "max": 1000, "edges": [0, 10, 100, 1000], "spikes": [0], "decimals": 2, "inside": "linear"},
    "seen": {"kind": "datetime", "min": "2026-01-01", "max": "2026-01-31", "bins": 4},
    "stay": {"kind": "duration", "min": 0, "max": "99:59:59", "bins": 4, "missing": True},
    "smokes": {"kind": "boolean", "words": ["No", "Yes"]},
    "person": {"kind": "identifier"},
    "gone": {"kind": "identifier", "replace": "none"},
}
SECRET = "SECRET"


def visits(rows):
    draw = random.Random(7)
    for i in range(rows):
        born = date(1930, 1, 1) + timedelta(draw.randrange(32_000))
        seen = f"2026-01-{draw.randint(1, 30):02d} {draw.randint(0, 23):02d}:30:00"
        stay = draw.choice(["", f"{draw.randint(0, 99):02d}:{draw.randint(0, 59):02d}:00"])
        cost = draw.choice(["0", "0.00", f"{draw.uniform(0, 1000):.2f}"])
        born_text = draw.choice(["", f"{born:%d.%m.%Y}"])
        fields = (f"{SECRET}{i}", born_text, draw.choice("AABCDE"), f"{SECRET} note", draw.choice(["low", "high"]), cost, seen, stay)
        yield ";".join((*fields, draw.choice(["yes", "No"]), f"{SECRET}-p{i // 2}", f"{SECRET} x"))


@pytest.fixture(scope="module", params=["csv", "parquet"])
def released(request, tmp_path_factory):
    world = World.made(tmp_path_factory.mktemp("kinds"), lines=list(visits(300)), header=";".join(COLUMNS))
    columns = {name: facts if facts["kind"] in ("identifier", "text") else {**facts, "source": LAW} for name, facts in COLUMNS.items()}
    world.write_spec(columns=columns, unit={"id": "person", "max_rows": 2}, format=request.param, strategy="all-pairs")
    text = world.spec_file.read_text(encoding="utf-8").replace('source = "people.csv"', 'source = "people.csv"\ndelimiter = ";"')
    inline = text.replace('unfold = {"C": 1, "D": 3}', "unfold = { C = 1, D = 3 }")
    world.spec_file.write_text(inline, encoding="utf-8")
    run = world.run("--strict")
    assert run.exit_code == 0, run.stderr
    return world


def test_columns_types_and_formats_are_those_of_the_file(released):
    found = Release.open(released.out).data
    assert list(found.columns) == [name for name in COLUMNS if name not in ("notes", "gone")]
    types = ["object", "object", "object", "category", "float64", "datetime64[us]", "object", "object", "int64"]
    assert [str(kind) for kind in found.dtypes] == types
    assert found["born"].dropna().str.fullmatch(r"\d\d\.\d\d\.(19|20)\d\d").all()
    assert found["stay"].dropna().str.fullmatch(r"\d\d:\d\d:\d\d").all()
    assert set(found["ward"]) <= {"A", "B", "C", "D"}
    assert set(found["smokes"]) <= {"No", "Yes"}
    assert found["person"].tolist() == list(range(1, len(found) + 1))
    assert not found["visit"].duplicated().any()


def test_what_names_people_and_what_they_wrote_leaves_no_trace(released):
    assert all(SECRET.encode() not in path.read_bytes() for path in released.out.iterdir())
    unprotected = released.facts()["unprotected"]
    assert "column 'notes': free text, dropped; nothing of it was read" in unprotected
    assert "column 'visit': identifier, not released; the records have made-up ids instead" in unprotected
    assert f"column 'born': its cells ({LAW})" in unprotected
    assert not any("word" in line for line in unprotected)


def test_a_reader_without_the_source_makes_the_same_release_again(released):
    hidden = released.source.rename(released.folder / "hidden")
    result = dpsynth("verify", released.out, "--ledger", released.account, "--replay")
    hidden.rename(released.source)
    assert (result.exit_code, "FAIL" in result.output) == (0, False)


def test_records_of_a_condition_hold_the_very_value(released):
    out = released.folder / "more.csv"
    asked = ("--where", "born=1950-02-03", "--where", "stay=PT1H30M", "--where", "ward=C")
    result = dpsynth("sample", released.out, "--rows", 20, "--out", out, *asked)
    assert result.exit_code == 0, result.stderr
    records = pd.read_csv(out)
    assert [set(records[name]) for name in ("born", "stay", "ward")] == [{"03.02.1950"}, {"01:30:00"}, {"C"}]
    refused = dpsynth("sample", released.out, "--rows", 20, "--out", released.folder / "none.csv", "--where", "notes=x")
    assert (refused.exit_code, "has no cells" in refused.stderr) == (2, True)


def test_a_table_in_memory_gives_the_same_cells_as_its_file(released):
    """Types of time, as pandas has them, are read like the texts that they are written as."""
    schema = Spec.from_file(released.spec_file).schema
    texts = pd.read_csv(released.source, sep=";", dtype=str, keep_default_na=False, na_values=[""])
    typed = texts.assign(
        born=pd.to_datetime(texts["born"], format="%d.%m.%Y"),
        seen=pd.to_datetime(texts["seen"]),
        stay=pd.to_timedelta(texts["stay"]),
        cost=texts["cost"].astype(float),
        smokes=texts["smokes"].str.lower() == "yes",
    )
    assert (encode(schema, typed) == encode(schema, texts)).all()
