"""The composition root and the Python API: ``GraphReader`` puts library, model, embedder and settings together.

The core below it is asynchronous; this is the one place where it is wrapped for callers without an event loop (and for
notebooks, whose own loop is left alone).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from graphreader.batch import Asked, Outcome, outcomes
from graphreader.errors import DocumentNotFoundError, GraphReaderError, LibraryError
from graphreader.event_loop import EventLoop
from graphreader.lazy_facts import asking, pending_chunks, remember_read, settle, spawn_writer
from graphreader.library import open_library
from graphreader.library.protocol import DocumentSummary, Library
from graphreader.records import Answer, FoundKind, Mode, TraceStep
from graphreader.settings import Settings

if TYPE_CHECKING:
    from graphreader.agent.context import OnStep
    from graphreader.chat.conversation import Chat
    from graphreader.connect import Connection
    from graphreader.finding import Findings
    from graphreader.indexing import IndexReport, OnProgress
    from graphreader.llm.embed import Embedder
    from graphreader.llm.protocol import ChatModel
    from graphreader.view import Neighbourhood

_GIVE_WAY_POLL_SECONDS = 0.25

T = TypeVar("T")

FactsKind = Literal["lazy", "model", "phrases"]


def _ignore_progress(stage: str, done: int, total: int, detail: str) -> None:
    """Nobody watches."""


def _ignore_step(step: TraceStep) -> None:
    """Nobody watches."""


class GraphReader:
    """A library of documents and a model to ask about them.

    ``model`` and ``embedder`` may be given (any ``ChatModel``, any ``Embedder``); otherwise they are what the settings
    name, connected to when first needed. Use as a context manager, or call ``close``.

        with GraphReader("reports.db") as reader:
            reader.index(["reports/"])
            answer = reader.ask("Who chaired the committee in 2019?")
    """

    def __init__(
        self,
        library: str | Path | None = None,
        *,
        settings: Settings | None = None,
        model: ChatModel | None = None,
        embedder: Embedder | None = None,
        on_progress: OnProgress = _ignore_progress,
    ) -> None:
        self.settings = settings or Settings.load()
        self.library_path = Path(library) if library is not None else self.settings.library
        self._given_model = model
        self._given_embedder = embedder
        self._on_progress = on_progress
        self._stack = ExitStack()
        self._library: Library | None = None
        self._loop = EventLoop(self._disconnect)
        self._connection: Connection | None = None
        self._put_off: deque[Iterator[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close library, connections and event loop; what was put off stays undone until indexed again.

        The local model server goes on until it is idle.
        """
        self._loop.close()
        self._stack.close()
        self._library = self._connection = None
        self._put_off.clear()

    @property
    def library(self) -> Library:
        """The library, opened when first needed."""
        if self._library is None:
            self._library = open_library(self.library_path)
            self._stack.callback(self._library.close)
        return self._library

    # indexing --------------------------------------------------------------------------------------------------
    def index(
        self, sources: str | Sequence[str], *, facts: FactsKind | None = None, max_wait_seconds: float | None = None
    ) -> IndexReport:
        """Index files, folders, glob patterns or ``-`` (standard input): the text first, then graph, then vectors.

        Files that cannot be read are listed in the report's ``failures``; the others are indexed all the same. With
        ``max_wait_seconds`` graph and vectors are put off once so much time has passed: questions may be asked, and
        ``finish_indexing`` does the rest. Raises ``LibraryError``; with ``facts="model"`` also ``ModelError``.
        """
        from graphreader.indexing import complete_index, index_text

        started = time.monotonic()
        settings = self.settings.index
        names = [sources] if isinstance(sources, str) else list(sources)
        connection = self._connect()
        report = index_text(self.library, names, connection.counter, settings, self._on_progress)
        self._put_off.append(
            complete_index(self.library, connection.embedder, report.document_ids, settings, self._on_progress)
        )
        by_model = (facts or settings.facts) == "model"
        wait = None if by_model or max_wait_seconds is None else started + max_wait_seconds
        report.complete = self._complete(wait)
        report.seconds = time.monotonic() - started
        if by_model:
            self.write_facts(report)
        return report

    def write_facts(self, report: IndexReport) -> None:
        """Have the model write the facts, where it has not, of the documents that ``index`` reports.

        What it costs is added to the report, also where it is interrupted: the same again goes on there. Raises
        ``ModelError`` and ``LibraryError``.
        """
        started = time.monotonic()
        try:
            self._write_facts(self.library.chunks_without_model_facts(report.document_ids), report)
        finally:
            report.seconds += time.monotonic() - started

    def finish_indexing(self) -> None:
        """Make the graph and the vectors that ``index``, ``ask`` or ``search`` put off."""
        self._complete(None)

    def _complete(self, until: float | None) -> bool:
        """Whether nothing is put off any more at that time (of the monotonic clock)."""
        while self._put_off:
            for _ in self._put_off[0]:
                if until is not None and time.monotonic() >= until:
                    return False
            self._put_off.popleft()
        return True

    def _not_searched(self, document_ids: Sequence[str] | None, *, by_vectors: bool = True) -> tuple[str, ...]:
        """A warning about what a question cannot reach yet, if there is such."""
        from graphreader.coverage import coverage_of
        from graphreader.indexing import text_only_key

        embedder = self._connect().embedder if by_vectors else None
        coverage = coverage_of(
            self.library, document_ids, text_only_key(self.settings.index), embedder.name if embedder else None
        )
        return (str(coverage),) if str(coverage) else ()

    def write_pending_facts(
        self, limit: int | None = None, give_way: Callable[[], bool] = lambda: False
    ) -> IndexReport:
        """Have the model write the facts of chunks that explorers have read since (what ``lazy`` puts off).

        As soon as ``give_way`` says so the work is dropped; chunks that were not finished stay pending.
        """
        from graphreader.indexing import IndexReport

        report = IndexReport()
        chunk_ids = pending_chunks(self.library)[:limit]
        if chunk_ids and self._write_facts(chunk_ids, report, give_way):
            settle(self.library, chunk_ids)
        return report

    def _write_facts(
        self, chunk_ids: Sequence[str], report: IndexReport, give_way: Callable[[], bool] = lambda: False
    ) -> bool:
        """Whether the work was done rather than dropped."""
        from graphreader.indexing import write_model_facts
        from graphreader.llm.gate import Gate

        async def write() -> bool:
            gate = Gate(await self._connect().model())
            work = asyncio.create_task(
                write_model_facts(gate, self.library, chunk_ids, self.settings.index, self._on_progress)
            )
            try:
                while not work.done():
                    await asyncio.wait([work], timeout=_GIVE_WAY_POLL_SECONDS)
                    if not work.done() and give_way():
                        return False
                report.failed_chunks += work.result()
                return True
            finally:
                work.cancel()
                report.usage += gate.usage

        return bool(chunk_ids) and bool(self._loop.run(write))

    def model_is_running(self) -> bool:
        """Whether the model can be asked at once: an endpoint is set, or the local server runs."""
        return self._connect().model_is_running()

    # asking ----------------------------------------------------------------------------------------------------
    def ask(
        self,
        question: str,
        sources: str | Sequence[str] = (),
        *,
        mode: Mode | str = Mode.GRAPH,
        on_step: OnStep = _ignore_step,
    ) -> Answer:
        """Answer from the whole library, or from ``sources`` alone.

        A source is a document of the library (its id, title or path) or a file, which is indexed first if it is new:
        its text in any case, graph and vectors for up to ``index.max_wait_seconds`` of the settings. What was put off
        is said in the answer's ``warnings`` and left to ``finish_indexing``.

        Raises ``ModelError``, ``LibraryError``, and ``SourceError`` where none of the sources can be read.
        """
        asked = Asked(question, (sources,) if isinstance(sources, str) else tuple(sources), Mode(mode))
        ((_, outcome),) = self.ask_many([asked], concurrency=1, on_step=on_step)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def ask_many(
        self, asked: Iterable[Asked], *, concurrency: int | None = None, on_step: OnStep = _ignore_step
    ) -> Iterator[tuple[Asked, Outcome]]:
        """Answer many questions, each yielded with its answer, or its error, as soon as it is there.

        Questions on the same sources follow each other, whatever their order here, so that their prompts share what
        the server has cached (see ``graphreader.batch``). ``concurrency``: how many are under way at once, by default
        the setting ``model.concurrency``. ``on_step`` gets the steps of all of them. Closing the iterator, or Ctrl-C,
        cancels what is under way.
        """
        with asking(self.library_path):
            yield from outcomes(
                asked, lambda one: self._start(one, on_step), concurrency or self.settings.model.concurrency
            )

    def _start(self, asked: Asked, on_step: OnStep) -> Future[Answer]:
        question = asked.question.strip()
        if not question:
            raise GraphReaderError("The question is empty: say what you want to know.")
        document_ids = self._scope(list(asked.sources))
        warnings = self._not_searched(document_ids if asked.sources else None)

        async def run() -> Answer:
            from graphreader.routing import endpoint_of

            answer = await self._answer(question, document_ids, asked.mode, on_step)
            answer = replace(answer, warnings=(*answer.warnings, *warnings))
            endpoint = endpoint_of(self.settings, await self._connect().model())
            self.library.put_answer(answer_json(answer) | {"endpoint": endpoint}, document_ids)
            return answer

        return self._loop.submit(run)

    async def _answer(self, question: str, document_ids: Sequence[str], mode: Mode, on_step: OnStep) -> Answer:
        """The answer; facts of the chunks read for it are put on the list of those to be written."""
        from graphreader.answering import answer_question

        connection = self._connect()
        answer, read = await answer_question(
            self.library,
            await connection.model(),
            connection.embedder,
            question,
            document_ids,
            mode,
            self.settings,
            on_step,
            connection.reranker,
        )
        if self.settings.index.facts == "lazy":
            remember_read(self.library, read)
            if read and self._given_model is None:
                spawn_writer(self.library_path)
        return answer

    def chat(
        self, agent: str = "default", sources: str | Sequence[str] = (), *, mode: Mode | str | None = None
    ) -> Chat:
        """The conversation of an agent: a new one, or where it stopped. It is over ``sources`` (as in ``ask``) and
        what it was over before; without any, over the whole library.

        ``mode`` is how its questions to the documents are answered, by default as the setting ``chat.mode`` says. The
        memory is a file beside the library. Raises ``LibraryError``, ``memory.errors.MemoryFileError`` where that file
        is damaged or newer, and ``SourceError`` where none of the sources can be read.
        """
        from graphreader.chat.host import Host
        from graphreader.chat.opening import open_chat

        names = [sources] if isinstance(sources, str) else list(sources)
        document_ids = self._scope(names) if names else None
        host = Host(
            self.settings,
            self.library,
            self.library_path,
            self._connect(),
            self._loop,
            self._answer,
            self._not_searched,
        )
        chat = open_chat(host, agent, Mode(mode or self.settings.chat.mode))
        self._stack.callback(chat.close)
        chat.load(document_ids)
        return chat

    def search(
        self,
        question: str,
        sources: str | Sequence[str] = (),
        *,
        kind: FoundKind | str = FoundKind.FACTS,
        top: int = 10,
    ) -> Findings:
        """The best facts, chunks or pages for ``question``, found without a model; sources as in ``ask``.

        Raises ``LibraryError``, and ``SourceError`` where none of the sources can be read.
        """
        from graphreader.finding import find

        if not question.strip():
            raise GraphReaderError("The question is empty: say what you want to find.")
        document_ids = self._scope([sources] if isinstance(sources, str) else list(sources))
        chosen = document_ids if sources else None
        return find(
            self.library,
            question.strip(),
            documents=chosen,
            embedder=self._connect().embedder,
            kind=FoundKind(kind),
            top=top,
            warnings=self._not_searched(chosen),
            reranker=self._connect().reranker,
        )

    def _scope(self, sources: list[str]) -> list[str]:
        """Ids of the documents a question is asked of."""
        if not sources:
            known = self.library.document_ids()
            if not known:
                raise LibraryError(
                    f"The library {self.library_path} holds no documents: run `graphreader index SOURCE...`, or name "
                    "the sources behind the question."
                )
            return known
        found: dict[str, None] = {}
        unknown: list[str] = []
        for source in sources:
            if Path(source).exists() or source == "-":
                unknown.append(source)
                continue
            try:
                found[self.library.find(source)] = None
            except DocumentNotFoundError:
                unknown.append(source)
        if unknown:
            report = self.index(unknown, max_wait_seconds=self.settings.index.max_wait_seconds)
            found.update(dict.fromkeys(report.document_ids))
            if not found and report.failures:
                raise report.failures[0]
            for failure in report.failures:
                self._on_progress("failed", 0, 0, str(failure))
        return list(found)

    # looking ---------------------------------------------------------------------------------------------------
    def documents(self) -> list[DocumentSummary]:
        """What the library holds."""
        return self.library.summaries()

    def neighbourhood(
        self, question: str | None = None, documents: str | Sequence[str] = (), *, max_nodes: int = 100
    ) -> Neighbourhood:
        """The part of the graph that ``question`` leads to, without one the most connected key elements.

        ``documents`` (of the library: id, title, file name or path) narrow it; ``graphreader.view.page_of`` makes it
        a page. Raises ``LibraryError``, also where the library is empty, and ``DocumentNotFoundError``.
        """
        from graphreader.view import around_question, most_connected

        if question is not None and not question.strip():
            raise GraphReaderError("The question is empty: say what you want to find.")
        if not self.library.document_ids():
            raise LibraryError(
                f"The library {self.library_path} holds no documents: run `graphreader index SOURCE...`."
            )
        names = [documents] if isinstance(documents, str) else list(documents)
        chosen = list(dict.fromkeys(self.library.find(name) for name in names)) or None
        if question is None:
            shown = most_connected(self.library, self._title_of(chosen), documents=chosen, max_nodes=max_nodes)
        else:
            embedder = self._connect().embedder
            shown = around_question(
                self.library, question.strip(), documents=chosen, embedder=embedder, max_nodes=max_nodes
            )
        return replace(shown, warnings=self._not_searched(chosen, by_vectors=question is not None))

    def _title_of(self, chosen: Sequence[str] | None) -> str:
        """What to call these documents (None: all) together."""
        document_ids = self.library.document_ids() if chosen is None else list(chosen)
        first = self.library.layout(document_ids[0]).title
        return first if len(document_ids) == 1 else f"{len(document_ids):,} documents of {self.library_path.name}"

    def remove(self, name: str) -> str:
        """Remove a document (by id, title, file name or path) with all that came from it; returns its id."""
        document_id = self.library.find(name)
        self.library.remove(document_id)
        return document_id

    # wiring ----------------------------------------------------------------------------------------------------
    def _connect(self) -> Connection:
        if self._connection is None:
            from graphreader.connect import Connection

            self._connection = Connection(self.settings, self._given_model, self._given_embedder, self._on_progress)
        return self._connection

    def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run ``work`` on the reader's own event loop, with what the settings connect it to: for programs that drive
        the asynchronous core themselves. Raises what ``work`` raises.
        """
        return self._loop.run(lambda: work(self._connect()))

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer as the JSON object that ``graphreader ask --json`` prints."""
    return json.loads(json.dumps(asdict(answer), ensure_ascii=False))  # type: ignore[no-any-return]
