"""Canonical JSON: one byte sequence for each value, so that a digest names a value.

Keys are sorted, there is no white space, no float, no duplicate key; a rational is the text `p/q` in lowest terms.
"""

import hashlib
import json
import math
import re
from fractions import Fraction
from typing import Any

MAX_DEPTH = 32
_ZERO = Fraction(0)
_RATIONAL = re.compile(r"(0|[1-9][0-9]{0,399})/([1-9][0-9]{0,399})")
_MAX_INTEGER_DIGITS = 40
_INTEGER_LIMIT = 10 ** (_MAX_INTEGER_DIGITS - 1)


def dumps(value: Any) -> bytes:
    """The canonical bytes of a value made of dict, list, tuple, str, int, bool and None.

    Raises TypeError for a float (it has no exact text that all readers agree on), any other type, an integer of 40 digits or more.
    """
    _check(value, 0)
    return _ENCODER.encode(value).encode()


def loads(data: bytes) -> Any:
    """The value behind canonical bytes.

    Raises ValueError for anything `dumps` would not have written: other spacing, floats, duplicate keys, deep nesting.
    """
    brackets = data.count(b"[") + data.count(b"{")
    if brackets > 1_000_000:
        raise ValueError("too many nested values")
    try:
        value, _ = _DECODER.raw_decode(data.decode("ascii"))  # what follows the value is found below: it is not in canonical form
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    try:
        if brackets > MAX_DEPTH:  # with fewer, nothing is nested too deeply, and JSON holds nothing else that `dumps` would refuse
            _check(value, 0)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if _ENCODER.encode(value).encode() != data:
        raise ValueError("not in canonical form")
    return value


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(dumps(value)).hexdigest()


def rational_text(value: Fraction) -> str:
    """`p/q` in lowest terms."""
    return f"{value.numerator}/{value.denominator}"


def rational(text: str) -> Fraction:
    """The non-negative rational written `p/q` in lowest terms.

    Raises ValueError for anything else: signs, spaces, `2/4`, more than 400 digits.
    """
    if text == "0/1":  # two of three entries of a ledger charge nothing
        return _ZERO
    match = _RATIONAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("a rational must be written p/q with non-negative integers of at most 400 digits")
    numerator, denominator = int(match[1]), int(match[2])
    if math.gcd(numerator, denominator) != 1:
        raise ValueError("a rational must be in lowest terms")
    return Fraction(numerator, denominator)


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TypeError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, int) and abs(value) >= _INTEGER_LIMIT:
        raise TypeError(f"an integer must have fewer than {_MAX_INTEGER_DIGITS} digits: write it as text")
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys must be text, got {type(key).__name__}")
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise TypeError(f"canonical JSON holds no {type(value).__name__}")


def _refuse_float(text: str) -> float:
    raise ValueError(f"canonical JSON holds no floats, got {text[:20]}")


def _bounded_integer(text: str) -> int:
    if len(text.lstrip("-")) >= _MAX_INTEGER_DIGITS:
        raise ValueError(f"an integer must have fewer than {_MAX_INTEGER_DIGITS} digits, got {len(text)}")
    return int(text)


# Made once: a ledger of 20,000 lines is read before each charge.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_DECODER = json.JSONDecoder(parse_float=_refuse_float, parse_int=_bounded_integer)
