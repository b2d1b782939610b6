"""What differs between databases: how a dialect writes the few things that standard SQL leaves open, and what a session can do.

A database that is not here needs one class of each, and to pass the suite of tests/contracts.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Dialect(Protocol):
    """SQL, piece by piece. Texts are compared byte by byte, as UTF-8; whole numbers have 64 bits.

    most_cuts: between how many cuts a value can be looked up; a search among more is a query that the database cannot hold.
    """

    most_cuts: int

    def literal(self, text: str) -> str:
        """This text."""
        ...

    def name(self, name: str) -> str:
        """A column or table of this name."""
        ...

    def text(self, column: str, kind: Any) -> str | None:
        """The text of a column of an Ibis data type, as `dpsynth.engines.texts` writes it; None where such a type has none."""
        ...

    def plain(self, text: str) -> str:
        """A text that is compared byte by byte from here on."""
        ...

    def trimmed(self, text: str) -> str:
        """`readings.trimmed`."""
        ...

    def number(self, text: str) -> str:
        """`readings.parsed` of a text without blanks around it: a double or NULL."""
        ...

    def groups(self, text: str, pattern: str, count: int) -> str:
        """A list of what the groups hold (NULL or "" where one took no part); NULL where the text does not match the pattern as a whole."""
        ...

    def element(self, texts: str, place: int) -> str:
        """The text at this place, from 1, of such a list."""
        ...

    def floor(self, value: str) -> str:
        """The greatest whole number up to a double, as a double; infinity of infinity."""
        ...

    def divided(self, dividend: str, divisor: int) -> str:
        """The whole part of a quotient of whole numbers that are not negative."""
        ...

    def whole(self, value: str) -> str:
        """A text of digits as a whole number."""
        ...

    def double(self, value: str) -> str:
        """A text or a whole number as a double."""
        ...

    def number_text(self, value: str) -> str:
        """A whole number in decimal digits."""
        ...

    def code(self, value: str, size: int) -> str:
        """A whole number from 0 to size - 1 as the smallest type that holds it."""
        ...

    def hash(self, message: str) -> str:
        """Sorts as SHA-256 of the text's UTF-8 does in hexadecimal."""
        ...

    def each(self, values: Sequence[str]) -> str:
        """A row for each of these values, in place of one."""
        ...

    holds_nul: bool
    """Whether texts may hold the letter NUL."""

    no_text: str
    """NULL, as a text."""

    fence: str
    """Ends a subquery whose columns are not to be computed again for each use."""


class Session(Protocol):
    """A connection to the database that sees its catalog, and what it was told to keep."""

    def columns(self, table: Sequence[str]) -> Mapping[str, Any]:
        """The Ibis data type of each column of the table. Raises SourceError where it is not there or may not be read."""
        ...

    def keep(self, query: str, name: str) -> None:
        """Holds the rows of a query, computed once, as a table that only this session sees."""
        ...

    def forget(self, name: str) -> None:
        """Drops what was kept under this name."""
        ...

    def counts(self, query: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The two whole-number columns of a query: cells, and rows in each."""
        ...

    def texts(self, query: str) -> Mapping[str, int]:
        """The two columns of a query: texts, and rows with each."""
        ...

    def close(self) -> None:
        """Forgets everything that was kept."""
        ...
