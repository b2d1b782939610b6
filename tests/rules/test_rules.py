"""Rules as tables of cells, against every value of small columns; and what is refused, in which words."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.column import DECLARED
from dpsynth.errors import SpecError
from dpsynth.rules.conflict import smallest_conflict
from dpsynth.rules.reading import RULES as KINDS
from dpsynth.rules.tables import Table, possible, projected
from dpsynth.schema import Schema, schema_from
from tests.rules.keeping import keeps
from tests.rules.made_up import COLUMNS, RULES, schema_with

SMALL = {
    "a": {"kind": "integer", "min": 0, "max": 7, "bins": 3},
    "b": {"kind": "integer", "min": 1, "max": 9, "edges": [1, 4, 9], "missing": True},
    "c": {"kind": "integer", "min": -2, "max": 6, "bins": 9},
    "f": {"kind": "boolean"},
    "g": {"kind": "boolean", "missing": True},
    "k": {"kind": "categorical", "values": ["r", "s"], "missing": True},
}
SMALL_RULES = (
    {"kind": "at-most", "columns": ["a", "b"]},
    {"kind": "at-most", "columns": ["b", "c"], "strict": True},
    {"kind": "at-most", "columns": ["a", "b", "c"]},
    {"kind": "at-most", "columns": ["c", "a"], "strict": True},
    {"kind": "never", "when": {"c": {"min": 3}, "f": True}},
    {"kind": "never", "when": {"g": "", "k": ["r", ""]}},
    {"kind": "if-then", "when": {"k": "s"}, "then": {"g": True}},
    {"kind": "if-then", "when": {"f": True, "k": "other"}, "then": {"g": [True, ""]}},
    {"kind": "only", "columns": ["k", "f"], "combinations": [["r", True], [["s", "other"], False], ["other", True]]},
    {"kind": "only", "columns": ["g", "k"], "combinations": [[True, ["r", "s"]], [False, "other"], ["", "s"]]},
    {"kind": "one-of", "columns": ["f", "g"]},
)


def values_of(column):
    """A value for everything that the column tells apart, with its cell: (cell, written value)."""
    labels = column.cell_labels()
    if column.kind != "integer":
        return [(cell, "" if cell == column.missing_cell else labels[cell]) for cell in range(column.size)]
    found = [(column.rule.cell(str(v)), str(v)) for v in range(column.least, column.most + 1)]
    return [*found, *([(column.missing_cell, "")] if column.missing else [])]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(SMALL_RULES), min_size=1, max_size=3, unique_by=str))
def test_cells_can_occur_together_exactly_when_some_values_of_theirs_keep_all_rules(rules):
    try:
        schema = Schema.from_columns(SMALL, rules)
    except SpecError:
        return  # the rules contradict each other: what is refused is tested below
    facts, domain = schema.rule_facts(), schema.domain
    named = tuple(c for c in domain.columns if any(c in rule.columns for rule in schema.rules))
    expected = np.zeros(domain.shape(named), dtype=bool)
    for chosen in product(*(values_of(schema.modelled_column(c)) for c in named)):
        record = dict(zip(named, (value for _, value in chosen), strict=True))
        expected[tuple(cell for cell, _ in chosen)] |= all(keeps(rule, record) for rule in facts)
    found = np.ones(domain.shape(named), dtype=bool)
    for table in schema.book.tables:
        found &= table.over(named)
    if sum(rule["kind"] == "at-most" for rule in facts) < 2 or "b" not in named:
        assert np.array_equal(found, expected)
    else:
        # Two rules in a row hold together across a missing value between them: cells may be refused, never wrongly allowed.
        assert not (found & ~expected).any()
        known = tuple(slice(None, -1) if c == "b" else slice(None) for c in named)
        assert np.array_equal(found[known], expected[known])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["kind"])
def test_a_rule_reads_its_own_facts_back(rule):
    schema = schema_with({**rule, "source": "public: a law"})
    again = schema_from(schema.facts(), schema.rule_facts())
    assert again.rules == schema.rules
    assert again.rule_facts()[0]["source"] == "public: a law"
    assert schema_with(rule).rule_facts()[0]["source"] == DECLARED
    assert len(schema.rules[0].sentence()) > 5


def test_every_kind_is_tried_here():
    assert {rule["kind"] for rule in RULES} == set(KINDS)


def test_derived_columns_are_declared_but_not_modelled():
    schema = Schema.from_columns(COLUMNS, [RULES[12], RULES[13], RULES[14]])
    assert schema.book.derived == {"total", "group", "country"}
    assert {c.name for c in schema.columns} - set(schema.domain.columns) == schema.book.derived
    assert set(schema.largest.columns) == set(schema.domain.columns)
    with pytest.raises(SpecError, match=r"follows by a rule .city determines country"):
        schema.modelled_column("country")


def test_a_rule_about_a_derived_column_is_one_about_what_it_follows_from():
    schema = Schema.from_columns(COLUMNS, [RULES[14], RULES[4]])
    (table,) = schema.book.tables
    assert table.columns == ("city", "x")
    labels = schema.modelled_column("city").cell_labels()
    assert [labels[i] for i, row in enumerate(table.allowed) if not row[1]] == ["Rome"]


def test_chains_of_derivations_are_followed_in_their_order():
    lines = [
        {"kind": "determines", "from": "country", "column": "x", "mapping": {"France": True}, "otherwise": False},
        {"kind": "determines", "from": "city", "column": "country", "mapping": {"Paris": "France"}, "otherwise": "Italy"},
    ]
    columns = {**COLUMNS, "x": {"kind": "boolean", "missing": True}}
    assert [step.derived for step in Schema.from_columns(columns, lines).book.derivations] == ["country", "x"]


YES = {"kind": "if-then", "when": {"x": True}, "then": {"y": True}}
CONTRADICTIONS = [
    # rules, places of the smallest set that conflicts, words
    ([RULES[0], {"kind": "at-most", "columns": ["start", "age"]}, {"kind": "at-most", "columns": ["age", "start"]}], (2, 3), "contradict"),
    ([{"kind": "at-most", "columns": ["age", "start"]}, {"kind": "at-most", "columns": ["start", "end"]}, RULES[0],
      {"kind": "at-most", "columns": ["end", "age"], "strict": True}], (1, 2, 4), "contradict"),
    ([{"kind": "only", "columns": ["x", "z"], "combinations": [[True, True], [False, False]]}, RULES[0],
      {"kind": "only", "columns": ["x", "z"], "combinations": [[True, False], [False, True]]}], (1, 3), "contradict"),
    ([YES, {"kind": "never", "when": {"x": True, "y": [True, ""]}}], (1, 2), r"leave no record with 'true' in column 'x'"),
    ([{"kind": "only", "columns": ["x", "z"], "combinations": [[True, True], [True, False]]}], (1,), r"leaves no record with 'false'"),
    ([{"kind": "never", "when": {"x": [True, False]}}], (1,), "leaves no record"),
    ([RULES[12], {"kind": "sum", "total": "total", "parts": ["a", "middle"]}], (1, 2), "each say what 'total' is"),
    ([RULES[15], RULES[0], RULES[14]], (1, 3), "each say what 'country' is"),
    ([{"kind": "determines", "from": "x", "column": "z", "mapping": [[True, True]], "otherwise": False}, RULES[0],
      {"kind": "determines", "from": "z", "column": "x", "mapping": [[True, True]], "otherwise": False}], (1, 3), "in a circle"),
]  # fmt: skip
WIDE = {**COLUMNS, "total": {**COLUMNS["total"], "min": -200, "max": 200}}


@pytest.mark.parametrize(("rules", "places", "words"), CONTRADICTIONS)
def test_rules_that_contradict_each_other_are_refused_with_the_smallest_set(rules, places, words):
    numbers = " and ".join(filter(None, [", ".join(map(str, places[:-1])), str(places[-1])]))
    with pytest.raises(SpecError, match=rf"^\[\[rules\]\] {numbers} .*{words}") as caught:
        Schema.from_columns(WIDE, rules)
    for place in places:
        assert f"{place}: " in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=3), st.permutations(range(6)))
def test_the_smallest_conflict_is_found_whatever_the_order_of_the_rules(cores, order):
    def contradict(part):
        return any(core <= set(part) for core in cores)

    found = smallest_conflict(order, contradict)
    assert contradict(found)
    assert len(found) == min(map(len, cores))


FAULTS = [
    ({"kind": "never", "when": {"nobody": True}}, "column 'nobody', which the schema does not have"),
    ({"kind": "never", "when": {"age": {"max": 15}, "x": True}}, r"cuts the cell 15\.\.19 of column 'age' in two"),
    ({"kind": "never", "when": {"age": 15, "x": True}}, "make it a spike"),
    ({"kind": "never", "when": {"city": "Oslo", "x": True}}, "'Oslo', which column 'city' does not list"),
    ({"kind": "never", "when": {"x": "", "z": True}}, "names a missing value, but column 'x' has none"),
    ({"kind": "never", "when": {"city": {"max": 3}, "x": True}}, "have no order"),
    ({"kind": "never", "when": {"age": {"max": 3, "below": 2}}}, "max or below"),
    ({"kind": "never", "when": {"age": {"min": 30, "max": 20}}}, "holds no value"),
    ({"kind": "never", "when": {"age": {"min": "young"}}}, "'young' is no value of column 'age'"),
    ({"kind": "never", "when": {}}, "must name a column"),
    ({"kind": "never", "when": {"age": [[3]]}}, "must name values"),
    ({"kind": "never", "when": {"age": []}}, "at least one value"),
    ({"kind": "never"}, r"needs \['when'\]"),
    ({"kind": "never", "when": ["age"]}, "when must be a table"),
    ({"kind": "never", "when": {"x": True}, "colour": 1}, r"unknown keys \['colour'\]"),
    ({"kind": "sometimes"}, "kind must be one of"),
    ({}, "kind must be one of"),
    ({"kind": "never", "when": {"x": True, "z": True}, "source": "the data"}, 'must be "public: ..."'),
    ({"kind": "only", "columns": ["x", "z"], "combinations": [[True]]}, "rows of 2 values"),
    ({"kind": "only", "columns": "x", "combinations": [[True]]}, "columns must be a list"),
    ({"kind": "only", "columns": ["x", "x"], "combinations": [[True, True]]}, "twice"),
    ({"kind": "one-of", "columns": ["x", "age"]}, "'age' is of kind 'integer'"),
    ({"kind": "one-of", "columns": ["x"]}, "at least 2 columns"),
    ({"kind": "at-most", "columns": ["start", "opened"]}, "not of one kind"),
    ({"kind": "at-most", "columns": ["a", "b"]}, "number of 2 decimals"),
    ({"kind": "at-most", "columns": ["start", "city"]}, "without exact values"),
    ({"kind": "sum", "total": "a", "parts": ["b", "start"]}, "needs a total of 2 decimals"),
    ({"kind": "sum", "total": "total", "parts": ["a", "age"]}, r"has sums from 0\.00 to 109\.00"),
    ({"kind": "sum", "total": "total", "parts": ["a", "opened"]}, "adds 'opened', a column of kind 'date'"),
    ({"kind": "sum", "total": "start", "parts": ["middle"]}, "has no missing values"),
    ({"kind": "determines", "from": "age", "column": "group", "mapping": [[{"max": 17}, "child"]]}, "says nothing of 18 to 99"),
    ({"kind": "determines", "from": "age", "column": "group", "mapping": [[{"max": 17}, "child"], [{"min": 17}, "adult"]]},
     "two values"),
    ({"kind": "determines", "from": "city", "column": "country", "mapping": {"Paris": "France"}},
     r"says nothing of \['Lyon', 'Rome', 'other'\]"),
    ({"kind": "determines", "from": "city", "column": "country", "mapping": {"Paris": "Spain"}, "otherwise": "Italy"}, "does not list"),
    ({"kind": "determines", "from": "city", "column": "x", "mapping": {"Paris": True}, "otherwise": False}, "can give a missing value"),
    ({"kind": "determines", "from": "city", "column": "city", "mapping": {"Paris": "Paris"}}, "twice"),
    ({"kind": "hierarchy", "columns": ["city", "country"], "rows": [["Paris", "France"], ["Paris", "Italy"]]},
     "puts 'Paris' of column 'city' in"),
    ({"kind": "hierarchy", "columns": ["city", "country"], "rows": []}, "must list rows"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words"), FAULTS)
def test_a_wrong_rule_is_refused_in_words_that_name_its_place(rule, words):
    with pytest.raises(SpecError, match=rf"^\[\[rules\]\] 2.*{words}"):
        Schema.from_columns(COLUMNS, [RULES[9], rule])


def test_rules_about_a_derived_total_and_about_text_are_refused():
    with pytest.raises(SpecError, match=r"is about 'total', which follows from \['a', 'b'\]"):
        Schema.from_columns(COLUMNS, [RULES[12], {"kind": "never", "when": {"total": {"min": 15}, "x": True}}])
    with pytest.raises(SpecError, match="values are not declared"):
        Schema.from_columns({**COLUMNS, "t": {"kind": "text"}}, [{"kind": "never", "when": {"t": "a", "x": True}}])


def test_rules_that_need_too_large_a_table_are_refused_before_it_is_made():
    columns = {name: {"kind": "code", "size": 300} for name in "ab"}
    with pytest.raises(SpecError, match=r"in a table of 90000 cells"):
        Schema.from_columns(columns, [{"kind": "never", "when": {"a": 1, "b": 1}}])
    flags = {f"f{i}": {"kind": "boolean"} for i in range(40)}
    with pytest.raises(SpecError, match="use fewer bins or values"):
        Schema.from_columns(flags, [{"kind": "one-of", "columns": list(flags)}])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_projections_are_those_of_the_whole_table(seed, count):
    rng = np.random.default_rng(seed)
    sizes = {"a": 2, "b": 3, "c": 2, "d": 4}
    scopes = [tuple(rng.permutation(list(sizes))[: rng.integers(1, 4)].tolist()) for _ in range(count)]
    tables = [Table(scope, rng.random([sizes[c] for c in scope]) < 0.7) for scope in scopes]
    names = tuple(sizes)
    whole = np.ones(tuple(sizes.values()), dtype=bool)
    for table in tables:
        whole &= table.over(names)
    assert possible(tables, sizes) is bool(whole.any())
    for length in (1, 2, 3):
        for onto in combinations(names, length):
            expected = whole.any(axis=tuple(i for i, c in enumerate(names) if c not in onto))
            if whole.any():
                assert np.array_equal(projected(tables, onto, sizes).allowed & True, expected)


def test_what_the_run_is_to_find_can_be_added_and_looked_up_but_not_restricted():
    """After discovery the cells are others: a rule that did not fit them would be refused after the charge."""
    columns = {
        **{name: COLUMNS[name] for name in ("end", "group", "x", "city", "country")},
        "age": {"kind": "integer", "min": 0, "max": 99, "binning": "adaptive"},
        "spent": {"kind": "integer", "min": 0, "max": 199, "binning": "quantiles", "missing": True},
        "job": {"kind": "categorical", "values": ["smith", "cook", "monk"], "merge_rare": True, "missing": True},
    }
    total = {"kind": "sum", "total": "all", "parts": ["age", "end"]}
    group, country = (
        RULES[13],
        {"kind": "determines", "from": "job", "column": "country", "mapping": {"monk": "Italy"}, "otherwise": "France"},
    )
    schema = Schema.from_columns(columns | {"all": {"kind": "integer", "min": 10, "max": 198, "missing": True}}, [total, group, country])
    assert schema.book.derived == {"all", "group", "country"}
    for rules in (
        [{"kind": "at-most", "columns": ["age", "end"]}],
        [{"kind": "never", "when": {"job": "smith", "x": True}}],
        [group, {"kind": "never", "when": {"group": "child", "x": True}}],
        [country, {"kind": "if-then", "when": {"country": "Italy"}, "then": {"x": True}}],
        [{"kind": "determines", "from": "x", "column": "spent", "mapping": [[True, 3]], "otherwise": 4}],
        [{"kind": "never", "when": {"name": "Smith", "x": True}}],
    ):
        with pytest.raises(SpecError, match=r"declare|state it for these|not declared"):
            Schema.from_columns(columns | {"name": {"kind": "open"}}, rules)
