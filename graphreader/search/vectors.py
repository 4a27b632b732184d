"""Passage vectors: making those that are missing, and comparing a question with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.text.figures import without_figures

#: Embedded and committed together: some seconds of work is the most that an interruption loses.
_BATCH_PASSAGES: Final = 256
#: Rows turned to float32 at once: bounds the memory of a scan.
_SCAN_ROWS: Final = 16_384


def embed_missing(
    library: Library,
    embedder: Embedder,
    documents: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embed the passages that have no vector of this embedder yet; returns how many those were.

    Each batch is committed on its own, so interrupted work goes on where it stopped. ``progress`` is told how many
    passages have a vector, and how many there are.
    """
    before = library.vector_count(embedder.name, documents)
    after = before
    for done, total in embed_batches(library, embedder, documents):
        after = done
        if progress is not None:
            progress(done, total)
    return after - before


def embed_batches(
    library: Library, embedder: Embedder, documents: Sequence[str] | None = None
) -> Iterator[tuple[int, int]]:
    """As ``embed_missing``, a batch a step: yields how many passages have a vector, and how many there are."""
    total = library.passage_count(documents)
    done = library.vector_count(embedder.name, documents)
    while passages := library.passages_without_vector(embedder.name, documents, _BATCH_PASSAGES):
        texts = [without_figures(passage.text) for passage in passages]
        library.put_vectors(embedder.name, [passage.id for passage in passages], embedder.embed(texts))
        done += len(passages)
        yield min(done, total), total


def cosines(
    library: Library, embedder: Embedder, queries: Sequence[str], documents: Sequence[str] | None
) -> tuple[list[str], NDArray[np.float32]]:
    """Passage ids and their cosines with each query, shape (passages, queries): an exact scan."""
    passage_ids, matrix = library.vectors(embedder.name, documents)
    if not passage_ids:
        return [], np.zeros((0, len(queries)), dtype=np.float32)
    questions = embedder.embed(queries).T
    result = np.empty((len(passage_ids), len(queries)), dtype=np.float32)
    for start in range(0, len(passage_ids), _SCAN_ROWS):
        rows = slice(start, start + _SCAN_ROWS)
        result[rows] = matrix[rows].astype(np.float32) @ questions
    return passage_ids, result
