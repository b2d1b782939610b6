"""Rules from the spec to the records: kept in every release, replayed, reported; contradictions are refused before anything is charged."""

import json
import random

import pytest

from dpsynth.release.bundle import Bundle
from dpsynth.release.certificate import schema_of
from tests.rules.keeping import violations
from tests.stories.world import World, dpsynth, tree

COLUMNS = {
    "city": {"kind": "categorical", "values": ["Paris", "Lyon", "Rome"], "other": False},
    "country": {"kind": "categorical", "values": ["France", "Italy"], "other": False},
    "start": {"kind": "integer", "min": 0, "max": 59, "bins": 4},
    "end": {"kind": "integer", "min": 0, "max": 59, "bins": 3, "missing": True},
    "age": {"kind": "integer", "min": 0, "max": 99, "bins": 5},
    "status": {"kind": "categorical", "values": ["single", "married"], "other": False},
    "x": {"kind": "boolean"},
    "y": {"kind": "boolean"},
    "a": {"kind": "number", "min": 0, "max": 4, "bins": 2, "decimals": 1},
    "b": {"kind": "number", "min": 0, "max": 4, "bins": 2, "decimals": 1},
    "total": {"kind": "number", "min": 0, "max": 8, "decimals": 1},
}
RULES = """
[[rules]]
kind = "determines"
from = "city"
column = "country"
mapping = { Paris = "France", Lyon = "France", Rome = "Italy" }
source = "public: a map"

[[rules]]
kind = "at-most"
columns = ["start", "end"]
source = "public: what the words mean"

[[rules]]
kind = "never"
when = { age = { below = 20 }, status = "married" }

[[rules]]
kind = "one-of"
columns = ["x", "y"]
source = "public: the form"

[[rules]]
kind = "if-then"
when = { country = "Italy" }
then = { x = true }
source = "public: the form"

[[rules]]
kind = "sum"
total = "total"
parts = ["a", "b"]
source = "public: the form"
"""


def people(rows, seed=0, faithful=True):
    draw = random.Random(seed)
    for _ in range(rows):
        city, start, age = draw.choice(["Paris", "Lyon", "Rome"]), draw.randint(0, 59), draw.randint(0, 99)
        end = draw.choice(["", draw.randint(start if faithful else 0, 59)])
        status = "single" if age < 20 and faithful else draw.choice(["single", "married"])
        x = city == "Rome" or draw.random() < 0.4
        a, b = draw.randint(0, 40) / 10, draw.randint(0, 40) / 10
        country = {"Rome": "Italy"}.get(city, "France") if faithful else "Italy"
        yield f"{city},{country},{start},{end},{age},{status},{x},{not x if faithful else x},{a},{b},{a + b:.1f}"


def world_with(folder, rules=RULES, lines=None, columns=None, **settings):
    world = World.made(
        folder, lines=people(400) if lines is None else lines, header=",".join(COLUMNS), columns=columns or COLUMNS, **settings
    )
    world.spec_file.write_text(world.spec_file.read_text(encoding="utf-8") + rules, encoding="utf-8")
    return world


KINDS = [
    {"strategy": "all-pairs", "seed": 3},
    {"strategy": "independent", "format": "parquet"},
    {"strategy": "mst", "seed": 1},
    {"strategy": "aim"},
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind["strategy"])
def release(request, tmp_path_factory):
    world = world_with(tmp_path_factory.mktemp("rules"), **request.param)
    assert world.run().exit_code == 0
    world.source.unlink()
    return world


def records(world):
    facts = world.facts()
    return schema_of(facts), Bundle(world.out, facts).records()


def test_a_release_has_no_violation_and_all_columns_in_their_order(release):
    schema, frame = records(release)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) > 100
    assert violations(schema, frame) == []


def test_it_verifies_and_replays_from_its_answers_byte_for_byte(release):
    result = dpsynth("verify", release.out, "--ledger", release.account, "--replay")
    assert result.exit_code == 0, result.stdout
    assert "byte for byte" in result.stdout
    assert "bit for bit" in result.stdout


def test_the_certificate_and_the_report_name_each_rule_with_its_source(release):
    facts = release.facts()
    assert [rule["kind"] for rule in facts["rules"]] == ["determines", "at-most", "never", "one-of", "if-then", "sum"]
    lines = "\n".join(facts["unprotected"])
    assert "the rule 'start <= end' (public: what the words mean)" in lines
    assert "the rule 'never age to below 20 and status married' (declared by the data owner)" in lines
    page = (release.out / "report.html").read_text(encoding="utf-8")
    assert "start &lt;= end" in page
    assert "declared by the data owner" in page


