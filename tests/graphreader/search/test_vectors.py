from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from fakes import WordEmbedder
from numpy.typing import NDArray

from graphreader.library.protocol import Library
from graphreader.search import vectors
from graphreader.search.question import Query
from graphreader.search.vectors import VectorScores, embed_missing

Index = Callable[[Sequence[tuple[str, str]]], list[str]]


class FailsOnce(WordEmbedder):
    """Is interrupted in its second batch, the first time."""

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().embed(texts)


def test_interrupted_work_goes_on_where_it_stopped(
    library: Library, paragraphs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_BATCH_PASSAGES", 2)
    embedder = FailsOnce()
    with pytest.raises(KeyboardInterrupt):
        embed_missing(library, embedder)
    assert library.vector_count(embedder.name) == 2
    total = library.passage_count()
    seen: list[tuple[int, int]] = []
    assert embed_missing(library, embedder, None, lambda done, all_: seen.append((done, all_))) == total - 2
    assert seen[-1] == (total, total)
    assert embed_missing(library, embedder) == 0
    assert library.vector_count(embedder.name) == total


def test_only_the_documents_named_are_embedded(library: Library, paragraphs: dict[str, str]) -> None:
    embed_missing(library, WordEmbedder(), [paragraphs["Gullness"]])
    ids = library.nearest_passages("words", WordEmbedder().embed(["bees"])).passage_ids
    assert {passage.document_id for passage in library.passages_by_id(ids)} == {paragraphs["Gullness"]}


def test_scores_are_scaled_cosines_of_the_best_query(library: Library, paragraphs: dict[str, str]) -> None:
    embedder = WordEmbedder()
    embed_missing(library, embedder)
    queries, factors = ["bees in Tarnholt", "a crane"], [1.0, 0.5]
    passages = library.passages_by_id(library.nearest_passages("words", embedder.embed(queries)).passage_ids)
    cosines = embedder.embed([passage.text for passage in passages]) @ embedder.embed(queries).T
    low, high = cosines.min(axis=0), cosines.max(axis=0)
    expected = ((cosines - low) / (high - low) * factors).max(axis=1)
    asked = [Query(text, text, weight) for text, weight in zip(queries, factors, strict=True)]
    scores = VectorScores(library, embedder, asked, None, limit=1)
    assert len(scores.known()) < len(passages)
    scores.fetch([passage.id for passage in passages])
    np.testing.assert_allclose([scores.known()[passage.id] for passage in passages], expected, atol=0.02)
