"""`mst`: one-way tables, a privately selected spanning tree of pairs, and the tree's two-way tables.

Source: McKenna, Miklau, Sheldon, "Winning the NIST Contest", arXiv:2108.04978. Differences, all free of privacy cost or exact where the
original is approximate: the selection is an exact noisy maximum over integer L1 errors, charged as the non-monotone score it is, and
the three steps divide the budget by measured error instead of in equal thirds.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from dpsynth.domain import Clique, Domain
from dpsynth.privacy import PrivacyUnit, Rho
from dpsynth.questions import ROWS_LIMIT, MarginalQuestion, SelectionQuestion, score_estimate, sigma_for
from dpsynth.strategies.independent import divided_singles, measure_tables, planned_singles
from dpsynth.strategies.selection import planned_selections, scale_for
from dpsynth.strategies.strategy import CELL_LIMIT, Plan, PlannedQuestion, planned_tables, refuse_large
from dpsynth.transcript import Asker, Measurement, measure, select
from dpsynth.wishes import NO_WISHES, Wishes

# On the UCI Adult table (epsilon 0.3 to 3) a tenth for the selections loses nothing to a third, and the tables gain what it saves.
ONE_WAY_SHARE = Fraction(1, 3)
SELECTION_SHARE = Fraction(1, 10)


@dataclass(frozen=True)
class Mst:
    """A maximum spanning tree of the pairs that independence describes worst."""

    wishes: Wishes = NO_WISHES
    name: str = "mst"

    def plan(self, domain: Domain, unit: PrivacyUnit, cap: Rho) -> Plan:
        """One-way tables, selections, and the tables of pairs that the selections will name."""
        refuse_large(domain, ((column,) for column in domain.columns))
        pairs = candidate_pairs(domain)
        if not pairs:
            return planned_singles(self.name, domain, unit, cap, self.wishes)
        edges = nx.number_of_nodes(graph := nx.Graph(pairs)) - nx.number_connected_components(graph)
        one_way, selection, two_way = shares(cap)
        division = divided_singles(domain, unit, one_way, self.wishes)
        scale, sigma = scale_for(selection, unit, edges), sigma_for(two_way, unit, edges)
        one = MarginalQuestion(((),), (sigma,)).cost(unit)
        largest = max(map(domain.cells, pairs))
        return Plan(
            self.name,
            cap,
            (
                *planned_tables("one-way table", domain, unit, division.sigmas),
                planned_selections("selection of a pair", unit, edges, len(pairs), scale),
                PlannedQuestion("two-way table of a selected pair", "discrete-gaussian", (), edges, largest, sigma, Rho(one.value * edges)),
            ),
            division.promises,
            division.needs(cap),
        )

    def measure(self, asker: Asker) -> tuple[Measurement, ...]:
        """One-way tables, then the tree's two-way tables."""
        pairs = candidate_pairs(asker.domain)
        if not pairs:
            return measure_tables(asker, divided_singles(asker.domain, asker.unit, asker.remaining(), self.wishes).sigmas)
        one_way, selection, two_way = shares(asker.remaining())
        tables = measure_tables(asker, divided_singles(asker.domain, asker.unit, one_way, self.wishes).sigmas)
        tree = spanning_tree(asker, tables, pairs, selection)
        return (*tables, *measure(asker, tree, [sigma_for(two_way, asker.unit, len(tree))] * len(tree)))


def shares(cap: Rho) -> tuple[Rho, Rho, Rho]:
    """The budget of the one-way tables, of the selections and of the two-way tables."""
    one_way, selection = cap.share(ONE_WAY_SHARE), cap.share(SELECTION_SHARE)
    return one_way, selection, cap - one_way - selection


def candidate_pairs(domain: Domain) -> list[Clique]:
    """All pairs of columns whose table is not beyond the cell limit."""
    return [pair for pair in combinations(domain.columns, 2) if domain.cells(pair) <= CELL_LIMIT]


def spanning_tree(asker: Asker, one_way: tuple[Measurement, ...], pairs: list[Clique], budget: Rho) -> tuple[Clique, ...]:
    """Kruskal's algorithm with a noisy maximum: of the pairs that join two parts, the one furthest from independence, to the last."""
    forest = nx.utils.UnionFind(asker.domain.columns)
    estimates = {pair: score_estimate(table) for pair, table in independent_tables(one_way, pairs).items()}
    graph = nx.Graph(pairs)
    rounds = nx.number_of_nodes(graph) - nx.number_connected_components(graph)
    scale = scale_for(budget, asker.unit, rounds)
    tree: list[Clique] = []
    while open_pairs := [(a, b) for a, b in pairs if forest[a] != forest[b]]:
        question = SelectionQuestion(tuple(open_pairs), tuple(estimates[pair] for pair in open_pairs), (1,) * len(open_pairs), scale)
        chosen = select(asker, question)
        forest.union(*chosen)
        tree.append(chosen)
    return tuple(tree)


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
