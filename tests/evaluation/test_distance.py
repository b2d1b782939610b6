"""The k-way distance against brute force, and as a metric."""

import itertools
import math
from collections import Counter
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.evaluation.distance import encode, marginal_distances
from dpsynth.schema import Schema, column_from

DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 1, 4))
ROUNDING = 1e-12

rows = st.tuples(*(st.integers(0, size - 1) for size in DOMAIN.sizes))
tables = st.lists(rows, max_size=12).map(lambda listed: np.array(listed, dtype=np.int64).reshape(len(listed), len(DOMAIN.sizes)))
orders = st.integers(1, len(DOMAIN.columns))


def brute_force(first, second, places):
    ours, theirs = (Counter(tuple(row[i] for i in places) for row in table.tolist()) for table in (first, second))
    return sum(abs(ours[cell] / len(first) - theirs[cell] / len(second)) for cell in {*ours, *theirs}) / 2


@given(tables.filter(len), tables.filter(len), orders)
def test_every_marginal_agrees_with_brute_force(first, second, k):
    found = marginal_distances(first, second, DOMAIN, k)
    expected = {
        tuple(DOMAIN.columns[i] for i in places): brute_force(first, second, places)
        for places in itertools.combinations(range(len(DOMAIN.columns)), k)
    }
    assert list(found.by_clique) == list(expected)
    assert list(found.by_clique.values()) == pytest.approx(list(expected.values()), abs=ROUNDING)
    assert found.mean == pytest.approx(np.mean(list(expected.values())), abs=ROUNDING)
    assert found.maximum == pytest.approx(max(expected.values()), abs=ROUNDING)
    assert found.skipped == 0


@given(tables, tables, orders)
def test_it_is_symmetric(first, second, k):
    assert marginal_distances(first, second, DOMAIN, k) == marginal_distances(second, first, DOMAIN, k)


@given(tables, tables, tables, orders)
def test_the_triangle_inequality_holds(first, second, third, k):
    direct, left, right = (marginal_distances(*pair, DOMAIN, k) for pair in ((first, third), (first, second), (second, third)))
    for clique, distance in direct.by_clique.items():
        assert distance <= left.by_clique[clique] + right.by_clique[clique] + ROUNDING


@given(tables, st.randoms(), orders, st.integers(1, 3))
def test_the_same_rows_in_any_order_and_multiplicity_are_at_zero(table, random, k, times):
    order = random.sample(range(len(table)), len(table))
    assert marginal_distances(table, np.repeat(table[order], times, axis=0), DOMAIN, k).maximum == 0


def test_an_empty_table_is_at_zero_from_itself_and_at_one_from_any_other():
    empty, one = np.empty((0, 4), dtype=np.int64), np.zeros((1, 4), dtype=np.int64)
    assert marginal_distances(empty, empty, DOMAIN, 2).maximum == 0
    assert set(marginal_distances(empty, one, DOMAIN, 2).by_clique.values()) == {1.0}


def test_disjoint_tables_are_at_one():
    first, second = np.array([[0, 0, 0, 0]]), np.array([[1, 1, 0, 1]])
    assert marginal_distances(first, second, DOMAIN, 1).by_clique == {("a",): 1, ("b",): 1, ("c",): 0, ("d",): 1}


def test_marginals_over_the_cell_limit_are_skipped_and_counted():
    table = np.zeros((1, 4), dtype=np.int64)
    found = marginal_distances(table, table, DOMAIN, 2, cell_limit=6)
    assert set(found.by_clique) == {("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")}
    assert found.skipped == 2
    nothing = marginal_distances(table, table, DOMAIN, 4, cell_limit=6)
    assert nothing.skipped == 1
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.maximum)


@given(tables, tables, orders, st.integers(0, 8))
def test_a_sample_has_the_distances_of_the_whole(first, second, k, sample):
    whole = marginal_distances(first, second, DOMAIN, k)
    found = marginal_distances(first, second, DOMAIN, k, sample=sample)
    number = math.comb(len(DOMAIN.columns), k)
    assert found.by_clique.items() <= whole.by_clique.items()
    assert len(found.by_clique) == min(sample, number) == number - found.left_out
    assert found.skipped == 0
    if sample >= number:
        assert found == whole
    assert found == marginal_distances(first, second, DOMAIN, k, sample=sample)


