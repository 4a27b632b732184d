"""What a library of indexed documents must do. Backends: ``sqlite`` (here), others by the same contract suite.

A library stores and fetches; it ranks nothing but its own full-text index and knows no model. Every method is
synchronous; callers on an event loop run the slow ones in a thread. Instances may be shared between threads.

``documents`` arguments are document ids that narrow a query; ``None`` means the whole library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graphreader.records import AtomicFact, Chunk, Document, Passage


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """One line about an indexed document. ``sources`` are all paths whose bytes were this document."""

    id: str
    title: str
    sources: tuple[str, ...]
    media_type: str
    character_count: int
    page_count: int
    chunk_count: int
    fact_count: int
    model_fact_chunk_count: int
    indexed_at: str


@dataclass(frozen=True, slots=True)
class KeyElementSummary:
    """A node of the graph: its normalised name, its original spellings (most frequent first) and how common it is."""

    name: str
    spellings: tuple[str, ...]
    fact_count: int
    passage_count: int


@dataclass(frozen=True, slots=True)
class ExtractionFailure:
    """A chunk whose facts a model could not write, and why; kept until a later try succeeds."""

    document_id: str
    chunk_id: str
    error: str


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document with all that was made of it; ``settings_key`` says in which way."""

    document: Document
    chunks: Sequence[Chunk]
    passages: Sequence[Passage]
    facts: Sequence[AtomicFact]
    settings_key: str


@dataclass(frozen=True, slots=True)
class Nearest:
    """Passages by cosine: ``cosines`` has a row for each passage and a column for each query.

    ``lowest`` and ``highest`` are each query's cosines with the least and the most similar of all passages compared.
    """

    passage_ids: list[str]
    cosines: NDArray[np.float32]
    lowest: NDArray[np.floating]
    highest: NDArray[np.floating]


