import numpy as np
import pytest

from dpsynth.engines.madeup import made_up_engine
from dpsynth.errors import SpecError
from tests.contracts.engine_contract import WIDE


def test_rows_fall_in_every_cell_alike():
    total, *marginals = made_up_engine(WIDE, 20_000).counts([(), *((column,) for column in WIDE.domain.columns)])
    assert total.tolist() == [20_000]
    for size, marginal in zip(WIDE.domain.sizes, marginals, strict=True):
        expected = 20_000 / size
        assert np.abs(marginal - expected).max() < 7 * np.sqrt(expected)  # a false alarm in 1e10 runs


def test_no_seed_repeats_them():
    np.random.seed(1)  # noqa: NPY002 - the global seed must not matter
    first = made_up_engine(WIDE, 500).counts([("code", "whole")])[0]
    np.random.seed(1)  # noqa: NPY002
    assert not np.array_equal(first, made_up_engine(WIDE, 500).counts([("code", "whole")])[0])


def test_a_negative_number_is_refused():
    assert made_up_engine(WIDE, 0).counts([()])[0].tolist() == [0]
    with pytest.raises(SpecError):
        made_up_engine(WIDE, -1)
