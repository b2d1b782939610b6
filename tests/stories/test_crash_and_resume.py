"""kill -9, Ctrl-C and other runs at every step: what was drawn is spent, what was paid for is kept, nothing is charged twice."""

import json
import signal
from pathlib import Path

import pytest

from dpsynth import api, pipeline
from dpsynth.core.ledger import Ledger
from dpsynth.errors import SpecError
from dpsynth.release.bundle import write_records
from dpsynth.release.partial import Partial
from dpsynth.release.record import read_arrays, transcript_from, write_arrays
from tests.stories.crashing import STEPS
from tests.stories.world import World, dpsynth, python, tree

BUNDLE = {"release.json", "synthetic.csv", "measurements.npz", "model.npz", "report.html"}
RUN = ["run", "spec.toml", "--out", "out"]
WITHOUT_ANSWERS = [
    "after the entry is remembered",
    "after the first answer",
    "before the answers are kept",
    "between the two files of answers",
]
WITH_ANSWERS = ["before MEASURED", "after MEASURED", "before the bundle is renamed", "before RELEASED", "after RELEASED"]
WRECKS = [(signal.SIGKILL, step) for step in STEPS]
WRECKS += [(signal.SIGINT, step) for step in ("after PREPARE", "after the first answer", "before MEASURED", "before RELEASED")]


def wreck_name(value):
    return {signal.SIGKILL: "kill", signal.SIGINT: "interrupt"}.get(value, value)


def crashed(plan, cwd):
    """Exit statuses of runs that start at the same moment."""
    result = python(Path(__file__).with_name("crashing.py"), json.dumps(plan), cwd=cwd)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def wrecks(tmp_path_factory):
    """For each signal and step: a world whose run was ended there. Its paths were relative to the folder it ran in."""
    plan, worlds = [], {}
    for number, step in WRECKS:
        world = worlds[number, step] = World.made(tmp_path_factory.mktemp("wreck"))
        plan.append([step, number, str(world.folder), RUN])
    statuses = crashed(plan, tmp_path_factory.getbasetemp())
    assert statuses == [-signal.SIGKILL if number == signal.SIGKILL else 1 for number, _ in WRECKS]
    return worlds


def rho(world):
    return Ledger.open(world.account).read().rho


def expected_records(world, folder):
    """What an uninterrupted run makes of the answers that are in the working folder or the bundle: fit and draw, nothing else."""
    spec = world.spec()
    if world.partial.exists():
        transcript = Partial(world.out).transcript()
    else:
        transcript = transcript_from(world.facts()["exchanges"], read_arrays(world.out / "measurements.npz"))
    records = pipeline.records(spec, pipeline.fit(spec, pipeline.replayed(spec, pipeline.planned(spec)[0], transcript)))
    write_records(folder / "expected.csv", records)
    return (folder / "expected.csv").read_bytes()


@pytest.mark.parametrize(("number", "step"), WRECKS, ids=wreck_name)
def test_whatever_stops_a_run_the_charge_is_in_the_ledger_and_the_bundle_is_whole_or_absent(wrecks, step, number):
    world = wrecks[number, step]
    cap = pipeline.planned(world.spec())[0].rho.value
    assert world.types()[0] == "PREPARE"
    assert world.types().count("PREPARE") == 1
    assert rho(world) == cap
    assert dpsynth("ledger", "verify", world.account).exit_code == 0
    assert not world.out.exists() or set(tree(world.out)) == BUNDLE


def resumed(world, tmp_path, monkeypatch):
    """`run --resume` from another folder than the run was started in, with the source gone: it reads no rows."""
    monkeypatch.chdir(tmp_path)
    world.source.unlink(missing_ok=True)
    return dpsynth("run", "--resume", world.out)


def refuses_to_resume_again(world):
    before = tree(world.folder)
    again = dpsynth("run", "--resume", world.out)
    assert again.exit_code == 2
    assert "nothing to resume" in again.stderr
    assert tree(world.folder) == before


