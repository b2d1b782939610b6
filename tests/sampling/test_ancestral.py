from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.model import Conditional, FitReport
from dpsynth.inference.propagation import propagate
from dpsynth.inference.tree_model import tree_model
from dpsynth.sampling.ancestral import GRID, dealt, draw

DOMAIN = Domain(("a", "b", "c", "d"), (3, 300, 4, 2))
REPORT = FitReport("test", True, 1, 0.0, 1e-4, 1)


def model_of(seed=0, forbid=0.3):
    rng = np.random.default_rng(seed)
    tree = junction_tree(DOMAIN, [("a", "b"), ("b", "c"), ("d",)])
    potentials = [np.where(rng.random(DOMAIN.shape(n)) < forbid, -np.inf, rng.normal(size=DOMAIN.shape(n))) for n in tree.nodes]
    for table in potentials:
        table[(0,) * table.ndim] = 0.0
    return tree_model(propagate(tree, potentials), 1000.0, REPORT)


def counts(records, columns):
    sizes = [DOMAIN.size[c] for c in columns]
    flat = np.ravel_multi_index([records[c].astype(int) for c in columns], sizes)
    return np.bincount(flat, minlength=int(np.prod(sizes))).reshape(sizes)


@pytest.mark.parametrize("rows", [0, 1, 2, 17, 1000, 50_000])
def test_every_step_is_within_one_row_of_what_its_group_expects(rows):
    model = model_of()
    records = draw(model, rows, 7)
    for step in model.conditionals():
        found = counts(records, (*step.given, *step.columns))
        groups = found.sum(axis=tuple(range(len(step.given), found.ndim)), keepdims=True)
        assert (np.abs(found - groups * step.table) < 1 + 1e-4).all()
        assert (found[step.table == 0] == 0).all()


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_records_hold_every_column_in_order_in_the_smallest_type(rows):
    records = draw(model_of(), rows, 0)
    assert list(records) == list(DOMAIN.columns)
    assert [v.dtype for v in records.values()] == [np.uint8, np.uint16, np.uint8, np.uint8]
    for column, codes in records.items():
        assert codes.shape == (rows,)
        assert (codes < DOMAIN.size[column]).all()


def test_a_seed_gives_the_same_records_and_another_seed_others():
    first, again, other = (draw(model_of(), 300, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[c], again[c]) for c in first)
    assert any(not np.array_equal(first[c], other[c]) for c in first)


def test_records_are_in_no_order():
    """Neighbouring records are as different as distant ones: a correlation of 6 deviations would be chance once in 5e8."""
    codes = draw(model_of(forbid=0.0), 20_000, 3)["b"].astype(float)
    assert abs(np.corrcoef(codes[:-1], codes[1:])[0, 1]) < 6 / np.sqrt(20_000)


def test_columns_without_a_link_are_independent():
    """Rows are dealt at random: a correlation of 6 deviations would be chance once in 5e8."""
    records = draw(model_of(forbid=0.0), 20_000, 3)
    assert abs(np.corrcoef(records["b"].astype(float), records["d"].astype(float))[0, 1]) < 6 / np.sqrt(20_000)


def test_draws_are_unbiased():
    """1000 draws of 3 rows: each cell's count is within 6 deviations of expected (at most 1e-6 false alarms)."""
    table = np.array([[0.5, 0.2, 0.2, 0.05, 0.05]])
    rng = np.random.default_rng(0)
    found = sum(np.bincount(dealt(np.zeros(3, dtype=np.int64), table, rng), minlength=5) for _ in range(1000))
    assert (np.abs(found - 3000 * table[0]) < 6 * np.sqrt(3000 * table[0])).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 60), st.integers(0, 2**32))
def test_dealing_rounds_every_group(groups, cells, rows, seed):
    rng = np.random.default_rng(seed)
    table = rng.random((groups, cells)) * (rng.random((groups, cells)) < 0.6)
    table[:, 0] += 1e-6
    table /= table.sum(axis=1, keepdims=True)
    own = rng.integers(0, groups, rows)
    new = dealt(own, table, rng)
    found = np.zeros((groups, cells))
    np.add.at(found, (own, new), 1)
    expected = table * np.bincount(own, minlength=groups)[:, None]
    assert (np.abs(found - expected) < 1 + rows * cells / GRID).all()
    assert (found[table == 0] == 0).all()


@dataclass(frozen=True)
class Mixture:
    """A model with a hidden class that decides both columns."""

    domain: Domain
    total: float = 10.0
    report: FitReport = REPORT

    def conditionals(self):
        sure = np.eye(2)
        return (
            Conditional(("class",), (), np.array([0.25, 0.75])),
            Conditional(("y",), ("class",), sure),
            Conditional(("x",), ("class",), sure),
        )


def test_hidden_variables_are_drawn_and_forgotten():
    records = draw(Mixture(Domain(("x", "y"), (2, 2))), 100, 0)
    assert list(records) == ["x", "y"]
    assert np.array_equal(records["x"], records["y"])
    assert records["x"].sum() == 75


@pytest.mark.parametrize(("rows", "seed"), [(-1, 0), (1.5, 0), (True, 0), (1 << 31, 0), (1, -1), (1, "a")])
def test_impossible_rows_and_seeds_are_refused(rows, seed):
    with pytest.raises(SpecError):
        draw(model_of(), rows, seed)