def test_derived_columns_are_neither_measured_nor_read(release, tmp_path):
    tables = {column for exchange in release.facts()["exchanges"] for table in exchange["tables"] for column in table["columns"]}
    assert tables == set(COLUMNS) - {"country", "total"}


def test_further_records_keep_the_rules_also_under_conditions(release, tmp_path):
    out = tmp_path / "more.parquet"
    for condition in (["start=41"], ["city=Rome", "age=70"], []):
        words = [word for part in condition for word in ("--where", part)]
        assert dpsynth("sample", release.out, "--rows", 300, "--out", out, *words).exit_code == 0
        import pandas as pd

        schema, _ = records(release)
        frame = pd.read_parquet(out)
        assert len(frame) == 300
        assert violations(schema, frame) == []
        out.unlink()


def test_a_condition_against_the_rules_is_refused(release, tmp_path):
    for where in (["city=Rome", "x=false"], ["country=Italy"]):
        words = [word for part in where for word in ("--where", part)]
        result = dpsynth("sample", release.out, "--rows", 10, "--out", tmp_path / "none.csv", *words)
        assert result.exit_code == 2, where


CONTRADICTION = """
[[rules]]
kind = "if-then"
when = { x = true }
then = { y = true }
"""


def test_contradictory_rules_are_refused_with_the_smallest_set_before_anything_is_charged(tmp_path):
    world = world_with(tmp_path, RULES + CONTRADICTION)
    before = tree(world.folder)
    result = world.run()
    assert result.exit_code == 2
    assert "[[rules]] 4 and 7 leave no record with 'true' in column 'x'" in " ".join(result.stderr.split())
    assert tree(world.folder) == before
    assert dpsynth("plan", world.spec_file).exit_code == 2


def test_strict_refuses_a_rule_without_a_public_source(tmp_path):
    public = {name: {**facts, "source": "public: the form"} for name, facts in COLUMNS.items()}
    world = world_with(tmp_path, columns=public)
    result = world.run("--strict")
    assert result.exit_code == 2
    assert "never age to below 20 and status married" in " ".join(result.stderr.split())
    assert world.types() == []
    sourced = RULES.replace('status = "married" }\n', 'status = "married" }\nsource = "public: the civil code"\n')
    assert world_with(tmp_path / "sourced", sourced, columns=public).run("--strict").exit_code == 0


@pytest.mark.parametrize("strategy", ["independent", "all-pairs"])
def test_rows_that_break_rules_change_no_word_and_no_exit_code(tmp_path, strategy):
    """Whether some person's row breaks a rule is private: cells that rules forbid are counted and then have probability 0."""
    said = []
    for name, lines in (("faithful", list(people(300))), ("broken", list(people(300, faithful=False)))):
        world = world_with(tmp_path / name, lines=lines, strategy=strategy, rows=300)
        result = world.run()
        words = " ".join(result.stderr.split()).replace(str(world.folder), "")
        said.append((result.exit_code, [word for word in words.split() if not any(letter.isdigit() for letter in word)]))
        schema, frame = records(world)
        assert violations(schema, frame) == []
        assert len(frame) == 300
    assert said[0][0] == said[1][0] == 0
    assert said[0][1] == said[1][1]


def test_a_rule_is_a_public_fact_of_the_spec_that_is_resumed(tmp_path):
    from dpsynth.spec import Spec

    spec = world_with(tmp_path, opened=False).spec()
    again = Spec.from_facts(json.loads(json.dumps(spec.facts())))
    assert again.facts() == spec.facts()
    assert again.schema.rules == spec.schema.rules
    assert len(again.schema.rules) == 6


@pytest.mark.parametrize("text", ['[rules]\nkind = "never"\n', "rules = 3\n"])
def test_rules_are_written_in_double_brackets(tmp_path, text):
    world = World.made(tmp_path, opened=False)
    spec = world.spec_file.read_text(encoding="utf-8")
    world.spec_file.write_text(text + spec if text.startswith("rules") else spec + text, encoding="utf-8")
    result = dpsynth("plan", world.spec_file)
    assert result.exit_code == 2
    assert "[[rules]]" in result.stderr
