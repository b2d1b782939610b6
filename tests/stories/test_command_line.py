"""The whole way through the command line, and every exit code."""

import json
import shutil

import pandas as pd
import pytest

from tests.stories.world import COLUMNS, DELTA, LEDGER_EPSILON, World, dpsynth, tree


def spent(world):
    return json.loads(dpsynth("ledger", "show", world.account, "--json").stdout)


def test_a_budget_is_opened_planned_rehearsed_spent_twice_and_then_refused(tmp_path):
    world = World.made(tmp_path, opened=False)
    opened = dpsynth("ledger", "init", world.account, "--epsilon", LEDGER_EPSILON, "--delta", DELTA, "--approver", "Ada")
    assert opened.exit_code == 0
    assert "opened" in opened.stdout
    fresh = world.ledger_bytes()
    plan = dpsynth("plan", world.spec_file, "--rows-about", 300)
    assert plan.exit_code == 0
    assert "The ledger admits it" in plan.stdout
    assert "No data was read" in plan.stdout
    assert world.run("--rehearse", out=tmp_path / "rehearsal").exit_code == 0
    assert world.ledger_bytes() == fresh
    first = world.run()
    assert first.exit_code == 0
    assert "(1, 1e-6)-differential privacy" in first.stdout
    assert world.types() == ["PREPARE", "MEASURED", "RELEASED"]
    verdict = world.verify()
    assert verdict.exit_code == 0
    assert verdict.stdout.endswith("\nVERIFIED\n")
    once = spent(world)
    assert world.run(out=tmp_path / "second").exit_code == 0
    assert world.verify().exit_code == 0
    assert world.verify(tmp_path / "second").exit_code == 0
    twice = spent(world)
    assert [row["status"] for row in twice["releases"]] == ["RELEASED", "RELEASED"]
    assert once["spent_epsilon"] != twice["spent_epsilon"]
    assert twice["approvers"] == ["Ada"]
    before = tree(tmp_path)
    third = world.run(out=tmp_path / "third")
    assert third.exit_code == 3
    assert "the budget refuses" in third.stderr
    assert third.stdout == ""
    assert tree(tmp_path) == before
    assert not (tmp_path / ".third.partial").exists()
    assert "would refuse" in dpsynth("plan", world.spec_file).stdout
    shown = dpsynth("ledger", "show", world.account)
    assert shown.exit_code == 0
    assert "  released  " in shown.stdout
    assert "Ada" in shown.stdout
    assert dpsynth("ledger", "verify", world.account).exit_code == 0


def test_two_releases_cost_less_than_the_sum_of_their_epsilons(tmp_path):
    world = World.made(tmp_path)
    for name in ("a", "b"):
        assert world.run(out=tmp_path / name).exit_code == 0
    numerator, denominator = map(int, spent(world)["spent_epsilon"].split("/"))
    assert 1.3 < numerator / denominator < 1.6  # sqrt(2) and a little, not 2


