"""A rehearsal goes the same way on made-up rows: it charges nothing, claims nothing and says so."""

import json

import pytest

from dpsynth import api
from dpsynth.errors import SpecError
from tests.stories.world import COLUMNS, World, dpsynth


@pytest.fixture
def nothing(tmp_path):
    """A spec without a source and without a ledger."""
    world = World.made(tmp_path, opened=False)
    world.source.unlink()
    return world


def test_it_works_without_a_source_and_without_a_ledger(nothing):
    result = nothing.run("--rehearse")
    assert result.exit_code == 0
    assert "no guarantee, nothing was charged" in result.stdout
    assert "the source was not checked" in result.stderr
    assert "would be refused" in result.stderr
    assert sorted(path.name for path in nothing.folder.iterdir()) == ["out", "spec.toml"]


def test_it_is_marked_wherever_it_is_looked_at(nothing):
    result = nothing.run("--rehearse", "--json")
    facts = nothing.facts()
    assert json.loads(result.stdout)["rehearsal"] is True
    assert facts["rehearsal"] is True
    assert facts["ledger"] is None
    assert "REHEARSAL" in (nothing.out / "report.html").read_text().upper()
    verdict = dpsynth("verify", nothing.out)
    assert verdict.exit_code == 4
    assert "REHEARSAL" in verdict.stdout
    assert "\nVERIFIED" not in verdict.stdout


def test_it_charges_nothing_and_reads_no_row(world, monkeypatch):
    def refuse(*_):
        raise AssertionError("a rehearsal opened the rows")

    monkeypatch.setattr(api, "open_engine", refuse)
    before = world.ledger_bytes()
    result = world.run("--rehearse")
    assert result.exit_code == 0
    assert "made-up rows" in result.stderr
    assert world.ledger_bytes() == before
    assert not world.partial.exists()
    assert world.verify().exit_code == 4


def test_it_says_that_the_real_run_would_be_refused(tmp_path):
    world = World.made(tmp_path, epsilon=5)
    result = world.run("--rehearse")
    assert result.exit_code == 0
    assert "the real run would be refused" in result.stderr


def test_it_finds_a_column_that_is_not_there(world):
    world.write_spec(columns={**COLUMNS, "income": {"kind": "code", "size": 3}})
    result = world.run("--rehearse")
    assert result.exit_code == 2
    assert "has no column 'income'" in result.stderr
    assert not world.partial.exists()


def test_it_checks_the_table_that_the_real_run_would_read(world):
    import pandas as pd

    with pytest.raises(SpecError, match="no column"):
        api.run(world.spec(), out=world.out, data=pd.DataFrame({"age": [1]}), rehearse=True)


def test_its_records_fit_the_schema_and_can_be_sampled(nothing):
    assert nothing.run("--rehearse").exit_code == 0
    release = api.Release.open(nothing.out)
    assert list(release.data.columns) == list(COLUMNS)
    assert 800 < len(release.data) < 1200
    assert set(release.sample(50, where={"sex": "F"})["sex"]) == {"F"}


def test_it_is_refused_where_a_release_is(world):
    assert world.run().exit_code == 0
    before = world.facts()
    assert world.run("--rehearse").exit_code == 2
    assert world.facts() == before


def test_the_real_run_may_follow_with_the_same_settings(world):
    assert world.run("--rehearse", out=world.folder / "r").exit_code == 0
    assert world.run().exit_code == 0
    assert world.verify().exit_code == 0
    rehearsed, real = world.facts(world.folder / "r"), world.facts()
    assert rehearsed["guarantee"] == real["guarantee"]
    assert rehearsed["schema"] == real["schema"]
    assert [len(e["events"]) for e in rehearsed["exchanges"]] == [len(e["events"]) for e in real["exchanges"]]
