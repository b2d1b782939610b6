"""The `latent-class` estimator: residuals, joint denoising, two mixtures, and the tables that records should match.

The two mixtures are fitted to noisy interactions moved apart by a known extra noise z, R + h s z and R - h s z. Their difference then
measures how far the tables follow the noise (antithetic SURE), and with it the mix of mixture and denoised tables that records should
match is estimated, from released values and without a further fit:

    dof_X = sum z (X+ - X-) / (2 h s),     target = (1 - g) TM + g TS,
    g = clip( [ sum (y - TM)(TS - TM) / s^2 - (dof_S - dof_M) ] / sum (TS - TM)^2 / s^2, 0, 1 )

with y the noisy interactions, TM those of the mixtures' tables, TS those of the denoised and completed tables made non-negative.
Source: Stein's unbiased risk estimate (Stein, 1981), with the divergence by random probes (Ramani, Blu, Unser, 2008).
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dpsynth.domain import Clique, Domain
from dpsynth.errors import SpecError
from dpsynth.inference.completion import completed
from dpsynth.inference.kronecker import Beliefs, Denoised, denoise, simplex
from dpsynth.inference.latent_class import LatentClassModel
from dpsynth.inference.latent_fit import MISFIT_ENOUGH, Mixture, column_slices, fit_mixture, goal
from dpsynth.inference.model import FitReport, PairTargets
from dpsynth.inference.residuals import Residual, interaction
from dpsynth.inference.ruled import ruled
from dpsynth.inference.support import Support, known_residuals, support_of
from dpsynth.inference.zeros import Zeros
from dpsynth.transcript import Measurement

Table = NDArray[np.float64]

PROBE = 0.3
"""h: how far the two starts are moved apart, in standard deviations of the noise."""

PROBE_SEED = 20_260_101

CELLS_LIMIT = 1 << 22
"""Cells of the tables that rules tie together, before they become part of each class."""


@dataclass(frozen=True)
class LatentClass:
    """All measured pairs, jointly denoised and made consistent by a latent-class model.

    beliefs: public tables of single columns and pairs, to which noisy ones are shrunk.
    """

    name: str = "latent-class"
    beliefs: Beliefs = field(default_factory=dict)

    def fit(self, domain: Domain, measurements: Sequence[Measurement], zeros: Zeros = ()) -> LatentClassModel:
        """The fitted model. Raises SpecError for no measurements, and for ones that do not fit the domain or hold more than two columns.

        Structural zeros are known before the noise: what was measured there is dropped, pairs are shrunk towards quasi-independence, and
        each class of the mixture gives them probability 0.
        """
        _refuse_others(measurements)
        with threadpool_limits(1):
            support = support_of(domain, zeros, CELLS_LIMIT) if zeros else None
            parts, possible = known_residuals(domain, measurements, support), _possible(domain, support)
            probes = _probes(parts)
            # Two threads, each with one BLAS thread: both cores, and the same sums whatever the machine's setting.
            with ThreadPoolExecutor(2) as pool:
                moved_parts = [_moved(parts, probes, by) for by in (PROBE, -PROBE)]
                moved = list(pool.map(denoise, (domain, domain), moved_parts, [possible] * 2, [self.beliefs] * 2))
                mixtures = list(pool.map(fit_mixture, map(goal, moved), (1, 2)))
                denoised = denoise(domain, parts, possible, self.beliefs)
                sharp, *sharp_moves = pool.map(completed, (denoised, *moved), (parts, *moved_parts))
            model = ruled(_joined(denoised, mixtures), zeros, denoised.one_way)
            return replace(model, pair_targets=_targets(sharp, model, mixtures, sharp_moves, parts, probes))


def _possible(domain: Domain, support: Support | None) -> dict[Clique, NDArray[np.bool_]]:
    """Which cells can occur, for the columns and pairs of which some cannot."""
    if support is None:
        return {}
    found = {clique: support.possible(clique) for n in (1, 2) for clique in combinations(domain.clique(support.columns), n)}
    return {clique: table for clique, table in found.items() if not table.all()}


def _refuse_others(measurements: Sequence[Measurement]) -> None:
    if not measurements:
        raise SpecError("the latent-class estimator needs at least one measured table, got none")
    for measurement in measurements:
        if len(measurement.clique) > 2:
            raise SpecError(f"the latent-class estimator takes tables of at most two columns, got {list(measurement.clique)}")


def _probes(parts: Mapping[Clique, Residual]) -> dict[Clique, Table]:
    rng = np.random.default_rng(PROBE_SEED)
    return {p: interaction(rng.standard_normal(part.values.shape)) for p, part in parts.items() if len(p) == 2}


def _moved(parts: Mapping[Clique, Residual], probes: Mapping[Clique, Table], by: float) -> dict[Clique, Residual]:
    return {
        clique: replace(part, values=part.values + by * np.sqrt(part.variance) * probes[clique]) if clique in probes else part
        for clique, part in parts.items()
    }


def _joined(denoised: Denoised, mixtures: Sequence[Mixture]) -> LatentClassModel:
    """The classes of all starts in one model: its tables are the mean of theirs."""
    weights = np.concatenate([m.weights.astype(np.float64) / m.weights.sum(dtype=np.float64) for m in mixtures]) / len(mixtures)
    emissions = np.concatenate([m.emissions for m in mixtures], axis=1).astype(np.float64)
    report = FitReport(
        estimator="latent-class",
        converged=all(m.plateau or m.misfit < MISFIT_ENOUGH for m in mixtures),
        steps=max(m.steps for m in mixtures),
        gap=max(m.misfit for m in mixtures),
        tolerance=MISFIT_ENOUGH,
        cells=emissions.size,
        certified=False,
    )
    return LatentClassModel(denoised.domain, denoised.total, weights, emissions, report)


def _targets(
    denoised: Denoised,
    model: LatentClassModel,
    mixtures: Sequence[Mixture],
    moved: Sequence[Denoised],
    parts: Mapping[Clique, Residual],
    probes: Mapping[Clique, Table],
) -> PairTargets:
    mixed = {pair: model.marginal(pair).reshape(denoised.domain.shape(pair)) for pair in denoised.pairs}
    sharp = {p: _positive(pair.table, denoised.possible.get(p)) for p, pair in denoised.pairs.items()}
    followed, difference = _sure_terms(denoised, mixed, sharp, mixtures, moved, parts, probes)
    share = float(np.clip(followed / difference, 0.0, 1.0)) if difference > 0 else 0.0
    domain, blocks = denoised.domain, column_slices(denoised.domain)
    tables = np.zeros((sum(domain.sizes),) * 2, dtype=np.float32)
    noise = np.full((len(domain.columns),) * 2, np.inf, dtype=np.float32)
    for (a, b), pair in denoised.pairs.items():
        table = np.maximum((1 - share) * mixed[a, b] + share * sharp[a, b], 0)
        tables[blocks[a], blocks[b]], tables[blocks[b], blocks[a]] = table, table.T
        i, j = domain.position[a], domain.position[b]
        noise[i, j] = noise[j, i] = pair.noise
    return PairTargets(tables, noise, model.zeros)


def _sure_terms(
    denoised: Denoised,
    mixed: Mapping[Clique, Table],
    sharp: Mapping[Clique, Table],
    mixtures: Sequence[Mixture],
    moved: Sequence[Denoised],
    parts: Mapping[Clique, Residual],
    probes: Mapping[Clique, Table],
) -> tuple[float, float]:
    """(followed, difference): the estimated risk of a share g of the denoised tables is difference g^2 - 2 followed g and a constant."""
    blocks = column_slices(denoised.domain)
    followed, difference = 0.0, 0.0
    for pair, table in sharp.items():
        a, b = pair
        s, z = denoised.pairs[pair].noise, probes[pair]
        mixture_moves = [
            d.total * (m.emissions[blocks[a]] * m.weights) @ m.emissions[blocks[b]].T for m, d in zip(mixtures, moved, strict=True)
        ]
        sharp_moves = [_positive(d.pairs[pair].table, d.possible.get(pair)) for d in moved]
        freedom = [float((z * (up - down)).sum()) / (2 * PROBE * s) for up, down in (sharp_moves, mixture_moves)]
        step = interaction(table - mixed[pair])
        followed += float(((parts[pair].values - interaction(mixed[pair])) * step).sum()) / s**2 - (freedom[0] - freedom[1])
        difference += float((step * step).sum()) / s**2
    return followed, difference


def _positive(table: Table, possible: NDArray[np.bool_] | None) -> Table:
    """The nearest table without negative cells and with the same total; 0 where nothing can occur."""
    cells = np.ones(table.shape, dtype=bool) if possible is None else possible
    found = np.zeros(table.shape)
    found[cells] = simplex(table[cells], max(float(table.sum()), 0.0))
    return found
