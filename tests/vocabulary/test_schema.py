"""Schemas, domains and workloads refuse contradictions and say what was given, what is allowed and what to do."""

from decimal import Decimal
from itertools import combinations

import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.schema import Schema, column_from, schema_from
from dpsynth.spec import Spec
from dpsynth.workload import Workload, all_marginals, downward_closure, maximal


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "column 'x': kind must be one of .*, got None"),
        ({"kind": "colour"}, "kind must be one of .*, got 'colour'"),
        ({"kind": "code"}, "a code column needs \\['size'\\]"),
        ({"kind": "code", "size": 0}, "size must be a whole number of at least 1, got 0"),
        ({"kind": "code", "size": 1}, "a domain of one cell, so there is nothing to learn"),
        ({"kind": "code", "size": 70000}, "at most 65536 cells are possible, got 70000: use fewer"),
        ({"kind": "code", "size": "9"}, "size must be a whole number, got '9'"),
        ({"kind": "code", "size": True}, "size must be a whole number, got True"),
        ({"kind": "code", "size": 3, "bins": 2}, "unknown keys \\['bins'\\]: a code column takes"),
        ({"kind": "code", "size": 3, "outside": "clip"}, "outside must be one of \\['missing', 'first'\\], got 'clip'"),
        ({"kind": "code", "size": 3, "outside": "missing"}, 'outside = "missing" needs missing = true'),
        ({"kind": "categorical", "values": []}, "must list at least one text, got none"),
        ({"kind": "categorical", "values": ["a", "b", "a"]}, "values lists \\['a'\\] more than once"),
        ({"kind": "categorical", "values": ["a", " b"]}, "without blanks around them and not empty, got ' b'"),
        ({"kind": "categorical", "values": ["a", 3]}, "got 3"),
        ({"kind": "categorical", "values": ["a", "b"], "other": False, "outside": "other"}, 'outside = "other" needs other = true'),
        ({"kind": "boolean", "missing": 1}, "missing must be true or false, got 1"),
        ({"kind": "integer", "min": 5, "max": 4}, "min must not be above max, got min = 5 and max = 4"),
        ({"kind": "integer", "min": 0, "max": 9, "bins": 11}, "bins must be from 1 to the 10 values from min to max, got 11"),
        ({"kind": "integer", "min": 0, "max": 2**53 + 1}, "within 2\\^53 of zero"),
        ({"kind": "integer", "min": Decimal("0.5"), "max": 2}, "min must be a whole number"),
        ({"kind": "number", "min": 1, "max": 1}, "min must be below max"),
        ({"kind": "number", "min": Decimal("NaN"), "max": 1}, "must be finite numbers"),
        ({"kind": "number", "min": 0, "max": Decimal("Infinity")}, "must be finite numbers"),
        ({"kind": "number", "min": 0, "max": Decimal("1e999999999")}, "must be finite numbers of at most 300 digits"),
        ({"kind": "number", "min": 0, "max": Decimal("1e-999999999")}, "must be finite numbers of at most 300 digits"),
        ({"kind": "number", "min": 0, "max": 1, "bins": 0}, "bins must be a whole number from 1 to 65536, got 0"),
        ({"kind": "number", "min": 0, "max": 1, "decimals": 16}, "decimals must be a whole number from 0 to 15, got 16"),
        ({"kind": "number", "min": 10**15, "max": 10**15 + 1, "bins": 60}, "narrower than a double can tell apart"),
        ({"kind": "number", "min": 0, "max": 10, "bins": 12, "decimals": 0}, "bins must be a whole number from 1 to 11, got 12"),
        ({"kind": "number", "min": 0, "max": 10**10, "decimals": 15}, "a double cannot hold numbers up to 10000000000 to 15 decimals"),
        ({"kind": "number", "min": Decimal("0.1"), "max": Decimal("0.2"), "decimals": 0}, "there is no number of 0 decimals"),
        ({"kind": "number", "min": 0, "max": 1, "spikes": [Decimal("0.5")], "decimals": 0}, "spikes must be written with at most 0"),
        ({"kind": "number", "min": 0, "max": 1, "edges": [0, 1], "bins": 3}, "give either bins or edges"),
        ({"kind": "number", "min": 0, "max": 1, "edges": [0, "x", 1]}, "must be finite numbers"),
        ({"kind": "integer", "min": 0, "max": 9, "edges": [0, 5, 8]}, "edges must begin with min and end with max, got 0 to 8"),
        ({"kind": "integer", "min": 0, "max": 9, "edges": [0, 5, 5, 9]}, "edges must be strictly increasing"),
        ({"kind": "integer", "min": 0, "max": 9, "edges": []}, "give either bins or edges"),
        ({"kind": "integer", "min": 0, "max": 9, "spikes": [10]}, "spikes must lie from min to max, got 10"),
        ({"kind": "integer", "min": 0, "max": 9, "spikes": [3, 3]}, "spikes must differ"),
        ({"kind": "integer", "min": 0, "max": 9, "spikes": [True]}, "must be whole numbers"),
        ({"kind": "integer", "min": 0, "max": 9, "inside": "normal"}, "inside must be one of \\['uniform', 'linear'\\], got 'normal'"),
        ({"kind": "date", "min": "2020-01-01", "max": "2020-02-30"}, "must be dates such as 2026-03-29, got '2020-02-30'"),
        ({"kind": "date", "min": 2020, "max": 2021}, "min must be a date or text, got 2020"),
        ({"kind": "date", "min": "2020-01-01", "max": "2021-01-01", "spikes": [18_300]}, "must be dates .* got '18300'"),
        ({"kind": "date", "min": "2021-01-01", "max": "2020-01-01"}, "min must not be above max, and both"),
        ({"kind": "datetime", "min": "1500-01-01", "max": "2020-01-01", "format": "%Y%m%d%H%M%S%f"}, "exact from 1685 to 2255"),
        ({"kind": "date", "min": "2020-01-01", "max": "2021-01-01", "format": "%d.%m"}, "format must have %Y %m %d"),
        ({"kind": "datetime", "min": "2020-01-01", "max": "2021-01-01", "format": "%Y-%m-%d"}, "format must have %Y %m %d %H"),
        ({"kind": "duration", "min": 0, "max": "1 hour"}, "must be whole seconds or texts such as"),
        ({"kind": "duration", "min": 0, "max": 9, "unit": "months"}, "unit must be one of"),
        ({"kind": "duration", "min": 0, "max": 9, "format": "%H"}, "format must be one of"),
        ({"kind": "duration", "min": 0, "max": 100_001, "unit": "days"}, "within 100,000 days"),
        ({"kind": "identifier", "replace": "hash"}, "replace must be one of"),
        ({"kind": "text", "missing": True}, "unknown keys \\['missing'\\]: a text column takes \\['source'\\]"),
        ({"kind": "boolean", "words": ["No"]}, "words must be two different texts"),
        ({"kind": "boolean", "words": ["no", "NO"]}, "words must be two different texts"),
        ({"kind": "boolean", "words": ["no", ""]}, "words must be texts without blanks"),
        ({"kind": "categorical", "values": ["a", "b"], "unfold": {"a": 1}}, "labels without a cell of their own.*\\['a'\\]"),
        ({"kind": "categorical", "values": ["a", "b"], "unfold": {"c": 0}}, "whole-number weight from 1 to 2\\^32 for 'c', got 0"),
        ({"kind": "categorical", "values": ["a", "b"], "unfold": {"c": 1}, "other": False}, "unfold needs an other cell"),
        ({"kind": "boolean", "source": "a law"}, 'source must be "public: ..." and say where'),
        ({"kind": "boolean", "source": "public: "}, 'source must be "public: ..." and say where'),
        ({"kind": "boolean", "source": "discovered"}, 'source = "discovered" is for what the run discovers'),
    ],
)
def test_contradictions_are_refused_by_name(facts, words):
    with pytest.raises(SpecError, match=words):
        column_from("x", facts)


