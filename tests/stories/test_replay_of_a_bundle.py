"""`dpsynth verify --replay`: questions, model, statements and records are made again from a bundle's answers, and compared."""

import json

import numpy as np
import pytest

from dpsynth import replay
from dpsynth.errors import SpecError
from dpsynth.release.record import read_arrays, write_arrays
from dpsynth.replay import verify_with_replay
from tests.stories.world import COLUMNS, World, dpsynth, tree
from tests.verify.bundles import seal

KINDS = [
    {"strategy": "mst", "rows": 200, "seed": 3},
    {"strategy": "independent", "format": "parquet", "rows_about": 300},
    {"strategy": "all-pairs"},
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind["strategy"])
def release(request, tmp_path_factory):
    """A finished release whose source and ledger are gone: a replay needs neither."""
    world = World.made(tmp_path_factory.mktemp("replay"), **request.param)
    assert world.run().exit_code == 0
    world.source.unlink()
    return world


@pytest.fixture(scope="module")
def mst(tmp_path_factory):
    few = {name: COLUMNS[name] for name in ("sex", "job", "code")}
    world = World.made(tmp_path_factory.mktemp("mst"), columns=few, rows=120)
    assert world.run().exit_code == 0
    return world


@pytest.fixture
def forged(mst, tmp_path):
    """A copy to forge; what is changed there is sealed anew, so that the verifier alone, without the ledger, finds nothing."""
    for name, data in tree(mst.out).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def resealed(folder, change=lambda facts: None):
    facts = json.loads((folder / "release.json").read_bytes())
    change(facts)
    seal(folder, facts)
    assert dpsynth("verify", folder).exit_code == 0
    return dpsynth("verify", folder, "--replay")


def test_a_release_replays_from_its_answers(release):
    before = tree(release.folder)
    result = dpsynth("verify", release.out, "--ledger", release.account, "--replay")
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    strategy, name = release.spec().strategy, f"synthetic.{release.spec().format}"
    assert any(f"ok      the strategy {strategy!r}, given these answers in turn, asks the" in line for line in lines)
    assert any(line.startswith("ok      the model fitted to these answers") and line.endswith("bit for bit") for line in lines)
    assert any(line.startswith("ok      the certificate says what a run") for line in lines)
    assert any(line.startswith("ok      the ") and line.endswith(f"are {name}, byte for byte") for line in lines)
    assert lines[-1] == "VERIFIED"
    assert tree(release.folder) == before


def test_a_replay_takes_the_place_of_one_line_of_trust(mst):
    plain, replayed = (dpsynth("verify", mst.out, *more).stdout.splitlines() for more in ([], ["--replay"]))
    trusted, still = ({line for line in lines if line.startswith("trust")} for lines in (plain, replayed))
    assert still < trusted
    assert ["--replay" in line for line in trusted - still] == [True]


def test_for_machines_it_prints_the_same(mst):
    result = dpsynth("verify", mst.out, "--replay", "--json")
    facts = json.loads(result.stdout)
    assert (result.exit_code, facts["ok"]) == (0, True)
    assert sum("the replay" in text or "given these answers" in text for _, text in facts["lines"]) == 1


def test_a_record_that_was_changed_is_found(forged):
    path = forged / "synthetic.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(i for i in range(2, len(lines)) if lines[i] != lines[1])
    lines[1], lines[at] = lines[at], lines[1]
    path.write_bytes(b"".join(lines))
    result = resealed(forged)
    assert result.exit_code == 4
    assert "FAIL    the replay failed: synthetic.csv does not hold the records that this model gives" in result.stdout


def test_a_record_that_was_left_out_is_found(forged):
    path = forged / "synthetic.csv"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    result = resealed(forged)
    assert result.exit_code == 4
    assert "number of records" in result.stdout


def test_the_same_records_in_another_writers_bytes_are_said_to_be_so(forged):
    path = forged / "synthetic.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    result = resealed(forged)
    assert result.exit_code == 0, result.stdout
    assert "synthetic.csv, value by value" in result.stdout


def changed_model(folder, change):
    arrays = read_arrays(folder / "model.npz")
    name = max((name for name in arrays if arrays[name].dtype.kind == "f"), key=lambda name: arrays[name].size)
    arrays[name] = change(arrays[name].copy())
    write_arrays(folder / "model.npz", arrays)
    return name


