import copy
import pickle

import numpy as np
import pytest

from dpsynth.domain import Domain
from dpsynth.engines import codes as codes_module
from dpsynth.engines.codes import CodesEngine, code_dtype
from dpsynth.errors import ProtocolError, SpecError

DOMAIN = Domain(("a", "b", "c"), (3, 300, 2))
RNG = np.random.default_rng(5)
ROWS = {"a": RNG.integers(3, size=1000), "b": RNG.integers(300, size=1000), "c": RNG.integers(2, size=1000)}


@pytest.mark.parametrize(("size", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (1 << 16, "u2"), ((1 << 16) + 1, "u4")])
def test_codes_take_the_smallest_unsigned_dtype(size, dtype):
    assert code_dtype(size) == np.dtype(dtype)
    assert size - 1 <= np.iinfo(code_dtype(size)).max


def test_a_marginal_is_the_histogram_in_c_order():
    expected = np.zeros((3, 300, 2), dtype=np.int64)
    np.add.at(expected, tuple(ROWS[name] for name in "abc"), 1)
    for clique, axes in (((), (0, 1, 2)), (("b",), (0, 2)), (("a", "c"), (1,)), (("a", "b", "c"), ())):
        (marginal,) = CodesEngine(DOMAIN, ROWS).counts([clique])
        assert marginal.dtype == np.int64
        assert np.array_equal(marginal, expected.sum(axis=axes).reshape(-1))


@pytest.mark.parametrize("chunk", [1, 7, 999, 1000, 1001])
def test_chunking_does_not_matter(monkeypatch, chunk):
    cliques = [(), ("a",), ("a", "c")]
    whole = CodesEngine(DOMAIN, ROWS).counts(cliques)
    monkeypatch.setattr(codes_module, "CHUNK_ROWS", chunk)
    assert all(np.array_equal(a, b) for a, b in zip(whole, CodesEngine(DOMAIN, ROWS).counts(cliques), strict=True))


def test_positions_do_not_overflow_the_codes_dtype():
    domain = Domain(("x", "y", "z"), (256, 256, 256))
    last = CodesEngine(domain, {name: np.array([255], dtype=np.uint8) for name in "xyz"})
    (marginal,) = last.counts([("x", "y", "z")])
    assert np.flatnonzero(marginal).tolist() == [256**3 - 1]


@pytest.mark.parametrize(
    "codes",
    [
        {"a": [0], "b": [0]},
        {"a": [0], "b": [0], "c": [0], "d": [0]},
        {"a": [0], "b": [0, 1], "c": [0]},
        {"a": [3], "b": [0], "c": [0]},
        {"a": [-1], "b": [0], "c": [0]},
        {"a": [0.0], "b": [0], "c": [0]},
        {"a": [[0]], "b": [[0]], "c": [[0]]},
    ],
)
def test_codes_outside_the_domain_are_refused(codes):
    with pytest.raises(ProtocolError):
        CodesEngine(DOMAIN, {name: np.array(column) for name, column in codes.items()})


def test_a_clique_out_of_order_or_too_large_is_refused():
    with pytest.raises(SpecError, match="order of the domain"):
        CodesEngine(DOMAIN, ROWS).counts([("c", "a")])
    huge = Domain(("x", "y"), (1 << 16, 1 << 16))
    empty = CodesEngine(huge, {name: np.zeros(0, dtype=np.uint16) for name in "xy"})
    with pytest.raises(SpecError, match="cells"):
        empty.counts([("x", "y")])


def test_an_engine_is_not_printed_copied_or_pickled():
    engine = CodesEngine(DOMAIN, ROWS)
    assert repr(engine) == "CodesEngine(3 columns)"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ProtocolError):
            leave(engine)
