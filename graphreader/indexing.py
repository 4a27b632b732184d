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
from graphreader.ingest.corpus import ID_SEPARATOR, is_corpus
from graphreader.ingest.facts import write_facts
from graphreader.ingest.load import Loadable, loadables
from graphreader.ingest.passages import passages_of
from graphreader.ingest.phrases import phrase_facts, vocabulary_of
from graphreader.ingest.sources import SourceFile, expand
from graphreader.library.protocol import IndexedDocument, Library
from graphreader.llm.embed import Embedder
from graphreader.llm.gate import Gate
from graphreader.llm.tokens import TokenCounter
from graphreader.records import AtomicFact, Chunk, Usage
from graphreader.search.vectors import embed_batches
from graphreader.settings import IndexSettings

#: Raised when the way documents become chunks, passages or facts changes: older indexes are then made anew.
_PIPELINE_VERSION = 2
#: Chunks whose sentence facts are committed together: some hundreds of milliseconds of work.
_BATCH_CHUNKS = 64
#: Small documents are put together until they have so many passages, or so much time has passed.
_BATCH_PASSAGES = 256
_MAX_WAIT_SECONDS = 1.0

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
    """Load what ``sources`` name, and store chunks and passages of it for text search.

    A document that is here already, indexed in the same way, costs only the hash of its file. Failures of single
    files, or lines of a corpus, are collected in the report.
    """
    started = time.monotonic()
    files, failures = expand(sources)
    report = IndexReport(failures=list(failures))
    ids: dict[str, None] = {}
    waiting = _Waiting(library)
    with Reading(library, len(files)) as reading:
        for number, file in enumerate(files):
            on_progress("load", number, len(files), file.source)
            reading.done(number)
            ids.update(dict.fromkeys(_index_file(waiting, file, counter, settings, report)))
        waiting.put()
    report.document_ids = list(ids)
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
    if pending:
        done, total = 0, library.chunk_count(pending)
        for chunk_count in _graph_batches(library, pending, settings):
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
        vocabulary = await asyncio.to_thread(vocabulary_of, document, normalises=settings.normalise)
        work.append((document, chunks, vocabulary))
    on_progress("facts", 0, len(chunk_ids), "")
    await write_facts(gate, library, work, settings.max_fact_tokens, on_chunk)
    return failed


def text_only_key(settings: IndexSettings) -> str:
    """The settings key of documents whose text is searchable and whose graph is still to be made."""
    return f"{_complete_key(settings)} text only"


def _complete_key(settings: IndexSettings) -> str:
    names = "" if settings.normalise else " plain names"
    return f"pipeline={_PIPELINE_VERSION} max_chunk_tokens={settings.max_chunk_tokens}{names}"


def _index_file(
    waiting: _Waiting, file: SourceFile, counter: TokenCounter, settings: IndexSettings, report: IndexReport
) -> list[str]:
    """Put the documents of a file that are new, and forget lines that a corpus held before; returns all ids."""
    library = waiting.library
    known_keys = (_complete_key(settings), text_only_key(settings))
    corpus = f"{file.path.resolve()}{ID_SEPARATOR}" if file.path is not None and is_corpus(file.source) else None
    gone = library.sources_under(corpus) if corpus else {}
    ids: list[str] = []
    for entry in loadables(file):
        if isinstance(entry, SourceError):
            report.failures.append(entry)
            continue
        ids.append(entry.document_id)
        if library.settings_key(entry.document_id) in known_keys:
            if gone.pop(entry.source, None) != entry.document_id:
                library.add_source(entry.document_id, entry.source)
            continue
        indexed = _indexed(entry, counter, settings)
        if isinstance(indexed, SourceError):
            ids.pop()
            report.failures.append(indexed)
            continue
        gone.pop(entry.source, None)
        report.new_ids.append(entry.document_id)
        waiting.add(indexed)
    if gone and ids:
        waiting.put()
        library.remove_sources(list(gone))
    return ids


def _indexed(entry: Loadable, counter: TokenCounter, settings: IndexSettings) -> IndexedDocument | SourceError:
    """A document with its chunks and passages, or why there is none."""
    try:
        document = entry.load()
        chunks = chunk_document(document, counter.count, settings.max_chunk_tokens)
        return IndexedDocument(document, chunks, passages_of(document, chunks), (), text_only_key(settings))
    except SourceError as error:
        return error
    except MemoryError:
        return SourceError(entry.source, "there is not enough memory to read it", "Split it, or use another machine.")
    except Exception as error:  # a file that finds a mistake in a parser must not stop those behind it
        problem = f"reading it failed ({type(error).__name__}: {error})"
        return SourceError(
            entry.source, problem, "This is a mistake of the program: report it, with the file if you can."
        )


class _Waiting:
    """Documents on their way into the library, some together where they are small."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._indexed: list[IndexedDocument] = []
        self._passages = 0
        self._put = time.monotonic()

    def add(self, indexed: IndexedDocument) -> None:
        """Put it, now or with those that follow."""
        self._indexed.append(indexed)
        self._passages += len(indexed.passages)
        if self._passages >= _BATCH_PASSAGES or time.monotonic() - self._put >= _MAX_WAIT_SECONDS:
            self.put()

    def put(self) -> None:
        """Put those that wait."""
        if self._indexed:
            self.library.put_all(self._indexed)
        self._indexed, self._passages, self._put = [], 0, time.monotonic()


def _graph_batches(library: Library, names: Sequence[str], settings: IndexSettings) -> Iterator[int]:
    """Store the documents' sentence facts and key elements; yields how many chunks each batch had."""
    chunk_ids: list[str] = []
    facts: list[AtomicFact] = []
    finished: dict[str, str] = {}
    for name in names:
        document = library.document(name)
        vocabulary = vocabulary_of(document, normalises=settings.normalise)
        for chunk in library.chunks(name):
            chunk_ids.append(chunk.id)
            facts += phrase_facts(document, chunk, vocabulary)
            if len(chunk_ids) >= _BATCH_CHUNKS:
                library.put_phrase_facts(chunk_ids, facts, finished)
                yield len(chunk_ids)
                chunk_ids, facts, finished = [], [], {}
        finished[name] = _complete_key(settings)
    library.put_phrase_facts(chunk_ids, facts, finished)
    yield len(chunk_ids)
