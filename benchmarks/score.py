"""How far the records of a release are from the public table, by marginal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import PublicTable
from dpsynth.domain import Domain
from dpsynth.evaluation.distance import MarginalDistances, marginal_distances

PAIRS = 500
"""Where there are more pairs of columns, a fixed sample of this many is scored."""
TRIPLES = 1_200
"""Where there are more triples of columns (above 20 columns), none is scored."""
SPLIT = {"<100": (0, 99), "100-500": (100, 500), ">500": (501, np.inf)}
"""Pairs by the cells of their table."""


@dataclass(frozen=True)
class Score:
    """Total variation distances of all k-way marginals, by k as text (JSON has no other keys), and of pairs by the cells of their table.

    scored: how many marginals were compared, of how many. skipped: those of over a million cells. pairs: number, mean and maximum.
    """

    mean: Mapping[str, float]
    maximum: Mapping[str, float]
    scored: Mapping[str, int]
    marginals: Mapping[str, int]
    skipped: Mapping[str, int]
    pairs: Mapping[str, Mapping[str, float]]


def score(table: PublicTable, records: NDArray[np.integer], pairs: int = PAIRS, triples: int = TRIPLES) -> Score:
    """The distances that the sample and the limit leave."""
    distances = {k: _distances(table, records, k, pairs, triples) for k in (1, 2, 3) if k <= len(table.domain.columns)}
    compared = {str(k): found for k, found in distances.items() if found.by_clique}
    return Score(
        mean={k: found.mean for k, found in compared.items()},
        maximum={k: found.maximum for k, found in compared.items()},
        scored={str(k): len(found.by_clique) for k, found in distances.items()},
        marginals={str(k): len(found.by_clique) + found.skipped + found.left_out for k, found in distances.items()},
        skipped={str(k): found.skipped for k, found in distances.items()},
        pairs=split(distances[2], table.domain) if 2 in distances else {},
    )


def _distances(table: PublicTable, records: NDArray[np.integer], k: int, pairs: int, triples: int) -> MarginalDistances:
    sample = {1: None, 2: pairs, 3: None if _triples(table.domain) <= triples else 0}[k]
    return marginal_distances(table.codes, records, table.domain, k, sample=sample)


def _triples(domain: Domain) -> int:
    return math.comb(len(domain.columns), 3)


def split(distances: MarginalDistances, domain: Domain) -> dict[str, dict[str, float]]:
    """Number, mean and maximum over the pairs of each size; sizes without a pair are left out."""
    found = {}
    for name, (least, most) in SPLIT.items():
        own = [distance for clique, distance in distances.by_clique.items() if least <= domain.cells(clique) <= most]
        if own:
            found[name] = {"number": len(own), "mean": math.fsum(own) / len(own), "maximum": max(own)}
    return found


def remarks(name: str, scored: Score) -> list[str]:
    """What the figures of a table leave out, in words."""
    said = []
    for k, number in scored.scored.items():
        total, skipped = scored.marginals[k], scored.skipped[k]
        if number == 0 and skipped < total:
            said.append(f"{name}: {k}-way marginals are not scored, {total:,} are too many")
            continue
        if skipped:
            said.append(f"{name}: {skipped:,} of {total:,} {k}-way marginals have over a million cells and are not scored")
        if number + skipped < total:
            said.append(f"{name}: sample of {number:,} of {total:,} {k}-way marginals, the same in every run")
    return said
