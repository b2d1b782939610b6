"""Residuals without most of their noise, level by level: what the cells of a table have in common, and what its margins add.

For a clique A of k columns the table y_A = sum of its residuals has noise s_A in each cell; its margins B are known better than y_A says.
First each cell gets its posterior, from y_A and what fewer columns predict, and neighbours in ordered columns (see `cell_prior`,
`neighbours`): mean T, variance V. Then T meets the margins,

    minimise  sum (n - T)^2 / (2 V)  +  sum_B |margin_B(n) - y_B|^2 / (2 v_B),     1 / v_B = 1 / s_B^2 - 1 / (s_A^2 cells(A) / cells(B))

over the margins B of k - 1 columns: v_B is what they know beyond y_A, so that nothing counts twice. The residual of A is replaced by the
interaction of the solution, and those of its margins by the mean of what all solutions of this level say. Cells that structural zeros
forbid hold 0, with no variance.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique
from dpsynth.inference.cell_prior import posterior
from dpsynth.inference.mixture_kernel import met
from dpsynth.inference.neighbours import predicted
from dpsynth.inference.residuals import Residual, interaction, marginalised, subsets, table_of
from dpsynth.inference.support import Support

Table = NDArray[np.float64]
Marginal = Callable[[Clique], Table]
"""float64[cells] in rows, of any clique."""

SOFTNESS = 1e-3
"""w_A per posterior variance of A's cells, at most: how far the fit may stay from its targets for the sake of entropy and each other."""

EFFECTS = np.geomspace(1e-6, 1e2, 81)
"""Variances of potentials to choose from."""

STEEPEST = 30.0
"""w_A is at least a posterior deviation over this, so that a misfit of one of them moves a potential by at most this much."""

UNSHRUNK = 2
"""As James and Stein's: a table of one or two degrees of freedom says too little about its cells to be shrunk."""

LEAST_VARIANCE = 1e-6
"""Of a target, as a part of its noise: even a table that follows its prediction to the last cell leaves something open."""

SWEEPS, SETTLED = 50, 1e-3


def shrunk(parts: Mapping[Clique, Residual], order: int, marginal: Marginal, support: Support | None = None) -> dict[Clique, Residual]:
    """Targets for a fit of all residuals of up to `order` columns, from the marginals of a model of those of fewer.

    The `variance` of a target is what the data leave open about its cells, in rows^2. support: None where every cell can occur.
    """
    found: dict[Clique, list[Residual]] = {clique: [] for clique in parts if 0 < len(clique) <= order}
    values = {clique: part.values for clique, part in parts.items()}
    noisy = cache(lambda clique: table_of(values, clique))
    for clique in parts:
        if len(clique) == order:
            table, variance = _table(parts, clique, noisy, marginal(clique), support)
            for part in subsets(clique):
                if part:
                    value = interaction(marginalised(table, clique, part))
                    own = variance if part == clique else parts[part].variance
                    found[part].append(Residual(part, value, min(own, parts[part].variance)))
    return {clique: _mean(known) if known else parts[clique] for clique, known in found.items()}


def weights(targets: Sequence[Residual], parts: Mapping[Clique, Residual], total: float) -> NDArray[np.float64]:
    """float64[targets]: w_A in rows, of which there are `total`. parts: the residuals as they were measured.

        w_A = min( SOFTNESS V_A, V_A / (h_A tau_k^2) ),    h_A = total / cells(A),   tau_k^2 of all residuals of k columns (see `effects`)

    A potential's gradient moves by about h_A rows, so the pull towards 0 takes h_A / (h_A + w_A) of a residual: that is its posterior mean
    where potentials vary by tau. Noise as large as the cells would be taken off twice otherwise, and off small tables of strongly
    dependent columns, which are not shrunk before (see `UNSHRUNK`), for no reason.
    """
    known = {order: effects([p for p in parts.values() if len(p.clique) == order], total) for order in {len(t.clique) for t in targets}}
    found = []
    for target in targets:
        evident = target.variance * target.values.size / (total * known[len(target.clique)])
        found.append(max(min(SOFTNESS * target.variance, evident), math.sqrt(target.variance) / STEEPEST))
    return np.array(found)


