"""The whole estimator: what records should match, and whether its estimate of risk is the true one where the truth is known."""

from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference import pairs
from dpsynth.inference.latent_fit import column_slices, fit_mixture
from dpsynth.inference.pairs import LatentClass
from dpsynth.inference.residuals import interaction, residuals
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, joint, measured, table

ALL = (*[(c,) for c in DOMAIN.columns], *combinations(DOMAIN.columns, 2))


def pair_blocks(model, array):
    blocks = column_slices(model.domain)
    return {(a, b): array[blocks[a], blocks[b]] for a, b in combinations(model.domain.columns, 2)}


@pytest.mark.parametrize("sigma", [1.0, 20.0, 400.0])
@pytest.mark.parametrize("cliques", [ALL, ALL[:-3]], ids=["all pairs", "pairs missing"])
def test_targets_are_tables_of_the_models_total_where_a_pair_was_measured(sigma, cliques):
    model = LatentClass().fit(DOMAIN, measured(DOMAIN, cliques, sigma=sigma))
    targets = model.pair_targets
    assert (targets.tables >= 0).all()
    assert np.array_equal(targets.tables, targets.tables.T)
    for pair, block in pair_blocks(model, targets.tables).items():
        assert block.sum() == pytest.approx(model.total if pair in cliques else 0, rel=1e-4)
    for block in column_slices(DOMAIN).values():
        assert not targets.tables[block, block].any()


def test_targets_carry_the_noise_of_each_pair_and_an_infinite_one_where_none_was_measured():
    measurements = measured(DOMAIN, ALL[:-1])
    noise = LatentClass().fit(DOMAIN, measurements).pair_targets.noise
    parts = residuals(DOMAIN, measurements)
    for (i, a), (j, b) in combinations(enumerate(DOMAIN.columns), 2):
        expected = np.sqrt(parts[a, b].variance) if (a, b) in parts else np.inf
        assert noise[i, j] == noise[j, i] == pytest.approx(expected, rel=1e-6)
    assert np.isinf(np.diag(noise)).all()


def spied(monkeypatch):
    """What every later fit feeds to and gets from its estimate of risk."""
    seen = []
    terms = pairs._sure_terms

    def spy(*arguments):
        seen.append((*arguments, terms(*arguments)))
        return seen[-1][-1]

    monkeypatch.setattr(pairs, "_sure_terms", spy)
    return seen


@pytest.mark.parametrize("terms", [(-3.0, 2.0), (0.5, 2.0), (1.9, 2.0), (7.0, 2.0), (1.0, 0.0)])
def test_targets_mix_both_tables_by_a_share_from_0_to_1(terms, monkeypatch):
    seen = spied(monkeypatch)
    spy = pairs._sure_terms
    monkeypatch.setattr(pairs, "_sure_terms", lambda *arguments: (spy(*arguments), terms)[1])
    model = LatentClass().fit(DOMAIN, measured(DOMAIN, ALL))
    share = min(max(terms[0] / terms[1], 0.0), 1.0) if terms[1] else 0.0
    _, mixed, sharp, *_ = seen[0]
    for pair, block in pair_blocks(model, model.pair_targets.tables).items():
        np.testing.assert_allclose(block, (1 - share) * mixed[pair] + share * sharp[pair], atol=1e-3)
        np.testing.assert_allclose(mixed[pair].reshape(-1), model.marginal(pair))


def test_the_estimated_risk_is_the_true_one_on_average(monkeypatch):
    """40 noisy tables of one truth, each with its own probe: the mean gap is within 5 standard errors of 0.

    Five standard errors are less than the correction for degrees of freedom, so the test fails without it.
    """
    seen = spied(monkeypatch)
    monkeypatch.setattr(pairs, "fit_mixture", partial(fit_mixture, classes=2))
    domain = Domain(("a", "b", "c"), (4, 5, 3))
    whole = joint(domain, 1000, 4)
    truth = {p: interaction(table(domain, whole, p).reshape(domain.shape(p)).astype(float)) for p in combinations(domain.columns, 2)}
    gaps, corrections = [], []
    for seed in range(40):
        monkeypatch.setattr(pairs, "PROBE_SEED", seed)
        rng = np.random.default_rng(1000 + seed)
        cliques = (*[(c,) for c in domain.columns], *truth)
        LatentClass().fit(
            domain,
            [Measurement(c, np.rint(table(domain, whole, c) + rng.normal(0, 12, domain.cells(c))).astype(np.int64), 12.0) for c in cliques],
        )
        denoised, mixed, sharp, _, _, parts, _, (followed, difference) = seen[-1]
        steps = {p: interaction(sharp[p] - mixed[p]) / denoised.pairs[p].noise ** 2 for p in truth}
        gaps.append(followed - sum(((truth[p] - interaction(mixed[p])) * steps[p]).sum() for p in truth))
        corrections.append(sum(((parts[p].values - interaction(mixed[p])) * steps[p]).sum() for p in truth) - followed)
        assert difference == pytest.approx(sum((interaction(sharp[p] - mixed[p]) * steps[p]).sum() for p in truth))
    error = 5 * np.std(gaps) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < error < np.mean(corrections)


