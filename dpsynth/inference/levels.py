"""A maximum-entropy fit, level by level: first of single columns, then of pairs, and so on, each with shrinkage from the one before."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.descent import minimised
from dpsynth.inference.dual import Dual, Point
from dpsynth.inference.junction import junction_tree
from dpsynth.inference.maxent import Fitted, MaxEnt, Potentials
from dpsynth.inference.model import FitReport
from dpsynth.inference.propagation import Calibrated
from dpsynth.inference.residuals import Residual, interaction, marginalised, subsets, table_of
from dpsynth.inference.shrinkage import noise_loss, shrunk, weights
from dpsynth.inference.support import Support
from dpsynth.inference.tree_model import TreeModel, tree_model, uniform_model

LEAST_ROWS = 1.0
"""Stands for a total that noise made zero or negative, so that the model is still a distribution."""


def fitted(
    estimator: MaxEnt, domain: Domain, parts: Mapping[Clique, Residual], start: Mapping[int, Potentials], support: Support | None
) -> Fitted:
    """The model of all residuals, and the potentials of each level. start: those of an earlier fit, used where they are nearer."""
    measured_total = float(parts[()].values) if parts else 0.0
    rows = max(measured_total, LEAST_ROWS)
    zeros, ruled = (support.zeros, support.cliques) if support else ((), ())
    orders = max(map(len, parts), default=0)
    whole = junction_tree(domain, [*parts, *ruled], estimator.cell_limit)
    model = support.uniform if support else uniform(domain)
    found: dict[int, Potentials] = {0: {}}
    steps, gap = 0, 0.0
    for order in range(1, orders + 1):
        new = [clique for clique in parts if len(clique) == order]
        lower = dict(zip(new, replace(model, total=rows).marginals(new), strict=True))
        targets = tuple(shrunk(parts, order, lower.__getitem__, support).values())
        if order == orders:
            tree = whole
        else:  # single columns are in every tree
            tree = model.tree if order == 1 else junction_tree(domain, [*(target.clique for target in targets), *ruled])
        dual = Dual(tree, targets, weights(targets, parts, rows), rows, zeros)
        loss = noise_loss(targets, dual.weights)
        parts = parts if order < orders else {}  # of wide trees as large as a vector of potentials, and not needed any more
        end = minimised(dual, _first(dual, found[order - 1], lower, start.get(order)), loss, estimator.tolerance, estimator.steps)
        found[order] = dict(zip(dual.layout.cliques, (end.theta[where] for where in dual.layout.slices), strict=True))
        steps, gap = steps + end.steps, max(gap, end.gap)
        model = tree_model(dual.model(end.theta), rows, model.report)
    report = FitReport(estimator.name, gap <= estimator.tolerance, steps, gap, estimator.tolerance, model.tree.cells)
    return Fitted(replace(model, total=max(0.0, measured_total), report=report), found)


def uniform(domain: Domain) -> TreeModel:
    """The model where every record is possible and nothing else is known: each column by itself."""
    tree = junction_tree(domain, [])
    chain = tuple(np.full(domain.shape(node), 1 / domain.cells(node)) for node in tree.nodes)
    return uniform_model(Calibrated(tree, chain, sum(map(math.log, domain.sizes))))


def _first(dual: Dual, known: Potentials, lower: dict[Clique, NDArray[np.float64]], start: Potentials | None) -> Point:
    """Where a level starts: the level before and its new tables apart, or the earlier fit where the dual is less there.

    Nothing of what is not used further is kept: of wide trees each of these is as large as all the tables that were measured.
    """
    cold = dual.at(apart(dual, known, lower))
    lower.clear()
    if start is None:
        return cold
    warm = dual.at(started(dual, start))
    return warm if warm.value < cold.value else cold


def started(dual: Dual, known: Potentials) -> NDArray[np.float64]:
    """float64[flat]: known potentials, 0 where there are none."""
    return np.concatenate([known[p.clique] if p.clique in known else np.zeros(p.values.size) for p in dual.parts])


def apart(dual: Dual, known: Potentials, lower: Mapping[Clique, NDArray[np.float64]]) -> NDArray[np.float64]:
    """float64[flat]: the potentials of fewer columns, and what the new tables would add if they shared no columns.

    lower: float64[cells], the marginals of the new tables in the model of fewer columns. The logarithm of a table over its marginal goes
    into its residuals: on a forest of pairs that is the solution but for its shrinkage.
    """
    theta = started(dual, known)
    tables = dict(zip(dual.layout.cliques, dual.tables(theta), strict=True))
    values = {part.clique: part.values for part in dual.parts} | {(): np.array(dual.total)}
    weight = dict(zip(tables, dual.weights.tolist(), strict=True))
    for clique, marginal in lower.items():
        least, shape = weight[clique], values[clique].shape
        target = table_of(values, clique)
        ratio = np.log(np.maximum(target, least)) - np.log(np.maximum(marginal.reshape(shape), least))
        for part in subsets(clique):
            if part:
                cells = ratio.size // values[part].size
                tables[part] += interaction(marginalised(ratio, clique, part)) / cells
    return theta
