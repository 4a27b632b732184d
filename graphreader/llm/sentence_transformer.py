"""Any model that sentence-transformers can load, imported late because it takes seconds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphreader.errors import MissingDependencyError, WeightsError
from graphreader.llm.prefixes import Prefixes, prefixes_of

_BATCH_TEXTS: Final = 32
#: Left free in each part of a long text: cut from its surroundings, a part may have a token or two more.
_SPARE_TOKENS: Final = 4
#: Stands for the window of models that have none, such as static ones.
_NO_LIMIT: Final = 1_000_000


class SentenceTransformerEmbedder:
    """The general path, at the price of seconds of import.

    ``source`` is a folder or a hub id; ``name`` is what the library files the vectors under. Raises
    ``MissingDependencyError`` without sentence-transformers, ``WeightsError`` for a model that cannot be loaded.
    """

    def __init__(self, source: str, name: str, *, english_only: bool) -> None:
        self._source = source
        self.name = name
        self.english_only = english_only

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - sentence_transformers is optional and imported late
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(
                "sentence-transformers", f"The embedder {self.name!r}", "pip install sentence-transformers"
            ) from error
        try:
            return SentenceTransformer(self._source)
        except Exception as error:  # each of the libraries below has its own
            reason = str(error).strip().split("\n", 1)[0]
            raise WeightsError(
                f"The embedder {self._source!r} cannot be loaded ({reason}). Set search.embedder to a folder of "
                "sentence-transformers, to a hub id while the hub is in reach, or to 'none' for text search only."
            ) from error

    @cached_property
    def _prefixes(self) -> Prefixes:
        return prefixes_of(self.name, self._model.prompts)

    @property
    def dimensions(self) -> int:
        """Length of a vector; loads the model."""
        model = self._model
        # Newer versions have the shorter name and warn of the other.
        dimension = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        return int(dimension())

    @property
    def max_tokens(self) -> int:
        """The model's window; loads the model."""
        return int(min(self._model.max_seq_length or _NO_LIMIT, _NO_LIMIT))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of passages, in their order. A text beyond ``max_tokens`` is read in parts, and all count."""
        return self._embed(self._model.encode_document, texts, self._prefixes.passage)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of questions, in their order."""
        return self._embed(self._model.encode_query, texts, self._prefixes.query)

    def _embed(self, encode: Any, texts: Sequence[str], prefix: str) -> NDArray[np.float32]:  # noqa: ANN401
        """Each part gets the prefix; the vector of a text is the mean of its parts', longer ones counting for more."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        parts = self._parts(texts, prefix)
        flat = list(itertools.chain.from_iterable(parts))
        vectors = encode(
            [part for part, _ in flat],
            prompt=prefix or None,
            batch_size=_BATCH_TEXTS,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        weighted = np.asarray(vectors, dtype=np.float32) * np.array([[count] for _, count in flat], dtype=np.float32)
        starts = list(itertools.accumulate((len(part) for part in parts[:-1]), initial=0))
        summed = np.add.reduceat(weighted, starts, axis=0)
        norms = np.linalg.norm(summed, axis=1, keepdims=True)
        return np.asarray(summed / np.maximum(norms, 1e-12), dtype=np.float32)

    def _parts(self, texts: Sequence[str], prefix: str) -> list[list[tuple[str, int]]]:
        """Each text as the pieces of it that the window holds, with their token counts; mostly one piece.

        A tokenizer written in Python cannot say which characters a token is made of: what is beyond the window of
        such a model is not seen.
        """
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            return [[(text, 1)] for text in texts]
        room = max(1, self.max_tokens - len(tokenizer(prefix)["input_ids"]) - _SPARE_TOKENS)
        encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [
            [(text, 1)] if len(spans) <= room + _SPARE_TOKENS else list(_cut(text, spans, room))
            for text, spans in zip(texts, encoded["offset_mapping"], strict=True)
        ]


def _cut(text: str, spans: Sequence[tuple[int, int]], room: int) -> Iterator[tuple[str, int]]:
    for first in range(0, len(spans), room):
        inside = spans[first : first + room]
        yield text[inside[0][0] : inside[-1][1]], len(inside)
