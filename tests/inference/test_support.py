"""Structural zeros in trees: kept exactly by every marginal, condition and record, and fitted as brute force does."""

from itertools import combinations, product

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.bruteforce import BruteForce, forbidden
from dpsynth.inference.dual import Dual
from dpsynth.inference.junction import junction_tree, tree_cells
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.private_pgm import PrivatePgm
from dpsynth.inference.residuals import residuals
from dpsynth.inference.support import support_of
from dpsynth.inference.tree_model import tree_model_from
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.sampling.ancestral import draw
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, SHAPES, measured


def zeros_of(*tables):
    """StructuralZeros of (columns, rows of 0 and 1)."""
    found = []
    for columns, allowed in tables:
        clique = tuple(columns)
        found.append(StructuralZeros(clique, np.array(allowed, dtype=bool).reshape(DOMAIN.shape(clique))))
    return tuple(found)


PAIR = zeros_of(("ac", [[1, 1, 0, 0], [0, 1, 1, 1]]))
RULES = {
    "one pair": PAIR,
    "two pairs": (*PAIR, *zeros_of(("bd", [[1, 0], [1, 1], [0, 1]]))),
    "a chain that forbids by what it joins": (*PAIR, *zeros_of(("cd", [[1, 0], [1, 0], [1, 0], [0, 1]]))),
    "a triple": zeros_of(("abd", [1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0])),
    "a column": zeros_of(("c", [1, 0, 1, 1])),
    "one cell of a column": zeros_of(("b", [0, 1, 0])),
}
ALL = [c for k in range(1, 5) for c in combinations(DOMAIN.columns, k)]


def possible(zeros):
    """bool[sizes]: the joint cells that can occur."""
    return np.isfinite(forbidden(DOMAIN, zeros)).reshape(DOMAIN.sizes)


def within(zeros, clique):
    """bool[cells]: the clique's cells that can occur."""
    return possible(zeros).any(axis=tuple(i for i, c in enumerate(DOMAIN.columns) if c not in clique)).reshape(-1)


@pytest.mark.parametrize("rule", RULES)
def test_the_possible_cells_of_every_table_are_those_of_the_joint_table(rule):
    support = support_of(DOMAIN, RULES[rule])
    for clique in ALL:
        assert support.possible(clique).reshape(-1).tolist() == within(RULES[rule], clique).tolist()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["chain", "cycle", "overlapping triples", "disconnected", "everything", "nothing"])
def test_the_model_is_that_of_brute_force_and_keeps_to_the_zeros_exactly(name, rule):
    measurements = measured(DOMAIN, SHAPES[name])
    ours = MaxEnt(tolerance=1e-11).fit(DOMAIN, measurements, RULES[rule])
    oracle = BruteForce(tolerance=1e-13).fit(DOMAIN, measurements, RULES[rule])
    assert ours.report.converged
    assert oracle.report.converged
    for clique in ALL:
        found = ours.marginal(clique)
        np.testing.assert_allclose(found, oracle.marginal(clique), atol=1e-3 * max(1.0, ours.total))
        assert not found[~within(RULES[rule], clique)].any()
        assert found.sum() == pytest.approx(ours.total)


@pytest.mark.parametrize("rule", RULES)
def test_records_conditions_and_files_keep_to_the_zeros(rule):
    zeros = RULES[rule]
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"], rows=50, sigma=40.0), zeros)
    for found in (model, tree_model_from(model.arrays())):
        codes = draw(found, 5000, 1)
        assert possible(zeros)[tuple(codes[c].astype(int) for c in DOMAIN.columns)].all()
    for column, cell in product("abcd", range(4)):
        if cell < DOMAIN.size[column] and within(zeros, (column,))[cell]:
            part = model.condition({column: cell})
            assert not part.marginal(DOMAIN.columns)[~within(zeros, DOMAIN.columns)].any()
        elif cell < DOMAIN.size[column]:
            with pytest.raises(SpecError, match="probability 0"):
                model.condition({column: cell})


def test_the_gap_is_dual_minus_primal_where_zeros_are_part_of_the_model():
    parts = tuple(part for clique, part in residuals(DOMAIN, measured(DOMAIN, SHAPES["cycle"])).items() if clique)
    zeros = RULES["two pairs"]
    tree = junction_tree(DOMAIN, [*(part.clique for part in parts), *(zero.clique for zero in zeros)])
    dual = Dual(tree, parts, np.linspace(0.5, 20, len(parts)), 900.0, zeros)
    theta = dual.layout.interactions(0.5 * np.random.default_rng(0).normal(size=dual.layout.length))
    point, model = dual.at(theta), dual.model(theta)
    joint = np.ones(DOMAIN.sizes)
    for table, node in zip(model.chain, tree.nodes, strict=True):
        order = sorted(range(len(node)), key=lambda i, node=node: DOMAIN.position[node[i]])
        joint = joint * table.transpose(order).reshape([size if c in node else 1 for c, size in DOMAIN.size.items()])
    known = joint[joint > 0]
    primal = -900 * float((known * np.log(known)).sum())
    for part, w, mu in zip(parts, dual.weights, dual.tables(point.marginals), strict=True):
        fitted = dual.layout.interactions(point.marginals.copy())
        where = dual.layout.slices[dual.layout.cliques.index(part.clique)]
        primal -= float(((fitted[where] - part.values.reshape(-1)) ** 2).sum()) / (2 * w)
        assert not mu[~within(zeros, part.clique).reshape(mu.shape)].any()
    assert point.gap == pytest.approx(point.value - primal, rel=1e-9)


def test_noise_in_impossible_cells_is_free_information():
    """What is known to be impossible is not fitted, so under much noise the possible cells are nearer to the truth."""
    domain = Domain(("a", "b"), (12, 12))
    allowed = np.tri(12, dtype=bool)
    exact = np.where(allowed, 100, 0)
    ruled, free = [], []
    for seed in range(5):
        noisy = np.rint(exact + np.random.default_rng(seed).normal(0, 80, exact.shape)).astype(np.int64).reshape(-1)
        measurement = [Measurement(("a", "b"), noisy, 80.0)]
        for zeros, errors in (((StructuralZeros(("a", "b"), allowed),), ruled), ((), free)):
            found = MaxEnt().fit(domain, measurement, zeros).marginal(("a", "b"))
            errors.append(np.abs(found / found.sum() - exact.reshape(-1) / exact.sum()).sum())
    assert np.mean(ruled) < 0.5 * np.mean(free)


@pytest.mark.parametrize("rows", [0, 10, 10**9])
@pytest.mark.parametrize("sigma", [0.1, 1e7])
def test_rows_that_break_the_rules_and_extreme_scales_never_give_nan(rows, sigma):
    measurements = measured(DOMAIN, SHAPES["overlapping triples"], rows, sigma)
    for rule in RULES.values():
        model = MaxEnt(tolerance=1e-2).fit(DOMAIN, measurements, rule)
        found = model.marginal(DOMAIN.columns)
        assert model.report.converged
        assert np.isfinite(found).all()
        assert not found[~within(rule, DOMAIN.columns)].any()
        assert model.total == pytest.approx(MaxEnt().fit(DOMAIN, measurements).total)


def test_the_tree_holds_each_ruled_clique_and_counts_its_cells():
    zeros = RULES["a triple"]
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["chain"]), zeros)
    assert any({"a", "b", "d"} <= set(node) for node in model.tree.nodes)
    cells = tree_cells(DOMAIN, [*SHAPES["chain"], ("a", "b", "d")])
    assert model.tree.cells == cells
    with pytest.raises(SpecError, match=f"needs tables of {cells} cells"):
        MaxEnt(cell_limit=cells - 1).fit(DOMAIN, measured(DOMAIN, SHAPES["chain"]), zeros)


@pytest.mark.parametrize("rule", ["two pairs", "one cell of a column", "a chain that forbids by what it joins"])
def test_private_pgm_keeps_to_the_zeros_too(rule):
    zeros = RULES[rule]
    model = PrivatePgm(iterations=300).fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"]), zeros)
    found = model.marginal(DOMAIN.columns)
    assert np.isfinite(found).all()
    assert not found[~within(zeros, DOMAIN.columns)].any()
    assert found.sum() == pytest.approx(model.total)
    oracle = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"]), zeros).marginal(DOMAIN.columns)
    assert np.abs(found - oracle).sum() < 0.25 * model.total  # another estimator, and rows that break the rules


NOTHING = zeros_of(("ac", [[1, 0, 0, 0], [1, 0, 0, 0]]), ("cd", [[0, 0], [1, 1], [1, 1], [1, 1]]))
WRONG = [
    (NOTHING, r"rules on \[\['a', 'c'\], \['c', 'd'\]\] contradict each other"),
    (zeros_of(("ac", np.zeros(8))), r"zeros of \['a', 'c'\] allow no cell"),
    ((StructuralZeros(("c", "a"), np.ones((4, 2), bool)),), "in the domain's order"),
    ((StructuralZeros(("a", "zip"), np.ones((2, 2), bool)),), r"unknown columns \['zip'\]"),
    ((StructuralZeros(("a", "c"), np.ones((4, 2), bool)),), r"must hold bool\[2, 4\], got bool\[4, 2\]"),
    ((StructuralZeros(("a",), np.ones(2)),), r"must hold bool\[2\], got float64"),
]


@pytest.mark.parametrize(("zeros", "words"), WRONG)
@pytest.mark.parametrize("make", [MaxEnt, BruteForce, PrivatePgm])
def test_contradictions_and_unfit_zeros_are_refused_with_their_columns(make, zeros, words):
    with pytest.raises(SpecError, match=words):
        make().fit(DOMAIN, measured(DOMAIN, SHAPES["chain"]), zeros)
