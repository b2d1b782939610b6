"""A workload in the spec reaches the questions, the certificate and the replay; what it cannot be is refused before anything is charged."""

import pytest

from tests.stories.world import World, dpsynth

LISTS = """
[[workload]]
columns = ["job", "sex"]
weight = 3

[[must_have]]
columns = ["code", "sex"]
"""


def told(folder, lists=LISTS, **synthesis):
    """A world whose spec says what matters."""
    world = World.made(folder, **synthesis)
    world.spec_file.write_text(world.spec_file.read_text(encoding="utf-8") + lists, encoding="utf-8")
    return world


@pytest.mark.parametrize("strategy", ["aim", "all-pairs", "independent", "mst"])
def test_what_matters_is_asked_certified_and_replayed(tmp_path, strategy):
    world = told(tmp_path, strategy=strategy, table_cells=1000, rows=50)
    assert world.run().exit_code == 0
    facts = world.facts()
    assert facts["workload"] == [{"columns": ["sex", "job"], "weight": 3}]
    assert facts["must_have"] == [{"columns": ["sex", "code"]}]
    assert facts["synthesis"]["table_cells"] == 1000
    measured = [table["columns"] for exchange in facts["exchanges"] for table in exchange["tables"]]
    assert ["sex", "code"] in measured
    result = dpsynth("verify", world.out, "--replay")
    assert result.exit_code == 0, result.stdout
    assert dpsynth("report", world.out).exit_code == 0


def test_the_steps_of_private_pgm_are_certified_and_replayed(tmp_path):
    world = told(tmp_path, "", strategy="independent", estimator="private-pgm", iterations=60, rows=50)
    assert world.run().exit_code == 0
    assert world.facts()["synthesis"]["iterations"] == world.facts()["fit"]["steps"] == 60
    result = dpsynth("verify", world.out, "--replay")
    assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize(
    ("lists", "synthesis", "words"),
    [
        ('[[must_have]]\ncolumns = ["sex", "job", "code"]\n', {"strategy": "all-pairs"}, "all-pairs measures columns and pairs"),
        ('[[workload]]\ncolumns = ["shoe"]\n', {}, "unknown columns ['shoe']"),
        ("", {"iterations": 5}, 'synthesis.iterations is for the estimator "private-pgm"'),
        ("", {"table_cells": 0}, "synthesis.table_cells must be a whole number from 1"),
    ],
)
def test_what_it_cannot_be_is_refused_before_anything_is_charged(tmp_path, lists, synthesis, words):
    world = told(tmp_path, lists, **synthesis)
    before = world.ledger_bytes()
    result = world.run()
    assert result.exit_code == 2
    assert words in result.stderr
    assert world.ledger_bytes() == before


def test_a_budget_too_small_is_refused_with_the_least_that_works(tmp_path):
    world = World.made(tmp_path, strategy="aim", epsilon=0.000001)
    text = world.spec_file.read_text(encoding="utf-8")
    delta = next(line for line in text.splitlines() if line.startswith("delta"))
    world.spec_file.write_text(text.replace(delta, "delta = 1e-300"), encoding="utf-8")
    result = dpsynth("plan", world.spec_file)
    assert result.exit_code == 2
    least = result.stderr.split("The least that works at this delta is budget.epsilon ")[1].split()[0]
    world.spec_file.write_text(text.replace(delta, "delta = 1e-300").replace("epsilon = 1e-06", f"epsilon = {least}"), encoding="utf-8")
    assert dpsynth("plan", world.spec_file).exit_code == 0
