"""Labels and bins that the run finds: the whole way, from a record, after a crash, on made-up rows; and what one person can do to it."""

import json
import random
import shutil
from fractions import Fraction

import pandas as pd
import pytest
from scipy import stats

import dpsynth as dp
from dpsynth import canonical, pipeline
from dpsynth.core import mechanisms
from dpsynth.engines.reader import open_engine
from dpsynth.engines.source import open_source
from dpsynth.privacy import PrivacyUnit, threshold_delta
from dpsynth.questions import LabelsQuestion
from dpsynth.replay import verify_with_replay
from dpsynth.schema import Schema
from tests.stories.test_neighbours import everything
from tests.stories.world import World, dpsynth

COLUMNS = {
    "town": {"kind": "open", "at_most": 8, "missing": True},
    "age": {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive", "bins": 8},
    "job": {"kind": "categorical", "values": ["clerk", "smith", "baker", "herald"], "merge_rare": True, "other": False},
    "sex": {"kind": "categorical", "values": ["F", "M"], "other": False},
}
HEADER = "town,age,job,sex"
SECRET = "Xq9onlyone"
QUANTILES = {**COLUMNS, "age": {"kind": "integer", "min": 0, "max": 99, "binning": "quantiles", "bins": 5}}


def lines(rows=3000, seed=0):
    draw = random.Random(seed)
    for _ in range(rows):
        town = draw.choices(["Ely", "Rye", "", "Wem"], [6, 4, 1, 0.01])[0]
        job = draw.choices(["clerk", "smith", "baker", "herald"], [500, 400, 1, 1])[0]
        yield f"{town},{min(99, int(draw.expovariate(0.05)))},{job},{draw.choice('FM')}"


def world_of(folder, columns=COLUMNS, rows=None, **synthesis):
    return World.made(folder, lines=list(lines()) if rows is None else rows, header=HEADER, columns=columns, **synthesis)


@pytest.fixture(scope="module", params=["all-pairs", "mst"])
def found(request, tmp_path_factory):
    world = world_of(tmp_path_factory.mktemp("found"), QUANTILES if request.param == "mst" else COLUMNS, strategy=request.param)
    assert world.run().exit_code == 0
    return world


def test_a_schema_is_completed_charged_verified_and_made_again_from_the_record(found):
    facts = found.facts()
    claim = facts["guarantee"]
    assert claim["given"] == "1/10000000"  # a tenth of delta
    assert found.entries()[2]["delta"] == claim["given"]
    assert claim["track"] == ("gdp" if facts["synthesis"]["strategy"] == "all-pairs" else "zcdp")
    assert [column["kind"] for column in facts["discovery"]["declared"]] == ["open", "integer", "categorical", "categorical"]
    assert [column["kind"] for column in facts["schema"]] == ["categorical", "integer", "categorical", "categorical"]
    assert facts["schema"][0]["source"] == "discovered"
    assert {"Ely", "Rye"} <= set(facts["schema"][0]["values"])
    assert set(facts["schema"][2].get("unfold", {})) <= {"baker", "herald"}
    assert {"clerk", "smith"} <= set(facts["schema"][2]["values"])
    assert "edges" in facts["schema"][1]
    assert found.verify().exit_code == 0
    assert dpsynth("verify", found.out, "--ledger", found.account, "--replay").exit_code == 0
    assert dpsynth("report", found.out).exit_code == 0
    page = (found.out / "report.html").read_text(encoding="utf-8")
    assert "Searches for labels" in page


def test_records_have_found_labels_and_no_cell_is_left_open(found):
    release = dp.Release.open(found.out)
    assert {"Ely", "Rye"} <= set(release.data["town"].dropna()) <= {"Ely", "Rye", "Wem", "other"}
    assert set(release.data["job"]) <= {"clerk", "smith", "baker", "herald"}
    assert release.data["age"].between(0, 99).all()
    assert len(release.sample(50, where={"town": "Ely"})) == 50
    assert not any(column.discovers for column in release.schema.columns)


def test_a_certificate_of_another_completed_schema_does_not_replay(found, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(found.out, copy)
    facts = json.loads((copy / "release.json").read_bytes())
    place = facts["schema"][0]["values"].index("Ely")
    facts["schema"][0]["values"][place] = "Ayr"
    del facts["digest"]
    facts["digest"] = canonical.digest(facts)
    (copy / "release.json").write_bytes(canonical.dumps(facts) + b"\n")
    assert dp.verify(copy).ok  # it costs no more than what was charged
    verdict = verify_with_replay(copy)
    assert not verdict.ok
    assert "schema" in str(verdict)


def test_a_plan_shows_what_will_be_asked_and_how_large_it_may_get(found):
    result = dpsynth("plan", found.spec_file)
    assert result.exit_code == 0
    assert "labels of" in result.stdout
    assert "fine one-way table" in result.stdout
    facts = json.loads(dpsynth("plan", found.spec_file, "--json").stdout)
    mechanisms = {question[1] for question in facts["questions"]}
    assert "gaussian-threshold" in mechanisms
    assert ("noisy-max" in mechanisms) == (found.facts()["guarantee"]["track"] == "zcdp")
    towns = next(q for q in facts["questions"] if q[0] == "one-way table" and q[2] == ["town"])
    assert towns[4] == 8 + 2


def test_a_run_that_stopped_is_finished_from_its_answers(tmp_path, monkeypatch):
    world = world_of(tmp_path)
    monkeypatch.setattr(pipeline, "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        dp.run(world.spec_file, out=world.out)
    monkeypatch.undo()
    world.source.unlink()
    release = dp.resume(world.out)
    assert {"Ely", "Rye"} <= set(release.schema.column("town").values)
    assert dpsynth("verify", world.out, "--ledger", world.account, "--replay").exit_code == 0


def test_a_rehearsal_goes_the_same_way_on_made_up_rows(tmp_path):
    world = world_of(tmp_path, QUANTILES)
    result = world.run("--rehearse")
    assert result.exit_code == 0
    assert world.types() == []
    assert all("Ely" not in text for text in map(str, world.facts()["schema"]))


@pytest.mark.parametrize("strategy", ["all-pairs", "mst", "aim", "independent"])
def test_nothing_found_is_no_fault(tmp_path, strategy):
    """A column of texts that nobody shares has no label but "other"; too few rows leave bins wide."""
    columns = {**COLUMNS, "town": {"kind": "open"}}
    world = world_of(tmp_path, columns, [f"town {row},{row % 100},clerk,F" for row in range(60)], strategy=strategy)
    result = world.run()
    assert result.exit_code == 0, result.stderr
    assert world.facts()["schema"][0]["values"] == ["other"]
    assert set(dp.Release.open(world.out).data["town"]) <= {"other"}
    assert dpsynth("verify", world.out, "--ledger", world.account, "--replay").exit_code == 0
    assert "town 1" not in everything(world).decode(errors="replace")


def test_an_empty_table_is_no_fault(tmp_path):
    world = world_of(tmp_path, rows=[])
    assert world.run().exit_code == 0


def test_a_label_of_one_person_is_in_no_output(tmp_path):
    """Attacks 8 and 9: once, and 10,000 times by one person of whom max_rows rows count."""
    rows = [f"p{row // 2},Ely,30,clerk,F" for row in range(6000)]
    rows += [f"alone,{SECRET},99,herald,M"] * 10_000 + [f"once,{SECRET}2,1,smith,F"]
    world = World.made(tmp_path, lines=rows, header=f"id,{HEADER}", columns=COLUMNS)
    world.write_spec(columns=COLUMNS, unit={"id": "id", "max_rows": 3})
    result = world.run()
    assert result.exit_code == 0, result.stderr
    assert world.facts()["schema"][0]["values"] == ["Ely"]
    for place in (everything(world), result.stdout.encode(), result.stderr.encode()):
        assert SECRET.encode() not in place
        assert SECRET.encode().hex().encode() not in place


def test_how_often_a_label_of_one_person_shows_is_below_its_delta(tmp_path):
    """Over 10,000 rows of one person, three count: as often as three rows show, and below what is charged for it."""
    source = tmp_path / "t.csv"
    source.write_text("id,town,sex\n" + f"alone,{SECRET},F\n" * 10_000 + "".join(f"q{i},Ely,F\n" for i in range(50)), encoding="utf-8")
    unit = PrivacyUnit("id", 3)
    schema = Schema.from_columns({"town": {"kind": "open"}, "sex": {"kind": "categorical", "values": ["F", "M"]}})
    engine = open_engine(open_source(source), schema, unit)
    assert engine.labels("town") == {SECRET: 3, "Ely": 50}
    question, shown, draws = LabelsQuestion("town", 2.0, 8, 5), 0, 1500
    for _ in range(draws):
        shown += SECRET in mechanisms.labels(engine.labels("town"), question, unit, lambda event: None).texts
    delta = float(threshold_delta(3, Fraction(2), 8))
    assert shown <= stats.binom.ppf(1 - 1e-7, draws, delta)
    assert shown > 0  # at a threshold this low it does show


HOSTILE = ["a\0b", "\x1b[31mred", "=cmd|'x'!A1", "<script>alert(1)</script>", "'; DROP TABLE coded; --", '"', "a,b", "\u202egnp"]
HOSTILE += ["x" * 101, "\u00e9" * 100]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_hostile_labels_that_many_people_share_break_nothing(tmp_path, file_format):
    quoted = ['"' + text.replace('"', '""') + '"' for text in HOSTILE]
    rows = [f"{quoted[row % len(quoted)]},{row % 100},clerk,F" for row in range(20_000)]
    columns = {**COLUMNS, "town": {"kind": "open", "at_most": 30}}
    world = world_of(tmp_path, columns, rows, strategy="independent", format=file_format)
    assert world.run().exit_code == 0
    labels = [text for text in HOSTILE if text.isprintable() and len(text) <= 100]
    assert sorted(world.facts()["schema"][0]["values"]) == sorted(labels)
    assert set(dp.Release.open(world.out).data["town"]) == {*labels, "other"}
    assert "<script>alert" not in (world.out / "report.html").read_text(encoding="utf-8")
    assert dpsynth("verify", world.out, "--ledger", world.account, "--replay").exit_code == 0


def test_the_synthesizer_finds_labels_too(tmp_path):
    world = world_of(tmp_path)
    synth = dp.Synthesizer(Schema.from_columns(COLUMNS), ledger=world.account, epsilon=1, delta="1e-7").fit(pd.read_csv(world.source))
    assert {"Ely", "Rye"} <= set(synth.sample(400)["town"].dropna())


def test_targets_cannot_rest_on_what_is_yet_to_be_found(tmp_path):
    world = world_of(tmp_path, rows_about=3000)
    text = world.spec_file.read_text() + '[[targets]]\ncolumns = ["age"]\nwithin = 0.1\n'
    world.spec_file.write_text(text)
    result = dpsynth("plan", world.spec_file)
    assert result.exit_code == 2
    assert "all declared" in result.stderr
