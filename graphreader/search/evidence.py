"""From ranked passages to what callers work with: facts, chunks and key elements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from graphreader.library.protocol import Library
from graphreader.records import AtomicFact, FactOrigin
from graphreader.search.overlap import Overlap
from graphreader.search.ranked import RankedChunk, RankedFact, RankedKeyElement, RankedPassage
from graphreader.search.walk import Graph, Ranks

#: A fact's score: its passage's, times this share at least, the rest by shared words and linked key elements.
_FACT_FLOOR: Final = 0.3
_FACT_OVERLAP: Final = 0.5
_FACT_LINKS: Final = 0.2
#: A model resolved pronouns and split the statement: its fact says more than the sentence it rests on.
_MODEL_FACT_FACTOR: Final = 1.1
#: What further passages of a chunk add to its best.
_OTHER_PASSAGES: Final = 0.1
#: Dates and bare numbers are poor places to start from.
_NUMBER_FACTOR: Final = 0.3
#: So are key elements that are everywhere, unless the question names them.
_HUB_FACTOR: Final = 0.5
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_NUMBER_OR_DATE = re.compile(
    rf"(?:[\W\d_]|\b(?:{_MONTHS}|fiscal|fy|year|quarter|q[1-4]|million|billion|thousand|percent|st|nd|rd|th|and|of|the|年|月|日)\b"
    r"|\b(?:fy|q[1-4])(?=\d)|[年月日])+"
)


def is_number_or_date(name: str) -> bool:
    """Whether a normalised key element is only a number, a date or a period."""
    return any(character.isdigit() for character in name) and _NUMBER_OR_DATE.fullmatch(name) is not None


def rank_facts(
    facts: Sequence[AtomicFact],
    passages: Sequence[RankedPassage],
    linked: Mapping[str, float],
    overlap: Overlap,
) -> list[RankedFact]:
    """Facts of the ranked passages, best first."""
    by_chunk: dict[str, list[RankedPassage]] = {}
    for ranked in passages:
        by_chunk.setdefault(ranked.passage.chunk_id, []).append(ranked)
    result = []
    for fact in facts:
        homes = by_chunk.get(fact.chunk_id, [])
        home = next((ranked for ranked in homes if ranked.passage.start <= fact.start < ranked.passage.end), None)
        if home is None:
            continue
        names = {element.name for element in fact.key_elements}
        links = max((linked[name] for name in names & linked.keys()), default=0.0)
        bridge = 1.0 if home.via.startswith("hop:") and home.via.partition(":")[2] in names else 0.0
        fit = _FACT_FLOOR + _FACT_OVERLAP * overlap.of(fact.text) + _FACT_LINKS * max(links, bridge)
        score = home.score * fit * (_MODEL_FACT_FACTOR if fact.origin is FactOrigin.MODEL else 1.0)
        result.append(RankedFact(fact, score, home.via))
    return sorted(
        result, key=lambda ranked: (-ranked.score, ranked.fact.document_id, ranked.fact.start, ranked.fact.id)
    )


def rank_chunks(library: Library, passages: Sequence[RankedPassage]) -> list[RankedChunk]:
    """Chunks by their best passage, and a little by how many others of theirs were found."""
    members: dict[str, list[RankedPassage]] = {}
    for ranked in passages:
        members.setdefault(ranked.passage.chunk_id, []).append(ranked)
    scored = {
        chunk_id: own[0].score + _OTHER_PASSAGES * sum(ranked.score for ranked in own[1:])
        for chunk_id, own in members.items()
    }
    chunks = [
        RankedChunk(chunk, scored[chunk.id], members[chunk.id][0].via) for chunk in library.chunks_by_id(list(members))
    ]
    return sorted(chunks, key=lambda ranked: (-ranked.score, ranked.chunk.document_id, ranked.chunk.index))


def rank_key_elements(
    graph: Graph, facts: Sequence[RankedFact], linked: Mapping[str, float], ranks: Ranks, limit: int
) -> list[RankedKeyElement]:
    """Start nodes: those the question names, the rarest first, then those of the best facts by score and walk."""
    best_facts: dict[str, AtomicFact] = {}
    fact_scores: dict[str, float] = {}
    for ranked in facts:
        for element in ranked.fact.key_elements:
            best_facts.setdefault(element.name, ranked.fact)
            fact_scores.setdefault(element.name, ranked.score)
    graph.describe([*linked, *best_facts])
    most_idf = max((graph.idf(name) for name in linked), default=0.0) or 1.0
    most_rank = max((ranks.key_elements.get(name, 0.0) for name in best_facts), default=0.0) or 1.0
    most_fact = max(fact_scores.values(), default=0.0) or 1.0
    result = []
    for name in sorted({*linked, *best_facts}):
        summary = graph.summaries.get(name)
        if summary is None:
            continue
        if name in linked:
            score, via = 1.0 + linked[name] * graph.idf(name) / most_idf, "question"
        else:
            walked = ranks.key_elements.get(name, 0.0) / most_rank
            score, via = 0.5 * (walked + fact_scores[name] / most_fact), "fact"
            if graph.is_hub(name):
                score *= _HUB_FACTOR
        if is_number_or_date(name):
            score *= _NUMBER_FACTOR
        spelling = summary.spellings[0] if summary.spellings else name
        result.append(RankedKeyElement(name, spelling, score, via, summary.passage_count, best_facts.get(name)))
    return sorted(result, key=lambda ranked: (-ranked.score, ranked.name))[:limit]
