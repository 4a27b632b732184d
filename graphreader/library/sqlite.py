"""The library in one SQLite file, through ``apsw``. Each method is one transaction; none calls a model.

Instances may be shared between threads, and several processes may use one file at once: see ``sqlite_connections``.
After a fork, open the library anew in the child.
"""

# ruff: noqa: D102  (what the methods mean is said once, in the protocol)
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from graphreader.library import (
    sqlite_documents,
    sqlite_full_text,
    sqlite_graph,
    sqlite_put,
    sqlite_read_facts,
    sqlite_search,
    sqlite_vectors,
    sqlite_work,
)
from graphreader.library.protocol import (
    DocumentSummary,
    ExtractionFailure,
    IndexedDocument,
    KeyElementSummary,
    Library,
    Nearest,
)
from graphreader.library.sqlite_connections import Connections, prepare_file
from graphreader.library.sqlite_memory import Memory, PassageTable, Scope
from graphreader.library.sqlite_scope import scope
from graphreader.library.sqlite_vectors import VectorMemory
from graphreader.records import AtomicFact, Chunk, Document, Passage


def open_library(path: Path) -> Library:
    """Open the library file at ``path``, creating it and its folder where absent.

    Raises ``LibraryVersionError`` where a newer version wrote it, ``LibraryError`` where it cannot be used.
    """
    prepare_file(path)
    return SqliteLibrary(Connections(path))


