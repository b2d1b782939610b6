from itertools import combinations

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.interchange import (
    mbi_domain,
    mbi_measurements,
    mbi_model,
    measurements_from_mbi,
    model_from_mbi,
    quiet_mbi,
)
from dpsynth.inference.maxent import MaxEnt
from tests.inference.tables import DOMAIN, SHAPES, measured

QUERIES = [c for k in range(1, 4) for c in combinations(DOMAIN.columns, k)]


@pytest.mark.parametrize("name", ["cycle", "disconnected"])
def test_mbi_reads_every_marginal_from_our_model_as_we_do(name):
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES[name]))
    theirs = mbi_model(model)
    for query in QUERIES:
        np.testing.assert_allclose(np.asarray(theirs.project(query).values).ravel(), model.marginal(query), atol=1e-8 * model.total)


@pytest.mark.parametrize("name", ["overlapping triples"])
def test_a_model_of_mbi_has_the_same_marginals_here(name):
    mbi, measurements = quiet_mbi(), measured(DOMAIN, SHAPES[name])
    theirs = mbi.estimation.MirrorDescent().estimate(mbi_domain(DOMAIN), mbi_measurements(measurements), known_total=900.0, iters=100)
    ours = model_from_mbi(DOMAIN, theirs)
    assert ours.total == pytest.approx(900)
    assert not ours.report.certified
    for query in QUERIES:
        np.testing.assert_allclose(ours.marginal(query), np.asarray(theirs.project(query).values).ravel(), atol=1e-6 * ours.total)


def test_models_and_measurements_survive_the_way_there_and_back():
    measurements = measured(DOMAIN, SHAPES["triple and pair"])
    model = MaxEnt().fit(DOMAIN, measurements)
    again = model_from_mbi(DOMAIN, mbi_model(model))
    for query in QUERIES:
        np.testing.assert_allclose(again.marginal(query), model.marginal(query), atol=1e-9 * model.total)
    for given, back in zip(measurements, measurements_from_mbi(DOMAIN, mbi_measurements(measurements)), strict=True):
        assert (back.clique, back.sigma) == (given.clique, given.sigma)
        assert back.values.tolist() == given.values.tolist()


def test_columns_come_back_in_the_order_of_the_domain():
    given = quiet_mbi().LinearMeasurement(np.arange(6.0), ("b", "a"), 2.0)
    (back,) = measurements_from_mbi(DOMAIN, [given])
    assert back.clique == ("a", "b")
    assert back.values.tolist() == np.arange(6).reshape(3, 2).T.ravel().tolist()


def test_what_cannot_be_read_is_refused_by_its_clique():
    mbi = quiet_mbi()
    with pytest.raises(SpecError, match=r"\['a', 'b'\] must hold 6 numbers, got 5"):
        measurements_from_mbi(DOMAIN, [mbi.LinearMeasurement(np.arange(5.0), ("a", "b"), 2.0)])
    with pytest.raises(SpecError, match=r"\['a'\] must hold whole numbers"):
        measurements_from_mbi(DOMAIN, [mbi.LinearMeasurement(np.array([0.5, 1.0]), ("a",), 2.0)])
    with pytest.raises(SpecError, match=r"\['a'\] must be of the whole table"):
        measurements_from_mbi(DOMAIN, [mbi.LinearMeasurement(np.arange(2.0), ("a",), 2.0, query=lambda factor: factor.datavector())])
    with pytest.raises(SpecError, match=r"sigma of \['a'\]"):
        measurements_from_mbi(DOMAIN, [mbi.LinearMeasurement(np.arange(2.0), ("a",), 0.0)])
    with pytest.raises(SpecError, match="unknown columns"):
        measurements_from_mbi(DOMAIN, [mbi.LinearMeasurement(np.arange(2.0), ("z",), 1.0)])
    model = MaxEnt().fit(DOMAIN, measured(DOMAIN, SHAPES["chain"]))
    with pytest.raises(SpecError, match="the model's domain must be"):
        model_from_mbi(Domain(("a",), (2,)), mbi_model(model))
