"""Attacks 8 and 25 on each kind of rule: a record that breaks it once, and a rule that nobody published.

A kind without a case fails.
"""

import pytest

from dpsynth.rules.reading import RULES
from tests.stories.test_neighbours import plain, public_facts
from tests.stories.world import World, tree

SOURCE = "public: a law"
COLUMNS = {
    "city": {"kind": "categorical", "values": ["Bonn", "Lyon"], "other": False},
    "state": {"kind": "categorical", "values": ["DE", "FR"], "other": False},
    "a": {"kind": "integer", "min": 0, "max": 3, "bins": 4},
    "b": {"kind": "integer", "min": 0, "max": 3, "bins": 4},
    "total": {"kind": "integer", "min": 0, "max": 6, "bins": 7},
    "x": {"kind": "boolean"},
    "y": {"kind": "boolean"},
}
ROWS = [f"{('Bonn,DE', 'Lyon,FR')[i % 2]},{i % 2},{1 + i % 3},{1 + i % 2 + i % 3},{('yes,no', 'no,yes')[i % 2]}" for i in range(240)]
CASES = {
    # the rule as a spec writes it, and a row that breaks it
    "never": ('when = { city = "Bonn", state = "FR" }', "Bonn,FR,0,1,1,yes,no"),
    "if-then": ('when = { city = "Lyon" }\nthen = { state = "FR" }', "Lyon,DE,0,1,1,yes,no"),
    "only": ('columns = ["city", "state"]\ncombinations = [["Bonn", "DE"], ["Lyon", "FR"]]', "Lyon,DE,0,1,1,yes,no"),
    "one-of": ('columns = ["x", "y"]', "Bonn,DE,0,1,1,yes,yes"),
    "at-most": ('columns = ["a", "b"]', "Bonn,DE,3,1,4,yes,no"),
    "sum": ('total = "total"\nparts = ["a", "b"]', "Bonn,DE,0,1,6,yes,no"),
    "determines": ('from = "city"\ncolumn = "state"\nmapping = { Bonn = "DE", Lyon = "FR" }', "Bonn,FR,0,1,1,yes,no"),
    "hierarchy": ('columns = ["city", "state"]\nrows = [["Bonn", "DE"], ["Lyon", "FR"]]', "Bonn,FR,0,1,1,yes,no"),
}


def test_every_kind_of_rule_has_a_case():
    assert set(CASES) == set(RULES)


def world_of(folder, rule, lines, source=SOURCE):
    columns = {name: {**facts, "source": SOURCE} for name, facts in COLUMNS.items()}
    world = World.made(folder, lines=lines, header=",".join(COLUMNS), columns=columns, strategy="independent")
    said = f'source = "{source}"\n' if source else ""
    world.spec_file.write_text(f'{world.spec_file.read_text()}\n[[rules]]\nkind = "{rule}"\n{CASES[rule][0]}\n{said}')
    return world


@pytest.mark.parametrize("rule", CASES)
def test_a_record_that_breaks_a_rule_once_changes_no_output_but_the_noise(tmp_path, rule):
    seen = []
    for part, more in (("a", []), ("b", [CASES[rule][1]])):
        world = world_of(tmp_path / part, rule, [*ROWS, *more])
        result = world.run("--strict")
        assert result.exit_code == 0, result.stderr
        records = (world.out / "synthetic.csv").read_text().splitlines()
        seen.append((plain(world, result.stdout), plain(world, result.stderr), public_facts(world), set(tree(world.folder)), records[0]))
        (listed,) = (line for line in world.facts()["unprotected"] if line.startswith("the rule "))
        assert listed.endswith(f"({SOURCE})")
    assert seen[0] == seen[1]


@pytest.mark.parametrize("rule", CASES)
def test_strict_refuses_a_rule_that_names_no_source_before_anything_is_charged(tmp_path, rule):
    world = world_of(tmp_path, rule, ROWS, source="")
    result = world.run("--strict")
    assert (result.exit_code, world.types()) == (2, [])
    assert "the rule " in result.stderr