class SqliteLibrary:
    """``Library`` over the connections to one file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._memory = Memory()
        self._vectors = VectorMemory()

    # documents -------------------------------------------------------------------------------------------------
    def put(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        passages: Sequence[Passage],
        facts: Sequence[AtomicFact],
        settings_key: str,
    ) -> None:
        self.put_all([IndexedDocument(document, chunks, passages, facts, settings_key)])

    def put_all(self, indexed: Sequence[IndexedDocument]) -> None:
        with self._connections.translated():
            prepared = [sqlite_put.prepare(entry) for entry in indexed]
        with self._connections.write() as db:
            for entry in prepared:
                row = sqlite_put.put_index(db, entry)
                sqlite_documents.point_source(db, entry.document.source, row)

    def settings_key(self, document_id: str) -> str | None:
        with self._connections.read() as db:
            return sqlite_documents.settings_key(db, document_id)

    def documents_of_settings_key(self, settings_key: str) -> list[str]:
        with self._connections.read() as db:
            return sqlite_documents.documents_of_settings_key(db, settings_key)

    def add_source(self, document_id: str, source: str) -> None:
        with self._connections.write() as db:
            sqlite_documents.point_source(db, source, sqlite_documents.document_row(db, document_id))

    def sources_under(self, prefix: str) -> dict[str, str]:
        with self._connections.read() as db:
            return sqlite_documents.sources_under(db, prefix)

    def remove_sources(self, sources: Sequence[str]) -> None:
        with self._connections.write() as db:
            sqlite_documents.remove_sources(db, sources)
            sqlite_full_text.purge(db)
        self._connections.shrink()

    def remove(self, document_id: str) -> None:
        with self._connections.write() as db:
            sqlite_documents.remove_document(db, sqlite_documents.document_row(db, document_id))
            sqlite_full_text.purge(db)
        self._connections.shrink()

    def find(self, name: str) -> str:
        with self._connections.read() as db:
            return sqlite_documents.find(db, name)

    def document_ids(self) -> list[str]:
        with self._connections.read() as db:
            return sqlite_documents.document_ids(db)

    def document(self, document_id: str) -> Document:
        with self._connections.read() as db:
            return sqlite_documents.document(db, document_id)

    def layout(self, document_id: str) -> Document:
        with self._connections.read() as db:
            return sqlite_documents.layout(db, document_id)

    def texts(self, document_id: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        with self._connections.read() as db:
            return sqlite_documents.texts(db, document_id, spans)

    def summaries(self) -> list[DocumentSummary]:
        with self._connections.read() as db:
            return sqlite_documents.summaries(db)

    # chunks, passages, facts -----------------------------------------------------------------------------------
    def chunks(self, document_id: str) -> list[Chunk]:
        with self._connections.read() as db:
            return sqlite_documents.chunks(db, document_id)

    def chunk_count(self, documents: Sequence[str] | None = None) -> int:
        with self._connections.read() as db:
            return sqlite_documents.chunk_count(db, scope(db, documents))

    def chunks_by_id(self, chunk_ids: Sequence[str]) -> list[Chunk]:
        with self._connections.read() as db:
            return sqlite_documents.chunks_by_id(db, chunk_ids)

    def passages_by_id(self, passage_ids: Sequence[str]) -> list[Passage]:
        with self._connections.read() as db:
            return sqlite_search.passages_by_id(db, self._memory, passage_ids)

    def facts_by_id(self, fact_ids: Sequence[str]) -> list[AtomicFact]:
        with self._connections.read() as db:
            return sqlite_read_facts.facts_by_id(db, self._memory, fact_ids)

    def facts_of_chunks(self, chunk_ids: Sequence[str]) -> list[AtomicFact]:
        with self._connections.read() as db:
            return sqlite_read_facts.facts_of_chunks(db, self._memory, chunk_ids)

    def facts_of_passages(self, passage_ids: Sequence[str]) -> list[AtomicFact]:
        with self._connections.read() as db:
            return sqlite_read_facts.facts_of_passages(db, self._memory, passage_ids)

    def facts_of_key_element(
        self, name: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[AtomicFact]:
        with self._scoped(documents) as (db, _, scope):
            return sqlite_read_facts.facts_of_key_element(db, self._memory, name, scope, limit)

    def put_phrase_facts(
        self, chunk_ids: Sequence[str], facts: Sequence[AtomicFact], settings_keys: Mapping[str, str]
    ) -> None:
        with self._connections.write() as db:
            sqlite_work.put_phrase_facts(db, chunk_ids, facts)
            for document_id, settings_key in settings_keys.items():
                sqlite_documents.set_settings_key(db, document_id, settings_key)

    def add_model_facts(self, chunk_id: str, facts: Sequence[AtomicFact]) -> None:
        with self._connections.write() as db:
            sqlite_work.add_model_facts(db, chunk_id, facts)

    def chunks_without_model_facts(self, documents: Sequence[str] | None = None) -> list[str]:
        with self._connections.read() as db:
            return sqlite_documents.chunks_without_model_facts(db, scope(db, documents))

    # the graph -------------------------------------------------------------------------------------------------
    def key_elements(
        self, names: Sequence[str], documents: Sequence[str] | None = None
    ) -> dict[str, KeyElementSummary]:
        with self._scoped(documents) as (db, _, scope):
            return sqlite_graph.key_elements(db, names, scope)

    def top_key_elements(self, documents: Sequence[str] | None, limit: int) -> list[KeyElementSummary]:
        with self._scoped(documents) as (db, _, scope):
            return sqlite_graph.top_key_elements(db, scope, limit)

    def neighbours(
        self, name: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[tuple[str, int]]:
        with self._scoped(documents) as (db, _, scope):
            return sqlite_graph.neighbours(db, name, scope, limit)

    def passages_of_key_elements(
        self, names: Sequence[str], documents: Sequence[str] | None = None, limit_per_name: int = 200
    ) -> dict[str, list[str]]:
        with self._scoped(documents) as (db, passages, scope):
            return sqlite_graph.passages_of_key_elements(db, passages, names, scope, limit_per_name)

    def key_elements_of_passages(self, passage_ids: Sequence[str]) -> dict[str, list[str]]:
        with self._scoped(None) as (db, passages, _):
            return sqlite_graph.key_elements_of_passages(db, passages, passage_ids)

    def edges(self, documents: Sequence[str] | None = None) -> Iterator[tuple[str, str, int]]:
        with self._scoped(documents) as (db, _, scope):
            yield from sqlite_graph.edges(db, scope)

    # full text and vectors -------------------------------------------------------------------------------------
    def passage_count(self, documents: Sequence[str] | None = None) -> int:
        with self._scoped(documents) as (_, passages, scope):
            return sqlite_search.passage_count(passages, scope)

    def search_passages(
        self, terms: Sequence[str], documents: Sequence[str] | None = None, limit: int = 100
    ) -> list[tuple[str, float]]:
        with self._scoped(documents) as (db, passages, scope):
            return sqlite_full_text.search_passages(db, passages, terms, scope, limit)

    def passages_without_vector(
        self, model: str, documents: Sequence[str] | None = None, limit: int | None = None
    ) -> list[Passage]:
        with self._scoped(documents) as (db, passages, scope):
            return sqlite_search.passages_without_vector(db, passages, model, scope, limit)

    def put_vectors(self, model: str, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        with self._connections.write() as db:
            sqlite_vectors.put_vectors(db, model, passage_ids, vectors)

    def vector_count(self, model: str, documents: Sequence[str] | None = None) -> int:
        with self._scoped(documents) as (db, passages, scope):
            return sqlite_vectors.vector_count(db, model, passages, scope)

    def nearest_passages(
        self, model: str, queries: NDArray[np.float32], documents: Sequence[str] | None = None, limit: int = 100
    ) -> Nearest:
        with self._scoped(documents) as (db, passages, scope):
            vectors = self._vectors.read(db, model)
            return sqlite_vectors.nearest_passages(db, passages, vectors, queries, scope, limit)

    def cosines_of(
        self, model: str, queries: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        with self._scoped(None) as (db, passages, _):
            return sqlite_vectors.cosines_of(db, passages, self._vectors.read(db, model), queries, passage_ids)

    # work in progress, results ---------------------------------------------------------------------------------
    def cached_extraction(self, key: str) -> str | None:
        with self._connections.read() as db:
            return sqlite_work.cached_extraction(db, key)

    def put_extraction(self, key: str, document_id: str, reply: str) -> None:
        with self._connections.write() as db:
            sqlite_work.put_extraction(db, key, document_id, reply)

    def record_failure(self, chunk_id: str, error: str) -> None:
        with self._connections.write() as db:
            sqlite_work.record_failure(db, chunk_id, error)

    def failures(self, documents: Sequence[str] | None = None) -> list[ExtractionFailure]:
        with self._connections.read() as db:
            return sqlite_work.failures(db, scope(db, documents))

    def put_answer(self, answer: Mapping[str, object], document_ids: Sequence[str]) -> None:
        with self._connections.write() as db:
            sqlite_work.put_answer(db, answer, document_ids)

    def answers(self, limit: int = 100) -> list[dict[str, object]]:
        with self._connections.read() as db:
            return sqlite_work.answers(db, limit)

    def put_run_record(self, run_id: str, namespace: str, key: str, value: bytes) -> None:
        with self._connections.write() as db:
            sqlite_work.put_run_record(db, run_id, namespace, key, value)

    def run_records(self, run_id: str, namespace: str | None = None, key_prefix: str = "") -> dict[str, bytes]:
        with self._connections.read() as db:
            return sqlite_work.run_records(db, run_id, namespace, key_prefix)

    def delete_run(self, run_id: str) -> None:
        with self._connections.write() as db:
            sqlite_work.delete_run(db, run_id)

    def close(self) -> None:
        self._connections.close()

    @contextmanager
    def _scoped(self, documents: Sequence[str] | None) -> Iterator[tuple[apsw.Connection, PassageTable, Scope | None]]:
        """A read with what is kept in memory of the passages, and which of them are of ``documents``."""
        with self._connections.read() as db:
            passages = self._memory.passages(db)
            yield db, passages, passages.scope(db, documents)