# --- sample and report ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "column", "expected"),
    [
        ("age=40", "age", 40),
        ("sex=F", "sex", "F"),
        ("job=smith", "job", "smith"),
        ("job=other", "job", "other"),
        ("job=", "job", None),
        ("code=2", "code", 2),
        ("score=3.25", "score", 3.25),
        ("member=true", "member", True),
        ("member=NO", "member", False),
        ("member=", "member", None),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_record_holds_the_value_that_was_asked_for(released, tmp_path, where, column, expected, ending):
    file = tmp_path / f"drawn.{ending}"
    result = dpsynth("sample", released.out, "--rows", 40, "--out", file, "--where", where)
    assert result.exit_code == 0
    assert result.stdout.startswith("40 records")
    records = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    assert list(records.columns) == list(COLUMNS)
    assert len(records) == 40
    values = records[column]
    assert values.isna().all() if expected is None else values.tolist() == [expected] * 40


def test_several_conditions_hold_together(released, tmp_path):
    file = tmp_path / "drawn.csv"
    conditions = ("--where", "sex=M", "--where", "age=17", "--where", "job=", "--where", "code=0")
    assert dpsynth("sample", released.out, "--rows", 25, "--out", file, *conditions).exit_code == 0
    records = pd.read_csv(file)
    assert len(records) == 25
    assert set(records["sex"]) == {"M"}
    assert set(records["age"]) == {17}
    assert set(records["code"]) == {0}
    assert records["job"].isna().all()


def test_a_seed_names_the_drawn_records(released, tmp_path):
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert dpsynth("sample", released.out, "--rows", 50, "--out", tmp_path / f"{name}.csv", "--seed", seed).exit_code == 0
        texts.append((tmp_path / f"{name}.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (["nothing=1"], "unknown column 'nothing'"),
        (["sex"], "COLUMN=VALUE"),
        (["sex=F", "sex=M"], "names column 'sex' twice"),
        (["sex=X"], "does not list 'X'"),
        (["sex="], "no missing values"),
        (["age=91"], "does not list '91'"),
        (["age=17.5"], "does not list"),
        (["score=nan"], "does not list"),
        (["code=4"], "does not list"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(released, tmp_path, where, words):
    options = [word for text in where for word in ("--where", text)]
    result = dpsynth("sample", released.out, "--rows", 5, "--out", tmp_path / "x.csv", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "x.csv").exists()


def test_a_report_is_made_anew_and_is_the_same(released):
    page = (released.out / "report.html").read_bytes()
    (released.out / "report.html").unlink()
    result = dpsynth("report", released.out)
    assert result.exit_code == 0
    assert str(released.out / "report.html") in result.stdout
    assert (released.out / "report.html").read_bytes() == page


# --- machines ------------------------------------------------------------------------------------------------------------------------


def test_json_goes_to_stdout_and_progress_to_stderr(world):
    plan = json.loads(dpsynth("plan", world.spec_file, "--json").stdout)
    assert plan["strategy"] == "mst"
    assert plan["refused"] == ""
    run = world.run("--json")
    facts = json.loads(run.stdout)
    assert facts == {"folder": str(world.out), "digest": world.facts()["digest"], "rehearsal": False}
    assert "charged:" in run.stderr
    assert "released:" in run.stderr
    verdict = json.loads(dpsynth("verify", world.out, "--json").stdout)
    assert verdict["ok"] is True
    assert ["ok", "FAIL"] not in verdict["lines"]
    show = json.loads(dpsynth("ledger", "show", world.account, "--json").stdout)
    assert show["releases"][0]["release"] == "people-1"


def test_quiet_is_quiet(world):
    assert world.run("--quiet").stderr == ""
    assert world.run("--quiet", "--rehearse", out=world.folder / "rehearsal").stderr == ""


def test_the_demo_releases_and_verifies_without_a_word_on_stderr(tmp_path):
    result = dpsynth("demo", "--out", tmp_path / "demo", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "RELEASED (entry 4)" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "demo-ledger"]
    assert dpsynth("demo", "--out", tmp_path / "demo").exit_code == 2


# --- exit codes ----------------------------------------------------------------------------------------------------------------------


def refused(world, result, code, words):
    """The message is there, nothing was charged and nothing is left lying about."""
    assert (result.exit_code, words in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr
    assert world.types() == []
    assert not world.out.exists()
    assert not world.partial.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sead": 3}, "unknown key 'sead': did you mean 'seed'?"),
        ({"strategy": "magic"}, "synthesis.strategy must be one of"),
        ({"rows": -1}, "synthesis.rows must be a whole number"),
        ({"seed": True}, "synthesis.seed must be a whole number"),
        ({"epsilon": 0}, "epsilon must be from"),
        ({"unit": {"id": "", "max_rows": 2}}, "max_rows"),
        ({"unit": {"id": "age", "max_rows": 2}}, "names people"),
        ({"release": {"name": "UPPER"}}, "release.name"),
        ({"release": {"purpose": "two\nlines"}}, "release.purpose"),
        ({"columns": {"age": {"kind": "integer", "min": 3, "max": 1}}}, "min must not be above max"),
        ({"columns": {"age": {"kind": "integer", "min": 0, "max": 10, "binz": 3}}}, "unknown keys ['binz']"),
    ],
)
def test_a_wrong_spec_is_refused_and_charges_nothing(world, changes, words):
    world.write_spec(**changes)
    refused(world, world.run(), 2, words)
    assert dpsynth("plan", world.spec_file).exit_code == 2


@pytest.mark.parametrize(
    "text",
    ["[release", "a = 1e99999999999999999999", "a = " + "9" * 5000, "a = " + "[" * 3000, "\x00", "a = 1\na = 2"],
    ids=["cut", "exponent", "digits", "depth", "NUL", "twice"],
)
def test_a_file_that_is_no_spec_is_refused(world, text):
    world.spec_file.write_text(text)
    refused(world, world.run(), 2, "error: the spec")


def test_numbers_of_thousands_of_digits_are_refused(world):
    text = world.spec_file.read_text()
    for key in ("epsilon", "max"):
        world.spec_file.write_text(text.replace(f"{key} = ", f"{key} = 0x{'f' * 6000} # ", 1))
        refused(world, world.run(), 2, "error: ")


def test_a_missing_spec_or_column_is_refused(world):
    refused(world, dpsynth("run", world.folder / "no.toml", "--out", world.out), 2, "cannot be read")
    world.write_spec(columns={**COLUMNS, "income": {"kind": "code", "size": 3}})
    refused(world, world.run(), 2, "has no column 'income'")


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "spec.toml"],
        ["run", "spec.toml", "--resume", "out"],
        ["run", "--resume", "out"],
        ["run", "--resume", "/"],
        ["run", "spec.toml", "--out", "/"],
        ["run", "spec.toml", "--out", ""],
        ["run", "spec.toml", "--out", ".."],
        ["run", "spec.toml", "--out", "people.csv/out"],
        ["run", "spec.toml", "--out", "people.csv/deeper/out"],
        ["run", "spec.toml", "--out", "x" * 300],
        ["run", "spec.toml", "--out", "out", "--seed", "1"],
        ["demo", "--out", "/"],
        ["demo", "--out", "."],
        ["plan"],
        ["plan", "spec.toml", "--rows-about", "0"],
        ["sample", "out", "--rows", "3", "--out", "x.csv"],
        ["sample", "out", "--rows", "-3", "--out", "x.csv"],
        ["sample", "out", "--rows", "3", "--out", "x.xlsx"],
        ["report", "out"],
        ["report", "people.csv"],
        ["ledger", "init", "account", "--epsilon", "1", "--delta", "1e-6"],
        ["ledger", "init", "people.csv", "--epsilon", "1", "--delta", "1e-6"],
        ["ledger", "init", "other", "--epsilon", "inf", "--delta", "1e-6"],
        ["ledger", "init", "other", "--epsilon", "1", "--delta", "1"],
        ["ledger", "init", "other", "--epsilon", "1"],
        ["nothing"],
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_wrong_usage_exits_with_2_and_changes_nothing(world, monkeypatch, words):
    monkeypatch.chdir(world.folder)
    before = tree(world.folder)
    result = dpsynth(*words)
    assert result.exit_code == 2
    assert result.stderr
    assert result.stdout == ""
    assert tree(world.folder) == before
    assert not world.partial.exists()


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "dangling link"])
def test_an_out_that_exists_is_refused_before_anything_is_charged(world, kind):
    if kind == "file":
        world.out.write_text("mine")
    elif kind == "dangling link":
        world.out.symlink_to(world.folder / "nowhere")
    else:
        world.out.mkdir()
        if kind == "folder":
            (world.out / "mine.txt").write_text("mine")
    before = tree(world.folder)
    for more in ([], ["--rehearse"]):
        result = world.run(*more)
        assert result.exit_code == 2
        assert "exists already" in result.stderr
        assert "nothing was charged" in result.stderr
    assert tree(world.folder) == before
    assert world.types() == []


