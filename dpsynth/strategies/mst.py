"""`mst`: one-way tables, a privately selected spanning tree of pairs, and the tree's two-way tables.

Source: McKenna, Miklau, Sheldon, "Winning the NIST Contest", arXiv:2108.04978. Differences, all free of privacy cost or exact where the
original is approximate: the selection is an exact noisy maximum over integer L1 errors, charged as the non-monotone score it is, and
the three steps divide the budget by measured error instead of in equal thirds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.inference.growth import growth
from dpsynth.inference.junction import CELL_LIMIT as MODEL_LIMIT
from dpsynth.inference.maxent import MaxEnt
from dpsynth.inference.support import support_of
from dpsynth.inference.zeros import Zeros
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import LARGEST_WEIGHT, ROWS_LIMIT, MarginalQuestion, SelectionQuestion, score_estimate, sigma_for
from dpsynth.strategies.independent import divided_singles, measure_tables, must_tables, planned_singles
from dpsynth.strategies.selection import planned_selections, scale_for
from dpsynth.strategies.strategy import CELL_LIMIT, Plan, PlannedQuestion, planned_tables, refuse_large
from dpsynth.transcript import Asker, Measurement, measure, select
from dpsynth.wishes import NO_WISHES, Wishes
from dpsynth.workload import Workload

# On the UCI Adult table (epsilon 0.3 to 3) a twentieth for the selections loses nothing to a tenth or a third, and the
# tables gain what it saves.
ONE_WAY_SHARE = Fraction(1, 3)
SELECTION_SHARE = Fraction(1, 20)


@dataclass(frozen=True)
class Mst:
    """A maximum spanning tree of the pairs that independence describes worst.

    workload: weighs and limits the pairs to choose from; tables that must be measured come first, and the tree joins what they leave apart.
    None: all pairs count the same. zeros: what they explain of a pair does not count, and a pair that would join them to a model too
    large is not chosen.
    """

    wishes: Wishes = NO_WISHES
    workload: Workload | None = None
    zeros: Zeros = ()
    name: str = "mst"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, selections, and the tables of pairs: those that must be measured and those that the selections will name."""
        must = must_tables(self.workload)
        refuse_large(domain, (*((column,) for column in domain.columns), *must))
        support_of(domain, self.zeros)
        pairs = candidate_pairs(domain, self.workload)
        edges = joins(domain, pairs, must)
        if not edges and not must:
            return planned_singles(self.name, domain, unit, cap, self.wishes)
        one_way, selection, two_way = shares(cap, edges)
        division = divided_singles(domain, unit, one_way, self.wishes)
        sigma = sigma_for(two_way, unit, edges + len(must))
        questions = planned_tables("one-way table", domain, unit, division.sigmas)
        questions += planned_tables("table that must be measured", domain, unit, dict.fromkeys(must, sigma))
        if edges:
            weight = max(pairs.values())
            scale = scale_for(selection, unit, edges, weight)
            each = MarginalQuestion(((),), (sigma,)).cost(unit)
            largest = max(map(domain.cells, pairs))
            questions += (
                planned_selections("selection of a pair", unit, edges, len(pairs), scale, weight),
                PlannedQuestion(
                    "two-way table of a selected pair", "discrete-gaussian", (), edges, largest, sigma, Rho(each.value * edges)
                ),
            )
        return Plan(self.name, cap, questions, division.promises, division.needs(cap))

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """One-way tables, then the tree's two-way tables."""
        domain, must = asker.domain, must_tables(self.workload)
        pairs = candidate_pairs(domain, self.workload)
        edges = joins(domain, pairs, must)
        if not edges and not must:
            return measure_tables(asker, divided_singles(domain, asker.unit, asker.remaining(), self.wishes).sigmas)
        one_way, selection, two_way = shares(asker.remaining(), edges)
        tables = measure_tables(asker, divided_singles(domain, asker.unit, one_way, self.wishes).sigmas)
        tree = (*must, *(spanning_tree(asker, tables, pairs, must, selection, self.zeros) if edges else ()))
        return (*tables, *measure(asker, tree, [sigma_for(two_way, asker.unit, len(tree))] * len(tree))) if tree else tables


def shares(cap: Rho, selections: int) -> tuple[Rho, Rho, Rho]:
    """The budget of the one-way tables, of the selections (nothing where there are none) and of the other tables."""
    one_way, selection = cap.share(ONE_WAY_SHARE), cap.share(SELECTION_SHARE if selections else Fraction(0))
    return one_way, selection, cap - one_way - selection