@pytest.mark.parametrize(("number", "step"), [wreck for wreck in WRECKS if wreck[1] in WITH_ANSWERS], ids=wreck_name)
def test_answers_that_were_paid_for_become_the_release_they_would_have_been(wrecks, step, number, tmp_path, monkeypatch):
    world = wrecks[number, step]
    before, records = rho(world), expected_records(world, tmp_path)
    result = resumed(world, tmp_path, monkeypatch)
    assert result.exit_code == 0, result.stderr
    assert (world.out / "synthetic.csv").read_bytes() == records
    assert world.types() == ["PREPARE", "MEASURED", "RELEASED"]
    assert rho(world) == before
    assert world.verify().exit_code == 0
    assert {path.name for path in world.folder.iterdir()} == {"account", "out", "said.txt", "spec.toml"}
    refuses_to_resume_again(world)


@pytest.mark.parametrize("step", WITHOUT_ANSWERS)
def test_a_run_killed_before_its_answers_were_kept_is_aborted_and_stays_spent(wrecks, step, tmp_path, monkeypatch):
    world = wrecks[signal.SIGKILL, step]
    before = rho(world)
    result = resumed(world, tmp_path, monkeypatch)
    assert result.exit_code == 3
    assert "stays spent" in result.stderr
    assert world.types() == ["PREPARE", "ABORTED"]
    assert rho(world) == before
    assert not world.out.exists()
    assert not world.partial.exists()
    refuses_to_resume_again(world)


def test_a_run_killed_between_the_charge_and_its_note_is_not_resumed(wrecks, tmp_path, monkeypatch):
    world = wrecks[signal.SIGKILL, "after PREPARE"]
    before = tree(world.folder)
    result = dpsynth("run", "--resume", world.out)
    assert result.exit_code == 2
    assert "before any answer" in result.stderr
    assert f"remove {world.partial}" in result.stderr
    assert tree(world.folder) == before
    taken = world.run()
    assert taken.exit_code == 2
    assert "--resume" in taken.stderr
    assert world.types() == ["PREPARE"]


def test_an_interrupt_while_rows_are_read_is_aborted_at_once(wrecks):
    world = wrecks[signal.SIGINT, "after the first answer"]
    assert world.types() == ["PREPARE", "ABORTED"]
    assert not world.partial.exists()
    assert not world.out.exists()
    refuses_to_resume_again(world)


def test_the_place_of_an_unfinished_run_is_taken(world, monkeypatch):
    interrupted_after_answers(world, monkeypatch)
    charged = world.ledger_bytes()
    for more in ([], ["--rehearse"]):
        result = world.run(*more)
        assert result.exit_code == 2
        assert "an unfinished run" in result.stderr
        assert world.ledger_bytes() == charged
    assert dpsynth("run", "--resume", world.out).exit_code == 0


def interrupt(*_):
    raise KeyboardInterrupt


def interrupted_after_answers(world, monkeypatch, before="record_measured"):
    """The answers are on disk; the run stops before the given step of the pipeline."""
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, before, interrupt)
        with pytest.raises(KeyboardInterrupt):
            api.run(world.spec(), out=world.out)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("measurements.npz", "", ""),
        ("transcript.json", '"sigma":"', '"sigma":"1'),
        ("transcript.json", '"scale":"', '"scale":"1'),
        ("transcript.json", '"selected":', '"selected":1'),
        ("transcript.json", '"exchanges":', '"exchanges":7,"x":'),
        ("spec.json", '"epsilon":"1/1"', '"epsilon":"2/1"'),
        ("spec.json", '"name":"people-1"', '"name":"people-2"'),
        ("spec.json", '"purpose":"a story"', '"purpose":"a tale"'),
        ("spec.json", '"bins":8', '"bins":9'),
        ("spec.json", '"strategy":"mst"', '"strategy":"independent"'),
        ("spec.json", "{", "["),
        ("entry.json", '"id":"', '"id":"0'),
    ],
)
def test_answers_that_were_changed_are_not_released(world, monkeypatch, name, old, new):
    interrupted_after_answers(world, monkeypatch)
    file = world.partial / name
    if name == "measurements.npz":
        arrays = read_arrays(file)
        write_arrays(file, {**arrays, "table-00003": arrays["table-00003"] + 1})
    else:
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    before = world.ledger_bytes()
    result = dpsynth("run", "--resume", world.out)
    assert result.exit_code in (2, 3)
    assert not world.out.exists()
    assert world.ledger_bytes() == before


