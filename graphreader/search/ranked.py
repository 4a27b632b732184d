"""What a search returns, and the weights of its parts.

``via`` says how something was found, for people: ``text`` (shared words), ``vector`` (similar meaning), ``key:NAME``
(it holds a key element of the question), ``hop:NAME`` (it was reached through a key element that the question does not
name). For key elements it is ``question`` (named there) or ``fact`` (held by a fact that was found).
"""

from __future__ import annotations

from dataclasses import dataclass

from graphreader.records import AtomicFact, Chunk, Passage


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A passage; ``score`` is from 0 to 1, comparable within one result only."""

    passage: Passage
    score: float
    via: str


@dataclass(frozen=True, slots=True)
class RankedFact:
    """A fact; ``score`` is that of its passage times how well the fact itself fits the question."""

    fact: AtomicFact
    score: float
    via: str


@dataclass(frozen=True, slots=True)
class RankedChunk:
    """A chunk; ``score`` is that of its best passage and a share of its others'."""

    chunk: Chunk
    score: float
    via: str


@dataclass(frozen=True, slots=True)
class RankedKeyElement:
    """A candidate start node: those that the question names come first.

    ``spelling`` is the most frequent original spelling, ``best_fact`` the best ranked fact that holds it.
    """

    name: str
    spelling: str
    score: float
    via: str
    passage_count: int
    best_fact: AtomicFact | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Everything found for a question, each list best first; all empty where nothing fits."""

    passages: tuple[RankedPassage, ...] = ()
    facts: tuple[RankedFact, ...] = ()
    chunks: tuple[RankedChunk, ...] = ()
    key_elements: tuple[RankedKeyElement, ...] = ()


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """The weights of the parts and the bounds of the neighbourhood. Zero switches a part off, for measuring.

    Chosen with ``benchmarks/retrieval.py``; the result changes by a few questions in a hundred around these values.
    """

    #: Cosine of the passages beside BM25 at 1, both scaled to 0..1.
    vector: float = 2.0
    #: A further query (a sub-question, a rephrasing) beside the question at 1.
    extra_query: float = 0.7
    #: Each of the two things that the question compares (see ``compare``), beside the question at 1.
    side: float = 0.85
    #: What a financial term of the question is made of (see ``expand``), each query added to the question's at 1.
    expansion: float = 0.7
    #: The second step: to passages that hold a new key element of the best passages, and to those titled by one.
    hop_holds: float = 0.35
    hop_titled: float = 1.5
    hop_passages: int = 2
    hop_key_elements: int = 20
    #: The walk's part in the final score; the rest is the seed's.
    walk: float = 0.35
    damping: float = 0.85
    iterations: int = 5
    #: Restart mass on the question's key elements; the rest on the best seed passages.
    restart_key_elements: float = 0.7
    seed_passages: int = 50
    #: Key elements in a larger part of the passages lead nowhere in particular; small libraries need a floor.
    hub_share: float = 0.05
    hub_floor: int = 20
    #: So do those in a larger part of the best seed passages: they say what all of these are about.
    near_hub_share: float = 0.15
    near_hub_floor: int = 4
    #: Bounds of the neighbourhood, whatever the size of the library.
    candidates: int = 200
    expanded_key_elements: int = 600
    passages_of_key_element: int = 100
    neighbourhood_passages: int = 2000
    titled_passages: int = 300
    #: The part of a cross-encoder, if there is one, in the score of so many of the best passages.
    rerank: float = 0.5
    reranked_passages: int = 20
    #: Pages, beside the score of their passages at 1: their whole text by BM25, their number or a part being named.
    page_text: float = 0.6
    named_page: float = 2.0
    named_part: float = 0.6
    #: Sizes of the result.
    top_passages: int = 50
    top_facts: int = 60
    top_key_elements: int = 40


DEFAULT_WEIGHTS = RankingWeights()