def test_a_model_that_does_not_follow_from_the_answers_is_found(forged):
    name = changed_model(forged, lambda values: values * 1.01)
    result = resealed(forged)
    assert result.exit_code == 4
    assert f"model.npz is not the model that is fitted to these answers: its array {name!r} differs" in result.stdout


def test_a_model_of_another_shape_is_found(forged):
    arrays = read_arrays(forged / "model.npz")
    write_arrays(forged / "model.npz", {**arrays, "more": np.ones(3)})
    result = resealed(forged)
    assert result.exit_code == 4
    assert "other arrays than the model" in result.stdout


def test_a_model_from_another_processor_is_said_to_be_close(forged):
    changed_model(forged, lambda values: np.nextafter(values, np.inf))
    result = resealed(forged)
    assert "not bit for bit" in result.stdout


@pytest.mark.parametrize("strategy", ["independent", "all-pairs", "aim"])
def test_answers_to_another_strategys_questions_are_found(forged, strategy):
    estimator = {"all-pairs": "latent-class"}.get(strategy, "maxent")
    result = resealed(forged, lambda facts: facts["synthesis"].update(strategy=strategy, estimator=estimator))
    assert result.exit_code == 4
    assert "FAIL    the replay failed: this question is not the one on record" in result.stdout


def test_questions_of_nobody_knows_which_kind_are_found(forged):
    result = resealed(forged, lambda facts: facts["synthesis"].update(strategy="whatever"))
    assert result.exit_code == 4
    assert "synthesis.strategy must be one of" in result.stdout


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("unprotected", lambda facts: facts["unprotected"].pop()),
        ("unit", lambda facts: facts["unit"].update(enforced="by magic")),
        ("fit", lambda facts: facts["fit"].update(steps=facts["fit"]["steps"] + 1)),
        ("synthesis", lambda facts: facts["synthesis"].update(rows_from="the noisy total")),
        (
            "targets",
            lambda facts: facts["targets"].append({"columns": ["sex"], "within": "1/10", "confidence": "19/20", "promised": "1/99"}),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_statement_that_no_run_writes_is_found(forged, key, change):
    result = resealed(forged, change)
    assert result.exit_code == 4, key
    assert "FAIL    the replay failed" in result.stdout


def test_another_epsilon_than_was_planned_with_is_found(forged):
    """A weaker claim is true, so the verifier accepts it; but it is not the budget that these questions were made for."""

    def weaker(facts):
        facts["guarantee"].update(epsilon="2/1", zcdp_epsilon="2/1")

    assert resealed(forged, weaker).exit_code == 4


def test_what_does_not_verify_is_not_replayed(forged, monkeypatch):
    monkeypatch.setattr(replay, "replay_lines", lambda folder: pytest.fail("replayed"))
    (forged / "synthetic.csv").write_bytes(b"")
    verdict = verify_with_replay(forged)
    assert not verdict.ok


def test_other_versions_are_named_where_a_replay_fails(forged):
    def older(facts):
        facts["software"].update(numpy="1.0")
        facts["unprotected"].pop()

    result = resealed(forged, older)
    assert result.exit_code == 4
    assert "It was made with numpy 1.0 (here " in result.stdout


@pytest.mark.parametrize("damage", [ArithmeticError, KeyError, TypeError, SpecError])
def test_hostile_bundles_fail_the_replay_and_do_not_crash_it(mst, monkeypatch, damage):
    def refuse(facts):
        raise damage("hostile")

    monkeypatch.setattr(replay, "spec_of", refuse)
    verdict = verify_with_replay(mst.out)
    assert not verdict.ok
    assert any(kind == "FAIL" and text.startswith("the replay failed") for kind, text in verdict.lines)


def test_further_records_and_reports_are_named_for_machines_too(mst, tmp_path):
    out = tmp_path / "more.csv"
    result = dpsynth("sample", mst.out, "--rows", 3, "--out", out, "--json")
    assert json.loads(result.stdout) == {"file": str(out), "records": 3}
    assert json.loads(dpsynth("report", mst.out, "--json").stdout) == {"report": str(mst.out / "report.html")}