def test_a_resumed_release_of_other_answers_is_refused_by_the_ledger(world, monkeypatch):
    interrupted_after_answers(world, monkeypatch, before="fit")
    other = World.made(world.folder / "other")
    interrupted_after_answers(other, monkeypatch)
    for name in ("measurements.npz", "transcript.json"):
        (world.partial / name).write_bytes((other.partial / name).read_bytes())
    result = dpsynth("run", "--resume", world.out)
    assert result.exit_code == 3
    assert "other answers" in result.stderr
    assert not world.out.exists()


def test_a_resume_needs_the_ledger_that_was_charged(world, monkeypatch):
    interrupted_after_answers(world, monkeypatch)
    world.account.rename(world.folder / "moved")
    result = dpsynth("run", "--resume", world.out)
    assert result.exit_code == 3
    assert world.partial.exists()
    (world.folder / "moved").rename(world.account)
    assert dpsynth("run", "--resume", world.out).exit_code == 0


def test_a_bundle_that_is_another_release_is_not_taken_for_this_one(world, monkeypatch):
    assert world.run(out=world.folder / "earlier").exit_code == 0
    interrupted_after_answers(world, monkeypatch)
    (world.folder / "earlier").rename(world.out)
    result = dpsynth("run", "--resume", world.out)
    assert result.exit_code == 2
    assert "another release" in result.stderr
    assert world.types().count("RELEASED") == 1
    assert world.partial.exists()


@pytest.mark.parametrize("name", ["write_records", "write_arrays"])
def test_a_full_disk_keeps_the_answers_and_a_resume_finishes(world, monkeypatch, name):
    from dpsynth.release import bundle

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bundle, name, full)
        result = world.run()
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert "--resume" in result.stderr
    assert not world.out.exists()
    assert dpsynth("run", "--resume", world.out).exit_code == 0
    assert world.types() == ["PREPARE", "MEASURED", "RELEASED"]


# --- other runs at the same moment ---------------------------------------------------------------------------------------------------


def test_of_runs_to_one_place_one_wins_and_the_others_are_not_charged(world):
    statuses = crashed([[None, 0, str(world.folder), RUN]] * 4, world.folder)
    assert sorted(statuses) == [0, 2, 2, 2]
    assert world.types() == ["PREPARE", "MEASURED", "RELEASED"]
    assert world.verify().exit_code == 0
    assert not world.partial.exists()
    assert "nothing was charged" in (world.folder / "said.txt").read_text()


def test_of_runs_that_share_a_budget_exactly_those_that_fit_are_charged(world):
    plan = [[None, 0, str(world.folder), [*RUN[:3], f"out-{n}"]] for n in range(4)]
    assert sorted(crashed(plan, world.folder)) == [0, 0, 3, 3]
    assert world.types().count("PREPARE") == 2
    assert dpsynth("ledger", "verify", world.account).exit_code == 0
    assert len([path for path in world.folder.iterdir() if path.name.startswith("out-")]) == 2
    assert not list(world.folder.glob(".out-*"))


def test_a_run_that_finishes_between_the_look_and_the_claim_of_another_wins(world, monkeypatch):
    real = Path.mkdir

    def late(path, *arguments, **options):
        if path == world.partial:
            world.out.mkdir()  # the other run was renamed into place and removed its working folder just now
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", late)
    result = world.run()
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert world.types() == []
    assert not world.partial.exists()


def test_a_run_that_is_still_at_work_is_not_resumed(world, monkeypatch):
    interrupted_after_answers(world, monkeypatch)
    before = tree(world.folder)
    with Partial(world.out).alone():
        result = dpsynth("run", "--resume", world.out)
    assert result.exit_code == 2
    assert "another process works on" in result.stderr
    assert tree(world.folder) == before
    assert dpsynth("run", "--resume", world.out).exit_code == 0


def test_a_run_holds_its_working_folder_while_it_measures(world, monkeypatch):
    seen = []
    real = pipeline.measure

    def measure(*arguments):
        with pytest.raises(SpecError, match="another process"), Partial(world.out).alone():
            pass
        seen.append(dpsynth("run", "--resume", world.out).exit_code)
        return real(*arguments)

    monkeypatch.setattr(pipeline, "measure", measure)
    assert world.run().exit_code == 0
    assert seen == [2]
