"""Codes to a pandas table with the columns' own values."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Column, Decoded
from dpsynth.errors import SpecError
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas as pd


def decode(schema: Schema, codes: Mapping[str, NDArray[np.integer]], seed: int) -> "pd.DataFrame":
    """The table in the schema's column order; a cell of several values gives one of them, by the public seed and the column's place.

    Raises SpecError where codes are missing, of different lengths, or outside a column's cells.
    """
    import pandas as pd

    lengths = {len(codes[column.name]) for column in schema.columns if column.name in codes}
    if len(lengths) > 1:
        raise SpecError(f"all columns must have the same number of codes, got {sorted(lengths)}")
    values = {}
    for place, column in enumerate(schema.columns):
        decoded = column.decode(_checked(column, codes), np.random.default_rng([seed, place]))
        values[column.name] = _SERIES[decoded.kind](decoded, column.missing)
    return pd.DataFrame(values, columns=[column.name for column in schema.columns])


def _checked(column: Column, codes: Mapping[str, NDArray[np.integer]]) -> NDArray[np.int64]:
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


def _label(decoded: Decoded, missing: bool) -> Any:
    import pandas as pd

    labels = decoded.values.astype(object)
    labels[decoded.absent] = None
    return pd.Series(labels, dtype="object")


_SERIES: dict[str, Callable[[Decoded, bool], Any]] = {
    "code": _whole,
    "integer": _whole,
    "number": _number,
    "boolean": _boolean,
    "categorical": _label,
}
