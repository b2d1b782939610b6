import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.bruteforce import contrasts
from dpsynth.inference.residuals import interaction, residuals
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, SHAPES, measured


@pytest.mark.parametrize("name", SHAPES)
def test_residuals_are_the_least_squares_fit_of_all_measurements_in_each_space(name):
    """Brute force: the joint in orthonormal contrasts, all measurements stacked, weighted least squares and its covariance."""
    measurements = measured(DOMAIN, SHAPES[name])
    found = residuals(DOMAIN, measurements)
    if not measurements:
        assert found == {}
        return
    cliques = list(found)
    blocks = [[_rows_of(m.clique, clique) / m.sigma for clique in cliques] for m in measurements]
    design = np.concatenate([np.concatenate(row, axis=1) for row in blocks])
    answers = np.concatenate([m.values / m.sigma for m in measurements])
    solution = np.linalg.lstsq(design, answers, rcond=None)[0]
    covariance = np.linalg.inv(design.T @ design)
    start = 0
    for clique in cliques:
        part = found[clique]
        expected = solution[start : start + part.dof]
        np.testing.assert_allclose(contrasts(part.values.shape).T @ part.values.reshape(-1), expected, atol=1e-8)
        np.testing.assert_allclose(
            covariance[start : start + part.dof, start : start + part.dof], part.variance * np.eye(part.dof), atol=1e-7
        )
        start += part.dof


def _rows_of(measured_clique, clique):
    """float64[cells of the measured clique, dof]: how the coordinates of the part of `clique` show in the measured table."""
    if not set(clique) <= set(measured_clique):
        return np.zeros((DOMAIN.cells(measured_clique), math.prod(DOMAIN.size[c] - 1 for c in clique)))
    result = np.ones((1, 1))
    for column in measured_clique:
        size = DOMAIN.size[column]
        result = np.kron(result, contrasts((size,)) if column in clique else np.full((size, 1), 1 / size))
    return result


def test_every_subset_is_there_once_small_ones_first():
    found = list(residuals(DOMAIN, measured(DOMAIN, SHAPES["overlapping triples"])))
    assert found[0] == ()
    assert sorted(found, key=len) == found
    assert len(set(found)) == len(found) == 12


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32))
def test_parts_of_one_table_add_up_to_it_and_sum_to_zero_along_each_axis(sizes, seed):
    domain = Domain(tuple("abcd"[: len(sizes)]), tuple(sizes))
    values = np.random.default_rng(seed).integers(-1000, 1000, domain.cells(domain.columns))
    found = residuals(domain, [Measurement(domain.columns, values, 3.0)])
    total = np.zeros(sizes)
    for clique, part in found.items():
        assert all(np.allclose(part.values.sum(axis=axis), 0, atol=1e-8) for axis in range(len(clique)))
        shape = [domain.size[c] if c in clique else 1 for c in domain.columns]
        total += part.values.reshape(shape) / math.prod(domain.size[c] for c in domain.columns if c not in clique)
    np.testing.assert_allclose(total.reshape(-1), values, atol=1e-8)


@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 2**32))
def test_interaction_is_an_orthogonal_projection(k, m, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(k, m)), rng.normal(size=(k, m))
    np.testing.assert_allclose(interaction(interaction(x)), interaction(x), atol=1e-12)
    np.testing.assert_allclose((interaction(x) * y).sum(), (x * interaction(y)).sum(), atol=1e-9)


def test_the_order_of_measurements_does_not_matter_beyond_rounding():
    measurements = measured(DOMAIN, SHAPES["cycle"])
    forward, backward = residuals(DOMAIN, measurements), residuals(DOMAIN, measurements[::-1])
    assert list(forward) == list(backward)
    for clique, part in forward.items():
        np.testing.assert_allclose(part.values, backward[clique].values, rtol=1e-12, atol=1e-9)


REFUSED = {
    "nan": (Measurement(("a",), np.array([1.0, np.nan]), 1.0), "finite"),
    "infinity": (Measurement(("a",), np.array([1.0, np.inf]), 1.0), "finite"),
    "too short": (Measurement(("a", "b"), np.zeros(5, dtype=np.int64), 1.0), "6 numbers"),
    "two-dimensional": (Measurement(("a", "b"), np.zeros((2, 3), dtype=np.int64), 1.0), "6 numbers"),
    "text": (Measurement(("a",), np.array(["1", "2"]), 1.0), "2 numbers"),
    "sigma 0": (Measurement(("a",), np.zeros(2, dtype=np.int64), 0.0), "sigma"),
    "sigma below 0": (Measurement(("a",), np.zeros(2, dtype=np.int64), -1.0), "sigma"),
    "sigma infinite": (Measurement(("a",), np.zeros(2, dtype=np.int64), math.inf), "sigma"),
    "sigma nan": (Measurement(("a",), np.zeros(2, dtype=np.int64), math.nan), "sigma"),
    "sigma vanishing": (Measurement(("a",), np.zeros(2, dtype=np.int64), 1e-200), "sigma"),
    "unknown column": (Measurement(("a", "x"), np.zeros(4, dtype=np.int64), 1.0), r"unknown columns \['x'\] in \['a', 'x'\]"),
    "twice": (Measurement(("a", "a"), np.zeros(4, dtype=np.int64), 1.0), "twice"),
    "other order": (Measurement(("b", "a"), np.zeros(6, dtype=np.int64), 1.0), "order"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_measurement_that_does_not_fit_is_refused_by_name(name):
    measurement, word = REFUSED[name]
    with pytest.raises(SpecError, match=word) as caught:
        residuals(DOMAIN, [measurement])
    assert measurement.clique[0] in str(caught.value)


def test_all_pairs_of_many_columns_are_quick_enough_to_enumerate():
    domain = Domain(tuple(f"c{i}" for i in range(30)), (3,) * 30)
    pairs = list(combinations(domain.columns, 2))
    found = residuals(domain, [Measurement(pair, np.ones(9, dtype=np.int64), 1.0) for pair in pairs])
    assert len(found) == 1 + 30 + len(pairs)
    assert found[()].variance == pytest.approx(9 / len(pairs))
