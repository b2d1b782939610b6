"""A program in another language, with no line of ours, finds the same rho and epsilon in a bundle as the verifier accepts."""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth.verify.verify import verify
from tests.faults.forgeries import GAUSSIAN, event
from tests.faults.forging import forge, released
from tests.stories.world import World

PROGRAM = Path(__file__).with_name("recompute.pl")
MODULES = ["perl", "-MJSON::PP", "-MMath::BigInt", "-e1"]

pytestmark = pytest.mark.skipif(
    shutil.which("perl") is None or subprocess.run(MODULES, capture_output=True, check=False).returncode != 0,
    reason="needs perl with the modules that come with it",
)


def recomputed(bundle):
    done = subprocess.run(["perl", PROGRAM, bundle], capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("which", ["zcdp", "gdp", "a whole run"])
def test_rho_and_epsilon_are_those_of_the_certificate(tmp_path, which):
    if which == "a whole run":
        world = World.made(tmp_path)
        assert world.run().exit_code == 0
        bundle, facts = world.out, world.facts()
    else:
        made = released(tmp_path, which)
        bundle, facts = made.bundle, made.facts()
    assert verify(bundle).ok
    found = recomputed(bundle)
    assert found["spent"] == facts["spent"]
    for key in ("epsilon", "zcdp_epsilon"):
        claimed = float(Fraction(facts["guarantee"][key]))
        assert claimed - 2e-6 <= float(found[key]) <= claimed + 1e-9, key


def test_it_refuses_an_event_that_is_too_cheap(tmp_path):
    made = released(tmp_path, "zcdp")
    forge(made, facts=lambda record: event(record, GAUSSIAN).update(rho="1/1048576"))
    done = subprocess.run(["perl", PROGRAM, made.bundle], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "another cost" in done.stderr


def test_the_program_is_short():
    assert len(PROGRAM.read_text().splitlines()) <= 100
