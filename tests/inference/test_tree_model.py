import io
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference import paths
from dpsynth.inference.estimators import ESTIMATORS, estimator, model_from
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.model import FitReport
from dpsynth.inference.propagation import propagate
from dpsynth.inference.tree_model import TreeModel, tree_model, tree_model_from
from tests.inference.tables import DOMAIN, SHAPES, measured

REPORT = FitReport("test", True, 1, 0.0, 1e-4, 1)
COLUMNS = tuple("abcdefg")


def random_model(domain: Domain, cliques, seed=0, total=500.0, scale=2.0) -> TreeModel:
    rng = np.random.default_rng(seed)
    tree = junction_tree(domain, [domain.clique(c) for c in cliques])
    return tree_model(propagate(tree, [scale * rng.normal(size=domain.shape(node)) for node in tree.nodes]), total, REPORT)


def joint_of(model: TreeModel) -> np.ndarray:
    """float64[cells of the domain]: the product of the chain, the slow way."""
    domain = model.domain
    joint = np.ones(domain.sizes)
    for step in model.conditionals():
        columns = (*step.given, *step.columns)
        order = sorted(range(len(columns)), key=lambda i: domain.position[columns[i]])
        shape = [domain.size[c] if c in columns else 1 for c in domain.columns]
        joint = joint * step.table.transpose(order).reshape(shape)
    return joint


def expected(joint, domain, clique):
    kept = sorted(clique, key=domain.position.__getitem__)
    summed = joint.sum(axis=tuple(i for i, c in enumerate(domain.columns) if c not in clique))
    return summed.transpose([kept.index(c) for c in clique]).reshape(-1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from(COLUMNS), max_size=3), max_size=7),
    st.lists(st.integers(1, 3), min_size=7, max_size=7),
    st.lists(st.sampled_from(COLUMNS), unique=True),
    st.integers(0, 100),
)
def test_any_marginal_in_any_order_is_that_of_the_joint_table(groups, sizes, query, seed):
    domain = Domain(COLUMNS, tuple(sizes))
    model = random_model(domain, groups, seed)
    np.testing.assert_allclose(model.marginal(tuple(query)), 500 * expected(joint_of(model), domain, query), rtol=1e-9, atol=1e-9)


def test_a_chain_of_a_hundred_columns_answers_from_end_to_end():
    columns = tuple(f"c{i}" for i in range(100))
    domain = Domain(columns, (3,) * 100)
    model = random_model(domain, list(pairwise(columns)))
    step = {s.columns: s for s in model.conditionals()}
    assert len(step) == 99
    found = model.marginal((columns[0], columns[50], columns[99])).reshape(3, 3, 3)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), model.marginal(columns[:1]))
    links = [model.marginal(pair).reshape(3, 3) for pair in pairwise(columns)]
    links = [link / link.sum(axis=1, keepdims=True) for link in links]
    across = np.diag(model.marginal(columns[:1])) @ np.linalg.multi_dot(links[:50])
    np.testing.assert_allclose(found.sum(axis=2), across, rtol=1e-9)
    far = model.condition({columns[0]: 1, columns[99]: 2})
    np.testing.assert_allclose(far.marginal((columns[50],)), found[1, :, 2], rtol=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_conditioning_is_that_of_the_joint_table(name):
    model = random_model(DOMAIN, SHAPES[name])
    joint = joint_of(model)
    for where in ({"a": 1}, {"b": 2, "d": 0}, {"a": 0, "b": 1, "c": 3, "d": 1}, {}):
        mask = np.ones(DOMAIN.sizes)
        for column, cell in where.items():
            axis = DOMAIN.position[column]
            mask = mask * (np.arange(DOMAIN.size[column]) == cell).reshape([-1 if i == axis else 1 for i in range(4)])
        found = model.condition(where)
        np.testing.assert_allclose(found.marginal(DOMAIN.columns), 500 * (joint * mask).reshape(-1), rtol=1e-9, atol=1e-12)
        assert found.total == pytest.approx(500 * (joint * mask).sum())
        for step in found.conditionals():
            depth = len(step.given)
            np.testing.assert_allclose(step.table.sum(axis=tuple(range(depth, step.table.ndim))), 1)


def test_conditioning_twice_is_conditioning_on_both():
    model = random_model(DOMAIN, SHAPES["cycle"])
    once, twice = model.condition({"a": 1, "c": 2}), model.condition({"a": 1}).condition({"c": 2})
    np.testing.assert_allclose(once.marginal(("b", "d")), twice.marginal(("b", "d")))


def test_what_the_model_makes_impossible_is_refused():
    model = random_model(DOMAIN, SHAPES["chain"]).condition({"a": 1})
    with pytest.raises(SpecError, match="probability 0"):
        model.condition({"a": 0})


@pytest.mark.parametrize("where", [{"a": 2}, {"a": -1}, {"x": 0}, {"a": 0.5}, {"a": True}, {"a": "0"}])
def test_cells_that_do_not_exist_are_refused(where):
    with pytest.raises(SpecError):
        random_model(DOMAIN, SHAPES["chain"]).condition(where)


def test_unknown_and_gigantic_queries_are_refused():
    domain = Domain(tuple(f"c{i}" for i in range(60)), (4,) * 60)
    model = random_model(domain, [])
    with pytest.raises(SpecError, match="unknown"):
        model.marginal(("x",))
    with pytest.raises(SpecError, match="fewer columns"):
        model.marginal(domain.columns)
    assert model.marginal(domain.columns[:3]).shape == (64,)


@pytest.mark.parametrize("name", SHAPES)
def test_each_column_is_drawn_once_after_those_it_is_given(name):
    known: set[str] = set()
    for step in random_model(DOMAIN, SHAPES[name]).conditionals():
        assert set(step.given) <= known
        assert not known & set(step.columns)
        assert step.columns
        assert step.table.shape == DOMAIN.shape((*step.given, *step.columns))
        known |= set(step.columns)
    assert known == set(DOMAIN.columns)


def stored(model):
    file = io.BytesIO()
    np.savez(file, **model.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", SHAPES)
def test_a_model_survives_its_file_bit_by_bit(name):
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES[name]))
    again = model_from(stored(model))
    assert again.domain == model.domain
    assert again.total == model.total
    assert again.report == model.report
    for k in range(3):
        for query in combinations(DOMAIN.columns, k):
            assert np.array_equal(again.marginal(query), model.marginal(query))


