"""Asks many questions at once and makes a record of each. A question that goes wrong costs that question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from graphreader.errors import GraphReaderError, ModelTimeoutError, ModelUnreachableError
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.evaluate.baselines import check_embedder
from graphreader.evaluate.cases import Case, asked
from graphreader.evaluate.corpus import Corpus
from graphreader.evaluate.folder import RunFolder, trace_path
from graphreader.evaluate.judge import judge
from graphreader.evaluate.memories import Memories
from graphreader.evaluate.modes import EvaluatedMode
from graphreader.evaluate.names_index import NamesIndex
from graphreader.evaluate.provenance import served_as
from graphreader.evaluate.record import Record
from graphreader.evaluate.replies import CachedModel, ReplyCache
from graphreader.evaluate.scoring import no_recall, no_scores, plain_trace, recall_of, scores_of
from graphreader.llm.embed import Embedder
from graphreader.llm.gate import Gate
from graphreader.llm.protocol import ChatModel
from graphreader.records import Mode, TraceStep
from graphreader.search.rerank import Reranker
from graphreader.settings import Settings

#: So many questions in a row that reach no model mean that it is gone; they are not recorded, so they are asked again.
_GONE = 3

#: Called with each record, in the order they are finished.
OnRecord = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A question to ask in a mode."""

    case: Case
    mode: EvaluatedMode


@dataclass(frozen=True, slots=True)
class Bench:
    """What all questions of a run are asked with."""

    corpus: Corpus
    model: ChatModel
    embedder: Embedder | None
    reranker: Reranker | None
    settings: Settings
    names: NamesIndex
    memories: Memories
    cache: ReplyCache | None
    judge: ChatModel | None
    language: str
    #: The same question of the same documents is asked once at a time: runs of the explorers are kept by these.
    locks: dict[tuple[str, tuple[str, ...]], asyncio.Lock] = field(default_factory=dict)


