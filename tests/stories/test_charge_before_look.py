"""The charge is on the disk before a row is read; after the last answer the rows are gone."""

import os
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth import api, pipeline
from dpsynth.engines.codes import CodesEngine
from dpsynth.errors import ProtocolError
from tests.stories.world import World, dpsynth


def spied(monkeypatch, module, name, before=lambda *_: None, after=lambda *_: None):
    """The real function with something done before and after it."""
    real = getattr(module, name)

    def spy(*arguments, **options):
        before(*arguments)
        result = real(*arguments, **options)
        after(result)
        return result

    monkeypatch.setattr(module, name, spy)


def test_the_charge_is_on_the_disk_when_the_rows_are_opened(world, monkeypatch):
    seen = []
    spied(monkeypatch, api, "open_engine", before=lambda *_: seen.append(world.entries()[-1]))
    assert world.run().exit_code == 0
    assert len(seen) == 1
    assert seen[0]["type"] == "PREPARE"
    assert seen[0]["release"] == "people-1"
    spent = sum(Fraction(event["rho"]) for exchange in world.facts()["exchanges"] for event in exchange["events"])
    assert 0 < spent <= Fraction(seen[0]["rho"])


def test_the_charge_is_flushed_before_the_rows_are_opened(world, monkeypatch):
    steps = []
    real = os.fsync

    def noted(descriptor):
        steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    spied(monkeypatch, api, "open_engine", before=lambda *_: steps.append("rows"))
    assert world.run().exit_code == 0
    flushed = steps[: steps.index("rows")]
    assert str(world.account / "ledger.jsonl") in flushed
    assert str(world.account) in flushed


def test_no_row_is_read_before_the_charge(world, monkeypatch):
    from dpsynth.engines.parts import DelimitedPart

    seen = []
    spied(monkeypatch, DelimitedPart, "scans", before=lambda *_: seen.append(world.types()))
    assert dpsynth("plan", world.spec_file).exit_code == 0
    assert world.run("--rehearse", out=world.folder / "r").exit_code == 0
    assert seen == []
    assert world.run().exit_code == 0
    assert seen == [["PREPARE"]]


@pytest.mark.parametrize("strategy", ["mst", "independent"])
def test_the_run_finishes_with_the_source_unlinked(tmp_path, monkeypatch, strategy):
    world = World.made(tmp_path, strategy=strategy)
    engines = []
    spied(monkeypatch, api, "open_engine", after=engines.append)
    spied(monkeypatch, pipeline, "measure", after=lambda _: world.source.unlink())
    assert world.run().exit_code == 0
    assert not world.source.exists()
    assert world.verify().exit_code == 0
    assert dpsynth("sample", world.out, "--rows", 5, "--out", tmp_path / "x.csv").exit_code == 0
    assert len(engines) == 1
    assert isinstance(engines[0], CodesEngine)
    with pytest.raises(ProtocolError, match="closed"):
        engines[0].counts([("age",)])


def test_the_source_is_not_needed_once_the_rows_are_coded(world, monkeypatch):
    spied(monkeypatch, api, "open_engine", after=lambda _: world.source.unlink())
    assert world.run().exit_code == 0


def test_a_source_that_fails_after_the_charge_is_aborted_and_stays_spent(world, monkeypatch):
    spied(monkeypatch, api, "open_engine", before=lambda *_: world.source.unlink())
    result = world.run()
    assert result.exit_code == 5
    assert "could not be read" in result.stderr
    assert world.types() == ["PREPARE", "ABORTED"]
    assert "failed" in world.entries()[-1]["body"]["reason"]
    assert not world.out.exists()
    assert not world.partial.exists()
    assert dpsynth("ledger", "verify", world.account).exit_code == 0
    World.made(world.folder, opened=False)
    monkeypatch.undo()
    assert world.run().exit_code == 0
    assert world.run(out=world.folder / "third").exit_code == 3  # the aborted one counts


def test_rows_that_cannot_be_measured_are_aborted_with_their_kind_alone(world, monkeypatch):
    def fail(*_):
        raise ValueError("row 7: Ada Lovelace, 36")

    monkeypatch.setattr(CodesEngine, "counts", fail)
    result = world.run()
    assert result.exit_code == 5
    assert "ValueError" in result.stderr
    assert "Ada" not in result.stderr + result.stdout
    assert world.types() == ["PREPARE", "ABORTED"]
    assert b"Ada" not in world.ledger_bytes()
    with pytest.raises(Exception, match="ValueError") as caught:
        api.run(world.spec(), out=world.out)
    error = caught.value
    while error is not None:
        assert "Ada" not in str(error)
        error = error.__context__


def test_an_interrupt_while_measuring_is_aborted_and_stays_spent(world, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(CodesEngine, "counts", interrupt)
    assert world.run().exit_code != 0
    assert world.types() == ["PREPARE", "ABORTED"]
    assert "interrupted" in world.entries()[-1]["body"]["reason"]
    assert not world.out.exists()
    assert not world.partial.exists()


def test_a_ledger_that_cannot_be_written_keeps_the_rows_closed(world, monkeypatch):
    from dpsynth.core.ledger import Ledger
    from dpsynth.errors import BudgetRefused

    def refuse(*_):
        raise BudgetRefused("the ledger cannot be written")

    opened = []
    spied(monkeypatch, api, "open_engine", before=lambda *_: opened.append(1))
    monkeypatch.setattr(Ledger, "_write", refuse)
    before = world.ledger_bytes()
    assert world.run().exit_code == 3
    assert opened == []
    assert world.ledger_bytes() == before
    assert not world.partial.exists()
