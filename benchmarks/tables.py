"""Public tables that releases are scored on: the packaged one, files of codes, and simulated ones by name."""

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.simulated import PART_ROWS, Simulated, code_type, simulated, write_parquet
from dpsynth.domain import Domain
from dpsynth.evaluation.distance import encode
from dpsynth.schema import Schema, column_from

PACKAGED = "adult-packaged"


@dataclass(frozen=True, eq=False)
class PublicTable:
    """A coded public table: codes unsigned[rows, columns] in the order of the domain, each column contiguous."""

    name: str
    domain: Domain
    codes: NDArray[np.unsignedinteger]

    def parts(self) -> Iterator[NDArray[np.unsignedinteger]]:
        """The rows in order, at most PART_ROWS at a time."""
        yield from (self.codes[start : start + PART_ROWS] for start in range(0, len(self.codes), PART_ROWS))

    def write(self, path: Path) -> None:
        """As Parquet, a row group a part."""
        write_parquet(path, self.domain, self.parts())


def table_named(word: str, domain: Path | None = None) -> PublicTable:
    """The packaged table, a simulated one by its name, or a file of codes with its domain: that given, or NAME-domain.json beside it.

    Raises ValueError for a word that is none of these.
    """
    if word == PACKAGED:
        return packaged_table()
    path = Path(word)
    if path.suffix in {".csv", ".parquet"}:
        return coded_table(path, domain or path.with_name(f"{path.stem}-domain.json"))
    return held(simulated(word))


def packaged_table() -> PublicTable:
    """The table that comes with the package, coded by its own spec."""
    folder = resources.files("dpsynth").joinpath("data")
    schema = schema_of(folder.joinpath("adult.toml").read_text(encoding="utf-8"))
    with resources.as_file(folder.joinpath("adult.csv.gz")) as path:
        codes = encode(schema, pd.read_csv(path, dtype=str, keep_default_na=False))
    return PublicTable(PACKAGED, schema.domain, compact(schema.domain, [codes], len(codes)))


def schema_of(spec: str) -> Schema:
    """The columns of a spec."""
    sections = tomllib.loads(spec, parse_float=Decimal)["columns"]
    return Schema(tuple(column_from(name, facts) for name, facts in sections.items()))


def coded_table(data: Path, domain: Path) -> PublicTable:
    """A file of codes with its domain, a JSON object of sizes by column; columns of one cell hold nothing to learn and are left out."""
    sizes = json.loads(domain.read_text(encoding="utf-8"))
    schema = Schema(tuple(column_from(name, {"kind": "code", "size": size}) for name, size in sizes.items() if size > 1))
    frame = pd.read_parquet(data) if data.suffix == ".parquet" else pd.read_csv(data)
    codes = encode(schema, frame)
    return PublicTable(data.stem, schema.domain, compact(schema.domain, [codes], len(codes)))


def held(table: Simulated) -> PublicTable:
    """A simulated table in memory."""
    return PublicTable(table.name, table.network.domain, compact(table.network.domain, table.parts(), table.rows))


def records(path: Path, domain: Domain) -> NDArray[np.unsignedinteger]:
    """The records of a release of a coded table: unsigned[rows, columns] in the order of the domain, read a part at a time."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        batches = file.iter_batches(batch_size=PART_ROWS, columns=list(domain.columns))
        parts = (np.column_stack([batch.column(name).to_numpy() for name in domain.columns]) for batch in batches)
        return compact(domain, parts, file.metadata.num_rows)


def compact(domain: Domain, parts: Iterable[NDArray[np.integer]], rows: int) -> NDArray[np.unsignedinteger]:
    """The parts, integer[rows, columns] each, as one array of the smallest type that holds every code, each column contiguous.

    Raises ValueError where a code is outside the domain: the smaller type would wrap it around.
    """
    held = np.empty((rows, len(domain.columns)), dtype=code_type(domain), order="F")
    start = 0
    for part in parts:
        if ((part < 0) | (part >= np.array(domain.sizes))).any():
            raise ValueError(f"rows {start} to {start + len(part) - 1} hold codes outside the domain {dict(domain.size)}")
        held[start : start + len(part)] = part
        start += len(part)
    return held