async def ask_all(bench: Bench, jobs: Iterable[Job], concurrency: int, folder: RunFolder, on_record: OnRecord) -> None:
    """Ask all, ``concurrency`` at a time, and put their records into ``folder``.

    Raises ``ModelUnreachableError`` where the model is gone for good; what was finished is kept.
    """
    queue = _Queue(jobs)
    held: list[tuple[Record, list[dict[str, object]]]] = []

    def keep(record: Record, trace: list[dict[str, object]], error: Exception | None) -> None:
        held.append((record, trace))
        if not _is_gone(error):
            release()
        elif len(held) >= max(_GONE, concurrency):
            raise _gone(held)

    def release() -> None:
        for record, trace in held:
            folder.put(record, trace)
            on_record(record)
        held.clear()

    async def work() -> None:
        while (job := await queue.take()) is not None:
            try:
                keep(*await _recorded(bench, job))
            finally:
                queue.done(job)

    workers = [asyncio.create_task(work()) for _ in range(min(concurrency, queue.size))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    if held and len(held) < _GONE:
        release()
    elif held:
        raise _gone(held)


def _gone(held: Sequence[tuple[Record, object]]) -> ModelUnreachableError:
    first = held[0][0].error
    return ModelUnreachableError(first["message"] if first else "The model is gone.")


def _is_gone(error: Exception | None) -> bool:
    """Whether nobody answers; a reply that took too long costs its own question."""
    return isinstance(error, ModelUnreachableError) and not isinstance(error, ModelTimeoutError)


class _Queue:
    """Jobs in their order, but of those that read the same documents whole the first goes ahead alone: the others then
    find the documents in the server's cache.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._waiting = list(jobs)[::-1]
        self.size = len(self._waiting)
        self._ahead: set[tuple[str, ...]] = set()
        self._read: set[tuple[str, ...]] = set()
        self._changed = asyncio.Event()

    async def take(self) -> Job | None:
        """The next job; None where there is none left."""
        while self._waiting:
            for place in range(len(self._waiting) - 1, -1, -1):
                job = self._waiting[place]
                if not _reads_whole(job):
                    return self._waiting.pop(place)
                documents = job.case.documents
                if documents in self._read or documents not in self._ahead:
                    self._ahead.add(documents)
                    return self._waiting.pop(place)
            self._changed.clear()
            await self._changed.wait()
        return None

    def done(self, job: Job) -> None:
        """A job is over, for good or bad."""
        if _reads_whole(job):
            self._read.add(job.case.documents)
            self._changed.set()


def _reads_whole(job: Job) -> bool:
    return job.mode.name == Mode.FULL


async def _recorded(bench: Bench, job: Job) -> tuple[Record, list[dict[str, object]], Exception | None]:
    """The record of a question with its trace, and the error that it failed with."""
    model = CachedModel(bench.model, bench.cache, served_as(bench.settings))
    steps: list[TraceStep] = []
    started = time.monotonic()
    try:
        lock = bench.locks.setdefault((job.case.question, job.case.documents), asyncio.Lock())
        async with lock:
            started = time.monotonic()
            outcome = await job.mode.answer(_asking(bench, job, model, steps.append))
        return await _answered(bench, job, model, outcome)
    except Exception as error:  # what goes wrong with one question must cost that question alone
        record = _failed(bench, job, error)
        usage = replace(model.spent, seconds=time.monotonic() - started)
        trace: list[dict[str, object]] = [asdict(step) for step in steps]
        return replace(record, usage=asdict(usage), replayed_calls=model.replayed), trace, error


def _asking(bench: Bench, job: Job, model: ChatModel, on_step: Callable[[TraceStep], None]) -> Asking:
    mode, case, corpus = job.mode, job.case, bench.corpus
    asking = Asking(
        key=case.id,
        question=asked(case),
        document_ids=corpus.scope(case) if mode.needs_documents else [],
        gold=corpus.gold(case) if mode.needs_gold else [],
        library=corpus.library,
        model=model,
        embedder=bench.embedder,
        reranker=bench.reranker,
        settings=bench.settings,
        names=bench.names,
        memories=bench.memories,
        on_step=on_step,
    )
    if mode.needs_embedder:
        check_embedder(asking)
    return asking


async def _answered(
    bench: Bench, job: Job, model: CachedModel, outcome: Outcome
) -> tuple[Record, list[dict[str, object]], None]:
    case, conclusion = job.case, outcome.conclusion
    scores = scores_of(case, outcome, bench.corpus, bench.language)
    judged, warnings = await _judged(bench, case, outcome)
    record = replace(
        _blank(bench, job),
        answer=conclusion.answer,
        answerable=conclusion.answerable,
        citations=tuple(asdict(citation) for citation in conclusion.citations),
        scores=scores | judged,
        evidence=recall_of(case, outcome, bench.corpus, job.mode.stages),
        usage=asdict(outcome.usage),
        replayed_calls=model.replayed,
        stopped_by=outcome.stopped_by,
        warnings=(*conclusion.warnings, *warnings),
    )
    return record, plain_trace(outcome), None


async def _judged(bench: Bench, case: Case, outcome: Outcome) -> tuple[dict[str, float], tuple[str, ...]]:
    """The judge's scores. A judge that fails leaves a warning, since the answer is there all the same; one that is gone
    is gone for the whole run, as a model is.
    """
    if bench.judge is None:
        return {}, ()
    gate = Gate(CachedModel(bench.judge, bench.cache, served_as(bench.settings)))
    conclusion = outcome.conclusion
    try:
        grade = await judge(gate, case, conclusion.answer, conclusion.answerable, bench.language)
    except GraphReaderError as error:
        if _is_gone(error):
            raise
        return {}, (f"The judge failed: {error}",)
    return {"lr1": grade.lr1, "lr2": grade.lr2}, ()


def _failed(bench: Bench, job: Job, error: Exception) -> Record:
    scores = no_scores(job.case, bench.language)
    if bench.judge is not None:
        scores |= {"lr1": 0.0, "lr2": 0.0}
    return replace(
        _blank(bench, job),
        scores=scores,
        evidence=no_recall(job.case, bench.corpus, job.mode.stages),
        error={"type": type(error).__name__, "message": str(error)},
    )


def _blank(bench: Bench, job: Job) -> Record:
    case = job.case
    return Record(
        id=case.id,
        mode=job.mode.name,
        question=case.question,
        gold=case.answers,
        answer="",
        answerable=None,
        citations=(),
        scores={},
        evidence={},
        usage={},
        error=None,
        trace=trace_path(case.id, job.mode.name),
        gold_answerable=case.answerable,
        labels=case.labels,
        context_tokens=bench.corpus.tokens(case),
    )
