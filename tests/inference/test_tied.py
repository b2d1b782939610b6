"""Mixtures that keep to structural zeros: against the whole joint table, through their file, and fitted."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.estimators import model_from
from dpsynth.inference.latent_class import LatentClassModel
from dpsynth.inference.model import FitReport
from dpsynth.inference.pairs import LatentClass
from dpsynth.inference.quasi import quasi_independent
from dpsynth.inference.ruled import ruled
from dpsynth.inference.tied import tied_groups
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.sampling.ancestral import draw
from dpsynth.sampling.records import draw_codes
from dpsynth.transcript import Measurement
from tests.processes import outputs

DOMAIN = Domain(tuple("abcde"), (2, 3, 4, 2, 3))
REPORT = FitReport("latent-class", True, 12, 0.25, 0.4, 55, certified=False)


def random_zeros(domain, seed, share=0.6):
    """Tables over random columns that leave the first cell of every column possible, whatever else."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rng.integers(1, 4)):
        clique = domain.clique(rng.permutation(domain.columns)[: rng.integers(1, 4)].tolist())
        allowed = rng.random(domain.shape(clique)) < share
        allowed[(0,) * len(clique)] = True
        found.append(StructuralZeros(clique, allowed))
    return tuple(found)


def mixture(domain, zeros, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    blocks = [rng.dirichlet(np.full(size, 0.5), classes).T.astype(np.float32).astype(np.float64) for size in domain.sizes]
    return LatentClassModel(domain, 500.0, rng.dirichlet(np.ones(classes)), np.concatenate(blocks), REPORT, None, zeros)


def mask_of(domain, zeros):
    mask = np.ones(domain.sizes, dtype=bool)
    for zero in zeros:
        mask &= zero.allowed.reshape([domain.size[c] if c in zero.clique else 1 for c in domain.columns])
    return mask


def joint_of(model):
    """float64[sizes]: each class's product of columns over what is possible, normalised, added up."""
    mask, joint = mask_of(model.domain, model.zeros), np.zeros(model.domain.sizes)
    for k, weight in enumerate(model.weights):
        product = mask.astype(float)
        for axis, column in enumerate(model.domain.columns):
            product *= model.blocks[column][:, k].reshape([-1 if i == axis else 1 for i in range(product.ndim)])
        joint += weight * product / product.sum()
    return joint


def expected(joint, domain, clique):
    kept = [c for c in domain.columns if c in clique]
    summed = joint.sum(axis=tuple(i for i, c in enumerate(domain.columns) if c not in clique))
    return summed.transpose([kept.index(c) for c in clique]).reshape(-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_marginals_conditions_and_the_chain_are_those_of_the_joint_table(seed):
    model = mixture(DOMAIN, random_zeros(DOMAIN, seed), seed)
    joint = joint_of(model)
    for n in range(4):
        for clique in permutations(DOMAIN.columns, n):
            np.testing.assert_allclose(model.marginal(clique), 500 * expected(joint, DOMAIN, clique), rtol=1e-6, atol=1e-9)
    where = {"c": 0, "a": 0}
    kept = joint * (np.indices(DOMAIN.sizes)[0] == 0) * (np.indices(DOMAIN.sizes)[2] == 0)
    found = model.condition(where)
    assert found.total == pytest.approx(500 * kept.sum())
    np.testing.assert_allclose(found.marginal(DOMAIN.columns), 500 * kept.reshape(-1), rtol=1e-6, atol=1e-9)
    chain = np.ones((len(model.weights), *DOMAIN.sizes))
    for step in model.conditionals():
        names = [*step.given, *step.columns]
        table = step.table.transpose(np.argsort([-1 if n.startswith("(") else DOMAIN.position[n] for n in names]))
        chain *= table.reshape(
            [len(model.weights) if "(class)" in names else 1, *(DOMAIN.size[c] if c in names else 1 for c in DOMAIN.columns)]
        )
    np.testing.assert_allclose(chain.sum(axis=0), joint, atol=1e-7)


def test_drawn_records_are_never_impossible_and_distributed_as_the_model():
    """A total variation of 200,000 draws over 144 cells above .012 would be chance beyond 1e-6."""
    zeros = random_zeros(DOMAIN, 3)
    model = mixture(DOMAIN, zeros, 3)
    codes = draw(model, 200_000, 1)
    counts = np.zeros(DOMAIN.sizes)
    np.add.at(counts, tuple(codes[c] for c in DOMAIN.columns), 1)
    assert not counts[~mask_of(DOMAIN, zeros)].any()
    assert np.abs(counts / 200_000 - joint_of(model)).sum() / 2 < 0.012


def test_a_model_with_zeros_survives_its_file_and_hostile_ones_are_refused():
    model = mixture(DOMAIN, random_zeros(DOMAIN, 5), 5)
    arrays = model.arrays()
    again = model_from(arrays)
    for clique in combinations(DOMAIN.columns, 2):
        assert np.array_equal(again.marginal(clique), model.marginal(clique))
    for name in ("zero_lengths", "zero_columns", "zero_allowed"):
        for change in (
            arrays[name][:-1],
            np.concatenate([arrays[name]] * 2),
            arrays[name] & False if name == "zero_allowed" else -arrays[name],
        ):
            with pytest.raises(SpecError, match="no latent-class model"):
                model_from(arrays | {name: change})
        with pytest.raises(SpecError):
            model_from({key: value for key, value in arrays.items() if key != name})
    with pytest.raises(SpecError):
        model_from(arrays | {"zero_columns": arrays["zero_columns"] + 1})


def test_zeros_that_tie_too_many_cells_are_refused_before_a_table_is_made():
    domain = Domain(tuple("abcdefgh"), (30,) * 8)
    star = tuple(StructuralZeros(pair, np.tri(30, dtype=bool)) for pair in combinations(domain.columns, 2))
    arrays = mixture(domain, star[:1]).arrays() | mixture(domain, ()).arrays()
    wide = {"zero_lengths": np.full(len(star), 2), "zero_columns": np.array([domain.position[c] for z in star for c in z.clique]),
            "zero_allowed": np.concatenate([z.allowed.reshape(-1) for z in star])}  # fmt: skip
    with pytest.raises(SpecError, match="too many cells"):
        model_from(arrays | wide)


def test_groups_are_the_columns_that_zeros_connect():
    def zero(*clique):
        return StructuralZeros(clique, np.ones(DOMAIN.shape(clique), dtype=bool))

    zeros = (
        zero("d", "e"),
        zero("a", "c"),
        zero(
            "c",
        ),
        zero("b", "c"),
    )
    assert [(columns, len(own)) for columns, own in tied_groups(DOMAIN, zeros)] == [(("a", "b", "c"), 3), (("d", "e"), 1)]


def test_taking_out_what_is_impossible_is_conditioning_and_then_one_way_tables_hold():
    free = mixture(DOMAIN, (), 7)
    zeros = (StructuralZeros(("a", "c"), np.array([[1, 1, 0, 1], [0, 1, 1, 1]], bool)), StructuralZeros(("b", "e"), np.tri(3, dtype=bool)))
    one_way = {c: np.random.default_rng(1).dirichlet(np.full(n, 9.0)) * 500 for c, n in DOMAIN.size.items()}
    one_way["e"], one_way["b"] = np.array([300.0, 150, 50]), np.array([50.0, 150, 300])
    found = ruled(free, zeros, one_way)
    assert not found.marginal(DOMAIN.columns).reshape(DOMAIN.sizes)[~mask_of(DOMAIN, zeros)].any()
    for column, table in one_way.items():
        assert np.abs(found.marginal((column,)) - table).sum() / 2 < 0.5
    assert ruled(free, (), one_way) is free
    nothing = (StructuralZeros(("a",), np.zeros(2, dtype=bool)),)
    with pytest.raises(SpecError, match="leave nothing"):
        ruled(free, nothing, one_way)


@pytest.mark.parametrize("seed", range(4))
def test_quasi_independence_has_its_zeros_its_margins_and_no_other_dependence(seed):
    rng = np.random.default_rng(seed)
    allowed = np.tri(6, dtype=bool)[::-1]
    inside = np.where(allowed, rng.dirichlet(np.ones(36)).reshape(6, 6), 0.0)
    table = quasi_independent(inside.sum(axis=1), inside.sum(axis=0), allowed)
    assert not table[~allowed].any()
    assert np.abs(table.sum(axis=1) - inside.sum(axis=1)).sum() < 0.01
    np.testing.assert_allclose(table.sum(axis=0), inside.sum(axis=0), atol=1e-9)
    odds = table[:-1, :-1] * table[1:, 1:], table[1:, :-1] * table[:-1, 1:]
    whole = allowed[:-1, :-1] & allowed[1:, 1:] & allowed[1:, :-1] & allowed[:-1, 1:]
    np.testing.assert_allclose(odds[0][whole], odds[1][whole], rtol=1e-9)


WIDE = Domain(("start", "end", "f", "g", "h", "o"), (16, 16, 2, 2, 2, 5))
EXACTLY_ONE = np.indices((2, 2, 2)).sum(axis=0) == 1
KNOWN = (StructuralZeros(("start", "end"), ~np.tri(16, k=-1, dtype=bool)), StructuralZeros(("f", "g", "h"), EXACTLY_ONE))


def noisy(rows=6000, sigma=40.0):
    """Exact and noisy tables of rows that keep KNOWN."""
    rng = np.random.default_rng(2)
    o = rng.integers(0, 5, rows)
    start = np.clip(rng.normal(3 * o, 3), 0, 15).astype(int)
    end = np.minimum(start + rng.geometric(0.3, rows) - 1, 15)
    one = (o + rng.integers(0, 2, rows)) % 3
    columns = {"start": start, "end": end, "f": one == 0, "g": one == 1, "h": one == 2, "o": o}
    exact, found = {}, []
    for clique in [*((c,) for c in WIDE.columns), *combinations(WIDE.columns, 2)]:
        table = np.zeros(WIDE.shape(clique))
        np.add.at(table, tuple(columns[c].astype(int) for c in clique), 1)
        exact[clique] = table.reshape(-1) / rows
        found.append(Measurement(clique, np.rint(table.reshape(-1) + rng.normal(0, sigma, table.size)).astype(np.int64), sigma))
    return exact, found


def off(exact, tables, pairs):
    return np.mean([np.abs(tables(pair) - exact[pair]).sum() / 2 for pair in pairs])


def test_a_fit_that_knows_the_zeros_is_nearer_to_the_truth_and_its_records_never_break_them():
    """Measured: .124 without, .050 with, of the pairs inside rules; all pairs .080 and .065."""
    exact, measurements = noisy()
    inside = [("start", "end"), ("f", "g"), ("f", "h"), ("g", "h")]
    errors = {}
    for name, zeros in (("without", ()), ("with", KNOWN)):
        model = LatentClass().fit(WIDE, measurements, zeros)
        codes = draw_codes(model, 6000, 1)
        tables = {}
        for pair in combinations(WIDE.columns, 2):
            counts = np.zeros(WIDE.shape(pair))
            np.add.at(counts, tuple(codes[c] for c in pair), 1)
            tables[pair] = counts.reshape(-1) / 6000
        shares = {pair: model.marginal(pair) / model.total for pair in tables}
        errors[name] = [off(exact, found.__getitem__, pairs) for found in (shares, tables) for pairs in (inside, list(tables))]
        broken = [int((~zero.allowed[tuple(codes[c] for c in zero.clique)]).sum()) for zero in KNOWN]
        assert (sum(broken) == 0) is (name == "with")
    for before, after in zip(errors["without"], errors["with"], strict=True):
        assert after < 0.95 * before
    assert errors["with"][0] < 0.6 * errors["without"][0]
    assert errors["with"][2] < 0.6 * errors["without"][2]


def test_cells_that_never_occur_and_unmeasured_pairs_keep_to_the_zeros_too():
    _, measurements = noisy()
    gone = np.ones(5, dtype=bool)
    gone[2] = False
    zeros = (*KNOWN, StructuralZeros(("o",), gone))
    model = LatentClass().fit(WIDE, [m for m in measurements if m.clique != ("start", "end")], zeros)
    assert model.marginal(("o",))[2] == 0
    assert not model.marginal(("start", "end")).reshape(16, 16)[~KNOWN[0].allowed].any()
    codes = draw_codes(model, 2000, 3)
    assert 2 not in codes["o"]
    assert (codes["start"] <= codes["end"]).all()


SCRIPT = """
import hashlib
import numpy as np
from dpsynth.inference.pairs import LatentClass
from dpsynth.sampling.records import draw_codes
from tests.inference.test_tied import KNOWN, WIDE, noisy
model = LatentClass().fit(WIDE, noisy(rows=3000, sigma=20.0)[1], KNOWN)
held = {**model.arrays(), **draw_codes(model, 2000, 1), **draw_codes(model.condition({"start": 3, "o": 1}), 500, 2)}
digest = hashlib.sha256()
for name in sorted(held):
    digest.update(name.encode() + np.ascontiguousarray(held[name]).tobytes())
print(digest.hexdigest())
"""


def test_no_thread_setting_and_no_hash_seed_changes_a_bit_of_model_or_records():
    assert len(outputs(SCRIPT, threads=4)) == 1