@pytest.mark.parametrize("name", ["", " x", "x\n", "a\x1bb", "\ud800"])
def test_names_that_cannot_be_printed_are_refused(name):
    with pytest.raises(SpecError, match="printable text"):
        column_from(name, {"kind": "boolean"})


def test_columns_are_declared_once_and_at_least_one():
    flag = column_from("x", {"kind": "boolean"})
    with pytest.raises(SpecError, match=r"\['x'\] are declared more than once"):
        Schema((flag, flag))
    with pytest.raises(SpecError, match="at least one column"):
        Schema(())
    with pytest.raises(SpecError, match=r"unknown column 'y': the schema has \['x'\]"):
        Schema((flag,)).column("y")


def test_columns_without_cells_are_in_the_schema_and_not_in_the_domain():
    flag, name, note = (column_from(name, {"kind": kind}) for name, kind in (("f", "boolean"), ("n", "identifier"), ("t", "text")))
    schema = Schema((name, flag, note))
    assert [column.name for column in schema.columns] == ["n", "f", "t"]
    assert schema.modelled == (flag,)
    assert schema.domain == Domain(("f",), (2,))
    assert [column.size for column in schema.columns] == [0, 2, 0]
    with pytest.raises(SpecError, match="'t' is of kind 'text', which has no cells"):
        schema.modelled_column("t")
    assert schema_from(schema.facts()) == Schema((name, schema_from([schema.facts()[1]]).columns[0], note))


