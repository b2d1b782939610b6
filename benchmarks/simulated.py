"""Simulated public tables: rows of random sparse Bayesian networks, the same for the same name on every run.

python -m benchmarks.simulated network-20x1000000 --out folder      writes the table (Parquet) and its domain (JSON)

A name is FAMILY[-COLUMNSxROWS][-seedS]. Every column and every part of the rows has a random stream of its own: a table of fewer rows or
columns is the beginning of a larger one of the same seed. No more than a part of the rows is held at a time.
"""

import argparse
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Domain

PART_ROWS = 1 << 16
CONDITIONAL_CELLS = 1 << 20
"""Parents are left out while a column's table of conditional distributions would have more cells than this."""

SKEW = 1.0
"""Standard deviation of the log odds of a column's cells before its parents speak."""


@dataclass(frozen=True)
class Family:
    """What tables of one kind have in common.

    least, most: cells of a column, log-uniform between them. parents: at most this many, among the first `hubs` columns (None: among all
    before). strength: standard deviation of what a cell of one parent adds to the log odds of a cell.
    """

    columns: int
    rows: int
    least: int
    most: int
    parents: int
    strength: float
    hubs: int | None = None


FAMILIES = {
    "network": Family(20, 100_000, 4, 64, 2, 1.0),
    "dependent": Family(8, 20_000, 3, 12, 2, 3.0),
    "binary": Family(16, 20_000, 2, 2, 2, 2.5, hubs=2),
    "long": Family(6, 100_000, 100, 500, 1, 1.0),
    "independent": Family(10, 50_000, 4, 64, 0, 0.0),
}


@dataclass(frozen=True, eq=False)
class Network:
    """parents: of each column, among the columns before it. steps: float64[combinations of the parents' cells, cells] of each column.

    steps[c, v] = c + P(column <= v | parents' combination c): ascending as a whole, so one search finds a cell whatever the combination.
    """

    domain: Domain
    parents: tuple[tuple[int, ...], ...]
    steps: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class Simulated:
    """Rows of a network that are drawn when they are asked for."""

    name: str
    network: Network
    rows: int
    seed: int

    def parts(self) -> Iterator[NDArray[np.unsignedinteger]]:
        """The rows in order, at most PART_ROWS at a time: unsigned[rows, columns]."""
        for part, start in enumerate(range(0, self.rows, PART_ROWS)):
            yield drawn_part(self.network, self.seed, part)[: self.rows - start]

    def write(self, path: Path) -> None:
        """As Parquet, a row group a part: whatever the number of rows, one part is in memory."""
        write_parquet(path, self.network.domain, self.parts())


def simulated(name: str) -> Simulated:
    """The table of a name. Raises ValueError where it is none."""
    found = re.fullmatch(r"([a-z]+)(?:-([0-9]+)x([0-9]+))?(?:-seed([0-9]+))?", name)
    if not found or found[1] not in FAMILIES:
        raise ValueError(f"{name!r} is no table: give FAMILY[-COLUMNSxROWS][-seedS] with a family of {list(FAMILIES)}, or a file of codes")
    family = FAMILIES[found[1]]
    columns, rows, seed = int(found[2] or family.columns), int(found[3] or family.rows), int(found[4] or 0)
    if columns < 1:
        raise ValueError(f"{name!r} has no columns: a table needs at least 1")
    return Simulated(name, random_network(family, columns, seed), rows, seed)


def random_network(family: Family, columns: int, seed: int) -> Network:
    """A network of the family; its first columns do not depend on how many follow."""
    sizes: list[int] = []
    parents: list[tuple[int, ...]] = []
    steps: list[NDArray[np.float64]] = []
    for column in range(columns):
        random = np.random.default_rng([seed, 0, column])
        size = min(family.most, int(math.exp(random.uniform(math.log(family.least), math.log(family.most + 1)))))
        chosen = _parents(family, sizes, size, random)
        sizes.append(size)
        parents.append(chosen)
        steps.append(_steps([sizes[parent] for parent in chosen], size, family.strength, random))
    domain = Domain(tuple(f"column_{i + 1:03}" for i in range(columns)), tuple(sizes))
    return Network(domain, tuple(parents), tuple(steps))


def _parents(family: Family, before: list[int], size: int, random: np.random.Generator) -> tuple[int, ...]:
    """One to `family.parents` of the columns before, fewer where the table of conditional distributions would be too large."""
    among = len(before) if family.hubs is None else min(family.hubs, len(before))
    most = min(family.parents, among)
    wanted = random.integers(1, most + 1) if most else 0
    chosen = random.permutation(among)[:wanted].tolist()
    while chosen and size * math.prod(before[parent] for parent in chosen) > CONDITIONAL_CELLS:
        chosen.pop()
    return tuple(sorted(chosen))


def _steps(of_parents: list[int], size: int, strength: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Of the conditional distributions whose log odds are the column's own plus one random table for each parent."""
    odds = SKEW * random.standard_normal((1, size))
    for cells in of_parents:
        table = strength * random.standard_normal((cells, size))
        odds = (odds[:, None, :] + table[None, :, :]).reshape(-1, size)
    chances = np.exp(odds - odds.max(axis=1, keepdims=True))
    steps = np.cumsum(chances, axis=1)
    found: NDArray[np.float64] = np.arange(len(steps))[:, None] + steps / steps[:, -1:]
    return found


def drawn_part(network: Network, seed: int, part: int) -> NDArray[np.unsignedinteger]:
    """PART_ROWS rows, unsigned[rows, columns], each column contiguous: column by column, by inversion of its conditional distribution."""
    codes = np.empty((PART_ROWS, len(network.domain.columns)), dtype=code_type(network.domain), order="F")
    for column, (size, parents, steps) in enumerate(zip(network.domain.sizes, network.parents, network.steps, strict=True)):
        uniform = np.random.default_rng([seed, 1, column, part]).random(PART_ROWS)
        given = np.zeros(PART_ROWS, dtype=np.int64)
        for parent in parents:
            given = given * network.domain.sizes[parent] + codes[:, parent]
        # Where given + uniform rounds up to the next combination, the last cell is meant.
        codes[:, column] = np.minimum(np.searchsorted(steps.ravel(), given + uniform, side="right") - given * size, size - 1)
    return codes


def code_type(domain: Domain) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned type that holds every code."""
    return np.min_scalar_type(max(domain.sizes) - 1)


def write_parquet(path: Path, domain: Domain, parts: Iterable[NDArray[np.unsignedinteger]]) -> None:
    """One row group for each part."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, pa.from_numpy_dtype(code_type(domain))) for name in domain.columns])
    with parquet.ParquetWriter(path, schema) as file:
        for part in parts:
            file.write_table(pa.table([np.ascontiguousarray(column) for column in part.T], schema=schema))


def main(words: list[str] | None = None) -> None:
    """Writes the tables and their domains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help=f"families: {', '.join(FAMILIES)}")
    parser.add_argument("--out", type=Path, default=Path(), help="folder (default: here)")
    given = parser.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)
    for table in map(simulated, given.names):
        path = given.out / f"{table.name}.parquet"
        table.write(path)
        (given.out / f"{table.name}-domain.json").write_text(json.dumps(dict(table.network.domain.size)) + "\n", encoding="utf-8")
        print(
            f"{path}: {table.rows:,} rows, {len(table.network.domain.columns)} columns of {min(table.network.domain.sizes)} to "
            f"{max(table.network.domain.sizes)} cells"
        )


if __name__ == "__main__":
    main()