def candidate_pairs(domain: Domain, workload: Workload | None = None) -> dict[Clique, int]:
    """All pairs of columns whose table is not too large, with the weight of their error: 1, or their relevance scaled to at most 32."""
    pairs = [pair for pair in combinations(domain.columns, 2) if domain.cells(pair) <= CELL_LIMIT]
    if workload is None:
        return dict.fromkeys(pairs, 1)
    if not workload.joint:
        return {}
    worth = {pair: workload.relevance(pair) for pair in pairs if workload.allows(domain, pair)}
    most = max(worth.values(), default=0) or 1
    return {pair: max(1, round(LARGEST_WEIGHT * each / most)) for pair, each in worth.items()}


def joins(domain: Domain, pairs: Iterable[Clique], must: Iterable[Clique]) -> int:
    """How many pairs a spanning tree takes, where the tables that must be measured join columns already."""
    graph = nx.Graph(joined := [pair for clique in must for pair in combinations(clique, 2)])
    graph.add_nodes_from(domain.columns)
    apart = nx.number_connected_components(graph)
    graph.add_edges_from([*pairs, *joined])
    return int(apart - nx.number_connected_components(graph))


def spanning_tree(
    asker: Asker, one_way: tuple[Measurement, ...], pairs: Mapping[Clique, int], must: Iterable[Clique], budget: Rho, zeros: Zeros = ()
) -> tuple[Clique, ...]:
    """Kruskal's algorithm with a noisy maximum: of the pairs that join two parts, the one furthest from independence, to the last.

    Pairs for which the model has no room together with structural zeros are left out.
    """
    grown = growth(asker.domain, [*must, *(zero.clique for zero in zeros)])
    forest = nx.utils.UnionFind(asker.domain.columns)
    for clique in must:
        forest.union(*clique)
    tables = ruled_tables(asker.domain, one_way, list(pairs), zeros) if zeros else independent_tables(one_way, list(pairs))
    estimates = {pair: score_estimate(table) for pair, table in tables.items()}
    rounds = joins(asker.domain, pairs, must)
    tree: list[Clique] = []
    while open_pairs := [(a, b) for a, b in pairs if forest[a] != forest[b] and grown.fits((a, b), MODEL_LIMIT)]:
        weights = tuple(pairs[pair] for pair in open_pairs)
        scale = scale_for(budget, asker.unit, rounds, max(weights))
        question = SelectionQuestion(tuple(open_pairs), tuple(estimates[pair] for pair in open_pairs), weights, scale)
        chosen = select(asker, question)
        forest.union(*chosen)
        grown = grown.grown(chosen)
        tree.append(chosen)
    return tuple(tree)


def ruled_tables(domain: Domain, one_way: tuple[Measurement, ...], pairs: list[Clique], zeros: Zeros) -> dict[Clique, NDArray[np.float64]]:
    """float64[cells] of rows for each pair if its columns depended only as structural zeros make them."""
    model = MaxEnt().fit(domain, one_way, zeros)
    model.report.told("the model of one-way tables and rules that pairs are compared with")
    factor = min(1.0, ROWS_LIMIT / 2 / max(model.total, 1.0))
    return {pair: table * factor for pair, table in zip(pairs, model.marginals(pairs), strict=True)}


def independent_tables(one_way: tuple[Measurement, ...], pairs: list[Clique]) -> dict[Clique, NDArray[np.float64]]:
    """float64[cells] of rows for each pair if its columns were independent: N p_a p_b, from the noisy one-way tables alone."""
    precision = np.array([1 / (m.sigma**2 * len(m.values)) for m in one_way])
    totals = np.array([float(m.values.sum()) for m in one_way])
    total = min(max(0.0, float((precision * totals).sum() / precision.sum())), ROWS_LIMIT / 2)
    shares_of = {m.clique[0]: _shares(m.values) for m in one_way}
    return {(a, b): (total * np.outer(shares_of[a], shares_of[b])).ravel() for a, b in pairs}


def _shares(values: NDArray[np.int64]) -> NDArray[np.float64]:
    positive = np.maximum(values, 0).astype(np.float64)
    total = float(positive.sum())
    return positive / total if total > 0 else np.full(len(values), 1 / len(values))
