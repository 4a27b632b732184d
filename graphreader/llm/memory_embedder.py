"""An embedder as tiered memory wants it."""

from __future__ import annotations

from collections.abc import Sequence

from graphreader.llm.embed import Embedder


class MemoryEmbedder:
    """A ``memory.protocols.Embedder`` over an ``Embedder``."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def name(self) -> str:
        """Vectors of different names are not comparable."""
        return self._embedder.name

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Unit vectors of texts to be found."""
        return list(self._embedder.embed(texts))

    def embed_queries(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Unit vectors of what is looked for."""
        return list(self._embedder.embed_queries(texts))
