"""Key elements by how much their names are like a question: what the paper's choice of start nodes rests on.

The paper puts the names of all nodes into one prompt, which fits no window once a library grows; here the likest names
are shown, by the cosine of their vectors or, without an embedder, by shared words.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from graphreader.library.protocol import KeyElementSummary, Library
from graphreader.llm.embed import Embedder
from graphreader.text.terms import terms

#: The most frequent names that are looked at, in a library of any size.
_MAX_NAMES = 50_000


class NamesIndex:
    """Vectors of names, each made once for all questions. May be used by several threads."""

    def __init__(self, library: Library, embedder: Embedder | None) -> None:
        self._library = library
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._lock = Lock()

    def alike(self, question: str, document_ids: Sequence[str], limit: int) -> list[KeyElementSummary]:
        """The ``limit`` key elements of these documents whose names are most like ``question``, best first."""
        elements = self._library.top_key_elements(document_ids, _MAX_NAMES)
        if not elements:
            return []
        scores = self._scores(question, [element.name for element in elements])
        order = sorted(range(len(elements)), key=lambda index: (-scores[index], elements[index].name))
        return [elements[index] for index in order[:limit]]

    def _scores(self, question: str, names: Sequence[str]) -> list[float]:
        if self._embedder is None:
            wanted = set(terms(question))
            held = [set(terms(name)) for name in names]
            return [len(wanted & words) / len(words) if words else 0.0 for words in held]
        with self._lock:
            missing = [name for name in names if name not in self._vectors]
            if missing:
                self._vectors.update(zip(missing, self._embedder.embed(missing), strict=True))
            matrix = np.stack([self._vectors[name] for name in names])
        scores: list[float] = (matrix @ self._embedder.embed_queries([question])[0]).tolist()
        return scores
