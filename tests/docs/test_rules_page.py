"""docs/rules.md and the keys of `[[rules]]` say what the code takes."""

import re
from pathlib import Path

from dpsynth.rules.reading import RULES
from dpsynth.spec import Spec
from dpsynth.spec_keys import KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
DOCUMENTED = {key.name: key for key in KEYS if key.section == "rules"}


def test_the_complete_example_is_a_spec_and_does_what_its_comments_say():
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    schema = Spec.from_text(text).schema
    assert schema.book.derived == {"state", "cost"}
    assert len(schema.rules) == text.count("[[rules]]") == 6
    assert {"state", "cost"}.isdisjoint(schema.domain.columns)


def test_the_keys_are_those_that_some_kind_takes():
    assert set(DOCUMENTED) == {"kind", "source", *(key for rule in RULES.values() for key in rule.keys)}


def test_each_key_names_the_kinds_that_take_it_and_whether_they_need_it():
    for name, key in DOCUMENTED.items():
        if name not in ("kind", "source"):
            kinds = {kind for kind, rule in RULES.items() if name in rule.keys}
            assert set(key.allowed.split(":")[0].split(", ")) == kinds, name
            assert {RULES[kind].keys[name][1] for kind in kinds} == {key.default == ""}, name


def test_the_page_has_a_line_for_each_kind_with_its_keys():
    lines = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (.*) \|$", PAGE, re.MULTILINE))
    assert {kind: re.findall(r"`(\w+)`", keys) for kind, keys in lines.items()} == {kind: list(rule.keys) for kind, rule in RULES.items()}
    assert set(re.findall(r"`\"([\w-]+)\"`", DOCUMENTED["kind"].allowed)) == set(RULES)
