"""`dpsynth plan` says what one more release could still ask for, and the ledger keeps to it."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from dpsynth import api, pipeline
from tests.stories.world import World, dpsynth


@pytest.mark.parametrize("strategy", ["mst", "independent"])
def test_what_the_plan_says_is_left_is_admitted_afterwards_and_no_more(tmp_path, strategy):
    world = World.made(tmp_path, strategy=strategy)
    spec = world.spec()
    left = api.plan(spec).standing.left
    assert 0 < left < 1.6
    pipeline.prepare(spec)  # charges it and reads nothing
    assert api.plan(replace(spec, epsilon=left)).standing.refused == ""
    assert api.plan(replace(spec, epsilon=left * Fraction(1001, 1000))).standing.refused != ""


def test_people_and_machines_are_told(tmp_path):
    world = World.made(tmp_path)
    left = api.plan(world.spec()).standing.left
    text = " ".join(dpsynth("plan", world.spec_file).stdout.split())
    assert f"one more release of up to epsilon {float(left):.4}"[:-1] in text
    assert json.loads(dpsynth("plan", world.spec_file, "--json").stdout)["left_epsilon"] == f"{left.numerator}/{left.denominator}"
