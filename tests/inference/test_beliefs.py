"""Public tables as the mean that noisy ones are shrunk to: good ones help, wrong ones hardly hurt, none change nothing."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.pairs import LatentClass
from dpsynth.inference.residuals import residuals
from dpsynth.inference.zeros import StructuralZeros
from dpsynth.sampling.records import draw_codes
from dpsynth.transcript import Measurement

DOMAIN = Domain(("a", "b", "c", "d"), (12, 9, 6, 40))
CLIQUES = [*((c,) for c in DOMAIN.columns), *combinations(DOMAIN.columns, 2)]


def tables(rows, seed):
    """Shares of rows whose columns lean on a hidden class."""
    rng, hidden = np.random.default_rng(seed), np.random.default_rng(99)
    h = rng.integers(0, 5, rows)
    columns = {}
    for name, size in DOMAIN.size.items():
        ends = np.cumsum(hidden.dirichlet(np.full(size, 0.3), 5), axis=1)[h]
        columns[name] = np.minimum((ends < rng.random(rows)[:, None]).sum(axis=1), size - 1)
    found = {}
    for clique in CLIQUES:
        table = np.zeros(DOMAIN.shape(clique))
        np.add.at(table, tuple(columns[c] for c in clique), 1 / rows)
        found[clique] = table
    return found


EXACT, PUBLIC = tables(8000, 1), tables(8000, 2)
WRONG = {clique: np.random.default_rng(5).dirichlet(np.full(t.size, 0.3)).reshape(t.shape) for clique, t in EXACT.items()}


def noisy(sigma=60.0, cliques=CLIQUES):
    rng = np.random.default_rng(4)
    noise = {clique: rng.normal(0, sigma, EXACT[clique].size) for clique in CLIQUES}
    return [Measurement(c, np.rint(8000 * EXACT[c].reshape(-1) + noise[c]).astype(np.int64), sigma) for c in cliques]


def off(denoised):
    """(mean share of rows that is wrong in one-way tables, in pairs)"""
    ones = [np.abs(denoised.one_way[c] / denoised.total - EXACT[c,]).sum() / 2 for c in DOMAIN.columns]
    pairs = [np.abs(pair.table / denoised.total - EXACT[p]).sum() / 2 for p, pair in denoised.pairs.items()]
    return np.mean(ones), np.mean(pairs)


def test_good_public_tables_take_noise_out_and_wrong_ones_put_little_in():
    """Measured, one-way and pairs: .037 and .260 without, .022 and .215 with good ones, .039 and .250 with wrong ones."""
    parts = residuals(DOMAIN, noisy())
    without, good, wrong = (off(denoise(DOMAIN, parts, None, beliefs)) for beliefs in (None, PUBLIC, WRONG))
    assert good[0] < 0.7 * without[0]
    assert good[1] < 0.88 * without[1]
    assert wrong[0] < 1.1 * without[0]
    assert wrong[1] < 1.05 * without[1]


def test_no_beliefs_change_no_bit():
    parts = residuals(DOMAIN, noisy())
    first, second = denoise(DOMAIN, parts), denoise(DOMAIN, parts, {}, {})
    assert all(np.array_equal(first.pairs[p].table, second.pairs[p].table) for p in first.pairs)


def test_a_public_pair_that_was_not_measured_stands_in_with_the_measured_margins():
    cliques = [c for c in CLIQUES if c != ("a", "b")]
    for beliefs, close in (({}, False), ({("a", "b"): PUBLIC["a", "b"]}, True)):
        model = LatentClass(beliefs=beliefs).fit(DOMAIN, noisy(20.0, cliques))
        apart = np.abs(model.marginal(("a", "b")) / model.total - EXACT["a", "b"].reshape(-1)).sum() / 2
        assert bool(apart < 0.1) is close


@pytest.mark.parametrize("zeros", [False, True])
def test_records_follow_and_zeros_hold_beside_beliefs(zeros):
    allowed = EXACT["a", "b"] > np.quantile(EXACT["a", "b"], 0.3)
    ruled = (StructuralZeros(("a", "b"), allowed),) if zeros else ()
    codes = draw_codes(LatentClass(beliefs=PUBLIC).fit(DOMAIN, noisy(), ruled), 8000, 1)
    if zeros:
        assert allowed[codes["a"], codes["b"]].all()
    counts = np.zeros(DOMAIN.shape(("c", "d")))
    np.add.at(counts, (codes["c"], codes["d"]), 1 / 8000)
    assert np.abs(counts - EXACT["c", "d"]).sum() / 2 < 0.18  # .150 with them, .216 without
