"""Which edges are drawn, for any graph."""

from __future__ import annotations

import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.view.links import strongest_links

NAMES = [f"n{number}" for number in range(12)]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, list[tuple[str, int]]]]:
    """How many facts each node has, and its neighbours; some of these are not among the nodes."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    pairs = draw(st.dictionaries(st.frozensets(st.sampled_from(NAMES), min_size=2, max_size=2), st.integers(1, 9)))
    counts = {name: draw(st.integers(9, 90)) for name in names}
    neighbours = {
        name: [(next(iter(pair - {name})), shared) for pair, shared in pairs.items() if name in pair] for name in names
    }
    return counts, neighbours


@settings(deadline=None)
@given(graphs(), st.integers(1, 4))
def test_few_links_hold_together_what_belongs_together(
    graph: tuple[dict[str, int], dict[str, list[tuple[str, int]]]], per_node: int
) -> None:
    counts, neighbours = graph
    kept = strongest_links(counts, neighbours, per_node)
    whole, drawn = networkx.Graph(), networkx.Graph()
    for made in (whole, drawn):
        made.add_nodes_from(counts)
    for name, own in neighbours.items():
        whole.add_edges_from((name, other) for other, _ in own if other in counts)
    drawn.add_edges_from((one, other) for one, other, _ in kept)
    assert set(map(frozenset, drawn.edges)) <= set(map(frozenset, whole.edges))
    assert {frozenset(part) for part in networkx.connected_components(drawn)} == {
        frozenset(part) for part in networkx.connected_components(whole)
    }
    assert all(drawn.degree(name) >= min(per_node, whole.degree(name)) for name in counts)
    assert len(kept) == drawn.number_of_edges() <= (per_node + 1) * len(counts)
    assert all((other, shared) in neighbours[one] for one, other, shared in kept)


def test_what_is_rarely_alone_is_stronger_than_what_is_merely_frequent() -> None:
    counts = {"captain": 5, "mate": 5, "sea": 500}
    neighbours = {
        "captain": [("sea", 5), ("mate", 4)],
        "mate": [("captain", 4), ("sea", 4)],
        "sea": [("captain", 5), ("mate", 4)],
    }
    assert strongest_links(counts, neighbours, 1) == [("captain", "mate", 4), ("captain", "sea", 5)]
