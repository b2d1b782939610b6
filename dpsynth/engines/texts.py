"""Values of typed columns as texts, one value at a time: no value raises, and none changes the text of another.

Whole floats are written without a fraction, so that 7 and 7.0 are one person and one label; true and false in lower case; times in UTC with
microseconds; durations in ISO 8601, as PT5400.000000S.
Missing: None, NaN, NaT, pandas.NA, values that have no text, and texts over LINE_LIMIT bytes.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Any

from dpsynth.engines.lines import LINE_LIMIT

_WHOLE_DOUBLES = 1 << 53


def array_texts(array: Any) -> Any:
    """pyarrow StringArray of the texts of any pyarrow array, chunked or not."""
    import pyarrow as pa
    from pyarrow import compute as pc

    kind = array.type
    if isinstance(array, pa.ChunkedArray):
        return pa.concat_arrays([pa.array([], pa.string()), *map(array_texts, array.chunks)])
    if isinstance(array, pa.ExtensionArray):
        return array_texts(array.storage)
    if pa.types.is_dictionary(kind):
        return array_texts(array.dictionary).take(array.indices)
    if pa.types.is_run_end_encoded(kind):
        return array_texts(pc.run_end_decode(array))
    if _is_bytes_like(kind):
        return _readable(array)
    if pa.types.is_float16(kind):  # Arrow cannot add these
        return array_texts(pc.cast(array, pa.float32()))
    if pa.types.is_floating(kind):
        return _float_texts(array)
    if pa.types.is_duration(kind):
        return _durations(pc.cast(pc.cast(array, pa.duration("us"), safe=False), pa.int64()))
    if pa.types.is_timestamp(kind):
        return pc.cast(pc.cast(array, pa.timestamp("us"), safe=False), pa.string())
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowNotImplementedError:  # nested and rarer types, whatever they hold
        return pa.array(map(_cut, value_texts(array)), pa.string())


def _float_texts(array: Any) -> Any:
    """NaN has none. Whole numbers as such, up to where all doubles are whole; the others with as few digits as tell them apart."""
    import pyarrow as pa
    from pyarrow import compute as pc

    texts = pc.cast(array, pa.string())
    exact = pc.less(pc.abs(array), pa.scalar(float(_WHOLE_DOUBLES), array.type))
    whole = pc.and_(exact, pc.equal(array, pc.floor(array)))  # the cast is of those alone: no other value fits
    numbers = pc.cast(pc.if_else(whole, array, pa.scalar(0.0, array.type)), pa.int64())
    return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.string()), pc.if_else(whole, pc.cast(numbers, pa.string()), texts))


def listed_texts(values: Iterable[Any]) -> Any:
    """pyarrow StringArray of the texts of Python values; those of one type are converted together, for speed."""
    import numpy as np
    import pyarrow as pa

    items = list(values)
    places: dict[type, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(type(item), []).append(place)
    texts = np.empty(len(items), dtype=object)
    for kind, found in places.items():
        texts[found] = _texts_of_type(kind, [items[place] for place in found])
    return pa.array(texts, pa.string())


def _texts_of_type(kind: type, values: list[Any]) -> list[str | None]:
    import pyarrow as pa

    arrow = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}.get(kind)
    texts: list[str | None] | None = None
    if arrow is not None:
        with suppress(Exception):  # an integer past 64 bits, a half surrogate: then value by value, with the same texts
            texts = array_texts(pa.array(values, arrow, from_pandas=True)).to_pylist()
    return texts if texts is not None else [_cut(text_of(value)) for value in values]


def value_texts(array: Any) -> Iterable[str | None]:
    """The Python text of each nested value; None where it has no Python value."""
    for value in array:
        try:
            yield str(value.as_py()) if value.is_valid else None
        except Exception:  # an element out of Python's range, such as a time after year 9999
            yield None


def text_of(value: Any) -> str | None:
    """The text of one Python value, the same that its type has as a column of its own; None where there is none."""
    if value is None or isinstance(value, str):
        return value
    try:
        return _text_of(value)
    except Exception:  # the value's own code, or Arrow's, refuses: it has no text
        return None


def _text_of(value: Any) -> str | None:
    import numpy as np
    import pyarrow as pa

    if _is_missing(value):
        return None
    if isinstance(value, (datetime, np.datetime64)):
        moment = value.astype("datetime64[us]") if isinstance(value, np.datetime64) else value
        return str(pa.scalar(moment, pa.timestamp("us")).cast(pa.string()).as_py())
    if isinstance(value, (timedelta, np.timedelta64)):
        span = value.astype("timedelta64[us]") if isinstance(value, np.timedelta64) else value
        return str(array_texts(pa.array([span], pa.duration("us")))[0].as_py())
    if isinstance(value, (bool, float, date, time, bytes, np.generic)):
        text = array_texts(pa.array([value]))[0].as_py()
        return text if text is None else str(text)
    return str(value)


def _durations(microseconds: Any) -> Any:
    """int64 microseconds as texts; the sign is the whole duration's."""
    import pyarrow as pa
    from pyarrow import compute as pc

    size = pc.abs(microseconds)
    seconds = pc.divide(size, 1_000_000)
    rest = pc.utf8_lpad(pc.cast(pc.subtract(size, pc.multiply(seconds, 1_000_000)), pa.string()), 6, "0")
    sign = pc.if_else(pc.less(microseconds, 0), "-PT", "PT")
    return pc.binary_join_element_wise(sign, pc.cast(seconds, pa.string()), ".", rest, "S", "").cast(pa.string())


def _is_missing(value: Any) -> bool:
    try:
        return bool(value != value)  # noqa: PLR0124 - what NaN and NaT are known by
    except TypeError:  # pandas.NA is neither equal nor unequal
        return True
    except ValueError:  # an array compares value by value
        return False


def _is_bytes_like(kind: Any) -> bool:
    from pyarrow import types

    kinds = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(kind) for test in kinds) or _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    kinds = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(test(kind) for test in kinds)


def _readable(array: Any) -> Any:
    """Bytes as UTF-8 text; nobody else checks what a file calls text."""
    import pyarrow as pa
    from pyarrow import compute as pc

    raw = array if _is_binary(array.type) else pc.cast(array, pa.large_binary())
    if pa.types.is_binary_view(raw.type) or pa.types.is_fixed_size_binary(raw.type):
        raw = pc.cast(raw, pa.large_binary())
    longest = pc.max(pc.binary_length(raw)).as_py() or 0
    with suppress(pa.ArrowInvalid):  # some value is not UTF-8: then value by value, with the same texts for the others
        if longest <= LINE_LIMIT:
            return pc.cast(raw, pa.string())
    return pa.array(map(_decoded, raw.to_pylist()), pa.string())


def _decoded(raw: bytes | None) -> str | None:
    return None if raw is None or len(raw) > LINE_LIMIT else raw.decode(errors="replace")


def _cut(text: str | None) -> str | None:
    """The text as UTF-8 can hold it; None where it is too long."""
    if text is None or len(text) > LINE_LIMIT:
        return None
    raw = text.encode(errors="surrogatepass") if not text.isascii() else b""
    if len(raw) > LINE_LIMIT:
        return None
    return raw.decode(errors="replace") if raw else text
