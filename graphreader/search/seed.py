"""The first ranking of passages: BM25 and the cosine of vectors, each scaled to 0..1 and added."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.search.ranked import RankingWeights
from graphreader.search.vectors import cosines
from graphreader.text.terms import terms


@dataclass(frozen=True, slots=True)
class Seed:
    """Scores from 0 to 1 by passage id: ``text`` and ``vector`` of their own, ``fused`` of both, the best at 1.

    ``vector`` covers every embedded passage, ``text`` the best by shared words, ``fused`` the best of either.
    """

    text: Mapping[str, float]
    vector: Mapping[str, float]
    fused: Mapping[str, float]

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
    queries: Sequence[str],
    documents: Sequence[str] | None,
    embedder: Embedder | None,
    weights: RankingWeights,
) -> Seed:
    """Rank passages by the first query, the others helping at ``weights.extra_query``."""
    factors = [1.0, *[weights.extra_query] * (len(queries) - 1)]
    text: dict[str, float] = {}
    for query, factor in zip(queries, factors, strict=True):
        found = dict(library.search_passages(terms(query), documents, weights.candidates))
        for passage, score in scaled(found, low=0.0).items():
            text[passage] = max(text.get(passage, 0.0), factor * score)
    vector: dict[str, float] = {}
    if embedder is not None and weights.vector and reads(embedder, queries[0]):
        vector = _vector_scores(library, queries, factors, documents, embedder)
    candidates = {*text, *best(vector, weights.candidates)}
    fused = {key: text.get(key, 0.0) + weights.vector * vector.get(key, 0.0) for key in candidates}
    return Seed(text, vector, scaled(fused, low=0.0))


def _vector_scores(
    library: Library,
    queries: Sequence[str],
    factors: Sequence[float],
    documents: Sequence[str] | None,
    embedder: Embedder,
) -> dict[str, float]:
    passage_ids, similarities = cosines(library, embedder, queries, documents)
    if not passage_ids:
        return {}
    lowest, highest = similarities.min(axis=0), similarities.max(axis=0)
    spread = highest - lowest
    spread[spread <= 0] = 1.0
    scores = ((similarities - lowest) / spread * factors).max(axis=1)
    return dict(zip(passage_ids, scores.tolist(), strict=True))


def reads(embedder: Embedder, text: str) -> bool:
    """Whether the embedder was made for the script of ``text``: an English one ranks Chinese almost at random."""
    if not embedder.english_only:
        return True
    letters = [character for character in text if character.isalpha()]
    latin = sum("LATIN" in unicodedata.name(character, "") for character in letters)
    return 2 * latin >= len(letters)
