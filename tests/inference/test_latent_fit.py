"""The mixture's fit: its gradients, what its misfit means, tables it can and cannot represent, and that no setting of the machine shows."""

from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.inference import latent_fit
from dpsynth.inference import pairs as inference_pairs
from dpsynth.inference.kronecker import denoise
from dpsynth.inference.latent_fit import MISFIT_ENOUGH, Goal, column_slices, fit_mixture, goal, softmax, tiles
from dpsynth.inference.pairs import LatentClass
from dpsynth.inference.residuals import residuals
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, joint, measured, table
from tests.processes import outputs

PAIRS = tuple(combinations(DOMAIN.columns, 2))
SINGLES = tuple((c,) for c in DOMAIN.columns)
ALL = (*SINGLES, *PAIRS)


def aim_of(domain, tables, one_way, sigma=0.01):
    """A goal of the given shares, each measured with the same noise sigma (as a share of the rows)."""
    cells = sum(domain.sizes)
    freedom = float(sum((domain.size[a] - 1) * (domain.size[b] - 1) for a, b in tables))
    single = np.concatenate([one_way[c] for c in domain.columns]).astype(np.float32)
    parts = tiles(domain, {pair: (share, sigma**-2) for pair, share in tables.items()})
    return Goal(domain, parts, single, np.full(cells, sigma**-2, dtype=np.float32), freedom)


def shares(domain, whole):
    """Two-way and one-way shares of a joint table."""
    pairs = {pair: table(domain, whole, pair).reshape(domain.shape(pair)) for pair in combinations(domain.columns, 2)}
    return pairs, {c: table(domain, whole, (c,)) for c in domain.columns}


def mixed_joint(seed, classes=3):
    rng = np.random.default_rng(seed)
    emissions = [rng.dirichlet(np.ones(size), classes) for size in DOMAIN.sizes]
    return np.einsum("k,ka,kb,kc,kd->abcd", rng.dirichlet(np.full(classes, 5)), *emissions)


def exactly(aim):
    """The same goal in double precision."""
    parts = tuple(replace(t, tables=t.tables.astype(np.float64), precision=t.precision.astype(np.float64)) for t in aim.tiles)
    singles = {name: getattr(aim, name).astype(np.float64) for name in ("one_way", "one_way_precision")}
    return replace(aim, tiles=parts, **singles)


def whole(aim):
    """float64[2, D, D]: tables and precision of all tiles, above the diagonal."""
    found = np.zeros((2, len(aim.one_way), len(aim.one_way)))
    for tile in aim.tiles:
        found[:, tile.rows, tile.cells] = tile.tables, tile.precision
    return found


def loss_at(aim, base, logits, classes):
    e, shifted = softmax(aim, logits), np.exp(classes - classes.max())
    return latent_fit._loss(aim, base, logits, e, shifted / shifted.sum())


def test_gradients_are_the_finite_differences_of_the_loss():
    """In double precision, central differences of step 1e-5 along 20 random directions for each set of logits."""
    aim = exactly(aim_of(DOMAIN, *shares(DOMAIN, mixed_joint(1))))
    rng = np.random.default_rng(2)
    base = np.log(aim.one_way)[:, None]
    logits, classes = base + rng.normal(size=(len(base), 4)), rng.normal(size=4)
    _, _, (by_logit, by_class) = loss_at(aim, base, logits, classes)
    for _ in range(20):
        move = rng.normal(size=logits.shape)
        slope = (loss_at(aim, base, logits + 1e-5 * move, classes)[0] - loss_at(aim, base, logits - 1e-5 * move, classes)[0]) / 2e-5
        assert slope == pytest.approx((by_logit * move).sum(), rel=1e-5, abs=1e-5)
        move = rng.normal(size=4)
        slope = (loss_at(aim, base, logits, classes + 1e-5 * move)[0] - loss_at(aim, base, logits, classes - 1e-5 * move)[0]) / 2e-5
        assert slope == pytest.approx((by_class * move).sum(), rel=1e-5, abs=1e-5)


