"""Measurements and tree models to and from the objects of mbi (private-pgm).

mbi works with jax, which is imported when one of these functions is called, and switched to 64-bit floats in the whole process.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import CELL_LIMIT, junction_tree
from dpsynth.inference.model import FitReport
from dpsynth.inference.propagation import propagate, spread
from dpsynth.inference.residuals import checked_table
from dpsynth.inference.support import bases
from dpsynth.inference.tree_model import TreeModel, tree_model
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

LEAST_PROBABILITY = 1e-300
"""Stands for 0 where a logarithm is needed: mbi's message passing has no place for minus infinity."""


def mbi_domain(domain: Domain) -> Any:
    """The same columns and sizes as mbi.Domain."""
    return quiet_mbi().Domain(domain.columns, domain.sizes)


def mbi_measurements(measurements: Sequence[Measurement]) -> list[Any]:
    """Each measurement as mbi.LinearMeasurement."""
    mbi = quiet_mbi()
    return [mbi.LinearMeasurement(np.asarray(m.values, dtype=np.float64), m.clique, float(m.sigma)) for m in measurements]


def mbi_constraints(domain: Domain, zeros: Zeros) -> list[Any]:
    """Structural zeros as mbi.Constraint."""
    if not zeros:
        return []
    whole, mbi = mbi_domain(domain), quiet_mbi()
    return [mbi.Constraint(domain=whole.project(zero.clique), valid=np.argwhere(zero.allowed)) for zero in zeros]


def measurements_from_mbi(domain: Domain, measurements: Sequence[Any]) -> tuple[Measurement, ...]:
    """mbi.LinearMeasurement of whole tables as ours, columns in the domain's order.

    Raises SpecError for a query other than the whole table, for counts that are no whole numbers, and for what does not fit the domain.
    """
    mbi = quiet_mbi()
    found = []
    for given in measurements:
        if not isinstance(given.query, mbi.DatavectorQuery):
            raise SpecError(f"the measurement of {list(given.clique)} must be of the whole table, got {type(given.query).__name__}")
        clique = domain.clique(given.clique)
        values = np.asarray(given.noisy_measurement, dtype=np.float64).reshape(-1)
        if len(values) != domain.cells(clique):
            raise SpecError(f"the measurement of {list(given.clique)} must hold {domain.cells(clique)} numbers, got {len(values)}")
        turned = values.reshape(domain.shape(tuple(given.clique))).transpose([tuple(given.clique).index(column) for column in clique])
        if not (np.isfinite(turned).all() and (turned == np.rint(turned)).all()):
            raise SpecError(f"the measurement of {list(clique)} must hold whole numbers: noise is drawn on integers here")
        measurement = Measurement(clique, turned.reshape(-1).astype(np.int64), float(given.stddev))
        checked_table(domain, measurement)
        found.append(measurement)
    return tuple(found)


def mbi_model(model: TreeModel) -> Any:
    """The distribution as mbi.MarkovRandomField: potentials log p(new columns | separator), marginals in rows, one for each node."""
    mbi = quiet_mbi()
    domain, tree = mbi_domain(model.domain), model.tree
    logs = [np.log(np.maximum(table, LEAST_PROBABILITY)) for table in model.chain]
    rows = [table * model.total for table in model.beliefs]

    def vector(tables: Sequence[NDArray[np.float64]]) -> Any:
        factors = {n: mbi.Factor(domain.project(n), quiet_jax().numpy.asarray(t)) for n, t in zip(tree.nodes, tables, strict=True)}
        return mbi.CliqueVector(domain, list(tree.nodes), factors)

    return mbi.MarkovRandomField(potentials=vector(logs), marginals=vector(rows), total=model.total)


def model_from_mbi(
    domain: Domain,
    given: Any,
    report: FitReport | None = None,
    total: float | None = None,
    limit: int = CELL_LIMIT,
    zeros: Zeros = (),
) -> TreeModel:
    """An mbi.MarkovRandomField as a tree model of our own, on a junction tree of its cliques and of structural zeros.

    total: rows, where they are not to be mbi's. Raises SpecError where the domains differ or the tree would have more than `limit` cells.
    """
    theirs = dict(zip(given.domain.attributes, given.domain.shape, strict=True))
    if theirs != dict(domain.size):
        raise SpecError(f"the model's domain must be {dict(domain.size)}, got {theirs}")
    found = _potentials(domain, given)
    tree = junction_tree(domain, [*found, *(zero.clique for zero in zeros)], limit)
    potentials = [np.zeros(domain.shape(node)) + base for node, base in zip(tree.nodes, bases(tree, zeros), strict=True)]
    for clique, table in found.items():
        host = tree.host(clique)
        assert host is not None, "a junction tree holds every clique it was made from"
        potentials[host] = potentials[host] + spread(table, clique, tree.nodes[host])
    report = report or FitReport("mbi", True, 0, 0.0, 0.0, tree.cells, certified=False)
    return tree_model(propagate(tree, potentials), float(given.total) if total is None else total, report)


def _potentials(domain: Domain, given: Any) -> dict[Clique, NDArray[np.float64]]:
    """Logarithms float64[shape] of each of mbi's cliques, columns in the domain's order; the same columns in two orders add up."""
    found: dict[Clique, NDArray[np.float64]] = {}
    for clique in given.potentials.cliques:
        ours = domain.clique(clique)
        table = np.array(given.potentials[clique].transpose(ours).values, dtype=np.float64).reshape(domain.shape(ours))
        found[ours] = found[ours] + table if ours in found else table
    return found


def quiet_mbi() -> Any:
    """The package mbi, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quiet_jax()
        import mbi
    return mbi


def quiet_jax() -> Any:
    """jax with 64-bit floats."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax
