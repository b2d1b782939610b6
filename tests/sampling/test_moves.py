"""Draws of columns that rules tie together: what can occur stays so, targets are met, and the kernel's books are right."""

from itertools import combinations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dpsynth.domain import Domain
from dpsynth.inference.model import PairTargets
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.sampling.gibbs import matched
from dpsynth.sampling.gibbs_kernel import pair_counts
from dpsynth.sampling.gibbs_moves import sweep_tied
from dpsynth.sampling.moves import moves
from tests.sampling.test_gibbs import Shares, slow_counts, starts_of

SIZES = (2, 2, 2, 6, 5, 4)
DOMAIN = Domain(tuple(f"c{i}" for i in range(6)), SIZES)
EXACTLY_ONE = np.indices((2, 2, 2)).sum(axis=0) == 1
ORDER = ~np.tri(6, 5, k=-1, dtype=bool)
CORNER = np.ones((5, 4), dtype=bool)
CORNER[:2, 1:] = False
ZEROS = (StructuralZeros(("c0", "c1", "c2"), EXACTLY_ONE), StructuralZeros(("c3", "c4"), ORDER), StructuralZeros(("c4", "c5"), CORNER))


def truth(rows, seed=0):
    """uint16[rows, 6]: records that keep ZEROS and depend on each other."""
    rng = np.random.default_rng(seed)
    h = rng.integers(0, 3, rows)
    one = (h + (rng.random(rows) < 0.3)) % 3
    c4 = np.minimum(h + rng.integers(0, 3, rows), 4)
    c3 = (rng.random(rows) * (c4 + 1)).astype(int)
    c5 = np.where(c4 < 2, 0, rng.integers(0, 4, rows))
    return np.stack([one == 0, one == 1, one == 2, c3, c4, c5], axis=1).astype(np.uint16)


def broken(records):
    return sum(int((~zero.allowed[tuple(records[:, DOMAIN.position[c]] for c in zero.clique)]).sum()) for zero in ZEROS)


def aim(records, noise=1.0):
    tables = slow_counts(records, SIZES).astype(np.float32)
    one_way = {c: np.bincount(records[:, i], minlength=SIZES[i]) / len(records) for i, c in enumerate(DOMAIN.columns)}
    return Shares(DOMAIN, float(len(records)), one_way), PairTargets(tables, np.full((6, 6), noise, np.float32), ZEROS)


def apart(records, target):
    return np.abs(slow_counts(records, SIZES) - slow_counts(target, SIZES)).sum() / 2 / 30 / len(target)


def test_small_tables_that_hold_columns_fast_are_moved_at_once_and_all_others_one_by_one():
    found = moves(DOMAIN, ZEROS)
    own = [found.columns[a:b].tolist() for a, b in zip(found.ends[:-1], found.ends[1:], strict=True)]
    assert own == [[0, 1, 2], [3], [4], [5]]
    assert found.counts.tolist() == [3, 6, 5, 4]
    assert moves(DOMAIN, ()) is None


@pytest.mark.parametrize("whole", [True, False], ids=["at once where it matters", "one by one"])
def test_a_sweep_keeps_to_the_zeros_and_its_field_true(whole, monkeypatch):
    """The field a sweep leaves is the one that its records' counts give, cell by cell."""
    if not whole:
        monkeypatch.setattr("dpsynth.sampling.moves.MOST_TOGETHER", 0)
    records, rng = truth(500), np.random.default_rng(1)
    starts, cells = starts_of(SIZES), sum(SIZES)
    terms = ~np.eye(6, dtype=bool)
    terms[0, 5] = terms[5, 0] = False
    pull = rng.random((cells, cells), dtype=np.float32) * 0.1
    pull += pull.T
    start = rng.standard_normal((cells, cells), dtype=np.float32)
    start += start.T
    mates = np.nonzero(terms)[1].astype(np.int64), np.cumsum([0, *terms.sum(axis=1)])
    field = start - pull * pair_counts(records, starts, cells, *mates)
    before = records.copy()
    sizes, base = np.array(SIZES), np.log(np.full(cells, 0.2, np.float32))
    sweep_tied(records, field, pull, base, starts, sizes, terms, moves(DOMAIN, ZEROS), np.uint64(7))
    assert broken(records) == 0
    assert (records != before).any(axis=0).tolist() == [whole, whole, whole, True, True, True]
    np.testing.assert_allclose(field, start - pull * pair_counts(records, starts, cells, *mates), atol=2e-4)


def test_single_draws_have_the_probabilities_of_their_logits():
    """One record with all others absent: each combination as often as its weight says; beyond 6 sigma is chance of 1e-8."""
    domain = Domain(("a", "b"), (3, 2))
    zeros = (StructuralZeros(("a", "b"), np.array([[1, 0], [1, 1], [0, 1]], bool)),)
    starts, sizes, rows = np.array([0, 3]), np.array([3, 2]), 60_000
    field = np.zeros((5, 5), np.float32)
    field[3, 1] = field[1, 3] = 0.7
    base = np.log(np.array([0.2, 0.5, 0.3, 0.4, 0.6], np.float32))
    weights = {(0, 0): 0.2 * 0.4, (1, 0): 0.5 * 0.4 * np.exp(0.7), (1, 1): 0.5 * 0.6, (2, 1): 0.3 * 0.6}
    records = np.zeros((rows, 2), np.uint16)
    for state in range(8):
        sweep_tied(
            records,
            field,
            np.zeros((5, 5), np.float32),
            base,
            starts,
            sizes,
            ~np.eye(2, dtype=bool),
            moves(domain, zeros),
            np.uint64(state),
        )
    for cell, weight in weights.items():
        p = weight / sum(weights.values())
        assert abs((records == cell).all(axis=1).sum() - rows * p) < 6 * np.sqrt(rows * p * (1 - p))


@pytest.mark.parametrize("rows", [1, 3000, 20_000])
def test_records_meet_their_targets_without_leaving_what_can_occur(rows):
    target = truth(rows, 1)
    model, targets = aim(target)
    start = np.random.default_rng(2).permutation(truth(rows, 9), axis=0)
    start[:, :3] = start[np.random.default_rng(3).permutation(rows), :3]  # the groups are unrelated: there is something to do
    found = matched(model, targets, start.copy(), 5)
    assert broken(found) == 0
    if rows > 1:
        assert apart(found, target) < 0.01
        assert apart(start, target) > 0.03
    with threadpool_limits(1):
        assert np.array_equal(matched(model, targets, start.copy(), 5), found)


def test_pairs_of_one_group_have_targets_of_their_own():
    target = truth(4000, 1)
    model, targets = aim(target)
    found = matched(model, targets, truth(4000, 4), 1)
    for a, b in combinations((3, 4, 5), 2):
        counts = [np.histogram2d(r[:, a], r[:, b], bins=[np.arange(SIZES[a] + 1), np.arange(SIZES[b] + 1)])[0] for r in (found, target)]
        assert np.abs(counts[0] - counts[1]).sum() / 2 / 4000 < 0.01
