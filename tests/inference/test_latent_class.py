"""The mixture's closed forms against the whole joint table; its file, and files that are no such model."""

import io
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.estimators import model_from
from dpsynth.inference.latent_class import LatentClassModel, latent_class_from
from dpsynth.inference.model import FitReport, PairTargets
from dpsynth.sampling.records import draw_codes

DOMAIN = Domain(("a", "b", "c", "d"), (2, 3, 4, 2))
REPORT = FitReport("latent-class", True, 12, 0.25, 0.4, 55, certified=False)
CELLS = sum(DOMAIN.sizes)


def mixture(domain=DOMAIN, classes=5, seed=0, targets=True):
    """A random mixture whose emissions are single-precision numbers, as fitted ones are."""
    rng = np.random.default_rng(seed)
    blocks = [rng.dirichlet(np.full(size, 0.5), classes).T.astype(np.float32).astype(np.float64) for size in domain.sizes]
    weights = rng.dirichlet(np.ones(classes))
    model = LatentClassModel(domain, 500.0, weights, np.concatenate(blocks), REPORT)
    return LatentClassModel(domain, 500.0, weights, model.emissions, REPORT, targets_of(model)) if targets else model


def targets_of(model):
    cells, columns = sum(model.domain.sizes), len(model.domain.columns)
    tables = np.zeros((cells, cells), dtype=np.float32)
    ends = np.cumsum([0, *model.domain.sizes])
    for i, j in combinations(range(columns), 2):
        block = model.marginal((model.domain.columns[i], model.domain.columns[j])).reshape(model.domain.sizes[i], -1)
        tables[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
        tables[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.astype(np.float32).T
    return PairTargets(tables, np.full((columns, columns), 3.0, dtype=np.float32))


def joint_of(model):
    """float64[sizes]: every record's probability, added up class by class and column by column."""
    joint = np.zeros(model.domain.sizes)
    for cell in np.ndindex(*model.domain.sizes):
        for k, weight in enumerate(model.weights):
            p = weight
            first = 0
            for code, size in zip(cell, model.domain.sizes, strict=True):
                p *= model.emissions[first + code, k]
                first += size
            joint[cell] += p
    return joint


def expected(joint, domain, clique):
    kept = sorted(clique, key=domain.position.__getitem__)
    summed = joint.sum(axis=tuple(i for i, c in enumerate(domain.columns) if c not in clique))
    return summed.transpose([kept.index(c) for c in clique]).reshape(-1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(1, 4), st.integers(0, 1000))
def test_marginals_of_any_columns_in_any_order_are_those_of_the_joint_table(sizes, classes, seed):
    domain = Domain(tuple("abcd"[: len(sizes)]), tuple(sizes))
    model = mixture(domain, classes, seed, targets=False)
    joint = joint_of(model)
    for k in range(4):
        for clique in permutations(domain.columns, min(k, len(sizes))):
            np.testing.assert_allclose(model.marginal(clique), 500 * expected(joint, domain, clique), rtol=1e-6)


def test_the_chain_of_conditionals_is_the_joint_table():
    model = mixture()
    hidden, *columns = model.conditionals()
    assert (hidden.given, [step.columns for step in columns]) == ((), [(c,) for c in DOMAIN.columns])
    assert all(step.given == hidden.columns for step in columns)
    assert not set(hidden.columns) & set(DOMAIN.columns)
    joint = np.einsum("k,ka,kb,kc,kd->abcd", hidden.table, *[step.table for step in columns])
    np.testing.assert_allclose(joint, joint_of(model))


@pytest.mark.parametrize("where", [{}, {"a": 1}, {"d": 0, "b": 2}, {"a": 0, "b": 1, "c": 3, "d": 1}, {"c": np.int64(2)}])
def test_conditioning_is_that_of_the_joint_table(where):
    model = mixture()
    mask = np.ones(DOMAIN.sizes)
    for column, cell in where.items():
        axis = DOMAIN.position[column]
        mask *= (np.arange(DOMAIN.size[column]) == cell).reshape([-1 if i == axis else 1 for i in range(4)])
    found = model.condition(where)
    joint = joint_of(model) * mask
    assert found.total == pytest.approx(500 * joint.sum(), rel=1e-6)
    np.testing.assert_allclose(found.marginal(DOMAIN.columns), 500 * joint.reshape(-1), rtol=1e-5, atol=1e-12)
    assert found.weights.sum() == pytest.approx(1)
    assert found.pair_targets is None
    assert model.pair_targets is not None
    assert model.emissions.min() > 0, "the model that was asked keeps its own cells"


def test_records_of_a_condition_all_meet_it():
    codes = draw_codes(mixture().condition({"b": 2, "d": 1}), 200, 0)
    assert set(codes["b"].tolist()) == {2}
    assert set(codes["d"].tolist()) == {1}
    assert len(set(codes["c"].tolist())) > 1


def test_what_the_model_makes_impossible_is_refused():
    with pytest.raises(SpecError, match=r"\{'a': 0\}.*probability 0"):
        mixture().condition({"a": 1}).condition({"a": 0})


@pytest.mark.parametrize("where", [{"a": 2}, {"a": -1}, {"x": 0}, {"a": 0.5}, {"a": True}, {"a": "0"}, {"a": None}])
def test_cells_that_do_not_exist_are_refused_by_name(where):
    with pytest.raises(SpecError, match=f"'?{next(iter(where))}'?.* (from 0 to 1|the domain has)"):
        mixture().condition(where)


def test_unknown_and_gigantic_queries_are_refused():
    domain = Domain(tuple(f"c{i}" for i in range(30)), (4,) * 30)
    model = mixture(domain, 2, targets=False)
    with pytest.raises(SpecError, match="fewer columns"):
        model.marginal(domain.columns)
    assert model.marginal(domain.columns[:3]).shape == (64,)


def stored(model):
    file = io.BytesIO()
    np.savez(file, **model.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("targets", [True, False])
def test_a_model_survives_its_file_bit_by_bit(targets):
    model = mixture(targets=targets)
    again = model_from(stored(model))
    assert isinstance(again, LatentClassModel)
    assert (again.domain, again.total, again.report) == (model.domain, model.total, model.report)
    for k in range(4):
        for clique in combinations(DOMAIN.columns, k):
            assert np.array_equal(again.marginal(clique), model.marginal(clique))
    first, second = draw_codes(model, 300, 7), draw_codes(again, 300, 7)
    assert all(np.array_equal(first[c], second[c]) for c in DOMAIN.columns)
    assert (again.pair_targets is None) is (not targets)


def test_pair_targets_survive_their_file_bit_by_bit():
    targets = mixture().pair_targets
    again = PairTargets.read(DOMAIN, targets.arrays())
    assert np.array_equal(again.tables, targets.tables)
    assert np.array_equal(again.noise, targets.noise)
    assert again.tables.dtype == again.noise.dtype == np.float32
    assert targets.arrays()["targets"].size == CELLS * (CELLS + 1) // 2


def single(*shape, value=1.0):
    return np.full(shape, value, dtype=np.float32)


HOSTILE = {
    "another format": {"format": np.array("dpsynth-latent-class-99")},
    "a repeated column": {"columns": np.array(["a", "a", "c", "d"])},
    "columns of numbers": {"columns": np.array([1, 2, 3, 4])},
    "one text for all columns": {"columns": np.array("abcd")},
    "no columns": {"columns": np.array([], dtype="U1"), "sizes": np.array([], dtype=np.int64)},
    "a size of 0": {"sizes": np.array([2, 0, 7, 2])},
    "a negative size": {"sizes": np.array([-2, 7, 4, 2])},
    "sizes of floats": {"sizes": np.array([2.5, 3.0, 4.0, 2.0])},
    "too few sizes": {"sizes": np.array([2, 9])},
    "huge sizes": {"sizes": np.array([2, 2**62, 2**62, 2**62])},
    "weights below 0": {"weights": np.array([1.0, 1.0, -1.0, 0.0, 0.0])},
    "weights of another sum": {"weights": np.full(5, 0.3)},
    "weights that are no numbers": {"weights": np.full(5, np.nan)},
    "weights of objects": {"weights": np.array([0.2] * 5, dtype=object)},
    "weights of text": {"weights": np.array(["0.2"] * 5)},
    "complex weights": {"weights": np.full(5, 0.2 + 0j)},
    "weights of two axes": {"weights": np.full((5, 2), 0.1)},
    "weights without an axis": {"weights": np.array(1.0)},
    "too few weights": {"weights": np.array([0.5, 0.5])},
    "too few emissions": {"emissions": single(CELLS - 1, 5)},
    "no emissions": {"emissions": single(0, 5)},
    "no classes": {"emissions": single(CELLS, 0), "weights": np.zeros(0)},
    "emissions of one axis": {"emissions": single(CELLS)},
    "emissions of three axes": {"emissions": single(CELLS, 5, 1)},
    "emissions of another sum": {"emissions": single(CELLS, 5, value=0.9)},
    "emissions that are no numbers": {"emissions": single(CELLS, 5, value=np.nan)},
    "huge emissions": {"emissions": np.full((CELLS, 5), 1e308)},
    "emissions of objects": {"emissions": np.array([[None] * 5] * CELLS)},
    "a negative total": {"total": np.array(-1.0)},
    "an infinite total": {"total": np.array(np.inf)},
    "a total that is no number": {"total": np.array(np.nan)},
    "a total as text": {"total": np.array("500")},
    "two totals": {"total": np.ones(2)},
    "steps as text": {"fit_steps": np.array("1")},
    "a gap that is no number": {"fit_gap": np.array(np.nan)},
    "targets below 0": {"targets": single(CELLS * (CELLS + 1) // 2, value=-1.0)},
    "targets that are no numbers": {"targets": single(CELLS * (CELLS + 1) // 2, value=np.nan)},
    "targets of another domain": {"targets": single(3)},
    "targets beyond single precision": {"targets": np.full(CELLS * (CELLS + 1) // 2, 1e300)},
    "noise of another domain": {"target_noise": single(3, 3)},
    "noise that is no number": {"target_noise": single(4, 4, value=np.nan)},
    "noise of objects": {"target_noise": np.array([[None] * 4] * 4)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name):
    with pytest.raises(SpecError):
        model_from(stored(mixture()) | HOSTILE[name])


def test_a_file_without_an_array_is_refused():
    arrays = stored(mixture())
    for name in arrays:
        if name != "targets":  # a model without targets is one that was conditioned
            with pytest.raises(SpecError):
                model_from({k: v for k, v in arrays.items() if k != name})
    with pytest.raises(SpecError, match="'columns'"):
        latent_class_from({})


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(mixture().arrays())), st.integers(0, 2**32), st.data())
def test_whatever_one_array_holds_reading_ends_in_a_model_or_a_refusal(name, seed, data):
    """Every kind of number, 0 to 3 axes: no other error leaves, and what is read gives finite tables."""
    rng = np.random.default_rng(seed)
    shape = data.draw(st.lists(st.sampled_from([0, 1, 2, 4, 5, CELLS]), max_size=3))
    kind = data.draw(st.sampled_from(["f8", "f4", "f2", "i8", "u1", "c16", "?", "U3", "O", "M8[s]"]))
    with np.errstate(over="ignore"):
        array = rng.integers(-2, 9, shape).astype(kind) if kind != "O" else np.full(shape, None)
    try:
        model = model_from(mixture().arrays() | {name: array})
    except SpecError:
        return
    assert np.isfinite(model.marginal(("a", "b"))).all()