def effects(parts: Sequence[Residual], total: float) -> float:
    """tau^2, the likeliest variance of potentials behind residuals that follow N(0, h_A^2 tau^2 + s_A^2) in each degree of freedom."""
    rows = np.array([total / part.values.size for part in parts])
    noise = np.array([part.variance for part in parts])
    dof = np.array([part.dof for part in parts])
    squares = np.array([float((part.values * part.values).sum()) for part in parts])
    spread = rows**2 * EFFECTS[:, None] + noise
    return float(EFFECTS[np.argmin((dof * np.log(spread) + squares / spread).sum(axis=1))])


def noise_loss(targets: Sequence[Residual], weight: NDArray[np.float64]) -> float:
    """What noise is expected to add to the dual's misfit: sum_A dof_A s_A^2 / (2 w_A); 1 where there is no freedom at all."""
    return math.fsum(t.dof * t.variance / (2 * w) for t, w in zip(targets, weight.tolist(), strict=True)) or 1.0


def _table(parts: Mapping[Clique, Residual], clique: Clique, known: Marginal, lower: Table, support: Support | None) -> tuple[Table, float]:
    """The denoised table of a clique and the mean posterior variance of its cells. known: the noisy tables of it and of its margins."""
    noisy = known(clique)
    noise = math.sqrt(parts[clique].variance)
    here = slice(None) if support is None else support.possible(clique).reshape(-1)
    expected = predicted(noisy, noise, lower.reshape(noisy.shape)).reshape(-1)
    seen = noisy.reshape(-1)[here]
    trust = max(0.0, 1 - UNSHRUNK / max(parts[clique].dof, 1))
    found, left = posterior(seen, noise, expected[here])
    mean, variance = np.zeros_like(noisy), np.zeros_like(noisy)
    mean.reshape(-1)[here] = trust * found + (1 - trust) * seen
    variance.reshape(-1)[here] = trust * left + (1 - trust) * noise**2
    margins = [(part, known(part), _extra(parts, clique, part)) for part in combinations(clique, len(clique) - 1)]
    return _met(clique, mean, variance, margins), max(float(variance.mean()), LEAST_VARIANCE * noise**2)


def _extra(parts: Mapping[Clique, Residual], clique: Clique, part: Clique) -> float:
    """1 / v_B: the precision of a margin beyond what the clique's own table says of it."""
    own = parts[clique].variance * parts[clique].values.size / parts[part].values.size
    return max(0.0, 1 / parts[part].variance - 1 / own)


def _met(clique: Clique, mean: Table, variance: Table, margins: Sequence[tuple[Clique, Table, float]]) -> Table:
    """The solution n = T + V sum_B a_B, with a multiplier a_B for each cell of each margin: v_B a_B = y_B - margin_B(n)."""
    table = mean.copy()
    known = [(part, target, 1 / precision) for part, target, precision in margins if precision > 0 and part]
    if known:
        axes = [next(i for i, column in enumerate(clique) if column not in part) for part, _, _ in known]
        places = np.array([(table.shape[axis], math.prod(table.shape[axis + 1 :])) for axis in axes], dtype=np.int64)
        targets, noises = np.concatenate([target.reshape(-1) for _, target, _ in known]), np.array([noise for _, _, noise in known])
        met(table.reshape(-1), variance.reshape(-1), places, targets, noises, SWEEPS, SETTLED)
    return table


def _mean(known: Sequence[Residual]) -> Residual:
    values = sum((part.values for part in known), np.zeros_like(known[0].values)) / len(known)
    return Residual(known[0].clique, values, sum(part.variance for part in known) / len(known))
