"""The graph of a library as a ``networkx`` graph: key elements as nodes, shared facts as edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphreader.library.protocol import Library

if TYPE_CHECKING:
    import networkx


def graph_of(library: Library, documents: Sequence[str] | None = None) -> networkx.Graph[str]:
    """Nodes carry ``label`` (the commonest spelling) and ``facts``; edges carry ``facts``, how many the two share."""
    import networkx

    graph: networkx.Graph[str] = networkx.Graph()
    for one, other, shared in library.edges(documents):
        graph.add_edge(one, other, facts=shared)
    for element in library.top_key_elements(documents, limit=2**31):
        graph.add_node(element.name, label=element.spellings[0] if element.spellings else element.name)
        graph.nodes[element.name]["facts"] = element.fact_count
    return graph