def test_a_file_to_sample_into_must_be_new_and_writable(released, tmp_path):
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    for out in (taken, taken / "below.csv", tmp_path / ("x" * 300 + ".csv")):
        assert dpsynth("sample", released.out, "--rows", 3, "--out", out).exit_code == 2
    assert tree(tmp_path) == {"taken.csv": b"mine"}


def test_strict_refuses_facts_without_a_source(world):
    refused(world, world.run("--strict"), 2, "do not say where they come from: column 'age': its cells;")
    world.write_spec(columns={name: {**facts, "source": "public: this test"} for name, facts in COLUMNS.items()})
    assert world.run("--strict").exit_code == 0


def test_no_ledger_is_refused_with_the_command_that_opens_one(tmp_path):
    world = World.made(tmp_path, opened=False)
    result = world.run()
    assert result.exit_code == 3
    assert f"dpsynth ledger init {world.account}" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "spec.toml"]
    assert dpsynth("ledger", "show", world.account).exit_code == 3
    assert dpsynth("ledger", "verify", world.account).exit_code == 4


def test_a_broken_ledger_refuses_to_spend_and_fails_to_verify(world):
    assert world.run().exit_code == 0
    file = world.account / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"type":"PREPARE"', b'"type":"NOTE"'))
    before = world.ledger_bytes()
    result = world.run(out=world.folder / "second")
    assert result.exit_code == 3
    assert "not to be trusted from entry 2" in result.stderr
    assert dpsynth("ledger", "verify", world.account).exit_code == 4
    assert world.verify().exit_code == 4
    assert dpsynth("ledger", "show", world.account).exit_code == 3
    assert world.ledger_bytes() == before
    assert not (world.folder / ".second.partial").exists()