HOSTILE = {
    "another format": {"format": np.array("dpsynth-tree-99")},
    "format of numbers": {"format": np.array(1)},
    "a repeated column": {"columns": np.array(["a", "a", "c", "d"])},
    "a size of 0": {"sizes": np.array([2, 0, 4, 2])},
    "sizes of floats": {"sizes": np.array([2.0, 3.0, 4.0, 2.0])},
    "too few sizes": {"sizes": np.array([2, 3])},
    "huge sizes": {"sizes": np.array([2, 2**62, 2**62, 2])},
    "a column out of range": {"node_columns": np.array([0, 1, 1, 2, 2, 9])},
    "a negative column": {"node_columns": np.array([0, 1, 1, 2, 2, -1])},
    "a parent that comes later": {"parents": np.array([-1, 2, 0])},
    "a loop": {"parents": np.array([-1, 1, 0])},
    "two roots": {"parents": np.array([-1, -1, 0])},
    "a negative length": {"node_lengths": np.array([-2, 4, 4])},
    "a separator that is too long": {"separator_lengths": np.array([0, 3, 1])},
    "no nodes": {"node_lengths": np.array([], dtype=int), "separator_lengths": np.array([], dtype=int), "parents": np.array([], dtype=int)},
    "too few numbers": {"tables": np.zeros(3)},
    "probabilities of another sum": {"tables": np.ones(26)},
    "not a number": {"tables": np.full(26, np.nan)},
    "a negative total": {"total": np.array(-1.0)},
    "an infinite total": {"total": np.array(np.inf)},
    "an infinite gap": {"gap": np.array(np.inf)},
    "steps as text": {"steps": np.array("1")},
    "objects": {"columns": np.array(["a", "b", "c", "d"], dtype=object)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name):
    arrays = stored(random_model(DOMAIN, SHAPES["chain"]))
    with pytest.raises(SpecError):
        model_from(arrays | HOSTILE[name])


def test_a_file_without_an_array_is_refused():
    arrays = stored(random_model(DOMAIN, SHAPES["chain"]))
    for name in arrays:
        with pytest.raises(SpecError):
            model_from({k: v for k, v in arrays.items() if k != name})
    with pytest.raises(SpecError, match="format"):
        tree_model_from({})


def test_estimators_are_found_by_name():
    assert {"maxent", "private-pgm"} <= set(ESTIMATORS)
    assert all(estimator(name).name == name for name in ESTIMATORS)
    with pytest.raises(SpecError, match="maxent"):
        estimator("least-squares")


def test_many_marginals_at_once_are_those_asked_one_by_one():
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["overlapping triples"]))
    queries = [DOMAIN.clique(c) for k in range(1, 4) for c in combinations(DOMAIN.columns, k)]
    for query, table in zip(queries, model.marginals(queries), strict=True):
        np.testing.assert_allclose(table, model.marginal(query), rtol=1e-12)
    assert model.marginals([]) == []


@pytest.mark.parametrize("kept", [1 << 23, 0])
def test_pairs_across_a_tree_at_once_are_bit_by_bit_those_asked_one_by_one(kept, monkeypatch):
    monkeypatch.setattr(paths, "KEPT_CELLS", kept)
    rng = np.random.default_rng(8)
    columns = tuple(f"c{i:02}" for i in range(24))
    domain = Domain(columns, tuple(rng.integers(2, 5, 24).tolist()))
    links = [(columns[i], columns[int(rng.integers(max(0, i - 4), i))]) for i in range(1, 24)] + [columns[3:6], columns[10:13]]
    model = random_model(domain, links)
    queries = [domain.clique(rng.permutation(columns)[:k].tolist()) for k in (2, 3) for _ in range(40)] + list(combinations(columns, 2))
    for query, table in zip(queries, model.marginals(queries), strict=True):
        if model.tree.host(query) is None:
            np.testing.assert_array_equal(table, model.marginal(query))


def test_what_pairs_across_a_tree_have_in_common_is_computed_once(monkeypatch):
    columns = tuple(f"c{i:02}" for i in range(40))
    model = random_model(Domain(columns, (3,) * 40), list(pairwise(columns)))
    products, contracted = [0], paths._contracted
    monkeypatch.setattr(paths, "_contracted", lambda *given: products.__setitem__(0, products[0] + 1) or contracted(*given))
    pairs = list(combinations(columns, 2))
    model.marginals(pairs)
    assert products[0] < 3 * len(pairs), "each pair took all the products along its path"
