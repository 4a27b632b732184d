from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from fakes import WordEmbedder
from numpy.typing import NDArray

from graphreader.library.protocol import Library
from graphreader.search import vectors
from graphreader.search.vectors import cosines, embed_missing

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
    assert len(library.vectors(embedder.name)[0]) == 2
    total = library.passage_count()
    seen: list[tuple[int, int]] = []
    assert embed_missing(library, embedder, None, lambda done, all_: seen.append((done, all_))) == total - 2
    assert seen[-1] == (total, total)
    assert embed_missing(library, embedder) == 0
    assert sorted(library.vectors(embedder.name)[0]) == sorted(set(library.vectors(embedder.name)[0]))


def test_only_the_documents_named_are_embedded(library: Library, paragraphs: dict[str, str]) -> None:
    embed_missing(library, WordEmbedder(), [paragraphs["Gullness"]])
    ids, _ = library.vectors("words")
    assert {passage.document_id for passage in library.passages_by_id(ids)} == {paragraphs["Gullness"]}


def test_cosines_are_exact_over_blocks_of_any_size(
    library: Library, paragraphs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = WordEmbedder()
    embed_missing(library, embedder)
    queries = ["bees in Tarnholt", "a crane"]
    whole_ids, whole = cosines(library, embedder, queries, None)
    monkeypatch.setattr(vectors, "_SCAN_ROWS", 2)
    ids, blocks = cosines(library, embedder, queries, None)
    assert ids == whole_ids
    np.testing.assert_array_equal(blocks, whole)
    texts = [passage.text for passage in library.passages_by_id(ids)]
    np.testing.assert_allclose(whole, embedder.embed(texts) @ embedder.embed(queries).T, atol=2e-3)
