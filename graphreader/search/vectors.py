"""Passage vectors: making those that are missing, and comparing a question with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.search.question import Query
from graphreader.text.figures import without_figures

#: Embedded and committed together: some seconds of work is the most that an interruption loses.
_BATCH_PASSAGES: Final = 256


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


class VectorScores:
    """How similar passages are to the queries: cosines moved to 0..1, weighted and joined as ``Query`` says.

    The most similar passages are known from the start, any other once it is fetched.
    """

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        queries: Sequence[Query],
        documents: Sequence[str] | None,
        limit: int,
    ) -> None:
        self._library = library
        self._model = embedder.name
        self._weights = np.array([query.weight for query in queries])
        self._adds = np.array([query.adds for query in queries])
        self._queries = embedder.embed_queries([query.text for query in queries])
        nearest = library.nearest_passages(self._model, self._queries, documents, limit)
        self._lowest = nearest.lowest
        self._spread = np.where(nearest.highest > nearest.lowest, nearest.highest - nearest.lowest, 1.0)
        scores = self._joined(nearest.cosines)
        # A sum may exceed 1: the best is moved back to it. One query alone has its best at 1 already.
        self._highest = max(scores.max(initial=0.0), 1e-9) if self._adds.any() else 1.0
        self._known = dict(zip(nearest.passage_ids, (scores / self._highest).tolist(), strict=True))

    def fetch(self, passage_ids: Iterable[str]) -> None:
        """Make these passages' scores known, where they have a vector."""
        missing = [passage for passage in dict.fromkeys(passage_ids) if passage not in self._known]
        if missing and self._known:
            found = self._library.cosines_of(self._model, self._queries, missing)
            scores = self._joined(np.array(list(found.values())).reshape(len(found), len(self._queries)))
            self._known.update(zip(found, (scores / self._highest).tolist(), strict=True))

    def known(self) -> Mapping[str, float]:
        """All scores known so far."""
        return self._known

    def _joined(self, cosines: NDArray[np.float32]) -> NDArray[np.float64]:
        """From cosines, shape (passages, queries): the best of those that compete, and the sum of those that add."""
        weighted = np.clip((cosines - self._lowest) / self._spread, 0.0, None) * self._weights
        best = weighted[:, ~self._adds].max(axis=1, initial=0.0)
        return np.asarray(best + weighted[:, self._adds].sum(axis=1))
