import numpy as np
import pytest

from dpsynth.inference.dual import Dual
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.metric import metric
from dpsynth.inference.residuals import interaction, residuals
from tests.inference.tables import DOMAIN, SHAPES, measured

NAMES = [name for name in SHAPES if name not in ("nothing", "total only")]


def dual_and_theta(name, weight):
    parts = tuple(part for clique, part in residuals(DOMAIN, measured(DOMAIN, SHAPES[name])).items() if clique)
    dual = Dual(junction_tree(DOMAIN, [part.clique for part in parts]), parts, np.full(len(parts), weight), 900.0)
    return dual, projected(dual, 0.5 * np.random.default_rng(5).normal(size=len(dual.target)))


def projected(dual, flat):
    return np.concatenate([interaction(t).reshape(-1) for t in dual.tables(flat)])


def matrix(dual, times):
    """float64[flat, flat]: a map between interaction spaces, written out."""
    return np.stack([times(projected(dual, e)) for e in np.eye(len(dual.target))], axis=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weight", [1e-3, 5.0, 1e4])
def test_the_metric_is_symmetric_and_positive_definite_on_the_interaction_spaces(name, weight):
    dual, theta = dual_and_theta(name, weight)
    found = matrix(dual, metric(dual, dual.at(theta)))
    np.testing.assert_allclose(found, found.T, atol=1e-9 * np.abs(found).max())
    assert np.linalg.eigvalsh(found).min() > -1e-9 * np.abs(found).max()
    assert np.linalg.matrix_rank(found) == sum(part.dof for part in dual.parts)


@pytest.mark.parametrize("name", ["one column", "chain", "cycle"])
def test_within_a_block_it_inverts_the_projected_diagonal(name):
    dual, theta = dual_and_theta(name, 3.0)
    point = dual.at(theta)
    inverse = metric(dual, point)
    diagonal = np.concatenate([(mu + w).reshape(-1) for mu, w in zip(point.marginals, dual.weights, strict=True)])
    vector = projected(dual, np.random.default_rng(0).normal(size=len(diagonal)))
    np.testing.assert_allclose(projected(dual, diagonal * inverse(vector)), vector, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_lowering_is_the_transpose_of_lifting(name):
    dual, theta = dual_and_theta(name, 1.0)
    rng = np.random.default_rng(1)
    carried = []
    for own, places in zip(dual.lattices, dual.members, strict=True):
        node = rng.normal(size=own.steps[0][1])
        tables = [dual.tables(theta)[i] for i in places]
        left = float((own.lift(tables) * node).sum())
        right = sum(float((a * b).sum()) for a, b in zip(tables, own.lower(node), strict=True))
        assert left == pytest.approx(right)
        carried += places
    assert sorted(carried) == list(range(len(dual.parts)))