@pytest.mark.parametrize("name", ["synthetic.csv", "measurements.npz", "model.npz", "release.json"])
def test_a_changed_file_fails_to_verify(released, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(released.out, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    result = released.verify(copy)
    assert result.exit_code == 4
    assert "FAIL" in result.stdout
    assert result.stdout.endswith("NOT VERIFIED\n")


def test_an_added_or_missing_file_fails_to_verify(released, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(released.out, copy)
    (copy / "more.txt").write_text("x")
    assert released.verify(copy).exit_code == 4
    (copy / "more.txt").unlink()
    assert released.verify(copy).exit_code == 0
    (copy / "model.npz").unlink()
    assert released.verify(copy).exit_code == 4
    assert released.verify(tmp_path / "nothing").exit_code == 4


def test_a_bundle_fails_to_verify_against_another_ledger(released, tmp_path):
    other = World.made(tmp_path / "other")
    assert other.run().exit_code == 0
    result = dpsynth("verify", released.out, "--ledger", other.account)
    assert result.exit_code == 4
    assert "this release is not in this ledger" in result.stdout


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "unknown ending", "damaged parquet"])
def test_a_source_that_does_not_open_exits_with_5_and_charges_nothing(world, kind):
    text = world.spec_file.read_text()
    world.source.unlink()
    if kind == "folder":
        world.source.mkdir()
    elif kind == "empty":
        world.source.touch()
    elif kind == "unknown ending":
        world.spec_file.write_text(text.replace("people.csv", "spec.toml"))
    elif kind == "damaged parquet":
        world.spec_file.write_text(text.replace("people.csv", "people.parquet"))
        (world.folder / "people.parquet").write_bytes(b"PAR1 and no more")
    refused(world, world.run(), 5, "error: ")


def test_release_data_is_what_the_file_holds(released):
    from dpsynth.api import Release

    found = Release.open(released.out).data
    text = (released.out / "synthetic.csv").read_text()
    assert found.to_csv(index=False, lineterminator="\n") == text