def test_a_sample_is_drawn_from_all_places():
    wide = Domain(tuple(f"c{i}" for i in range(40)), (2,) * 40)
    table = np.zeros((1, 40), dtype=np.uint8)
    chosen = list(marginal_distances(table, table, wide, 2, sample=100).by_clique)
    assert len(set(chosen)) == 100
    assert chosen == sorted(chosen, key=lambda clique: [wide.position[column] for column in clique])
    assert len({column for clique in chosen for column in clique}) > 35


def test_a_sample_is_of_the_marginals_within_the_limit():
    table = np.zeros((1, 4), dtype=np.int64)
    found = marginal_distances(table, table, DOMAIN, 2, cell_limit=6, sample=3)
    assert (len(found.by_clique), found.skipped, found.left_out) == (3, 2, 1)
    with pytest.raises(SpecError, match="at least 0, got -1"):
        marginal_distances(table, table, DOMAIN, 2, sample=-1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
@given(tables.filter(len), tables.filter(len))
def test_the_type_of_the_codes_does_not_matter(dtype, first, second):
    wide = Domain(DOMAIN.columns, (200, 200, 200, 200))  # flat cells beyond what the type holds
    assert marginal_distances(first.astype(dtype), second.astype(dtype), wide, 2) == marginal_distances(first, second, wide, 2)


@pytest.mark.parametrize("k", [0, 5])
def test_an_impossible_k_is_refused(k):
    table = np.zeros((1, 4), dtype=np.int64)
    with pytest.raises(SpecError, match="k must be from 1 to"):
        marginal_distances(table, table, DOMAIN, k)


@pytest.mark.parametrize("wrong", [np.array([[0, 0, 0, 4]]), np.array([[0, -1, 0, 0]]), np.zeros((1, 3), dtype=int), np.zeros((1, 4))])
def test_codes_that_do_not_fit_the_domain_are_refused(wrong):
    with pytest.raises(SpecError, match="codes"):
        marginal_distances(np.zeros((1, 4), dtype=np.int64), wrong, DOMAIN, 1)


def schema(**columns):
    return Schema(tuple(column_from(name, facts) for name, facts in columns.items()))


def test_encoding_follows_each_columns_rule():
    mixed = schema(
        job={"kind": "categorical", "values": ["x", "y"], "missing": True},
        age={"kind": "integer", "min": 0, "max": 9, "bins": 5, "missing": True},
        rate={"kind": "number", "min": 0, "max": Decimal(1), "bins": 4},
        yes={"kind": "boolean"},
    )
    frame = pd.DataFrame(
        {
            "unused": [1, 2, 3],
            "yes": [True, False, True],
            "rate": [0.0, 0.5, 7.0],
            "age": [9, None, 3],
            "job": [" y", "z", None],
        }
    )
    assert encode(mixed, frame).tolist() == [[1, 4, 0, 1], [2, 5, 2, 0], [3, 1, 3, 1]]


def test_texts_and_numbers_of_one_value_have_one_code():
    coded = schema(age={"kind": "integer", "min": 0, "max": 9}, size={"kind": "code", "size": 3})
    values = pd.DataFrame({"age": [0, 5, 9], "size": [2, 1, 0]})
    assert (encode(coded, values) == encode(coded, values.astype(str))).all()
    assert (encode(coded, values) == encode(coded, values.astype(float))).all()


def test_encoding_an_empty_table_gives_no_rows():
    coded = schema(a={"kind": "code", "size": 3}, b={"kind": "boolean"})
    assert encode(coded, pd.DataFrame({"a": [], "b": []})).shape == (0, 2)


def test_a_column_the_table_lacks_is_refused():
    with pytest.raises(SpecError, match=r"no columns \['b'\]"):
        encode(schema(b={"kind": "boolean"}), pd.DataFrame({"a": [1]}))
