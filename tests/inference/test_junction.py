import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.domain import Domain
from dpsynth.errors import SpecError
from dpsynth.inference.junction import junction_tree, tree_cells
from tests.inference.tables import DOMAIN, SHAPES

COLUMNS = tuple("abcdefgh")
cliques = st.lists(st.sets(st.sampled_from(COLUMNS), max_size=4), max_size=10)


@given(cliques, st.lists(st.integers(1, 5), min_size=8, max_size=8))
def test_it_is_a_junction_tree_of_all_columns_and_cliques(groups, sizes):
    domain = Domain(COLUMNS, tuple(sizes))
    wanted = [domain.clique(group) for group in groups]
    tree = junction_tree(domain, wanted)
    assert set().union(*tree.nodes) == set(COLUMNS)
    assert all(tree.host(clique) is not None for clique in wanted)
    assert tree.parents[0] == -1
    assert all(0 <= parent < i for i, parent in enumerate(tree.parents) if i)
    for i, (node, parent) in enumerate(zip(tree.nodes, tree.parents, strict=True)):
        shared = set(node) & set(tree.nodes[parent]) if i else set()
        assert set(tree.separators[i]) == shared
        assert node[: len(shared)] == tree.separators[i]
        assert not any(set(node) < set(other) for other in tree.nodes)
    for column in COLUMNS:  # running intersection: the nodes of a column hang together
        holding = {i for i, node in enumerate(tree.nodes) if column in node}
        assert sum(tree.parents[i] not in holding for i in holding) == 1
    assert tree.cells == tree_cells(domain, wanted)


@given(cliques)
def test_nodes_are_the_cliques_of_a_graph_that_is_chordal_already(groups):
    domain = Domain(COLUMNS, (2,) * 8)
    graph = nx.Graph()
    graph.add_nodes_from(COLUMNS)
    for group in groups:
        graph.add_edges_from((a, b) for a in group for b in group if a < b)
    if nx.is_chordal(graph):
        found = {frozenset(node) for node in junction_tree(domain, [domain.clique(g) for g in groups]).nodes}
        assert found == {frozenset(clique) for clique in nx.find_cliques(graph)}


@pytest.mark.parametrize("name", SHAPES)
def test_the_order_of_cliques_does_not_matter(name):
    assert junction_tree(DOMAIN, SHAPES[name]) == junction_tree(DOMAIN, SHAPES[name][::-1])


def test_a_cycle_costs_two_triangles():
    tree = junction_tree(Domain(("a", "b", "c", "d"), (10, 2, 10, 2)), SHAPES["cycle"])
    assert sorted(map(sorted, tree.nodes)) == [["a", "b", "d"], ["b", "c", "d"]]


def test_a_tree_beyond_the_limit_is_refused_before_its_memory_is_taken():
    domain = Domain(tuple(f"c{i}" for i in range(20)), (1000,) * 20)
    with pytest.raises(SpecError, match="measure fewer or smaller cliques"):
        junction_tree(domain, [domain.columns])
    with pytest.raises(SpecError, match="at most 19 are allowed"):
        junction_tree(DOMAIN, SHAPES["chain"], limit=19)
    assert junction_tree(DOMAIN, SHAPES["chain"], limit=26).cells == 26
