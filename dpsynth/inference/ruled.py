"""A mixture kept to structural zeros: what cannot occur is taken out, then one-way tables are put right.

    p(x) = sum_k w_k prod_a E_a[x_a, k] allowed(x) / sum over all x,

which is a mixture again (see `tied`), its classes counting by how much of theirs is possible. Then the records of each one-way cell are
scaled to its share, column after column: iterative proportional fitting, which changes E and w alone.
Source: Deming and Stephan, 1940.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import SpecError
from dpsynth.inference.latent_class import LatentClassModel
from dpsynth.inference.latent_fit import column_slices
from dpsynth.inference.zeros import Zeros

Table = NDArray[np.float64]

ROUNDS = 20
ENOUGH = 1e-5
"""Share of the rows that one-way tables may still be off."""


def ruled(model: LatentClassModel, zeros: Zeros, one_way: Mapping[str, Table]) -> LatentClassModel:
    """The mixture, given that nothing impossible occurs. one_way: float64[cells] of each column, in rows.

    Raises SpecError where that leaves nothing of it.
    """
    if not zeros:
        return model
    found = _weighted(replace(model, zeros=zeros), lambda possible: possible.weights * possible.mass)
    shares = {column: table / table.sum() for column, table in one_way.items()}
    for _ in range(ROUNDS):
        off = 0.0
        for column in model.domain.columns:
            found, moved = _scaled(found, column, shares[column])
            off = max(off, moved)
        if off < ENOUGH:
            break
    single = replace(found, emissions=found.emissions.astype(np.float32).astype(np.float64))
    return _weighted(single, lambda rounded: np.where(rounded.mass > 0, rounded.weights, 0.0))


def _weighted(model: LatentClassModel, weigh: Callable[[LatentClassModel], Table]) -> LatentClassModel:
    """The model with other class weights, up to a factor. Raises SpecError where they are all 0."""
    weights = weigh(model)
    if not weights.sum() > 0:
        raise SpecError("the rules leave nothing of what the noisy tables show: look for a rule that rows do not keep")
    return replace(model, weights=weights / weights.sum()).without_empty_classes()


def _scaled(model: LatentClassModel, column: str, share: Table) -> tuple[LatentClassModel, float]:
    """The model with all records of each of the column's cells scaled so that they make up its share; and how far they were off."""
    within = model.within_classes(column)
    held = within @ model.weights
    factor = np.divide(share, held, out=np.ones(len(share)), where=held > 0)
    emissions = model.emissions.copy()
    block = emissions[column_slices(model.domain)[column]]
    block *= factor[:, None]
    block /= block.sum(axis=0)
    weights = model.weights * (factor @ within)
    scaled = replace(model, emissions=emissions, weights=weights / weights.sum()).without_empty_classes()
    return scaled, float(np.abs(held - share).sum()) / 2
