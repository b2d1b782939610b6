import subprocess
import sys
import warnings
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from dpsynth.errors import SpecError
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.private_pgm import PrivatePgm
from dpsynth.transcript import Measurement
from tests.inference.tables import DOMAIN, SHAPES, joint, measured, table


def nearest(measurements, total):
    """Brute force: the joint table of that total whose marginals are nearest in weighted least squares."""
    maps = [np.stack([table(DOMAIN, e.reshape(DOMAIN.sizes), m.clique) for e in np.eye(48)], axis=1) for m in measurements]

    def loss(x):
        p = np.exp(x - x.max())
        p /= p.sum()
        misfits = [(a @ (total * p) - m.values) / m.sigma for a, m in zip(maps, measurements, strict=True)]
        slope = sum(total * a.T @ f / m.sigma for a, f, m in zip(maps, misfits, measurements, strict=True))
        return 0.5 * sum(float(f @ f) for f in misfits), p * (slope - p @ slope)

    found = minimize(loss, np.zeros(48), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 20_000})
    return found.fun, lambda p: loss(np.log(np.maximum(p, 1e-300)))[0]


@pytest.mark.parametrize("name", ["cycle", "overlapping triples", "disconnected", "repeated"])
def test_the_marginals_are_the_nearest_to_those_measured(name):
    measurements = [m for m in measured(DOMAIN, SHAPES[name], sigma=5.0) if m.clique]
    model = PrivatePgm(iterations=3000).fit(DOMAIN, measurements)
    assert not model.report.certified
    assert model.report.gap == 0
    assert model.report.estimator == "private-pgm"
    best, loss = nearest(measurements, model.total)
    assert loss(model.marginal(DOMAIN.columns) / model.total) == pytest.approx(best, rel=2e-3, abs=0.05)


@pytest.mark.parametrize("name", ["chain", "star", "cycle", "overlapping triples", "triple and pair", "disconnected"])
def test_where_noise_is_nothing_maximum_entropy_and_mirror_descent_are_one_model(name):
    """Mirror descent from the uniform table keeps to the exponential family, and there the tables fix the model."""
    rows = 50_000 * DOMAIN.cells(DOMAIN.columns)
    measurements = [Measurement(c, table(DOMAIN, joint(DOMAIN, rows, 3), c), 1.0) for c in SHAPES[name]]
    ours = MaxEnt(tolerance=1e-6).fit(DOMAIN, measurements)
    oracle = PrivatePgm(iterations=20_000).fit(DOMAIN, measurements)
    assert ours.report.converged
    for pair in combinations(DOMAIN.columns, 2):
        np.testing.assert_allclose(ours.marginal(pair), oracle.marginal(pair), atol=2e-3 * rows / DOMAIN.cells(pair))


@pytest.mark.parametrize("name", ["nothing", "total only"])
def test_without_tables_the_model_is_uniform(name):
    model = PrivatePgm().fit(DOMAIN, measured(DOMAIN, SHAPES[name]))
    np.testing.assert_allclose(model.marginal(DOMAIN.columns), model.total / 48)


def test_a_negative_total_gives_no_rows():
    model = PrivatePgm(iterations=50).fit(DOMAIN, [Measurement(("a", "b"), np.full(6, -50), 10.0)])
    assert model.total == 0
    assert np.isfinite(model.chain[0]).all()


def test_unfit_measurements_and_trees_are_refused():
    with pytest.raises(SpecError, match="sigma"):
        PrivatePgm().fit(DOMAIN, [Measurement(("a",), np.zeros(2, dtype=np.int64), 0.0)])
    with pytest.raises(SpecError, match="at most 20"):
        PrivatePgm(cell_limit=20).fit(DOMAIN, measured(DOMAIN, SHAPES["cycle"]))


def test_importing_the_estimators_does_not_import_jax():
    program = "import sys, dpsynth.inference.estimators; assert not {'jax', 'mbi', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_it_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PrivatePgm(iterations=50).fit(DOMAIN, measured(DOMAIN, SHAPES["chain"]))
