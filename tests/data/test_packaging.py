"""What pyproject.toml promises: bounds on every dependency, and lowest versions that the lowest-version run really uses."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = re.compile(r"([a-z0-9-]+)(?:\[[a-z]+\])?>=([0-9.]+),<([0-9.]+)")
LISTED = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]


@pytest.mark.parametrize("requirement", LISTED)
def test_every_dependency_has_a_lower_and_an_upper_bound(requirement):
    assert BOUNDS.fullmatch(requirement)


def test_the_lowest_versions_are_those_of_the_run_with_lowest_versions():
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pinned == dict(BOUNDS.fullmatch(requirement).group(1, 2) for requirement in PROJECT["dependencies"])
