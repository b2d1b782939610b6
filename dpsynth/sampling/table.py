"""Codes to a pandas table with the columns' own values."""

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Decoded, Modelled
from dpsynth.errors import SpecError
from dpsynth.sampling.together import related_values
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas as pd


NOTHING_EXACT: Mapping[str, str] = MappingProxyType({})


def decode(schema: Schema, codes: Mapping[str, NDArray[np.integer]], seed: int, exact: Mapping[str, str] = NOTHING_EXACT) -> "pd.DataFrame":
    """The table in the schema's column order; a cell of several values gives one of them, by the public seed and the column's place.

    exact: the very values that columns must hold where their cell is drawn. All values keep the schema's rules.
    Raises SpecError where codes are missing, of different lengths, or outside a column's cells.
    """
    import pandas as pd

    own = {column.name: _checked(column, codes) for column in schema.modelled}
    lengths = {len(each) for each in own.values()}
    if len(lengths) > 1:
        raise SpecError(f"all columns must have the same number of codes, got {sorted(lengths)}")
    values, related = {}, related_values(schema, own, seed, exact)
    for place, column in enumerate(schema.columns):
        nothing = np.empty(max(lengths, default=0), dtype=np.int64)
        decoded = related.get(column.name) or _values(column, nothing, np.random.default_rng([seed, place]))
        if decoded is not None:
            values[column.name] = series(decoded, missing=isinstance(column, Modelled) and column.missing)
    return pd.DataFrame(values, columns=[*values])


def _values(column: Column, codes: NDArray[np.int64], rng: np.random.Generator) -> Decoded | None:
    """Values for codes; of a column without cells, as many as there are."""
    return column.decode(codes, rng) if isinstance(column, Modelled) else column.fresh(len(codes), rng)


def restored(schema: Schema, records: "pd.DataFrame") -> "pd.DataFrame":
    """Records in the types that they were decoded to, where a file gave them back in its own. Raises ValueError where they do not fit."""
    for column in schema.columns:
        if column.name in records:
            nothing = _nothing(column)
            missing = isinstance(column, Modelled) and column.missing
            records[column.name] = _RESTORED[nothing.form](records[column.name], nothing, missing)
    return records


def form_of(column: Column) -> str:
    """The form of its values in the records; empty where it is left out of them."""
    return _nothing(column).form


def _nothing(column: Column) -> Decoded:
    """Its values in a table without rows."""
    decoded = _values(column, np.empty(0, dtype=np.int64), np.random.default_rng(0))
    return Decoded(np.empty(0), np.empty(0, dtype=bool), "") if decoded is None else decoded


def series(decoded: Decoded, *, missing: bool) -> Any:
    """A pandas or numpy array of the values; its type depends on the form, and on whether values may be missing, not on the values."""
    return _SERIES[decoded.form](decoded, missing)


def _checked(column: Modelled, codes: Mapping[str, NDArray[np.integer]]) -> NDArray[np.int64]:
    if column.name not in codes:
        raise SpecError(f"column {column.name!r} has no codes: the records were drawn from another schema")
    own = np.asarray(codes[column.name])
    if own.dtype.kind not in "iu" or own.ndim != 1 or (own.size and not 0 <= int(own.min()) <= int(own.max()) < column.size):
        raise SpecError(f"the codes of column {column.name!r} must be whole numbers from 0 to {column.size - 1}")
    return own.astype(np.int64)


def _whole(decoded: Decoded, missing: bool) -> Any:
    import pandas as pd

    if not missing:
        return decoded.values.astype(np.int64)
    return pd.arrays.IntegerArray(decoded.values.astype(np.int64), decoded.absent.copy())


def _number(decoded: Decoded, missing: bool) -> Any:
    return np.where(decoded.absent, np.nan, decoded.values.astype(np.float64))


def _boolean(decoded: Decoded, missing: bool) -> Any:
    import pandas as pd

    if not missing:
        return decoded.values.astype(np.bool_)
    return pd.arrays.BooleanArray(decoded.values.astype(np.bool_), decoded.absent.copy())


def _text(decoded: Decoded, missing: bool) -> Any:
    import pandas as pd

    texts = decoded.values.astype(object)
    texts[decoded.absent] = None
    return pd.Series(texts, dtype="object")


def _ordered(decoded: Decoded, missing: bool) -> Any:
    import pandas as pd

    return pd.Categorical(_text(decoded, missing), categories=list(decoded.categories), ordered=True)


def _date(decoded: Decoded, missing: bool) -> Any:
    return _text(Decoded(decoded.values.astype("datetime64[D]").astype(object), decoded.absent, decoded.form), missing)


def _datetime(decoded: Decoded, missing: bool) -> Any:
    moments = decoded.values.astype("datetime64[us]")
    moments[decoded.absent] = np.datetime64("NaT")
    return moments


_SERIES: dict[str, Callable[[Decoded, bool], Any]] = {
    "whole": _whole,
    "number": _number,
    "boolean": _boolean,
    "text": _text,
    "ordered": _ordered,
    "date": _date,
    "datetime": _datetime,
}


def _restored_text(own: Any, nothing: Decoded, missing: bool) -> Any:
    return own.astype("object").where(own.notna(), None)


def _restored_date(own: Any, nothing: Decoded, missing: bool) -> Any:
    return _restored_text(own.map(lambda day: date.fromisoformat(day) if isinstance(day, str) else day), nothing, missing)


def _restored_datetime(own: Any, nothing: Decoded, missing: bool) -> Any:
    import pandas as pd

    return pd.to_datetime(own, format="ISO8601").astype("datetime64[us]")


def _restored_ordered(own: Any, nothing: Decoded, missing: bool) -> Any:
    import pandas as pd

    return pd.Categorical(own, categories=list(nothing.categories), ordered=True)


_RESTORED: dict[str, Callable[[Any, Decoded, bool], Any]] = {
    "whole": lambda own, _, missing: own.astype("Int64" if missing else "int64"),
    "number": lambda own, *_: own.astype("float64"),
    "boolean": lambda own, _, missing: own.astype("boolean" if missing else "bool"),
    "text": _restored_text,
    "ordered": _restored_ordered,
    "date": _restored_date,
    "datetime": _restored_datetime,
}
