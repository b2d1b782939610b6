"""Every fact about the data has a source in words; what nobody but the owner says is found, and what is dropped is said."""

import pytest

from dpsynth.errors import SpecError
from dpsynth.lint import Fact, lint_lines, stated_facts
from dpsynth.schema import Schema
from dpsynth.spec import Spec

FLAG, NOTE = {"kind": "boolean", "source": "public: a law"}, {"kind": "text"}
SPEC = """
[release]
name = "x"
purpose = "a test"
[data]
source = "x.csv"
[budget]
ledger = "x"
epsilon = 1
delta = 1e-9
[synthesis]
{synthesis}
[columns.x]
kind = "boolean"
{source}
[columns.id]
kind = "identifier"
"""


def spec(synthesis="", source='source = "public: a law"'):
    return Spec.from_text(SPEC.format(synthesis=synthesis, source=source))


def test_every_fact_is_said_with_its_source():
    schema = Schema.from_columns({"a": FLAG, "b": {"kind": "boolean"}, "note": NOTE})
    facts = stated_facts(schema, 50, 60, "public: a count")
    assert lint_lines(schema, facts) == [
        "1 fact rests on the data owner's word that they were not read off the data",
        "the number of synthetic rows, 50 (public: a count)",
        "the guess of 60 rows in the source (public: a count)",
        "column 'a': its cells (public: a law)",
        "column 'b': its cells (declared by the data owner)",
        "column 'note': free text, dropped; nothing of it was read",
    ]


@pytest.mark.parametrize(
    ("source", "declared"), [("", True), ("declared by the data owner", True), ("discovered", False), ("public: x", False)]
)
def test_only_public_and_discovered_facts_need_no_word_of_the_owner(source, declared):
    assert Fact("a bound", source).is_declared == declared


@pytest.mark.parametrize(
    ("synthesis", "source", "found"),
    [
        ("", 'source = "public: a law"', []),
        ("", "", ["column 'x': its cells"]),
        ("", 'source = "declared by the data owner"', ["column 'x': its cells"]),
        ("rows = 9", 'source = "public: a law"', ["the number of synthetic rows, 9"]),
        ("rows_about = 9", 'source = "public: a law"', ["the guess of 9 rows in the source"]),
        ('rows = 9\nrows_about = 9\nrows_source = "public: a count"', 'source = "public: a law"', []),
    ],
)
def test_strict_refuses_what_only_the_owner_says(synthesis, source, found):
    made = spec(synthesis, source)
    assert made.undeclared() == found
    if found:
        with pytest.raises(SpecError, match="--strict: these facts do not say where they come from"):
            made.refuse_undeclared()
    else:
        made.refuse_undeclared()


@pytest.mark.parametrize("synthesis", ['rows_source = "a guess"', 'rows_source = "discovered"', 'rows_source = "public:"'])
def test_a_source_of_rows_that_is_none_is_refused(synthesis):
    with pytest.raises(SpecError, match=r'synthesis\.rows_source must be "public: \.\.\."'):
        spec(synthesis)


def test_an_identifier_may_be_the_unit_and_nothing_else_may():
    text = SPEC.format(synthesis="", source="") + '[unit]\nid = "{}"\nmax_rows = 2\n'
    assert Spec.from_text(text.format("id")).unit.id == "id"
    with pytest.raises(SpecError, match='give it kind = "identifier"'):
        Spec.from_text(text.format("x"))


def test_a_schema_without_cells_has_nothing_to_learn():
    with pytest.raises(SpecError, match="no column of the schema has cells"):
        Spec.from_text(SPEC.format(synthesis="", source="").replace('[columns.x]\nkind = "boolean"\n', ""))
