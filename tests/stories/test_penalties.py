"""What `aim` takes off a candidate for its noise: asked as the spec says, certified, replayed; a certificate that says another is found."""

import json

import pytest

import dpsynth as dp
from dpsynth.errors import SpecError
from dpsynth.spec import PENALTIES
from tests.stories.world import COLUMNS, World, dpsynth, tree
from tests.verify.bundles import seal

FEW = {name: COLUMNS[name] for name in ("sex", "job", "code")}


def made(folder, **synthesis):
    world = World.made(folder, columns=FEW, rows=50, **synthesis)
    assert world.run().exit_code == 0
    return world


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """One of `aim` for each penalty, and one of `mst`, which has none."""
    found = {name: made(tmp_path_factory.mktemp(name), strategy="aim", penalty=name) for name in PENALTIES}
    return {**found, None: made(tmp_path_factory.mktemp("mst"), strategy="mst")}


def changed(world, folder, change):
    """The verdicts without and with a replay on a copy whose certificate was changed and sealed anew."""
    for name, data in tree(world.out).items():
        (folder / name).write_bytes(data)
    facts = json.loads((folder / "release.json").read_bytes())
    change(facts["synthesis"])
    seal(folder, facts)
    return dpsynth("verify", folder), dpsynth("verify", folder, "--replay")


@pytest.mark.parametrize("penalty", [*PENALTIES, None])
def test_it_is_certified_replayed_and_shown(releases, penalty):
    world = releases[penalty]
    assert world.facts()["synthesis"]["penalty"] == penalty
    result = dpsynth("verify", world.out, "--ledger", world.account, "--replay")
    assert result.exit_code == 0, result.stdout
    shown = (world.out / "report.html").read_text(encoding="utf-8")
    assert ("with the penalty" in shown) == (penalty is not None)
    assert penalty is None or f"aim, with the penalty “{penalty}” for noise" in shown


@pytest.mark.parametrize(("asked", "said"), [("discount", "none"), ("published", "shrunk"), ("shrunk", "published"), ("none", "published")])
def test_a_certificate_that_names_another_is_found_by_a_replay(releases, tmp_path, asked, said):
    plain, replayed = changed(releases[asked], tmp_path, lambda synthesis: synthesis.update(penalty=said))
    assert plain.exit_code == 0  # whatever the question, it was paid for
    assert replayed.exit_code == 4
    assert "this question is not the one on record" in replayed.stdout


@pytest.mark.parametrize("penalty", ["discount", None])
def test_a_release_from_before_there_were_penalties_replays(releases, tmp_path, penalty):
    for result in changed(releases[penalty], tmp_path, lambda synthesis: synthesis.pop("penalty")):
        assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize("said", ["dear", 3, ["none"], {"discount": 1}, None])
def test_a_penalty_that_is_none_fails_the_replay_and_does_not_crash_it(releases, tmp_path, said):
    plain, replayed = changed(releases["discount"], tmp_path, lambda synthesis: synthesis.update(penalty=said))
    assert plain.exit_code == 0
    assert replayed.exit_code == 4
    assert "FAIL    the replay failed" in replayed.stdout


def test_from_python_a_synthesizer_takes_it(releases):
    known = {"ledger": releases["none"].account, "epsilon": "0.1", "delta": "1e-6", "strategy": "aim"}
    schema = releases["none"].spec().schema
    assert [dp.Synthesizer(schema, **known, **more).spec.penalty for more in ({"penalty": "shrunk"}, {})] == ["shrunk", "discount"]
    with pytest.raises(SpecError, match="must be one of"):
        dp.Synthesizer(schema, **known, penalty="dear")


def test_another_strategy_takes_none_and_nothing_is_charged(tmp_path):
    world = World.made(tmp_path, strategy="mst", penalty="none")
    before = world.ledger_bytes()
    result = world.run()
    assert result.exit_code == 2
    assert 'synthesis.penalty is for the strategy "aim": remove it' in result.stderr
    assert world.ledger_bytes() == before
