import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.bruteforce import BruteForce
from dpsynth.inference.maxent import MaxEnt
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, SHAPES, joint, measured, table

QUERIES = [c for k in range(5) for c in combinations(DOMAIN.columns, k)]


@pytest.mark.parametrize("name", SHAPES)
def test_every_marginal_is_that_of_brute_force(name):
    measurements = measured(DOMAIN, SHAPES[name])
    ours = MaxEnt(tolerance=1e-12).fit(DOMAIN, measurements)
    oracle = BruteForce(tolerance=1e-14).fit(DOMAIN, measurements)
    assert ours.report.converged
    assert oracle.report.converged
    assert ours.report.certified
    assert ours.total == pytest.approx(oracle.total)
    for query in QUERIES:
        np.testing.assert_allclose(ours.marginal(query), oracle.marginal(query), atol=1e-4 * max(1.0, ours.total))
        assert ours.marginal(query).sum() == pytest.approx(ours.total)


def test_a_pair_that_no_larger_table_holds_is_part_of_every_level():
    domain = Domain(tuple("abcde"), (2, 3, 2, 2, 3))
    measurements = measured(domain, [("a", "b", "c", "d"), ("d", "e"), ("a", "e")], 2000, 5.0)
    ours, oracle = MaxEnt(tolerance=1e-10).fit(domain, measurements), BruteForce(tolerance=1e-12).fit(domain, measurements)
    np.testing.assert_allclose(ours.marginal(domain.columns), oracle.marginal(domain.columns), atol=0.2)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from("abcd"), max_size=3), max_size=4),
    st.integers(0, 10_000),
    st.sampled_from([0.5, 20.0, 3000.0]),
    st.integers(0, 1000),
)
def test_any_measurements_give_the_model_of_brute_force(groups, rows, sigma, seed):
    measurements = measured(DOMAIN, [DOMAIN.clique(group) for group in groups], rows, sigma, seed)
    ours = MaxEnt(tolerance=1e-10).fit(DOMAIN, measurements)
    oracle = BruteForce(tolerance=1e-12).fit(DOMAIN, measurements)
    assert ours.report.converged
    np.testing.assert_allclose(ours.marginal(DOMAIN.columns), oracle.marginal(DOMAIN.columns), atol=1e-3 * max(1.0, ours.total))


@pytest.mark.parametrize("sigma", [0.1, 30.0, 1e4, 1e7])
@pytest.mark.parametrize("rows", [1, 1000, 10**9])
@pytest.mark.parametrize("name", ["cycle", "overlapping triples"])
def test_extreme_scales_converge(name, rows, sigma):
    model = MaxEnt(tolerance=1e-4).fit(DOMAIN, measured(DOMAIN, SHAPES[name], rows, sigma))
    assert model.report.converged
    assert model.report.gap <= 1e-4
    found = model.marginal(DOMAIN.columns)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_warm_fit_ends_where_a_cold_one_does():
    first = measured(DOMAIN, SHAPES["cycle"], 10_000, 30.0)
    more = [*first, *measured(DOMAIN, [("b", "d")], 10_000, 20.0)]
    estimator = MaxEnt(tolerance=1e-9)
    earlier = estimator.warm(DOMAIN, first, {})
    cold, warm = estimator.fit(DOMAIN, more), estimator.warm(DOMAIN, more, earlier.potentials).model
    np.testing.assert_allclose(warm.marginal(DOMAIN.columns), cold.marginal(DOMAIN.columns), atol=0.05)
    assert estimator.warm(DOMAIN, first, earlier.potentials).model.report.steps == 0
    assert cold.report.steps > 0


def test_little_noise_gives_back_the_measured_tables():
    counts = joint(DOMAIN, 10**6, 0)
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"], 10**6, 0.1))
    for clique in SHAPES["cycle"]:
        np.testing.assert_allclose(model.marginal(clique), table(DOMAIN, counts, clique), atol=20)


def test_noise_alone_is_shrunk_away():
    """Uniform counts under noise five times their size: the fitted table is nearer to the truth than half of the noise."""
    rng = np.random.default_rng(0)
    domain = Domain(("a", "b"), (20, 20))
    noise = rng.normal(0, 500, 400)
    model = MaxEnt().fit(domain, [Measurement(("a", "b"), np.rint(100 + noise).astype(np.int64), 500.0)])
    shares = model.marginal(("a", "b")) / model.total
    assert np.abs(shares - 1 / 400).sum() < 0.25 * np.abs(noise / 40_000).sum()


def test_a_negative_total_gives_no_rows_but_a_distribution():
    model = MaxEnt().fit(DOMAIN, [Measurement(("a", "b"), np.full(6, -50), 10.0)])
    assert model.total == 0
    assert (model.marginal(("a", "b")) == 0).all()
    assert sum(step.table.sum() for step in model.conditionals() if not step.given) == pytest.approx(
        sum(not s.given for s in model.conditionals())
    )


def test_running_out_of_steps_is_reported():
    model = MaxEnt(steps=1, tolerance=1e-12).fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"]))
    assert not model.report.converged
    assert model.report.gap > model.report.tolerance


def test_columns_of_one_cell_are_harmless():
    domain = Domain(("a", "b", "c"), (1, 3, 1))
    model = MaxEnt().fit(domain, [Measurement(("a", "b"), np.array([10, 20, 30]), 1.0), Measurement(("a",), np.array([60]), 1.0)])
    np.testing.assert_allclose(model.marginal(("a", "b", "c")), [10, 20, 30], atol=2)


def test_a_tree_that_is_too_large_is_refused():
    with pytest.raises(SpecError, match="at most 20 are allowed"):
        MaxEnt(cell_limit=20).fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"]))


PROGRAM = """
import hashlib, numpy as np
from dpsynth.domain import Domain
from dpsynth.inference.maxent import MaxEnt
from tests.inference.tables import measured
domain = Domain(tuple("abcdefg"), (40, 35, 30, 2, 7, 9, 5))
model = MaxEnt().fit(domain, measured(domain, [("a",), ("a", "b"), ("b", "c"), ("c", "d", "e"), ("e", "f"), ("d", "f")], 20000, 40.0))
print(hashlib.sha256(model.arrays()["tables"].tobytes()).hexdigest(), model.report.steps)
"""


def test_thread_count_and_hash_seed_of_the_process_do_not_matter():
    found = set()
    for threads, seed in (("1", "1"), ("3", "2")):
        env = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
        env["PYTHONPATH"] = os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH", "")])])
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
