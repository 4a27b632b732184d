"""Which part of the graph is shown: nodes, the strongest of their edges, and facts. Knows nothing of pages or places.

A graph shown whole is a hairball. Here the nodes are those that a question leads to (or the most frequent), each keeps
its few strongest edges, and each edge keeps facts that name both of its ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.records import AtomicFact
from graphreader.search import search
from graphreader.search.evidence import is_number_or_date
from graphreader.search.overlap import overlap_with
from graphreader.search.question import Query
from graphreader.view.excerpts import Excerpt, PlacedFact, place_facts
from graphreader.view.links import Link, strongest_links

#: Facts kept of a node and of an edge, those of a node that are looked at to choose them, and a question's best.
_FACTS_PER_NODE = 6
_FACTS_PER_EDGE = 2
_FACTS_READ = 400
_FACTS_FOUND = 20
_SPELLINGS = 4
#: About so many links can be followed by eye, each node keeping some; so many of its neighbours are looked at.
_LINKS = 450
_FEWEST_PER_NODE, _MOST_PER_NODE = 2, 5
_NEIGHBOURS_READ = 200
#: Neighbours that each node of a question brings.
_NEIGHBOURS_PER_NODE = 8
#: So many times more of the frequent key elements are looked at, since some are numbers or have no link.
_SPARE = 2
#: A fact that names many of the nodes shown is a list more often than a statement.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a neighbourhood is of; ``rank`` gives a lower value to a fact the more it belongs to that."""

    title: str
    question: str
    found: Sequence[AtomicFact]
    rank: Callable[[AtomicFact], tuple[float, float]]


class Reached(StrEnum):
    """How a node came to be shown: the question names it, a fact found for the question holds it, or it is near."""

    QUESTION = "question"
    FOUND = "found"
    NEAR = "near"


