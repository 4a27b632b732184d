"""The library as the read-only part of archival storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.records import Passage
from graphreader.search import search
from memory.errors import FunctionError
from memory.protocols import Excerpt


class LibraryArchive:
    """A ``memory.protocols.Archive`` over some documents. ``on_read`` is told of the passages that are shown.

    Passages are found by their own words, by those of the facts that a model wrote about them, by meaning and over
    the graph.
    """

    def __init__(
        self,
        library: Library,
        document_ids: Sequence[str],
        embedder: Embedder | None,
        on_read: Callable[[Sequence[Passage]], None],
    ) -> None:
        self._library = library
        self._ids = list(document_ids)
        self._embedder = embedder
        self._on_read = on_read

    def count(self) -> int:
        """How many passages there are."""
        return self._library.passage_count(self._ids) if self._ids else 0

    async def rank(self, query: str) -> Sequence[str]:
        """Ids of the passages found, best first."""
        if not self._ids:
            return []
        found = await asyncio.to_thread(search, self._library, query, documents=self._ids, embedder=self._embedder)
        return [ranked.passage.id for ranked in found.passages]

    async def fetch(self, keys: Sequence[str]) -> Sequence[Excerpt]:
        """The passages of these ids."""
        passages = await asyncio.to_thread(self._library.passages_by_id, list(keys))
        if len(passages) != len(keys):
            raise FunctionError("A document among these hits was removed. Search again with an empty cursor.")
        self._on_read(passages)
        layouts = {one: self._library.layout(one) for one in dict.fromkeys(p.document_id for p in passages)}
        excerpts = []
        for passage in passages:
            layout = layouts[passage.document_id]
            excerpts.append(Excerpt(f"(page {layout.page_at(passage.start)}) {passage.text}", layout.title))
        return excerpts
