import numpy as np
import pytest

from dpsynth.inference.junction import junction_tree
from dpsynth.inference.propagation import propagate, spread
from tests.inference.tables import DOMAIN, SHAPES


def explicit(tree, potentials):
    """float64[cells of the domain]: the sum of the potentials of every cell of the joint table."""
    return sum((spread(t, n, DOMAIN.columns) for t, n in zip(potentials, tree.nodes, strict=True)), np.zeros(DOMAIN.sizes))


def potentials_of(tree, scale, seed=3):
    rng = np.random.default_rng(seed)
    return [scale * rng.normal(size=DOMAIN.shape(node)) for node in tree.nodes]


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 3000.0])
@pytest.mark.parametrize("name", SHAPES)
def test_beliefs_and_log_z_are_those_of_the_joint_table(name, scale):
    tree = junction_tree(DOMAIN, SHAPES[name])
    potentials = potentials_of(tree, scale)
    scores = explicit(tree, potentials)
    joint = np.exp(scores - scores.max())
    found = propagate(tree, potentials)
    assert found.log_z == pytest.approx(scores.max() + np.log(joint.sum()), rel=1e-12, abs=1e-12)
    joint /= joint.sum()
    for node, belief in zip(tree.nodes, found.beliefs, strict=True):
        expected = np.moveaxis(joint, [DOMAIN.position[c] for c in node], range(len(node))).reshape(*DOMAIN.shape(node), -1).sum(-1)
        np.testing.assert_allclose(belief, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("name", SHAPES)
def test_forbidden_cells_get_probability_zero_and_nothing_becomes_nan(name):
    tree = junction_tree(DOMAIN, SHAPES[name])
    potentials = potentials_of(tree, 1.0)
    for table in potentials:
        table[0] = -np.inf
    found = propagate(tree, potentials)
    scores = explicit(tree, potentials)
    assert found.log_z == pytest.approx(np.log(np.exp(scores).sum()))
    assert all(np.isfinite(t).all() for t in (*found.chain, *found.beliefs))
    assert all((belief[0] == 0).all() for belief in found.beliefs)
    for table, separator in zip(found.chain, tree.separators, strict=True):
        np.testing.assert_allclose(table.sum(axis=tuple(range(len(separator), table.ndim))), 1)


def test_where_everything_is_forbidden_log_z_is_minus_infinity():
    tree = junction_tree(DOMAIN, SHAPES["chain"])
    found = propagate(tree, [np.full(DOMAIN.shape(node), -np.inf) for node in tree.nodes])
    assert found.log_z == -np.inf
    assert all(np.isfinite(t).all() for t in found.chain)
