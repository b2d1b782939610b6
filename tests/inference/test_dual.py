import numpy as np
import pytest

from dpsynth.inference.bruteforce import explicit, softmax
from dpsynth.inference.dual import Dual
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.propagation import spread
from dpsynth.inference.residuals import interaction, residuals
from tests.inference.tables import DOMAIN, SHAPES, measured

ROWS = 900.0


def dual_of(name):
    parts = tuple(part for clique, part in residuals(DOMAIN, measured(DOMAIN, SHAPES[name])).items() if clique)
    weights = np.linspace(0.5, 20, len(parts))
    return Dual(junction_tree(DOMAIN, [part.clique for part in parts]), parts, weights, ROWS)


def theta_of(dual, scale, seed=5):
    raw = scale * np.random.default_rng(seed).normal(size=len(dual.target))
    return np.concatenate([interaction(t).reshape(-1) for t in dual.tables(raw)]) if dual.parts else raw


def joint_of(dual, theta):
    scores = sum((spread(t, p.clique, DOMAIN.columns) for t, p in zip(dual.tables(theta), dual.parts, strict=True)), np.zeros(DOMAIN.sizes))
    return scores, softmax(scores)


@pytest.mark.parametrize("name", SHAPES)
def test_value_marginals_and_gradient_are_those_of_the_joint_table(name):
    dual = dual_of(name)
    theta = theta_of(dual, 0.7)
    point = dual.at(theta)
    scores, joint = joint_of(dual, theta)
    value = ROWS * np.log(np.exp(scores).sum())
    for t, part, w, mu in zip(dual.tables(theta), dual.parts, dual.weights, dual.tables(point.marginals), strict=True):
        others = tuple(i for i, c in enumerate(DOMAIN.columns) if c not in part.clique)
        np.testing.assert_allclose(mu, ROWS * joint.sum(axis=others), rtol=1e-10)
        value += w / 2 * (t**2).sum() - (t * part.values).sum()
    assert point.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_the_gradient_is_the_slope_of_the_value(name):
    dual = dual_of(name)
    theta = theta_of(dual, 0.5)
    point = dual.at(theta)
    for seed in range(5):
        direction = theta_of(dual, 1.0, seed)
        step = 1e-5
        slope = (dual.at(theta + step * direction).value - dual.at(theta - step * direction).value) / (2 * step)
        assert float(point.gradient @ direction) == pytest.approx(slope, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_dual_minus_primal_is_the_gap_formula(name):
    """The primal written out on the joint table: N H(p) - sum_A |P_A mu_A - r_A|^2 / (2 w_A)."""
    dual = dual_of(name)
    theta = theta_of(dual, 0.8)
    point = dual.at(theta)
    _, joint = joint_of(dual, theta)
    primal = -ROWS * (joint * np.log(joint)).sum()
    for part, w, mu in zip(dual.parts, dual.weights, dual.tables(point.marginals), strict=True):
        primal -= ((interaction(mu) - part.values) ** 2).sum() / (2 * w)
    assert point.gap == pytest.approx(point.value - primal, rel=1e-9, abs=1e-8)


def test_the_explicit_dual_of_brute_force_has_the_same_gradient_norm():
    dual = dual_of("cycle")
    theta = theta_of(dual, 0.8)
    oracle = explicit(DOMAIN, dual.parts, dual.weights, ROWS)
    coordinates = np.linalg.lstsq(oracle.basis, joint_of(dual, theta)[0].reshape(-1), rcond=None)[0]
    _, gradient = oracle.at(coordinates)
    assert (gradient**2 / (2 * oracle.penalty)).sum() == pytest.approx(dual.at(theta).gap, rel=1e-9)
