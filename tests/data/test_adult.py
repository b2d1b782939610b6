"""The packaged table and its spec: every value falls into a listed cell, and the facts do not depend on the rows."""

import gzip
import hashlib
import tomllib
from decimal import Decimal
from importlib import resources

import pandas as pd
import pytest

from dpsynth.evaluation.distance import encode
from dpsynth.schema import Schema, column_from

FOLDER = resources.files("dpsynth").joinpath("data")
PACKED = FOLDER.joinpath("adult.csv.gz").read_bytes()
SPEC = tomllib.loads(FOLDER.joinpath("adult.toml").read_text(encoding="utf-8"), parse_float=Decimal)
SCHEMA = Schema(tuple(column_from(name, facts) for name, facts in SPEC["columns"].items()))


@pytest.fixture(scope="module")
def table():
    lines = gzip.decompress(PACKED).decode("ascii").splitlines()
    names, *listed = (line.split(",") for line in lines)
    return pd.DataFrame(listed, columns=names, dtype=object)


def test_the_table_is_whole_small_and_packed_reproducibly(table):
    assert table.shape == (30_162, 14)
    assert len(PACKED) <= 1_000_000
    assert PACKED[3:8] == bytes(5), "a file name or a time would make each packing differ"
    digest = hashlib.sha256(gzip.decompress(PACKED)).hexdigest()
    assert digest == "094ad5e640559357196a926940a8ed499ac09d125dab517ca0e0b8b6e537f6c3"


def test_the_spec_names_every_column_in_the_tables_order(table):
    assert list(table.columns) == list(SCHEMA.domain.columns)
    assert SPEC["data"]["source"] == "adult.csv.gz"


@pytest.mark.parametrize("column", SCHEMA.columns, ids=lambda column: column.name)
def test_every_value_has_a_listed_cell(column, table):
    """A value that is clipped, other or missing would move when its column says so; a listed one stays where it is."""
    texts = table[column.name].unique()
    if column.kind == "categorical":
        assert set(texts) <= set(column.values)
    else:
        assert all(column.least <= int(text) <= column.most for text in texts)
    assert all(column.cell_labels()[column.rule.cell(text)] in column.own_labels() for text in texts)
    assert {column.rule.cell(text) for text in texts} <= set(range(column.own_cells))


def test_every_fact_says_where_it_comes_from():
    assert all(column.source.startswith("public: ") for column in SCHEMA.columns)


def test_encoding_the_table_is_what_its_rules_say(table):
    sample = table.iloc[::997]
    expected = [[column.rule.cell(row[column.name]) for column in SCHEMA.columns] for _, row in sample.iterrows()]
    assert encode(SCHEMA, sample).tolist() == expected
