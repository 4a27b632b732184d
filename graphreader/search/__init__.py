"""Question to ranked facts, chunks and key elements: full text, vectors and a walk on the graph. No model is called."""

from __future__ import annotations

from graphreader.search.rank import search
from graphreader.search.ranked import (
    RankedChunk,
    RankedFact,
    RankedKeyElement,
    RankedPassage,
    RankingWeights,
    SearchResult,
)
from graphreader.search.vectors import embed_missing

__all__ = [
    "RankedChunk",
    "RankedFact",
    "RankedKeyElement",
    "RankedPassage",
    "RankingWeights",
    "SearchResult",
    "embed_missing",
    "search",
]
