"""From source files to an indexed library: load, chunk, facts, vectors. Finished documents are kept, come what may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphreader.errors import ModelError, SourceError
from graphreader.ingest.chunk import chunk_document
from graphreader.ingest.facts import write_facts
from graphreader.ingest.load import document_id, load_bytes, read_source
from graphreader.ingest.passages import passages_of
from graphreader.ingest.phrases import phrase_facts, vocabulary_of
from graphreader.ingest.sources import SourceFile, expand
from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.llm.gate import Gate
from graphreader.llm.tokens import TokenCounter
from graphreader.records import Chunk, Usage
from graphreader.search.vectors import embed_missing
from graphreader.settings import IndexSettings

#: Raised when the way documents become chunks, passages or facts changes: older indexes are then made anew.
_PIPELINE_VERSION = 1

#: Called with a stage ("load", "embed", "facts"), how much of it is done, of how much, and what was done last.
OnProgress = Callable[[str, int, int, str], None]


@dataclass(slots=True)
class IndexReport:
    """What indexing did. ``document_ids`` are all documents the sources name, in their order, new or not."""

    document_ids: list[str] = field(default_factory=list)
    new_ids: list[str] = field(default_factory=list)
    failures: list[SourceError] = field(default_factory=list)
    failed_chunks: list[tuple[str, ModelError]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


def index_sources(
    library: Library,
    sources: Sequence[str],
    counter: TokenCounter,
    settings: IndexSettings,
    on_progress: OnProgress,
) -> IndexReport:
    """Load what ``sources`` name and make chunks, passages and sentence facts of it, one transaction a document.

    A document that is here already, indexed in the same way, costs only the hash of its file. Failures of single
    files are collected in the report.
    """
    started = time.monotonic()
    files, failures = expand(sources)
    report = IndexReport(failures=list(failures))
    for number, file in enumerate(files, start=1):
        on_progress("load", number - 1, len(files), file.source)
        try:
            document, is_new = _index_file(library, file, counter, settings)
        except SourceError as error:
            report.failures.append(error)
            continue
        if document not in report.document_ids:
            report.document_ids.append(document)
        if is_new:
            report.new_ids.append(document)
    on_progress("load", len(files), len(files), "")
    report.seconds = time.monotonic() - started
    return report


def embed_documents(
    library: Library, embedder: Embedder | None, document_ids: Sequence[str], on_progress: OnProgress
) -> None:
    """Give every passage of these documents that has none a vector; interrupted, it goes on where it stopped."""
    if embedder is not None and document_ids:
        embed_missing(library, embedder, document_ids, lambda done, total: on_progress("embed", done, total, ""))


async def write_model_facts(
    gate: Gate, library: Library, chunk_ids: Sequence[str], settings: IndexSettings, on_progress: OnProgress
) -> list[tuple[str, ModelError]]:
    """Have the model write the facts of these chunks, and return those that failed (they are recorded too)."""
    failed: list[tuple[str, ModelError]] = []
    done = 0

    def on_chunk(chunk: Chunk, error: ModelError | None) -> None:
        nonlocal done
        done += 1
        if error is not None:
            failed.append((chunk.id, error))
        on_progress("facts", done, len(chunk_ids), chunk.id)

    by_document: dict[str, list[Chunk]] = {}
    for chunk in library.chunks_by_id(chunk_ids):
        by_document.setdefault(chunk.document_id, []).append(chunk)
    work = []
    for owner, chunks in by_document.items():
        document = await asyncio.to_thread(library.document, owner)
        work.append((document, chunks, await asyncio.to_thread(vocabulary_of, document)))
    on_progress("facts", 0, len(chunk_ids), "")
    await write_facts(gate, library, work, settings.max_fact_tokens, on_chunk)
    return failed


def _index_file(library: Library, file: SourceFile, counter: TokenCounter, settings: IndexSettings) -> tuple[str, bool]:
    """The document's id, and whether it was indexed now."""
    data = read_source(file)
    # Absolute, so that the same file named from another folder is the same source.
    source = file.source if file.path is None else str(file.path.resolve())
    known_id = document_id(data)
    key = f"pipeline={_PIPELINE_VERSION} max_chunk_tokens={settings.max_chunk_tokens}"
    if library.settings_key(known_id) == key:
        library.add_source(known_id, source)
        return known_id, False
    document = load_bytes(data, source)
    chunks = chunk_document(document, counter.count, settings.max_chunk_tokens)
    vocabulary = vocabulary_of(document)
    facts = [fact for chunk in chunks for fact in phrase_facts(document, chunk, vocabulary)]
    library.put(document, chunks, passages_of(document, chunks), facts, key)
    return document.id, True