@dataclass(frozen=True, slots=True)
class ShownNode:
    """A key element: ``name`` is normalised, ``spellings`` the commonest of the source; ``facts`` are ids of some of
    its ``fact_count`` facts.
    """

    name: str
    spellings: tuple[str, ...]
    fact_count: int
    reached: Reached
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownEdge:
    """Two nodes by name, how many facts hold both, and ids of some of these."""

    one: str
    other: str
    shared: int
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A part of the graph, ready to be shown.

    ``found`` are ids of the facts that best fit ``question`` (both empty without one), ``facts`` all that nodes, edges
    and ``found`` speak of, ``left_out`` counts the neighbours of these nodes that are not among them. ``warnings`` say
    what could not be looked at yet.
    """

    title: str
    question: str
    nodes: tuple[ShownNode, ...]
    edges: tuple[ShownEdge, ...]
    found: tuple[str, ...]
    facts: Mapping[str, PlacedFact]
    excerpts: tuple[Excerpt, ...]
    left_out: int
    warnings: tuple[str, ...] = ()


def around_question(
    library: Library, question: str, *, documents: Sequence[str] | None, embedder: Embedder | None, max_nodes: int
) -> Neighbourhood:
    """What search finds for ``question`` and its neighbours; no nodes where nothing fits. Raises ``LibraryError``."""
    result = search(library, question, documents=documents, embedder=embedder)
    overlap = overlap_with([Query(question, question)], (ranked.fact.text for ranked in result.facts))
    order = {ranked.fact.id: place for place, ranked in enumerate(result.facts)}

    def rank(fact: AtomicFact) -> tuple[float, float]:
        return order.get(fact.id, len(order)), -overlap.of(fact.text)

    # A heading that every page repeats is found once for each page.
    distinct = {ranked.fact.text.casefold(): ranked.fact for ranked in reversed(result.facts)}
    found = sorted(distinct.values(), key=rank)[:_FACTS_FOUND]
    named = [ranked.name for ranked in result.key_elements if ranked.via == "question"]
    reached = _reached(library, documents, named, found, max_nodes)
    return _neighbourhood(library, documents, reached, _Subject(question, question, found, rank))


def most_connected(library: Library, title: str, *, documents: Sequence[str] | None, max_nodes: int) -> Neighbourhood:
    """The most frequent key elements that have a neighbour among them; bare numbers and dates are left out.

    Raises ``LibraryError``.
    """
    top = library.top_key_elements(documents, _SPARE * max_nodes)
    names = [entry.name for entry in top if not is_number_or_date(entry.name)]

    def has_neighbour(name: str, among: Collection[str]) -> bool:
        return any(other in among for other, _ in library.neighbours(name, documents, _NEIGHBOURS_READ))

    first = set(names[:max_nodes])
    core = {name for name in first if has_neighbour(name, first)}
    linked = (name for name in names if name in core or (name not in first and has_neighbour(name, core)))
    reached = dict.fromkeys(list(islice(linked, max_nodes)) or names[:max_nodes], Reached.NEAR)

    def rank(fact: AtomicFact) -> tuple[float, float]:
        named = sum(element.name in reached for element in fact.key_elements)
        return -min(named, _MOST_NAMED), fact.start

    return _neighbourhood(library, documents, reached, _Subject(title, "", [], rank))


def _reached(
    library: Library,
    documents: Sequence[str] | None,
    named: Sequence[str],
    found: Sequence[AtomicFact],
    max_nodes: int,
) -> dict[str, Reached]:
    """Names of nodes: what the question names, what the facts found hold, their neighbours, while there is room."""
    held = list(dict.fromkeys(element.name for fact in found for element in fact.key_elements))
    near = (
        other
        for name in dict.fromkeys([*named, *held])
        for other, _ in library.neighbours(name, documents, _NEIGHBOURS_PER_NODE)
        if not is_number_or_date(other)
    )
    reached: dict[str, Reached] = {}
    for way, names in ((Reached.QUESTION, named), (Reached.FOUND, held), (Reached.NEAR, near)):
        for name in names:
            if len(reached) >= max_nodes:
                break
            reached.setdefault(name, way)
    return reached


def _neighbourhood(
    library: Library, documents: Sequence[str] | None, reached: Mapping[str, Reached], subject: _Subject
) -> Neighbourhood:
    summaries = library.key_elements(list(reached), documents)
    fact_counts = {name: summary.fact_count for name, summary in summaries.items()}
    neighbours = {name: library.neighbours(name, documents, _NEIGHBOURS_READ) for name in summaries}
    ranked = {name: _ranked_facts(library, documents, name, subject) for name in summaries}
    best = {name: facts[:_FACTS_PER_NODE] for name, facts in ranked.items()}
    per_node = min(max(_LINKS // max(len(summaries), 1), _FEWEST_PER_NODE), _MOST_PER_NODE)
    links = strongest_links(fact_counts, neighbours, per_node)
    shared = {link: _shared_facts(link, ranked, fact_counts) for link in links}
    kept = [fact for facts in [subject.found, *best.values(), *shared.values()] for fact in facts]
    placed, excerpts = place_facts(library, kept)
    outside = {other for own in neighbours.values() for other, _ in own} - summaries.keys()
    return Neighbourhood(
        title=subject.title,
        question=subject.question,
        nodes=tuple(
            ShownNode(name, summary.spellings[:_SPELLINGS], summary.fact_count, reached[name], _ids(best[name]))
            for name, summary in sorted(summaries.items(), key=lambda item: (-item[1].fact_count, item[0]))
        ),
        edges=tuple(ShownEdge(*link, _ids(facts)) for link, facts in shared.items()),
        found=_ids(subject.found),
        facts=placed,
        excerpts=tuple(excerpts),
        left_out=len(outside),
    )


def _ranked_facts(library: Library, documents: Sequence[str] | None, name: str, subject: _Subject) -> list[AtomicFact]:
    """Facts of a node, best first: of a hub's the first of the text, and those found for the question wherever."""
    facts = {fact.id: fact for fact in library.facts_of_key_element(name, documents, _FACTS_READ)}
    facts |= {fact.id: fact for fact in subject.found if any(element.name == name for element in fact.key_elements)}
    return sorted(facts.values(), key=subject.rank)


def _shared_facts(
    link: Link, ranked: Mapping[str, Sequence[AtomicFact]], fact_counts: Mapping[str, int]
) -> list[AtomicFact]:
    """The best facts that hold both ends, sought among the rarer one's: most likely all of these are read."""
    rarer, other = sorted(link[:2], key=lambda name: fact_counts[name])
    both = (fact for fact in ranked[rarer] if any(element.name == other for element in fact.key_elements))
    return list(islice(both, _FACTS_PER_EDGE))


def _ids(facts: Sequence[AtomicFact]) -> tuple[str, ...]:
    return tuple(fact.id for fact in facts)
