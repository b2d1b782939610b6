"""One byte sequence for each value, and nothing else is read."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth import canonical

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
leaves = st.none() | st.booleans() | st.integers(-(10**39) + 1, 10**39 - 1) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12)


@given(values)
def test_every_value_comes_back(value):
    assert canonical.loads(canonical.dumps(value)) == value


@given(values, values)
def test_equal_bytes_mean_equal_values(one, other):
    assert (canonical.dumps(one) == canonical.dumps(other)) == (typed(one) == typed(other))


def typed(value):
    """A value in which true is not 1."""
    return json.dumps(value, sort_keys=True)


@given(st.dictionaries(texts, leaves, min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical.digest(value) == canonical.digest(dict(reversed(value.items())))


def test_tuples_are_lists():
    assert canonical.dumps((1, (2,))) == b"[1,[2]]"


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"b":1,"a":1}', b'{"a": 1}', b" 1", b"1 ", b"1\n", b"1.0", b"1e3", b"-0", b"01", b"+1",
     b"NaN", b"Infinity", b"-Infinity", b"1e400", b"\xef\xbb\xbf1", '"é"'.encode(), b'"\\u00E9"', b'"\\/"', b'"\\ud800\\udc00x', b"",
     b"nul", b"'a'", b"[1,]", b"1" * 41, b"-" + b"1" * 40, b"1" * 5000, b"\xff"],
)  # fmt: skip
def test_any_other_spelling_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is json's own for some of these
        canonical.loads(data)


@pytest.mark.parametrize("data", [b"[" * 40 + b"]" * 40, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000, b"[" * 1_000_001])
def test_deep_nesting_is_refused_not_followed(data):
    with pytest.raises(ValueError, match=r"nested|form|Expecting"):
        canonical.loads(data)


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), b"x", {1: 2}, {None: 1}, {1, 2}, Fraction(1, 2), object(), 10**39, -(10**39), [10**5000]]
)
def test_values_without_one_spelling_are_refused(value):
    with pytest.raises(TypeError):
        canonical.dumps(value)


def test_nesting_is_bounded_when_writing_too():
    value = 0
    for _ in range(canonical.MAX_DEPTH):
        value = [value]
    assert canonical.loads(canonical.dumps(value)) == value
    with pytest.raises(TypeError, match="deep"):
        canonical.dumps([value])


@given(st.fractions(0))
def test_rationals_come_back(value):
    assert canonical.rational(canonical.rational_text(value)) == value


@pytest.mark.parametrize(
    "text",
    ["2/4", "0x1/2", "1", "1/0", "-1/2", "1/-2", "+1/2", " 1/2", "1/2 ", "1/2\n", "01/2", "1/02", "0/2", "1e2/3", "1.0/2", "1_0/3",
     "\u0661/2", "\uff11/2", "NaN", "nan/1", "inf/1", "", "/", "1/2/3", "1" * 401 + "/2", "1/" + "3" * 401, "1" * 10**6 + "/1", None, 1,
     0.5, ["1/2"]],
)  # fmt: skip
def test_other_spellings_of_rationals_are_refused(text):
    with pytest.raises(ValueError, match="rational"):
        canonical.rational(text)
