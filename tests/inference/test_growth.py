from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.inference.growth import growth
from dpsynth.inference.junction import tree_cells

COLUMNS = tuple("abcdefgh")
groups = st.lists(st.sets(st.sampled_from(COLUMNS), min_size=1, max_size=4), max_size=8)
sizes = st.lists(st.integers(1, 5), min_size=8, max_size=8)


def graph_of(cliques):
    graph = nx.Graph()
    graph.add_nodes_from(COLUMNS)
    graph.add_edges_from(pair for clique in cliques for pair in combinations(clique, 2))
    return graph


@given(groups, sizes)
def test_the_nodes_are_those_of_a_chordal_graph_that_holds_the_cliques(wanted, counts):
    domain = Domain(COLUMNS, tuple(counts))
    grown = growth(domain, [domain.clique(group) for group in wanted])
    graph = graph_of(grown.nodes())
    assert nx.is_chordal(graph)
    assert {frozenset(node) for node in grown.nodes()} == {frozenset(clique) for clique in nx.find_cliques(graph)}
    assert all(any(group <= set(node) for node in grown.nodes()) for group in wanted)
    assert grown.cells == sum(map(domain.cells, grown.nodes())) == tree_cells(domain, grown.cliques)


@given(groups, st.sets(st.sampled_from(COLUMNS), min_size=1, max_size=4), sizes)
def test_what_a_clique_would_cost_is_what_it_costs_in_this_order(wanted, more, counts):
    domain = Domain(COLUMNS, tuple(counts))
    before = growth(domain, [domain.clique(group) for group in wanted])
    clique = domain.clique(more)
    predicted = before.cells_with(clique)
    assert predicted >= before.cells or 1 in counts  # two nodes of one cell each become one
    after = before.grown(clique)
    assert after.cells <= predicted
    assert any(more <= set(node) for node in after.nodes())
    held = any(more <= set(node) for node in before.nodes())
    assert predicted == before.cells if held else predicted > before.cells or min(counts) <= 2  # 2 + 2 cells may become 2 x 2


@given(st.permutations(COLUMNS), st.lists(st.integers(0, 6), min_size=7, max_size=7), st.lists(st.integers(2, 5), min_size=8, max_size=8))
def test_pairs_that_join_parts_of_a_forest_cost_themselves_whatever_came_before(order, parents, counts):
    """As `mst` adds them: an order made for the pairs before must not charge for more than the pair."""
    domain = Domain(COLUMNS, tuple(counts))
    grown = growth(domain)
    cliques = []
    for place in range(1, 8):
        pair = domain.clique((order[place], order[parents[place - 1] % place]))
        cliques.append(pair)
        assert grown.cells_with(pair) == tree_cells(domain, cliques)
        grown = grown.grown(pair)
        assert grown.cells == tree_cells(domain, cliques)


@given(groups, sizes, st.sampled_from(COLUMNS))
def test_a_filled_graph_has_orders_that_end_in_any_column(wanted, counts, last):
    domain = Domain(COLUMNS, tuple(counts))
    grown = growth(domain, [domain.clique(group) for group in wanted])
    turned = grown.filled.ending_in(last)
    assert turned.numbers[last] == len(COLUMNS) - 1
    assert {frozenset(group) for group in turned.groups()} == {frozenset(node) for node in grown.nodes()}
    assert turned.edges == grown.filled.edges
    for group in turned.groups():  # nothing is left to be filled in
        assert turned.joined(tuple(group)) is turned


@given(groups, sizes)
def test_grown_one_by_one_it_is_no_larger_than_made_at_once(wanted, counts):
    domain = Domain(COLUMNS, tuple(counts))
    grown = growth(domain)
    for group in wanted:
        grown = grown.grown(domain.clique(group))
    assert grown.cells <= tree_cells(domain, grown.cliques)
    graph = graph_of(grown.nodes())
    assert nx.is_chordal(graph)
    assert all(any(group <= set(node) for node in grown.nodes()) for group in wanted)


def test_a_clique_that_closes_a_cycle_costs_its_triangles():
    domain = Domain(tuple("abcd"), (10, 2, 10, 2))
    path = growth(domain, [("a", "b"), ("b", "c"), ("c", "d")])
    assert path.cells == 60
    assert path.cells_with(("a", "c")) == 10 * 2 * 10 + 20
    assert path.cells_with(("a", "b", "c")) == 10 * 2 * 10 + 20
    assert path.cells_with(("b", "c")) == 60
