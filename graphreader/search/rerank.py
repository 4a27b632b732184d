"""A second look at the best passages by a cross-encoder, which reads question and passage together. Optional.

It is blended with the first ranking and does not replace it: what was found through the graph need not look like the
question (see ``hop``), and a cross-encoder sees only looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Protocol

from graphreader.errors import MissingDependencyError
from graphreader.search.ranked import RankedPassage, RankingWeights, SearchResult
from graphreader.search.seed import scaled

_BATCH_PAIRS: Final = 16


class Reranker(Protocol):
    """Scores texts for a question by reading both together."""

    def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """One number a text, higher is better; comparable within one call only."""


class CrossEncoderReranker:
    """Any cross-encoder that sentence-transformers can load; ``source`` is a folder or a hub id.

    Loaded by the first call, which raises ``MissingDependencyError`` where sentence-transformers is absent.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - sentence_transformers is imported late
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise MissingDependencyError(
                "sentence-transformers", f"The reranker {self._source!r}", "pip install sentence-transformers"
            ) from error
        return CrossEncoder(self._source)

    def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """See ``Reranker``."""
        pairs = [(question, text) for text in texts]
        predicted = self._model.predict(pairs, batch_size=_BATCH_PAIRS, show_progress_bar=False)
        return [float(score) for score in predicted]


def open_reranker(name: str | None) -> Reranker | None:
    """The reranker called ``name``, a folder or a hub id, not loaded yet; None for none."""
    return CrossEncoderReranker(name) if name else None


def reranked(result: SearchResult, question: str, reranker: Reranker | None, weights: RankingWeights) -> SearchResult:
    """``result`` with its best passages looked at again, and their facts and chunks moved with them."""
    head = result.passages[: weights.reranked_passages]
    if reranker is None or len(head) < 2:
        return result
    given = reranker.scores(question, [ranked.passage.text for ranked in head])
    looks = scaled({ranked.passage.id: score for ranked, score in zip(head, given, strict=True)})
    share = weights.rerank
    passages = _best_first(
        [replace(ranked, score=(1 - share) * ranked.score + share * looks[ranked.passage.id]) for ranked in head]
        + list(result.passages[len(head) :])
    )
    moved = _changes(result.passages, passages)
    facts = [replace(ranked, score=ranked.score * moved.get(ranked.fact.chunk_id, 1.0)) for ranked in result.facts]
    chunks = [replace(ranked, score=ranked.score * moved.get(ranked.chunk.id, 1.0)) for ranked in result.chunks]
    return replace(
        result,
        passages=tuple(passages),
        facts=tuple(sorted(facts, key=lambda ranked: -ranked.score)),
        chunks=tuple(sorted(chunks, key=lambda ranked: -ranked.score)),
    )


def _best_first(passages: list[RankedPassage]) -> list[RankedPassage]:
    return sorted(passages, key=lambda ranked: -ranked.score)


def _changes(before: Sequence[RankedPassage], after: Sequence[RankedPassage]) -> dict[str, float]:
    """By what factor the best passage of each chunk changed its score."""
    old, new = ({ranked.passage.chunk_id: ranked.score for ranked in reversed(ranking)} for ranking in (before, after))
    return {chunk: new[chunk] / score for chunk, score in old.items() if score > 0}
