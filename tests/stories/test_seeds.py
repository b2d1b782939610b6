"""No seed reaches the privacy noise, and no run touches the generators of the process."""

import pickle
import random

import numpy as np
import pytest

from dpsynth import api
from tests.stories.world import World


def answers(world, out, seeded=False):
    """The released tables of one more run; `seeded`: the process's generators are set to the same state before it."""
    if seeded:
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002 - what a caller might do, in the hope of repeating the noise
    release = api.run(world.spec(), out=world.folder / out)
    with np.load(release.folder / "measurements.npz") as arrays:
        return [arrays[name].tolist() for name in sorted(arrays.files)]


@pytest.mark.parametrize("seeded", [False, True])
def test_two_runs_with_the_same_seeds_get_other_noise(tmp_path, seeded):
    world = World.made(tmp_path, seed=7)
    first, second = answers(world, "a", seeded), answers(world, "b", seeded)
    assert first[:6] != second[:6]
    assert world.facts(tmp_path / "a")["transcript"] != world.facts(tmp_path / "b")["transcript"]


def test_environment_variables_seed_nothing(tmp_path, monkeypatch):
    for name in ("PYTHONHASHSEED", "SEED", "DPSYNTH_SEED", "OPENDP_SEED"):
        monkeypatch.setenv(name, "7")
    world = World.made(tmp_path)
    assert answers(world, "a")[:6] != answers(world, "b")[:6]


def test_a_run_leaves_the_generators_of_the_process_as_they_were(world):
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002
    release = api.run(world.spec(), out=world.out)
    release.sample(20, seed=5)
    api.run(world.spec(), out=world.folder / "r", rehearse=True)
    assert (random.getstate(), pickle.dumps(np.random.get_state())) == before  # noqa: NPY002


def test_the_sampling_seed_is_public_and_recorded(tmp_path):
    world = World.made(tmp_path, seed=123456789)
    assert world.run().exit_code == 0
    assert world.facts()["synthesis"]["seed"] == 123456789


def test_rehearsals_are_not_seeded_either(tmp_path):
    world = World.made(tmp_path, seed=1)
    texts = []
    for name in ("a", "b"):
        np.random.seed(1)  # noqa: NPY002
        assert world.run("--rehearse", out=tmp_path / name).exit_code == 0
        texts.append((tmp_path / name / "measurements.npz").read_bytes())
    assert texts[0] != texts[1]