def test_the_same_measurements_give_the_same_model_bit_by_bit():
    first, second = (LatentClass().fit(DOMAIN, measured(DOMAIN, ALL)).arrays() for _ in range(2))
    assert set(first) == set(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_both_starts_make_one_model_whose_tables_are_their_mean(monkeypatch):
    found = []

    def kept(*arguments):
        found.append(fit_mixture(*arguments))
        return found[-1]

    monkeypatch.setattr(pairs, "fit_mixture", kept)
    model = LatentClass().fit(DOMAIN, measured(DOMAIN, ALL))
    blocks = column_slices(DOMAIN)
    for a, b in combinations(DOMAIN.columns, 2):
        tables = [(m.emissions[blocks[a]] * m.weights) @ m.emissions[blocks[b]].T for m in found]
        np.testing.assert_allclose(model.marginal((a, b)), model.total * np.mean(tables, axis=0).reshape(-1), rtol=1e-4)
    assert len(model.weights) == sum(len(m.weights) for m in found)
    assert model.report.gap == max(m.misfit for m in found)


def test_dependence_reaches_the_model():
    """Two columns that are equal stay equal up to the noise; a third, independent one stays independent."""
    domain = Domain(("a", "b", "c"), (3, 3, 2))
    equal, apart = np.diag([500, 300, 200]), np.outer([500, 300, 200], [0.5, 0.5])
    counts = {("a", "b"): equal, ("a", "c"): apart, ("b", "c"): apart}
    model = LatentClass().fit(domain, [Measurement(p, np.rint(t).astype(np.int64).reshape(-1), 5.0) for p, t in counts.items()])
    for pair, exact in counts.items():
        np.testing.assert_allclose(model.marginal(pair).reshape(exact.shape), exact, atol=25)


REFUSED = {
    "not a number": (Measurement(("a",), np.array([1.0, np.nan]), 1.0), "'a'.*finite"),
    "too short": (Measurement(("a", "b"), np.zeros(5, dtype=np.int64), 1.0), "'a', 'b'.*6 numbers"),
    "sigma 0": (Measurement(("a",), np.zeros(2, dtype=np.int64), 0.0), "sigma of.*'a'.*positive"),
    "unknown column": (Measurement(("a", "x"), np.zeros(4, dtype=np.int64), 1.0), "'x'.*the domain has"),
    "other order": (Measurement(("b", "a"), np.zeros(6, dtype=np.int64), 1.0), "the domain's order"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_measurement_that_does_not_fit_is_refused_by_name(name):
    bad, words = REFUSED[name]
    with pytest.raises(SpecError, match=words):
        LatentClass().fit(DOMAIN, [*measured(DOMAIN, ALL), bad])


@pytest.mark.parametrize("cliques", [(("a", "b", "c"),), (*ALL, ("b", "c", "d"))])
def test_a_table_of_three_columns_is_refused_by_name(cliques):
    with pytest.raises(SpecError, match=rf"at most two columns, got .*{cliques[-1][0]}"):
        LatentClass().fit(DOMAIN, measured(DOMAIN, cliques))


def test_no_measurement_at_all_is_refused():
    with pytest.raises(SpecError, match="at least one"):
        LatentClass().fit(DOMAIN, [])


def test_the_measurements_are_left_as_they_were():
    measurements = measured(DOMAIN, ALL)
    before = [replace(m, values=m.values.copy()) for m in measurements]
    LatentClass().fit(DOMAIN, measurements)
    assert all(np.array_equal(m.values, b.values) for m, b in zip(measurements, before, strict=True))


def test_both_starts_run_on_one_thread_each(monkeypatch):
    """Sums differ in their last bits with the number of threads: the model would depend on the machine."""
    seen = []

    def watched(*arguments):
        seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return fit_mixture(*arguments)

    monkeypatch.setattr(pairs, "fit_mixture", watched)
    with threadpool_limits(2):
        LatentClass().fit(DOMAIN, measured(DOMAIN, ALL))
    assert seen == [{1}, {1}]
