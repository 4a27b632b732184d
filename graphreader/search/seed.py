"""The first ranking of passages: BM25 and the cosine of vectors, each scaled to 0..1 and added."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.search.question import Query
from graphreader.search.ranked import RankingWeights
from graphreader.search.vectors import VectorScores
from graphreader.text.terms import terms


@dataclass(frozen=True, slots=True)
class Seed:
    """Scores from 0 to 1 by passage id: ``text`` and ``vector`` of their own, ``fused`` of both, the best at 1.

    ``text`` covers the best by shared words, ``fused`` the best of either, ``vector`` these and those fetched since.
    """

    text: Mapping[str, float]
    vector: Mapping[str, float]
    fused: Mapping[str, float]
    vectors: VectorScores | None = None

    def fetch_vectors(self, passage_ids: Iterable[str]) -> None:
        """Make ``vector`` cover these passages too, where they are embedded."""
        if self.vectors is not None:
            self.vectors.fetch(passage_ids)

    def best(self, count: int) -> list[str]:
        """The ids of the best ``count`` passages, best first."""
        return best(self.fused, count)


def best(scores: Mapping[str, float], count: int) -> list[str]:
    """The keys of the ``count`` highest scores; equal ones in the order of their keys, so that runs repeat."""
    return sorted(scores, key=lambda key: (-scores[key], key))[:count]


def scaled(scores: Mapping[str, float], low: float | None = None) -> dict[str, float]:
    """``scores`` moved to 0..1, with ``low`` (or the lowest) at 0 and the highest at 1; all equal: all 1."""
    if not scores:
        return {}
    highest = max(scores.values())
    lowest = min(scores.values()) if low is None else low
    if highest <= lowest:
        return dict.fromkeys(scores, 1.0)
    return {key: max(0.0, (score - lowest) / (highest - lowest)) for key, score in scores.items()}


def seed_scores(
    library: Library,
    queries: Sequence[Query],
    documents: Sequence[str] | None,
    embedder: Embedder | None,
    weights: RankingWeights,
) -> Seed:
    """Rank passages by the queries, the first of which is the question itself."""
    found = [
        scaled(dict(library.search_passages(terms(query.words), documents, weights.candidates)), low=0.0)
        for query in queries
    ]
    text = scaled(_joined(found, queries), low=0.0)
    vectors = None
    if embedder is not None and weights.vector and reads(embedder, queries[0].text):
        vectors = VectorScores(library, embedder, queries, documents, weights.candidates)
    vector = vectors.known() if vectors else {}
    candidates = {*text, *best(vector, weights.candidates)}
    if vectors:
        vectors.fetch(candidates)
    fused = {key: text.get(key, 0.0) + weights.vector * vector.get(key, 0.0) for key in candidates}
    return Seed(text, vector, scaled(fused, low=0.0), vectors)


def _joined(found: Sequence[Mapping[str, float]], queries: Sequence[Query]) -> dict[str, float]:
    """Scores of several queries as one: the best of those that compete, and the sum of those that add."""
    joined: dict[str, float] = {}
    for scores, query in sorted(zip(found, queries, strict=True), key=lambda pair: pair[1].adds):
        for key, score in scores.items():
            before, own = joined.get(key, 0.0), query.weight * score
            joined[key] = before + own if query.adds else max(before, own)
    return joined


def reads(embedder: Embedder, text: str) -> bool:
    """Whether the embedder was made for the script of ``text``: an English one ranks Chinese almost at random."""
    if not embedder.english_only:
        return True
    letters = [character for character in text if character.isalpha()]
    latin = sum("LATIN" in unicodedata.name(character, "") for character in letters)
    return 2 * latin >= len(letters)
