"""The column kinds: what is publicly known of a column of each, and the values its cells stand for."""

from dpsynth.column import Column
from dpsynth.kinds.boolean import Boolean
from dpsynth.kinds.categorical import Categorical
from dpsynth.kinds.code import Code
from dpsynth.kinds.integer import Integer
from dpsynth.kinds.number import Number
from dpsynth.kinds.open import Open
from dpsynth.kinds.times import Date, Datetime, Duration
from dpsynth.kinds.unmodelled import Identifier, Text

__all__ = ["KINDS", "Boolean", "Categorical", "Code", "Date", "Datetime", "Duration", "Identifier", "Integer", "Number", "Open", "Text"]

_ALL: tuple[type[Column], ...] = (
    Code,
    Categorical,
    Open,
    Boolean,
    Integer,
    Number,
    Date,
    Datetime,
    Duration,
    Identifier,
    Text,
)
KINDS = {column.kind: column for column in _ALL}
"""What a spec calls each kind."""
