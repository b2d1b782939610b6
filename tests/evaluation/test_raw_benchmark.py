"""The benchmark of a table as published: what counts as a difference, and that its spec is one."""

import tomllib
from decimal import Decimal

import pandas as pd
import pytest

from benchmarks.raw import COLUMNS, differences
from dpsynth.schema import Schema, column_from

SECTIONS = tomllib.loads(COLUMNS.read_text(encoding="utf-8"), parse_float=Decimal)["columns"]
SCHEMA = Schema(
    (
        column_from("n", {"kind": "integer", "min": 0, "max": 9}),
        column_from("c", {"kind": "categorical", "values": ["a", "b"], "missing": True}),
    )
)
TABLE = pd.DataFrame({"n": ["1", "2", "3"], "c": ["a", "b", None]})


def test_every_fact_of_the_spec_is_public():
    assert len(SECTIONS) == 15
    assert all(facts["source"].startswith("public: ") for facts in SECTIONS.values())
    assert sum(Schema(tuple(column_from(name, facts) for name, facts in SECTIONS.items())).domain.sizes) > 200


def test_a_label_that_no_record_has_is_no_difference():
    assert differences(TABLE, TABLE.iloc[:1], SCHEMA) == []


@pytest.mark.parametrize(
    ("records", "word"),
    [
        ({"n": ["1.0"], "c": ["a"]}, "whole"),
        ({"n": [None], "c": ["a"]}, "empty"),
        ({"n": ["1"], "c": ["z"]}, "labels"),
        ({"c": ["a"], "n": ["1"]}, "columns"),
    ],
)
def test_what_differs_is_named(records, word):
    (found,) = differences(TABLE, pd.DataFrame(records, dtype="str"), SCHEMA)
    assert word in found
