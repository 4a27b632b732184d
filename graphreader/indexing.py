"""From source files to an indexed library, in stages: text, graph, vectors, facts by a model.

The text of all sources comes first, so that questions find something within seconds; graph and vectors follow in
batches. Every batch is committed: what is finished is kept, come what may, and indexing again goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from graphreader.coverage import Reading
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
from graphreader.search.vectors import embed_batches
from graphreader.settings import IndexSettings

#: Raised when the way documents become chunks, passages or facts changes: older indexes are then made anew.
_PIPELINE_VERSION = 1
#: Chunks whose sentence facts are committed together: some hundreds of milliseconds of work.
_BATCH_CHUNKS = 64

#: Called with a stage ("load", "graph", "embed", "facts"), how much of it is done, of how much, what was done last.
OnProgress = Callable[[str, int, int, str], None]


@dataclass(slots=True)
class IndexReport:
    """What indexing did. ``document_ids`` are all documents the sources name, in their order, new or not.

    ``complete`` is False where graph or vectors were put off (see ``GraphReader.index``).
    """

    document_ids: list[str] = field(default_factory=list)
    new_ids: list[str] = field(default_factory=list)
    failures: list[SourceError] = field(default_factory=list)
    failed_chunks: list[tuple[str, ModelError]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    complete: bool = True


def index_text(
    library: Library,
    sources: Sequence[str],
    counter: TokenCounter,
    settings: IndexSettings,
    on_progress: OnProgress,
) -> IndexReport:
    """Load what ``sources`` name, and store chunks and passages of it for text search, one transaction a document.

    A document that is here already, indexed in the same way, costs only the hash of its file. Failures of single
    files are collected in the report.
    """
    started = time.monotonic()
    files, failures = expand(sources)
    report = IndexReport(failures=list(failures))
    with Reading(library, len(files)) as reading:
        for number, file in enumerate(files):
            on_progress("load", number, len(files), file.source)
            reading.done(number)
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


def complete_index(
    library: Library,
    embedder: Embedder | None,
    document_ids: Sequence[str],
    settings: IndexSettings,
    on_progress: OnProgress,
) -> Iterator[None]:
    """Make the graph of these documents, then their vectors, where they lack them. Each step commits a batch.

    Whoever drives it may stop between steps; it goes on with the next step, or in another process from what is stored.
    """
    wanted = set(document_ids)
    pending = [name for name in library.documents_of_settings_key(text_only_key(settings)) if name in wanted]
    done, total = 0, sum(len(library.chunks(name)) for name in pending)
    for name in pending:
        for chunk_count in _write_graph(library, name, settings):
            done += chunk_count
            on_progress("graph", done, total, "")
            yield
    if embedder is not None and document_ids:
        for done, total in embed_batches(library, embedder, document_ids):
            on_progress("embed", done, total, "")
            yield


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


def text_only_key(settings: IndexSettings) -> str:
    """The settings key of documents whose text is searchable and whose graph is still to be made."""
    return f"{_complete_key(settings)} text only"


def _complete_key(settings: IndexSettings) -> str:
    return f"pipeline={_PIPELINE_VERSION} max_chunk_tokens={settings.max_chunk_tokens}"


def _index_file(library: Library, file: SourceFile, counter: TokenCounter, settings: IndexSettings) -> tuple[str, bool]:
    """The document's id, and whether it was indexed now."""
    data = read_source(file)
    # Absolute, so that the same file named from another folder is the same source.
    source = file.source if file.path is None else str(file.path.resolve())
    known_id = document_id(data)
    if library.settings_key(known_id) in (_complete_key(settings), text_only_key(settings)):
        library.add_source(known_id, source)
        return known_id, False
    document = load_bytes(data, source)
    chunks = chunk_document(document, counter.count, settings.max_chunk_tokens)
    library.put(document, chunks, passages_of(document, chunks), (), text_only_key(settings))
    return document.id, True


def _write_graph(library: Library, name: str, settings: IndexSettings) -> Iterator[int]:
    """Store a document's sentence facts and key elements; yields how many chunks each batch had."""
    document = library.document(name)
    vocabulary = vocabulary_of(document)
    chunks = library.chunks(name)
    for first in range(0, len(chunks), _BATCH_CHUNKS):
        batch = chunks[first : first + _BATCH_CHUNKS]
        facts = [fact for chunk in batch for fact in phrase_facts(document, chunk, vocabulary)]
        library.put_phrase_facts([chunk.id for chunk in batch], facts)
        yield len(batch)
    library.set_settings_key(name, _complete_key(settings))
