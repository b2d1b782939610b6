"""Exact counts by the database that holds the rows: nothing but the counts of groups leaves it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dpsynth.cells import LabelRule
from dpsynth.domain import Clique, Domain
from dpsynth.engines.codes import check_cliques
from dpsynth.engines.dialect import Dialect, Session
from dpsynth.engines.portable import label_sql, map_sql
from dpsynth.engines.reader import UNREADABLE
from dpsynth.errors import ProtocolError, SourceError
from dpsynth.labels import Recoding

CODES = "dpsynth_codes"
BATCH_CLIQUES = 64
BATCH_CELLS = 1 << 24
"""Tables asked for in one query: bounds the length of the query, and what its answer takes."""


class GroupedEngine:
    """Rows with each unit's contribution bounded, as codes c0, c1, ... in the table CODES that only this session sees."""

    def __init__(self, domain: Domain, session: Session, dialect: Dialect, columns: Sequence[str]) -> None:
        """columns: the names of c0, c1, ...; those that are not in the domain are open and hold texts, "" where one is missing."""
        self._domain, self._dialect, self._columns, self._table = domain, dialect, tuple(columns), CODES
        self._session: Session | None = session

    @property
    def domain(self) -> Domain:
        return self._domain

    def counts(self, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """Exact marginals: int64[cells] of rows for each clique, in C order; the empty clique has one cell.

        Raises ProtocolError after `close`; SpecError for a clique that is unknown, out of order or too large; SourceError, always with the
        same words, where the database fails.
        """
        session = self._open()
        check_cliques(self._domain, cliques)
        tables = None
        with suppress(Exception):  # a driver's words may quote what the database holds
            tables = [table for batch in _batches(self._domain, cliques) for table in self._tables(session, batch)]
        if tables is None:
            raise SourceError(UNREADABLE)
        return tables

    def labels(self, column: str) -> Mapping[str, int]:
        """Exact: how many rows hold each text of an open column that has no cells yet; rows where it is missing are in none.

        Raises ProtocolError for any other column, and after `close`; SourceError as `counts`.
        """
        session = self._open()
        if column not in self._columns or column in self._domain.columns:
            raise ProtocolError(f"labels are counted of open columns before they have cells, got {column!r}")
        text, found = self._name(column), None
        with suppress(Exception):
            found = session.texts(f"SELECT {text} AS text, count(*) AS n FROM {self._table} WHERE {text} <> '' GROUP BY {text}")
        if found is None:
            raise SourceError(UNREADABLE)
        return found

    def recode(self, domain: Domain, recodings: Mapping[str, Recoding]) -> None:
        """Switch to another domain, for good: the cells of each named column change by its recoding, others stay as they are.

        Raises ProtocolError where recodings and domains do not fit, and after `close`; nothing has changed then. SourceError as `counts`.
        """
        session = self._open()
        unnamed = {*self._columns} - {*recodings}
        kept = all(domain.size[column] == self._domain.size[column] for column in unnamed) if unnamed <= {*self._domain.columns} else False
        if {*self._columns} != {*domain.columns} or not {*recodings} <= {*self._columns} or not kept:
            raise ProtocolError("a new domain must have the same columns, with a recoding for each that is open or changes its size")
        cells = [self._recoded_sql(column, recodings.get(column), domain.size[column]) for column in domain.columns]
        listed, table = ", ".join(f"{cell} AS c{i}" for i, cell in enumerate(cells)), f"{self._table}_recoded"
        trimmed = [
            f"{self._dialect.trimmed(name) if self._is_open(c) else name} AS {name}" for c in self._columns for name in [self._name(c)]
        ]
        done = False
        with suppress(Exception):
            session.keep(f"SELECT {listed} FROM (SELECT {', '.join(trimmed)} FROM {self._table}) AS codes", table)
            session.forget(self._table)
            done = True
        if not done:
            raise SourceError(UNREADABLE)
        self._domain, self._columns, self._table = domain, domain.columns, table

    def _recoded_sql(self, column: str, recoding: Recoding | None, size: int) -> str:
        """The column's new codes, each row's by what it held."""
        name = self._name(column)
        if recoding is None:
            return name
        if isinstance(recoding, LabelRule):
            if not self._is_open(column):
                raise ProtocolError(f"{column!r} is no open column: it cannot be recoded by texts")
            return self._dialect.code(label_sql(recoding, name, self._dialect), size)
        if self._is_open(column) or recoding.shape != (self._domain.size[column],) or recoding.min() < 0 or recoding.max() >= size:
            raise ProtocolError(f"a recoding of {column!r} must have one new cell for each of its cells")
        return self._dialect.code(map_sql(recoding, name), size)

    def _is_open(self, column: str) -> bool:
        return column not in self._domain.columns

    def _name(self, column: str) -> str:
        return f"c{self._columns.index(column)}"

    def _tables(self, session: Session, cliques: Sequence[Clique]) -> list[NDArray[np.int64]]:
        """The tables of one query, one after the other in one array."""
        ends = np.cumsum([self._domain.cells(clique) for clique in cliques])
        joined = np.zeros(ends[-1], dtype=np.int64)
        cells, rows = session.counts(self._counted_sql(cliques, [0, *ends[:-1].tolist()]))
        joined[cells] = rows
        return np.split(joined, ends[:-1])

    def _counted_sql(self, cliques: Sequence[Clique], starts: Sequence[int]) -> str:
        """The cells that occur, those of each clique numbered from its start, and the rows in each: all in one pass over the rows."""
        cells = self._dialect.each([self._cell_sql(clique, start) for clique, start in zip(cliques, starts, strict=True)])
        return f"SELECT cell, count(*) AS n FROM (SELECT {cells} AS cell FROM {self._table}) AS cells GROUP BY cell"

    def _cell_sql(self, clique: Clique, start: int) -> str:
        cell = self._dialect.whole("0")
        for column in clique:
            cell = f"({cell} * {self._domain.size[column]} + {self._name(column)})"
        return f"{cell} + {start}"

    def close(self) -> None:
        """Forget the rows: every later question is refused."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _open(self) -> Session:
        if self._session is None:
            raise ProtocolError("this engine is closed: the rows are gone and no question can be answered")
        return self._session

    def __repr__(self) -> str:
        """Public facts only: a debugger or log shows no row and no count."""
        return f"GroupedEngine({len(self._domain.columns)} columns{', closed' if self._session is None else ''})"

    def __reduce__(self) -> NoReturn:
        raise ProtocolError("an engine holds private rows and cannot be pickled or copied")


def _batches(domain: Domain, cliques: Sequence[Clique]) -> Iterator[list[Clique]]:
    """The cliques in their order, cut where a batch is full."""
    batch: list[Clique] = []
    for clique in cliques:
        if batch and (len(batch) == BATCH_CLIQUES or sum(map(domain.cells, [*batch, clique])) > BATCH_CELLS):
            yield batch
            batch = []
        batch.append(clique)
    if batch:
        yield batch
