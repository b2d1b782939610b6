"""Public tables: counts of single columns and pairs that are published already, towards which noisy tables are shrunk."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.column import Modelled, is_public
from dpsynth.domain import Clique
from dpsynth.errors import SpecError
from dpsynth.readings import trimmed
from dpsynth.schema import Schema

COUNT = "count"
MOST_DIGITS = 15
MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class PublicTable:
    """Published counts of one column or of a pair.

    columns: in the order of the domain. counts: whole numbers of at least 0, one for each cell, in C order; not all of them 0.
    source: where it is published ("public: ...").
    """

    columns: Clique
    counts: tuple[int, ...]
    source: str

    def shares(self, schema: Schema) -> NDArray[np.float64]:
        """float64[sizes of the columns]: the counts, adding up to 1."""
        table = np.array(self.counts, dtype=np.float64).reshape(schema.domain.shape(self.columns))
        shares: NDArray[np.float64] = table / table.sum()
        return shares

    def facts(self) -> dict[str, Any]:
        """Canonical values: the fields."""
        return {"columns": list(self.columns), "counts": list(self.counts), "source": self.source}

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "PublicTable":
        """The table that `facts` described."""
        return cls(tuple(facts["columns"]), tuple(facts["counts"]), facts["source"])

    def check(self, schema: Schema) -> None:
        """Raises SpecError where it does not fit the schema."""
        what = f"[[public]] {' x '.join(self.columns)}"
        if not is_public(self.source):
            raise SpecError(f'{what}: source must be "public: ..." and say where the table is published, got {self.source!r}')
        if not 1 <= len(self.columns) <= 2:
            raise SpecError(f"{what}: a public table is about one column or two")
        found = [column.name for column in map(schema.modelled_column, self.columns) if column.discovers]
        if found:
            raise SpecError(f"{what}: the run is to find the cells of {found}: declare them, for a public table is about declared cells")
        if schema.domain.clique(self.columns) != self.columns or len(self.counts) != schema.domain.cells(self.columns):
            raise SpecError(f"{what}: it has {len(self.counts)} counts, not one for each cell")
        if not all(0 <= count < 10**MOST_DIGITS for count in self.counts) or not any(self.counts):
            raise SpecError(f"{what}: counts must be whole numbers of at least 0 and at most {MOST_DIGITS} digits, and not all 0")


def public_table(schema: Schema, columns: Sequence[str], path: Path, source: str) -> PublicTable:
    """The table in a CSV file with these columns and one named count; what it does not list counts 0. Raises SpecError."""
    clique = schema.domain.clique(columns)
    named = [schema.modelled_column(name) for name in clique]
    table = np.zeros(schema.domain.shape(clique), dtype=object)
    for line, (texts, count) in enumerate(_lines(path, clique), start=2):
        cell = tuple(_cell(column, text, f"{path.name}, line {line}") for column, text in zip(named, texts, strict=True))
        if not (count.isascii() and count.isdigit() and len(count) <= MOST_DIGITS):
            raise SpecError(f"{path.name}, line {line}: count must be a whole number of at most {MOST_DIGITS} digits, got {count[:40]!r}")
        table[cell] += int(count)
    found = PublicTable(clique, tuple(int(count) for count in table.reshape(-1)), source)
    found.check(schema)
    return found


def _lines(path: Path, columns: Clique) -> list[tuple[tuple[str, ...], str]]:
    """The columns' values and the count, line by line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SpecError(f"the public table {path} is larger than {MOST_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except OSError as error:
        raise SpecError(f"the public table {path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise SpecError(f"the public table {path} is no CSV file in UTF-8") from None
    if sorted(header) != sorted({*columns, COUNT}):
        raise SpecError(f"the public table {path} must have the columns {[*columns, COUNT]} and no others, got {header[:8]}")
    if any(len(row) != len(header) for row in rows):
        raise SpecError(f"the public table {path} has a line with more or fewer values than its header")
    places = [header.index(column) for column in columns]
    return [(tuple(row[place] for place in places), row[header.index(COUNT)].strip()) for row in rows]


def _cell(column: Modelled, text: str, where: str) -> int:
    listed = column.missing if trimmed(text) is None else column.rule.lists(text) or column.has_other
    if not listed:
        raise SpecError(f"{where}: column {column.name!r} does not list {text[:40]!r}")
    return column.rule.cell(text)