class Library(Protocol):
    """The store behind everything. Raises ``LibraryError`` (see ``graphreader.errors``) on failure."""

    # documents -------------------------------------------------------------------------------------------------
    def put(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        passages: Sequence[Passage],
        facts: Sequence[AtomicFact],
        settings_key: str,
    ) -> None:
        """Store a document with all that was made of it, in one transaction.

        ``document.source`` now points here; a document that this leaves without any source is removed with all that
        came from it. The same id again replaces the old index of that document.
        """

    def put_all(self, indexed: Sequence[IndexedDocument]) -> None:
        """As ``put`` for each of them, in one transaction: thousands of small documents must not pay a commit each."""

    def settings_key(self, document_id: str) -> str | None:
        """The ``settings_key`` given to ``put``, or None where the document is not in the library."""

    def documents_of_settings_key(self, settings_key: str) -> list[str]:
        """Ids of the documents that have this key, oldest first."""

    def add_source(self, document_id: str, source: str) -> None:
        """Let another path point to a document that is here already; cleans up as ``put`` does."""

    def sources_under(self, prefix: str) -> dict[str, str]:
        """Every source that begins with ``prefix``, with the id of its document."""

    def remove_sources(self, sources: Sequence[str]) -> None:
        """Forget sources; documents that this leaves without any are removed."""

    def remove(self, document_id: str) -> None:
        """Remove a document and everything that came from it: chunks, facts, vectors, full text, cached extractions
        and answers that cite it. Raises ``DocumentNotFoundError``.
        """

    def find(self, name: str) -> str:
        """The id of the document called ``name``: an id or a unique prefix of at least 4 characters of one, a source
        path, a file name or a title. Raises ``DocumentNotFoundError`` also where several match.
        """

    def document_ids(self) -> list[str]:
        """The ids of all documents, oldest first."""

    def document(self, document_id: str) -> Document:
        """The whole document with its text. Raises ``DocumentNotFoundError``."""

    def layout(self, document_id: str) -> Document:
        """The document with an empty ``text``: cheap however long it is. Raises ``DocumentNotFoundError``."""

    def texts(self, document_id: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        """The characters of each (start, end) of a document's text. Raises ``DocumentNotFoundError``."""

    def summaries(self) -> list[DocumentSummary]:
        """All documents, oldest first."""

    # chunks, passages, facts -----------------------------------------------------------------------------------
    def chunks(self, document_id: str) -> list[Chunk]:
        """A document's chunks in order."""

    def chunk_count(self, documents: Sequence[str] | None = None) -> int:
        """How many chunks there are."""

    def chunks_by_id(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        """The chunks of these ids, in the order asked for; unknown ids are left out."""

    def passages_by_id(self, passage_ids: Sequence[str]) -> list[Passage]:
        """The passages of these ids, in the order asked for, with ``text`` read from the document's span."""

    def facts_by_id(self, fact_ids: Sequence[str]) -> list[AtomicFact]:
        """The facts of these ids, in the order asked for."""

    def facts_of_chunks(self, chunk_ids: Sequence[str]) -> list[AtomicFact]:
        """All facts of these chunks, in the order of the text."""

    def facts_of_passages(self, passage_ids: Sequence[str]) -> list[AtomicFact]:
        """All facts whose span starts in one of these passages, in the order of the text."""

    def facts_of_key_element(
        self, name: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[AtomicFact]:
        """The facts that hold this key element, in the order of the text."""

    def put_phrase_facts(
        self, chunk_ids: Sequence[str], facts: Sequence[AtomicFact], settings_keys: Mapping[str, str]
    ) -> None:
        """Store the facts found by rules in these chunks, in place of those found before, in one transaction.

        ``settings_keys`` are new keys of documents (by id) to which all has been done now that the new key stands for.
        Raises ``LibraryError`` where a chunk is gone or a fact is of none of them, ``DocumentNotFoundError``.
        """

    def add_model_facts(self, chunk_id: str, facts: Sequence[AtomicFact]) -> None:
        """Store the facts a model wrote for a chunk (replacing an earlier model's), searchable by their own words,
        and clear the chunk's recorded failure. Facts made without a model stay.
        """

    def chunks_without_model_facts(self, documents: Sequence[str] | None = None) -> list[str]:
        """Ids of the chunks for which no model has written facts yet, in the order of the text."""

    # the graph -------------------------------------------------------------------------------------------------
    def key_elements(
        self, names: Sequence[str], documents: Sequence[str] | None = None
    ) -> dict[str, KeyElementSummary]:
        """Those of ``names`` (normalised) that are nodes here, by name."""

    def top_key_elements(self, documents: Sequence[str] | None, limit: int) -> list[KeyElementSummary]:
        """The most frequent nodes."""

    def neighbours(
        self, name: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[tuple[str, int]]:
        """Key elements that share a fact with ``name`` and in how many facts, most frequent first."""

    def passages_of_key_elements(
        self, names: Sequence[str], documents: Sequence[str] | None = None, limit_per_name: int = 200
    ) -> dict[str, list[str]]:
        """Ids of the passages that hold each key element."""

    def key_elements_of_passages(self, passage_ids: Sequence[str]) -> dict[str, list[str]]:
        """Names of the key elements each passage holds."""

    def edges(self, documents: Sequence[str] | None = None) -> Iterable[tuple[str, str, int]]:
        """Every pair of key elements that share a fact (name, other name, number of shared facts), each pair once."""

    # full text and vectors -------------------------------------------------------------------------------------
    def passage_count(self, documents: Sequence[str] | None = None) -> int:
        """How many passages there are."""

    def search_passages(
        self, terms: Sequence[str], documents: Sequence[str] | None = None, limit: int = 100
    ) -> list[tuple[str, float]]:
        """Passages that hold any of ``terms`` (as made by ``graphreader.text.terms``), by BM25: (passage id, score),
        best first, higher is better. Model-written facts count for the passage that they rest on.
        """

    def passages_without_vector(
        self, model: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Passage]:
        """Passages not yet embedded by ``model``, in order, with their ``text``."""

    def put_vectors(self, model: str, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store unit vectors, shape (passages, dimensions), in place of earlier ones. Ids that are gone meanwhile are
        left out.
        """

    def vector_count(self, model: str, documents: Sequence[str] | None = None) -> int:
        """How many passages have a vector of this model."""

    def nearest_passages(
        self, model: str, queries: NDArray[np.float32], documents: Sequence[str] | None = None, limit: int = 100
    ) -> Nearest:
        """The passages most similar to any of ``queries`` (unit vectors, shape (queries, dimensions)), at least
        ``limit`` of each query where there are so many, in no particular order. Cosines are right to about 0.01.
        """

    def cosines_of(
        self, model: str, queries: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        """The cosines of passages with each query, by passage id; passages without a vector are left out."""

    # work in progress, results ---------------------------------------------------------------------------------
    def cached_extraction(self, key: str) -> str | None:
        """A model's reply for a chunk, by (text hash, prompt hash, model) joined to one key."""

    def put_extraction(self, key: str, document_id: str, reply: str) -> None:
        """Keep a model's reply for a chunk."""

    def record_failure(self, chunk_id: str, error: str) -> None:
        """Record that a chunk's extraction failed."""

    def failures(self, documents: Sequence[str] | None = None) -> list[ExtractionFailure]:
        """All recorded failures."""

    def put_answer(self, answer: Mapping[str, object], document_ids: Sequence[str]) -> None:
        """Keep a finished answer (as its JSON) with the documents it was asked of."""

    def answers(self, limit: int = 100) -> list[dict[str, object]]:
        """Finished answers, newest first."""

    def put_run_record(self, run_id: str, namespace: str, key: str, value: bytes) -> None:
        """Keep a piece of an unfinished run's state; the same (run, namespace, key) replaces the old value."""

    def run_records(self, run_id: str, namespace: str | None = None, key_prefix: str = "") -> dict[str, bytes]:
        """The pieces of a run by key, in the order of their keys. With ``namespace`` None, of all namespaces, keyed by
        ``namespace + "\\n" + key``.
        """

    def delete_run(self, run_id: str) -> None:
        """Forget a run: it has finished."""

    def close(self) -> None:
        """Close the store; further calls fail."""
