from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq

from dpsynth.inference import descent_kernel
from dpsynth.inference.dual import Dual
from dpsynth.inference.flat import sums
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.metric import metric
from dpsynth.inference.residuals import interaction, residuals, table_of
from tests.inference.tables import DOMAIN, SHAPES, measured

NAMES = [name for name in SHAPES if name not in ("nothing", "total only")]


def dual_and_theta(name, weight):
    parts = tuple(part for clique, part in residuals(DOMAIN, measured(DOMAIN, SHAPES[name])).items() if clique)
    dual = Dual(junction_tree(DOMAIN, [part.clique for part in parts]), parts, np.full(len(parts), weight), 900.0)
    return dual, projected(dual, 0.5 * np.random.default_rng(5).normal(size=len(dual.target)))


def met(dual, theta):
    """The dual whose targets the model at theta meets: there the gradient is 0, and the metric nothing but curvature."""
    pulled = [w * t for w, t in zip(dual.weights, dual.tables(theta), strict=True)]
    values = [interaction(mu) + pull for mu, pull in zip(dual.tables(dual.at(theta).marginals), pulled, strict=True)]
    return replace(dual, parts=tuple(replace(part, values=v) for part, v in zip(dual.parts, values, strict=True)))


def projected(dual, flat):
    return np.concatenate([interaction(t).reshape(-1) for t in dual.tables(flat)])


def matrix(dual, times):
    """float64[flat, flat]: a map between interaction spaces, written out."""
    return np.stack([times(projected(dual, e)) for e in np.eye(len(dual.target))], axis=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weight", [1e-3, 5.0, 1e4])
def test_the_metric_is_symmetric_and_positive_definite_on_the_interaction_spaces(name, weight):
    dual, theta = dual_and_theta(name, weight)
    found = matrix(dual, metric(dual).at(dual.at(theta)))
    np.testing.assert_allclose(found, found.T, atol=1e-9 * np.abs(found).max())
    assert np.linalg.eigvalsh(found).min() > -1e-9 * np.abs(found).max()
    assert np.linalg.matrix_rank(found) == sum(part.dof for part in dual.parts)


def hessian(dual, theta, vector, step=1e-4):
    return (dual.at(theta + step * vector).gradient - dual.at(theta - step * vector).gradient) / (2 * step)


@pytest.mark.parametrize("name", ["one column", "chain", "star", "overlapping triples", "triple and pair", "disconnected", "everything"])
def test_where_tables_form_a_forest_it_is_the_inverse_of_a_hessian_with_little_damping(name):
    dual, theta = dual_and_theta(name, 1e-6)
    dual = met(dual, theta)
    inverse = metric(dual).at(dual.at(theta))
    vector = projected(dual, np.random.default_rng(0).normal(size=len(theta)))
    np.testing.assert_allclose(hessian(dual, theta, inverse(vector)), vector, atol=1e-3)


@pytest.mark.parametrize("name", ["one column", "chain", "cycle"])
def test_a_residual_that_stands_alone_has_its_own_block_inverted(name, monkeypatch):
    monkeypatch.setattr("dpsynth.inference.metric.DENSE", np.inf)
    dual, theta = dual_and_theta(name, 3.0)
    point = dual.at(theta)
    inverse = metric(dual).at(point)
    for i, (where, mu) in enumerate(zip(dual.layout.slices, dual.tables(point.marginals), strict=True)):
        vector = np.zeros_like(theta)
        vector[where] = projected(dual, np.random.default_rng(i).normal(size=len(theta)))[where]
        step = inverse(vector)
        centred = (mu.reshape(-1) + 3.0) * step[where] - mu.reshape(-1) * float(mu.reshape(-1) @ step[where]) / dual.total
        back = np.zeros_like(theta)
        back[where] = centred
        np.testing.assert_allclose(projected(dual, back), vector, atol=1e-9)
        assert not step[np.r_[0 : where.start, where.stop : len(step)]].any()


@pytest.mark.parametrize("name", NAMES)
def test_flat_maps_are_those_of_the_tables(name):
    dual, _ = dual_and_theta(name, 1.0)
    layout = dual.layout
    raw = np.random.default_rng(2).normal(size=layout.length)
    np.testing.assert_allclose(layout.interactions(raw.copy()), projected(dual, raw), atol=1e-12)
    values = dict(zip(layout.cliques, dual.tables(raw), strict=True)) | {(): np.zeros(())}
    added = sums(layout, layout.cliques)
    expected = np.concatenate([table_of(values, clique).reshape(-1) for clique in layout.cliques])
    step = np.zeros_like(raw)
    places = added.tables, added.parts, added.shares, added.offsets
    descent_kernel.scaled(*places, expected, raw, step)
    # sum over cells of table^3 is what the map finds with the table itself for a diagonal
    assert float(raw @ step) == pytest.approx(float((expected**3).sum()))


def test_the_stiffness_of_a_cell_is_the_mean_slope_of_what_it_has_to_gain():
    """h x = pull where mu (exp(x) - 1) + w x = pull."""
    for mu, w, pull in product([1e-9, 0.3, 50.0], [1e-3, 0.7, 200.0], [1.0, 60.0, 1e5]):
        h = descent_kernel._stiffness(mu, w, pull)
        x = pull / h
        if pull > descent_kernel.NEAR * (mu + w):
            exact = brentq(lambda x, mu=mu, w=w, pull=pull: mu * np.expm1(min(x, 700)) + w * x - pull, 0, pull / w + 1)
            assert exact <= x * (1 + 1e-9)  # no longer than the wall allows by more than a little
            assert x <= exact + 1
        assert h >= mu + w - 1e-12
    assert descent_kernel._stiffness(2.0, 3.0, 0.0) == descent_kernel._stiffness(2.0, 3.0, -7.0) == 5.0