def test_a_domain_knows_its_columns_only():
    domain = Domain(("a", "b", "c"), (2, 3, 4))
    assert domain.clique(["c", "a"]) == ("a", "c")
    assert (domain.cells(("a", "c")), domain.cells(())) == (8, 1)
    for columns, words in ((["z"], r"unknown columns \['z'\]"), (["a", "a"], "twice")):
        with pytest.raises(SpecError, match=words):
            domain.clique(columns)
    for names, sizes in ((("a",), (1, 2)), (("a", "a"), (1, 2)), (("a",), (0,))):
        with pytest.raises(SpecError):
            Domain(names, sizes)


def test_a_workload_is_all_small_sets_with_equal_weight():
    domain = Domain(("a", "b", "c"), (2, 3, 4))
    assert set(all_marginals(domain, 2).cliques) == {c for k in (1, 2) for c in combinations("abc", k)}
    for degree in (0, 4):
        with pytest.raises(SpecError, match="degree must be from 1 to the number of columns, 3"):
            all_marginals(domain, degree)
    with pytest.raises(SpecError, match="at least 1, got 0"):
        Workload({("a",): 0})
    assert downward_closure([("a", "b"), ("b", "c")]) == (("a",), ("b",), ("c",), ("a", "b"), ("b", "c"))
    assert maximal([("a",), ("a", "b"), ("c",), ("a", "b")]) == (("a", "b"), ("c",))


SPEC = """
[release]
name = "x"
purpose = "a test"
[data]
source = "x.csv"
[budget]
ledger = "x"
epsilon = {epsilon}
delta = 1e-9
[columns.x]
kind = "boolean"
"""


@pytest.mark.parametrize("epsilon", ["1e999999999", "1e-999999999", "nan", "inf", "1.5" + "1" * 101, "0." + "1" * 101])
def test_a_number_no_machine_should_expand_is_refused_at_once(epsilon):
    with pytest.raises(SpecError, match=r"budget.epsilon must be a"):
        Spec.from_text(SPEC.format(epsilon=epsilon))


def test_a_whole_number_of_thousands_of_digits_is_refused():
    with pytest.raises(SpecError, match=r"digits|proportion"):
        Spec.from_text(SPEC.format(epsilon="1" * 5000))


def test_an_ordinary_number_is_read_exactly():
    assert Spec.from_text(SPEC.format(epsilon="0.1")).epsilon * 10 == 1