def test_the_loss_is_its_formula_pair_by_pair():
    aim = exactly(aim_of(DOMAIN, *shares(DOMAIN, mixed_joint(1))))
    rng = np.random.default_rng(3)
    base = np.log(aim.one_way)[:, None]
    logits = base + rng.normal(size=(len(base), 4))
    e, w = softmax(aim, logits), rng.dirichlet(np.ones(4))
    blocks = column_slices(DOMAIN)
    expected = latent_fit.PULL / 2 * (w * ((logits - base) ** 2).sum(axis=0)).sum()
    pairs = sum(((((e[blocks[a]] * w) @ e[blocks[b]].T - whole(aim)[0, blocks[a], blocks[b]]) / 0.01) ** 2).sum() for a, b in PAIRS)
    ones = ((((e * w).sum(axis=1) - aim.one_way) / 0.01) ** 2).sum()
    loss, misfit, _ = latent_fit._loss(aim, base, logits, e, w)
    assert loss == pytest.approx(expected + pairs / 2 + ones / 2)
    assert misfit == pytest.approx(max(pairs / aim.freedom, ones / len(e)))


def test_emissions_are_distributions_in_every_column_however_large_the_logits():
    aim = aim_of(DOMAIN, *shares(DOMAIN, mixed_joint(1)))
    logits = np.random.default_rng(0).normal(0, 1000, (sum(DOMAIN.sizes), 3)).astype(np.float32)
    for block in column_slices(DOMAIN).values():
        np.testing.assert_allclose(softmax(aim, logits)[block].sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_tables_of_a_mixture_are_fitted_to_their_noise(seed):
    pairs, ones = shares(DOMAIN, mixed_joint(seed))
    aim = aim_of(DOMAIN, pairs, ones, sigma=0.001)
    found = fit_mixture(aim, 1)
    assert found.misfit < MISFIT_ENOUGH
    blocks = column_slices(DOMAIN)
    squares = sum(
        (((found.emissions[blocks[a]] * found.weights) @ found.emissions[blocks[b]].T - pairs[a, b]) ** 2).sum() for a, b in pairs
    )
    assert squares / 0.001**2 / aim.freedom == pytest.approx(found.misfit, rel=1e-2)
    np.testing.assert_allclose((found.emissions * found.weights).sum(axis=1), aim.one_way, atol=0.003)


def test_tables_that_no_joint_table_has_end_on_a_plateau_that_the_report_tells():
    """a = b and b = c but a != c: nothing fits; the steps end because nothing moves, not because they are used up."""
    domain = Domain(("a", "b", "c"), (2, 2, 2))
    equal, opposite = np.eye(2) / 2, (1 - np.eye(2)) / 2
    tables = {("a", "b"): equal, ("b", "c"): equal, ("a", "c"): opposite}
    found = fit_mixture(aim_of(domain, tables, dict.fromkeys("abc", np.full(2, 0.5))), 1)
    assert found.plateau
    assert found.misfit > 100
    assert 0 < found.steps < latent_fit.MOST_STEPS
    counts = {pair: np.rint(4000 * share).astype(np.int64).reshape(-1) for pair, share in tables.items()}
    report = LatentClass().fit(domain, [Measurement(pair, values, 5.0) for pair, values in counts.items()]).report
    assert report.gap > 10
    assert report.converged
    assert not report.certified


def test_the_report_tells_the_misfit_and_whether_the_steps_ended_by_themselves(monkeypatch):
    good = LatentClass().fit(DOMAIN, measured(DOMAIN, ALL)).report
    assert (good.estimator, good.converged, good.certified, good.tolerance) == ("latent-class", True, False, MISFIT_ENOUGH)
    assert good.steps > 0
    monkeypatch.setattr(latent_fit, "MOST_STEPS", 3)
    cut = LatentClass().fit(DOMAIN, measured(DOMAIN, ALL)).report
    assert (cut.steps, cut.converged) == (3, False)
    assert cut.gap > MISFIT_ENOUGH


def test_starts_differ_and_are_named_by_their_number():
    aim = aim_of(DOMAIN, *shares(DOMAIN, mixed_joint(0)))
    first, again, other = fit_mixture(aim, 1, 20), fit_mixture(aim, 1, 20), fit_mixture(aim, 2, 20)
    assert np.array_equal(first.emissions, again.emissions)
    assert not np.array_equal(first.emissions, other.emissions)
    assert first.emissions.shape == (sum(DOMAIN.sizes), 20)


@pytest.mark.parametrize("rows", [1, 6, 128])
def test_a_goal_holds_the_denoised_tables_as_shares_and_independence_where_nothing_was_measured(rows, monkeypatch):
    denoised = denoise(DOMAIN, residuals(DOMAIN, measured(DOMAIN, (*SINGLES, ("a", "b"), ("b", "d")))))
    monkeypatch.setattr(latent_fit, "TILE_ROWS", rows)
    tables, precision = whole(goal(denoised))
    blocks = column_slices(DOMAIN)
    for pair in combinations(DOMAIN.columns, 2):
        at = blocks[pair[0]], blocks[pair[1]]
        if pair in denoised.pairs:
            np.testing.assert_allclose(tables[at], denoised.pairs[pair].table / denoised.total, rtol=1e-5)
            assert precision[at] == pytest.approx((denoised.total / denoised.pairs[pair].noise) ** 2)
        else:
            a, b = (denoised.one_way[c] / denoised.total for c in pair)
            np.testing.assert_allclose(tables[at], np.outer(a, b), rtol=1e-5)
            noise = min(latent_fit.UNMEASURED * np.median([p.noise for p in denoised.pairs.values()]), denoised.total / DOMAIN.cells(pair))
            assert precision[at] == pytest.approx((denoised.total / noise) ** 2)
    assert not precision[np.tril_indices(len(precision))].any()
    assert not any(precision[block, block].any() for block in blocks.values())


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_tiles_of_any_size_give_the_same_loss_and_gradients(rows, monkeypatch):
    pairs, ones = shares(DOMAIN, mixed_joint(1))
    found = []
    for size in (latent_fit.TILE_ROWS, rows):
        monkeypatch.setattr(latent_fit, "TILE_ROWS", size)
        aim = exactly(aim_of(DOMAIN, pairs, ones))
        base = np.log(aim.one_way)[:, None]
        logits = base + np.random.default_rng(0).normal(size=(len(base), 4))
        loss, misfit, gradients = loss_at(aim, base, logits, np.zeros(4))
        found.append(np.concatenate([[loss, misfit], *map(np.ravel, gradients)]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-6)


def far(model, domain, whole):
    """The largest misplaced share over all one-way tables of the model."""
    return max(np.abs(model.marginal((c,)) / model.total - table(domain, whole, (c,)) / whole.sum()).sum() / 2 for c in domain.columns)


@pytest.mark.parametrize("cliques", [ALL, PAIRS, ALL[:-2], (*SINGLES, ("a", "b"))])
def test_one_way_tables_are_met_whichever_pairs_are_missing(cliques):
    whole = joint(DOMAIN, 1000, 0)
    model = LatentClass().fit(DOMAIN, measured(DOMAIN, cliques, sigma=3.0))
    assert far(model, DOMAIN, whole) < 0.025


@pytest.mark.parametrize("sizes", [(2,), (4,), (500,)])
def test_a_single_column_is_met(sizes):
    domain = Domain(("a",), sizes)
    counts = np.random.default_rng(0).permutation(np.arange(1, sizes[0] + 1)) * 20
    model = LatentClass().fit(domain, [Measurement(("a",), counts, 1.0)])
    assert np.abs(model.marginal(("a",)) - counts).sum() / 2 < 0.01 * counts.sum()


@pytest.mark.parametrize("noise", [None, 3000.0], ids=["no pairs", "pairs that say nothing"])
def test_one_way_tables_are_met_where_pairs_say_nothing(noise):
    whole = joint(DOMAIN, 1000, 0)
    pairs = [] if noise is None else [replace(m, sigma=noise) for m in measured(DOMAIN, PAIRS, sigma=3.0)]
    model = LatentClass().fit(DOMAIN, [*measured(DOMAIN, SINGLES, sigma=3.0), *pairs])
    assert far(model, DOMAIN, whole) < 0.025


def test_a_column_of_two_cells_beside_one_of_500(monkeypatch):
    monkeypatch.setattr(inference_pairs, "fit_mixture", partial(fit_mixture, classes=12))
    domain = Domain(("a", "b"), (2, 500))
    counts = np.random.default_rng(0).multinomial(20_000, np.random.default_rng(1).dirichlet(np.full(1000, 0.1))).reshape(2, 500)
    model = LatentClass().fit(domain, [Measurement(("a", "b"), counts.reshape(-1), 3.0)])
    assert far(model, domain, counts) < 0.15
    assert np.abs(model.marginal(("a", "b")) - counts.reshape(-1)).sum() / 2 < 0.25 * counts.sum()


@pytest.mark.parametrize("sigma", [0.1, 1e7])
@pytest.mark.parametrize("rows", [0, 1, 10**7])
def test_every_scale_gives_distributions(rows, sigma):
    """Warnings are errors here, so an overflow in single precision fails too."""
    model = LatentClass().fit(DOMAIN, measured(DOMAIN, ALL, rows=rows, sigma=sigma))
    assert model.marginal(()) == pytest.approx(model.total)
    for clique in ALL:
        assert np.isfinite(model.marginal(clique)).all()
        assert model.marginal(clique).sum() == pytest.approx(model.total, rel=1e-4)
    assert np.isfinite(model.pair_targets.tables).all()


@pytest.mark.parametrize("sigma", [1e-4, 1e-9])
def test_noise_far_below_what_single_precision_can_tell_overflows_nothing(sigma):
    """Warnings are errors here: (N / s)^2 of 10^22 and more, squared again on the way, is beyond single precision."""
    whole = joint(DOMAIN, 10**8, 0)
    model = LatentClass().fit(DOMAIN, [replace(m, sigma=sigma) for m in measured(DOMAIN, ALL, rows=10**8, sigma=1.0)])
    assert far(model, DOMAIN, whole) < 0.01


def test_pairs_that_were_not_measured_stay_near_independence():
    """Eight columns of which two neighbours each are equal; the classes could make up any dependence between the others."""
    domain = Domain(tuple("abcdefgh"), (6,) * 8)
    pairs = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    model = LatentClass().fit(domain, [Measurement(pair, (1000 * np.eye(6, dtype=np.int64)).reshape(-1), 10.0) for pair in pairs])
    for pair in combinations(domain.columns, 2):
        expected = np.eye(6) / 6 if pair in pairs else np.full((6, 6), 1 / 36)
        assert np.abs(model.marginal(pair) / model.total - expected.reshape(-1)).sum() / 2 < 0.05


SCRIPT = """
import hashlib
import numpy as np
from dpsynth.domain import Domain
from dpsynth.inference.pairs import LatentClass
from tests.inference.tables import measured
from itertools import combinations
domain = Domain(("a", "b", "c"), (3, 70, 40))
cliques = [*[(c,) for c in domain.columns], *combinations(domain.columns, 2)]
arrays = LatentClass().fit(domain, measured(domain, cliques, rows=3000, sigma=5.0)).arrays()
digest = hashlib.sha256()
for name in sorted(arrays):
    digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
print(digest.hexdigest())
"""


def test_no_thread_setting_and_no_hash_seed_changes_a_bit_of_the_model():
    assert len(outputs(SCRIPT, threads=2)) == 1
