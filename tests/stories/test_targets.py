"""Accuracy targets on the command line: refused with a way out, met, kept in the release; and the epsilon they need."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

import dpsynth as dp
from dpsynth.errors import SpecError
from dpsynth.strategies.misplaced import misplaced
from tests.stories.world import World, dpsynth, tree

TARGETS = """
[[targets]]
columns = ["sex", "age"]
within = 0.02

[[targets]]
columns = ["code"]
within = 0.01
confidence = 0.99

[[weights]]
columns = ["member"]
weight = 3
"""


def wishing(folder, text=TARGETS, strategy="all-pairs", rows_about=1000, **more):
    """A world whose spec ends with targets and weights."""
    world = World.made(folder, strategy=strategy, rows_about=rows_about, **more)
    world.spec_file.write_text(world.spec_file.read_text(encoding="utf-8") + text, encoding="utf-8")
    return world


def test_targets_out_of_reach_are_refused_in_plan_rehearsal_and_run_and_the_way_out_works(tmp_path):
    world = wishing(tmp_path)
    before = tree(tmp_path)
    for words in (
        ["plan", world.spec_file],
        ["run", world.spec_file, "--out", world.out],
        ["run", world.spec_file, "--out", world.out, "--rehearse"],
    ):
        result = dpsynth(*words)
        assert result.exit_code == 2
        assert "the budget is too small for the targets (age x sex within 0.02 at 95 %; code within 0.01 at 99 %)" in result.stderr
        assert "The nearest it can meet, all " in result.stderr
        assert result.stdout == ""
    assert tree(tmp_path) == before
    needed = result.stderr.rpartition("need budget.epsilon ")[2].strip()
    inverse = dpsynth("plan", world.spec_file, "--epsilon-for-targets")
    assert inverse.exit_code == 0
    assert inverse.stdout.strip() == needed
    assert Fraction(needed) == dp.epsilon_for_targets(world.spec_file)
    spec = world.spec()
    assert dp.plan(replace(spec, epsilon=Fraction(needed))).least_epsilon == Fraction(needed)
    with pytest.raises(SpecError, match=r"need budget\.epsilon"):
        dp.plan(replace(spec, epsilon=Fraction(needed) * Fraction(99, 100)))


def test_a_plan_shows_what_each_target_may_count_on(tmp_path):
    world = wishing(tmp_path, rows_about=10_000)
    plan = dpsynth("plan", world.spec_file)
    assert plan.exit_code == 0
    assert "shares of 10000 rows" in plan.stdout
    assert "met: age x sex within 0.0" in plan.stdout
    assert "of 0.01 at 99 %" in plan.stdout
    assert "the targets need epsilon 0." in plan.stdout
    facts = json.loads(dpsynth("plan", world.spec_file, "--json").stdout)
    assert [fact["columns"] for fact in facts["targets"]] == [["age", "sex"], ["code"]]
    assert all(Fraction(fact["promised"]) <= Fraction(fact["within"]) for fact in facts["targets"])
    assert facts["rows_about"] == 10_000
    told = json.loads(dpsynth("plan", world.spec_file, "--json", "--rows-about", 100_000).stdout)
    assert Fraction(told["least_epsilon"]) < Fraction(facts["least_epsilon"]) / 5


def test_a_plan_without_targets_speaks_of_none(world):
    plan = dpsynth("plan", world.spec_file)
    assert "arget" not in plan.stdout
    facts = json.loads(dpsynth("plan", world.spec_file, "--json").stdout)
    assert (facts["targets"], facts["least_epsilon"]) == ([], None)
    result = dpsynth("plan", world.spec_file, "--epsilon-for-targets")
    assert result.exit_code == 2
    assert "has no targets" in result.stderr


@pytest.mark.parametrize("strategy", ["all-pairs", "mst"])
def test_a_release_measures_what_its_targets_ask(tmp_path, strategy):
    text = '[[targets]]\ncolumns = ["code"]\nwithin = 0.01\n'
    world = wishing(tmp_path, text, strategy, rows_about=10_000)
    assert world.run().exit_code == 0
    assert world.verify().exit_code == 0
    events = [event for exchange in world.facts()["exchanges"] for event in exchange["events"]]
    sigma, *_ = [float(Fraction(event["scale"])) for event in events if event["columns"] == ["code"]]  # all-pairs may look again
    assert misplaced(4, sigma, 0.95) <= 2 * 0.01 * 10_000
    planned = dp.plan(world.spec()).plan.questions
    assert [question.scale for question in planned if question.columns == ("code",)] == [sigma]
