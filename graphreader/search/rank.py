"""A question to ranked passages, facts, chunks and key elements, without calling a model.

The way: BM25 and vectors give a first ranking (the seed); its best passages' new key elements give a second step; both
and the key elements that the question names start a walk on the graph around them; seed and walk are added. The walk
alone is worse than the seed alone: the sum is what finds the evidence of questions that need several passages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.search.evidence import rank_chunks, rank_facts, rank_key_elements
from graphreader.search.expand import expansions
from graphreader.search.hop import Hop, second_step
from graphreader.search.link import link_question
from graphreader.search.overlap import Overlap, overlap_with
from graphreader.search.question import Query, queries_of, read_question
from graphreader.search.ranked import DEFAULT_WEIGHTS, RankedPassage, RankingWeights, SearchResult
from graphreader.search.seed import Seed, best, scaled, seed_scores
from graphreader.search.walk import Graph, Ranks, expand, walk

#: Passages whose text tells how rare the question's words are, and whose facts are ranked.
_READ_PASSAGES = 50
#: How far behind its start the second step's best finding may come at most.
_STEP_BEHIND = 1e-3


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Passage ids with their final scores, and what led to them."""

    scores: Mapping[str, float]
    via: Mapping[str, str]
    linked: Mapping[str, float]
    ranks: Ranks
    overlap: Overlap


def search(
    library: Library,
    question: str,
    *,
    documents: Sequence[str] | None = None,
    embedder: Embedder | None = None,
    extra_queries: Sequence[str] = (),
    weights: RankingWeights = DEFAULT_WEIGHTS,
) -> SearchResult:
    """What the library holds for ``question``, best first; an empty result where nothing fits.

    ``documents`` are the ids to search (None: all). Without ``embedder``, or before passages are embedded, text and
    graph rank alone. ``extra_queries`` are sub-questions or rephrasings that help at a lower weight. Raises
    ``LibraryError`` and what the embedder raises.
    """
    if not question.strip():
        return SearchResult()
    reading = read_question(question)
    queries = queries_of(reading, extra_queries, expansions(reading.text), weights)
    seed = seed_scores(library, queries, documents, embedder, weights)
    if not seed.fused:
        return SearchResult()
    graph = Graph(library, documents, weights, library.passage_count(documents))
    ranking = _rank(graph, library, queries, seed, weights)
    return _result(graph, library, ranking, weights)


def _rank(graph: Graph, library: Library, queries: Sequence[Query], seed: Seed, weights: RankingWeights) -> _Ranking:
    near = seed.best(weights.seed_passages)
    overlap = overlap_with(queries, (passage.text for passage in library.passages_by_id(near)))
    linked = link_question(graph, queries, near)
    graph.leave_out_near_hubs(near)
    hop = second_step(graph, seed, linked, overlap, weights)
    start = {key: seed.fused.get(key, 0.0) + hop.scores.get(key, 0.0) for key in {*seed.fused, *hop.scores}}
    ranks = _walk(graph, linked, start, weights)
    scores = _behind_their_start(_combined(start, ranks, weights), hop)
    return _Ranking(scores, _ways(graph, seed, hop, linked, ranks, weights), linked, ranks, overlap)


def _walk(graph: Graph, linked: Mapping[str, float], start: Mapping[str, float], weights: RankingWeights) -> Ranks:
    if not weights.walk:
        return Ranks({}, {}, {})
    seeds = best(start, weights.seed_passages)
    expand(graph, linked, seeds)
    followed = {name: strength for name, strength in linked.items() if not graph.is_hub(name)}
    key_element_mass = {name: strength * graph.idf(name) ** 2 for name, strength in followed.items()}
    return walk(graph, key_element_mass, {passage: start[passage] ** 2 for passage in seeds})


def _combined(start: Mapping[str, float], ranks: Ranks, weights: RankingWeights) -> dict[str, float]:
    """Seed and second step scaled to 0..1, and the logarithm of the walk's ranks scaled to 0..1, added by weight."""
    by_seed = scaled(start, low=0.0)
    by_walk = scaled({key: math.log(rank) for key, rank in ranks.passages.items() if rank > 0})
    share = weights.walk if by_walk else 0.0
    return {key: (1 - share) * by_seed.get(key, 0.0) + share * by_walk.get(key, 0.0) for key in {*by_seed, *by_walk}}


def _behind_their_start(scores: Mapping[str, float], hop: Hop) -> dict[str, float]:
    """``scores`` with what the second step found put behind the best passage it began at.

    That passage fits the question better by itself, and holds the link that a reader needs first.
    """
    limit = max((scores[passage] for passage in hop.start), default=math.inf)
    near_limit = limit * (1 - _STEP_BEHIND)
    return {key: min(score, near_limit) if key in hop.scores else score for key, score in scores.items()}


def _ways(
    graph: Graph, seed: Seed, hop: Hop, linked: Mapping[str, float], ranks: Ranks, weights: RankingWeights
) -> dict[str, str]:
    """For each passage, what contributed most to its being found."""
    ways: dict[str, str] = {}
    for passage in {*seed.fused, *hop.scores, *ranks.passages}:
        text, vector = seed.text.get(passage, 0.0), weights.vector * seed.vector.get(passage, 0.0)
        direct = seed.fused.get(passage, 0.0)
        through = ranks.through.get(passage, "")
        if hop.scores.get(passage, 0.0) > direct:
            ways[passage] = f"hop:{hop.through[passage]}"
        elif through and direct < 0.5:
            ways[passage] = f"{'key' if through in linked else 'hop'}:{through}"
        elif through in linked and graph.idf(through) > 0 and text > 0:
            ways[passage] = f"key:{through}"
        else:
            ways[passage] = "text" if text >= vector else "vector"
    return ways


def _result(graph: Graph, library: Library, ranking: _Ranking, weights: RankingWeights) -> SearchResult:
    top = best(ranking.scores, weights.top_passages)
    passages = tuple(
        RankedPassage(passage, ranking.scores[passage.id], ranking.via.get(passage.id, "text"))
        for passage in library.passages_by_id(top)
    )
    read = passages[:_READ_PASSAGES]
    facts = library.facts_of_passages([ranked.passage.id for ranked in read])
    ranked_facts = rank_facts(facts, read, ranking.linked, ranking.overlap)
    return SearchResult(
        passages=passages,
        facts=tuple(ranked_facts[: weights.top_facts]),
        chunks=tuple(rank_chunks(library, passages)),
        key_elements=tuple(
            rank_key_elements(graph, ranked_facts, ranking.linked, ranking.ranks, weights.top_key_elements)
        ),
    )
