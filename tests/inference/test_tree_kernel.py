"""The compiled propagation against the plain one, however nodes are cut into blocks and rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.inference import program as programs
from dpsynth.inference import tree_kernel
from dpsynth.inference.dual import Dual
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.propagation import collect, propagate, spread
from dpsynth.inference.residuals import Residual
from dpsynth.inference.zeros import StructuralZeros

COLUMNS = tuple("abcdef")
ROWS = 500.0


def dual_of(domain, cliques, zeros=()):
    cliques = list(dict.fromkeys(cliques))
    parts = tuple(Residual(clique, np.zeros(domain.shape(clique)), 1.0) for clique in cliques)
    tree = junction_tree(domain, [*cliques, *(zero.clique for zero in zeros)])
    return Dual(tree, parts, np.ones(len(parts)), ROWS, zeros)


def plain(dual, theta):
    """The same distribution by way of whole node tables."""
    tree = dual.tree
    potentials = [np.zeros(tree.domain.shape(node)) for node in tree.nodes]
    tables = [*zip((p.clique for p in dual.parts), dual.tables(theta), strict=True)]
    tables += [(zero.clique, np.where(zero.allowed, 0.0, -np.inf)) for zero in dual.zeros]
    for clique, table in tables:
        host = tree.host(clique)
        potentials[host] = potentials[host] + spread(table, clique, tree.nodes[host])
    return propagate(tree, potentials)


def agree(dual, scale, seed):
    theta = scale * np.random.default_rng(seed).normal(size=dual.layout.length)
    expected, point, model = plain(dual, theta), dual.at(theta), dual.model(theta)
    assert model.log_z == pytest.approx(expected.log_z, rel=1e-12, abs=1e-12)
    assert point.value == pytest.approx(ROWS * expected.log_z + 0.5 * float(theta @ theta), rel=1e-11, abs=1e-9)
    for clique, mu in zip(dual.layout.cliques, dual.tables(point.marginals), strict=True):
        host = dual.tree.host(clique)
        np.testing.assert_allclose(mu, ROWS * collect(expected.beliefs[host], dual.tree.nodes[host], clique), rtol=1e-9, atol=1e-12 * ROWS)
    for found, table in zip(model.chain, expected.chain, strict=True):
        np.testing.assert_allclose(found, table, rtol=1e-9, atol=1e-300)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from(COLUMNS), min_size=1, max_size=4), max_size=7),
    st.lists(st.integers(1, 5), min_size=6, max_size=6),
    st.sampled_from([1, 6, 24, 1 << 11]),
    st.sampled_from([0.5, 5.0, 300.0]),
    st.integers(0, 100),
)
def test_marginals_conditionals_and_log_z_are_those_of_whole_tables(groups, sizes, block, scale, seed):
    domain = Domain(COLUMNS, tuple(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "BLOCK", block)
        agree(dual_of(domain, [domain.clique(group) for group in groups]), scale, seed)


@pytest.mark.parametrize("block", [2, 8, 1 << 11])
@pytest.mark.parametrize("forbidden", ["a cell", "a separator's cell", "most"])
def test_structural_zeros_stay_exactly_zero(block, forbidden, monkeypatch):
    monkeypatch.setattr(programs, "BLOCK", block)
    domain = Domain(tuple("abc"), (3, 4, 5))
    allowed = np.ones((4, 5), dtype=bool)
    allowed[{"a cell": (1, 2), "a separator's cell": (1,), "most": (slice(1, None), slice(1, None))}[forbidden]] = False
    zeros = (StructuralZeros(("b", "c"), allowed),)
    dual = dual_of(domain, [("a", "b"), ("b", "c"), ("c",)], zeros)
    agree(dual, 2.0, 0)
    mu = dual.tables(dual.at(np.random.default_rng(1).normal(size=dual.layout.length)).marginals)[1]
    assert (mu[~allowed] == 0).all()
    assert mu.sum() == pytest.approx(ROWS)


def test_where_everything_is_forbidden_nothing_becomes_nan():
    domain = Domain(tuple("abc"), (3, 4, 5))
    zeros = (StructuralZeros(("a", "b"), np.zeros((3, 4), dtype=bool)),)
    dual = dual_of(domain, [("a", "b"), ("b", "c")], zeros)
    model = dual.model(np.zeros(dual.layout.length))
    assert model.log_z == -np.inf
    assert all(np.isfinite(table).all() for table in model.chain)


def test_large_nodes_and_rows_longer_than_a_block():
    domain = Domain(tuple("abcd"), (3, 70, 45, 2))
    for cliques in ([("a", "b", "c"), ("c", "d")], [("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")], [("b", "c", "d"), ("a",)]):
        agree(dual_of(domain, [domain.clique(c) for c in cliques]), 3.0, 1)


def test_exp_is_good_to_the_last_bits_and_zero_where_it_should_be():
    x = np.concatenate([-np.geomspace(1e-12, 707.9, 20_000), [0.0]])
    np.testing.assert_allclose([tree_kernel.exp(v) for v in x], np.exp(x), rtol=4.5e-16)
    assert tree_kernel.exp(0.0) == 1
    assert tree_kernel.exp(-np.inf) == tree_kernel.exp(-800.0) == 0
