"""A benchmark asked of a reader: documents indexed, questions asked in every mode, records kept, numbers drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from graphreader.errors import GraphReaderError, MissingDependencyError
from graphreader.evaluate.cases import Case, Dataset
from graphreader.evaluate.corpus import Corpus, index_documents
from graphreader.evaluate.datasets import drawn, load_dataset
from graphreader.evaluate.engine import EngineWatch
from graphreader.evaluate.folder import SUMMARY, RunFolder, read_json, read_records, write_json
from graphreader.evaluate.judging import judge_model, judge_summary
from graphreader.evaluate.memories import FED, Memories
from graphreader.evaluate.modes import EvaluatedMode, modes_of
from graphreader.evaluate.names_index import NamesIndex
from graphreader.evaluate.provenance import identity_of, versions
from graphreader.evaluate.record import Record
from graphreader.evaluate.replies import opened_cache
from graphreader.evaluate.runner import Bench, Job, OnRecord, ask_all
from graphreader.evaluate.summary import summary_of
from graphreader.llm.measured import measured_of
from graphreader.records import Mode, Usage
from graphreader.settings import ModelSettings

if TYPE_CHECKING:
    import pandas

    from graphreader.connect import Connection
    from graphreader.indexing import IndexReport
    from graphreader.llm.protocol import ChatModel
    from graphreader.reader import FactsKind, GraphReader

_REPLIES = "replies.db"
_INDEX = "index.json"
#: Questions under way for each call that may be: some are always at search and not at the model.
_QUESTIONS_PER_CALL = 2


def _ignore_jobs(total: int, done: Sequence[Record]) -> None:
    """Nobody watches."""


def _ignore_record(record: Record) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Called with how many questions there are and what is there of them already, then with each new record."""

    on_start: Any = _ignore_jobs
    on_record: OnRecord = _ignore_record


@dataclass(frozen=True, slots=True)
class Options:
    """``judge`` rates answers besides; ``cache`` is the file of kept replies (by default in the run's folder), which
    a model with a temperature above 0 does without; ``retry_failed`` asks again what failed before.
    """

    judge: ModelSettings | ChatModel | None = None
    cache: Path | None = None
    retry_failed: bool = False
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True, slots=True)
class Run:
    """The records of a run, in the order they were finished, and their summary (as in ``summary.json``)."""

    folder: Path
    records: tuple[Record, ...]
    summary: Mapping[str, Any]

    def frame(self) -> pandas.DataFrame:
        """A row for each record, nested values in columns of their own (``scores.f1``, ``usage.seconds``, ...).

        Raises ``MissingDependencyError`` where pandas is absent.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("pandas", "A frame of records", "pip install pandas") from error
        return pandas.json_normalize([asdict(record) for record in self.records])


def read_run(folder: Path) -> Run:
    """The run that a folder holds. Raises ``GraphReaderError`` where it holds none."""
    records = read_records(folder)
    if not records:
        raise GraphReaderError(f"{folder} holds no records of a run: name a folder that `graphreader evaluate` made.")
    return Run(folder, tuple(records), read_json(folder / SUMMARY))


def evaluate(
    dataset: Dataset | str | Path,
    reader: GraphReader,
    *,
    modes: Sequence[str] = ("search", "graph"),
    limit: int | None = None,
    seed: int = 0,
    concurrency: int | None = None,
    out: Path | str | None = None,
    options: Options | None = None,
) -> Run:
    """Ask ``reader`` the questions of ``dataset`` (or the dataset at a path) in each of ``modes``; see ``MODES``.

    The documents are indexed in the reader's library; each question is asked of those that its case names. ``limit``
    draws so many questions with ``seed``. All goes to the folder ``out`` at once; the same call goes on where one was
    stopped. Without ``out`` it is a new temporary folder, ``Run.folder``, which stays. A time limit for questions in
    the reader's settings makes results depend on how busy the machine is.

    Raises ``GraphReaderError``: for a dataset or mode that is none, for a folder that holds a run with other settings,
    for a model that is out of reach. What was finished is kept, also when interrupted.
    """
    chosen, options = modes_of(modes), options or Options()
    loaded = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, seed=seed)
    cases = drawn(loaded, limit, seed)
    at_once = concurrency or _QUESTIONS_PER_CALL * reader.settings.model.concurrency
    facts: FactsKind = "model" if reader.settings.index.facts == "model" else "phrases"
    with RunFolder(Path(out or mkdtemp(prefix="graphreader-"))) as folder:
        made_by = reader.run(_made_by)
        judge = options.judge.name if options.judge is not None else None
        fixed = {**made_by, "limit": limit, "seed": seed, "facts": facts, "judge": judge}
        folder.settle(identity_of(cases, reader.settings, **fixed), {"versions": versions()})
        folder.drop_half_line()
        records = _known(folder, options)
        corpus, index = _indexed(reader, cases, folder.path, facts)
        jobs = _jobs(cases.cases, chosen, {record.key for record in records})
        if not jobs and not records:
            raise GraphReaderError(
                f"Nothing to ask: {cases.name} has no gold evidence, and {', '.join(modes)} needs some."
            )
        options.watch.on_start(len(jobs) + len(records), records)
        session = _Session(folder, cases, corpus, options)
        started = time.monotonic()
        try:
            reader.run(lambda connection: session.ask(connection, reader, jobs, at_once))
        finally:
            folder.close()
            if read_records(folder.path):
                _conclude(folder.path, session, index, time.monotonic() - started)
    return read_run(folder.path)


async def _made_by(connection: Connection) -> dict[str, Any]:
    """Of model and embedder, what answers depend on."""
    model, embedder = await connection.model(), connection.embedder
    return {
        "model": model.name,
        "window_tokens": model.context_tokens,
        # What settings leave open is taken by the model, and a later version may have measured it anew.
        "measured": asdict(measured_of(model.name)),
        "embedder": embedder.name if embedder is not None else None,
    }


def _known(folder: RunFolder, options: Options) -> list[Record]:
    """The records of before; to ask failed ones again, without those that failed or that the judge failed to rate."""
    records = read_records(folder.path)
    kept = records
    if options.retry_failed:
        kept = [one for one in records if not one.failed and (options.judge is None or "lr1" in one.scores)]
    if len(kept) < len(records):
        folder.keep_only(kept)
    return kept


def _jobs(cases: Sequence[Case], modes: Sequence[EvaluatedMode], done: set[tuple[str, str]]) -> list[Job]:
    """What is left to ask, mode by mode in the order of the dataset; where documents are read whole, questions of the
    same ones follow each other.

    A question without gold evidence cannot be asked in a mode that needs it.
    """
    order = {documents: place for place, documents in reversed(list(enumerate(case.documents for case in cases)))}
    together = sorted(cases, key=lambda case: order[case.documents])
    return [
        Job(case, mode)
        for mode in modes
        for case in (together if mode.name == Mode.FULL else cases)
        if (case.id, mode.name) not in done and (not mode.needs_gold or case.evidence)
    ]


def _indexed(reader: GraphReader, dataset: Dataset, folder: Path, facts: FactsKind) -> tuple[Corpus, Mapping[str, Any]]:
    """The documents, indexed, and what that has cost so far. Interrupted, it goes on where it was stopped; chunks of
    which the model could make no facts stay as they are, so that all questions are asked of the same graph.
    """
    known = read_json(folder / _INDEX)
    corpus, report = index_documents(reader, dataset, folder)
    unfinished = facts == "model" and (bool(report.new_ids) or not known.get("complete", False))
    try:
        if unfinished:
            reader.write_facts(report)
            unfinished = False
    finally:
        cost = known
        if not known or report.new_ids or report.usage.llm_calls:
            cost = _index_cost(known, corpus, report, complete=not unfinished)
            write_json(folder / _INDEX, cost)
    return corpus, cost


def _index_cost(known: Mapping[str, Any], corpus: Corpus, report: IndexReport, *, complete: bool) -> dict[str, Any]:
    before = Usage(**known["usage"]) if known else Usage()
    return {
        "documents": len(corpus.ids),
        "new_documents": known.get("new_documents", 0) + len(report.new_ids),
        "failed_documents": {key: str(error) for key, error in corpus.failures.items()},
        "chunks_without_model_facts": {chunk: str(error) for chunk, error in report.failed_chunks},
        "complete": complete,
        "seconds": round(known.get("seconds", 0.0) + report.seconds, 3),
        "usage": asdict(before + report.usage),
    }


class _Session:
    """The asking of one start of a run, and what is known of it afterwards."""

    def __init__(self, folder: RunFolder, dataset: Dataset, corpus: Corpus, options: Options) -> None:
        self.folder = folder
        self.dataset = dataset
        self.corpus = corpus
        self.options = options
        self.asked = 0
        self.load: Any = None
        self.judge: dict[str, Any] | None = None

    async def ask(self, connection: Connection, reader: GraphReader, jobs: Sequence[Job], concurrency: int) -> None:
        settings = reader.settings
        model = await connection.model()
        cache = None if settings.model.temperature else self.options.cache or self.folder.path / _REPLIES
        async with judge_model(self.options.judge, settings) as judge:
            with (
                opened_cache(cache) as replies,
                EngineWatch(getattr(model, "base_url", None)) as engine,
                Memories(self.folder.path, self.corpus.parts) as memories,
            ):
                bench = Bench(
                    corpus=self.corpus,
                    model=model,
                    embedder=connection.embedder,
                    reranker=connection.reranker,
                    settings=settings,
                    names=NamesIndex(reader.library, connection.embedder),
                    memories=memories,
                    cache=replies,
                    judge=judge,
                    language=self.dataset.language,
                )
                try:
                    await ask_all(bench, jobs, concurrency, self.folder, self._count)
                    self.judge = await judge_summary(judge, replies, self.dataset, concurrency)
                finally:
                    self.load = asdict(engine.load) if engine.load is not None else None

    def _count(self, record: Record) -> None:
        self.asked += 1
        self.options.watch.on_record(record)


def _conclude(folder: Path, session: _Session, index: Mapping[str, Any], seconds: float) -> None:
    """Write the summary of all that is in the folder."""
    records = read_records(folder)
    before = read_json(folder / SUMMARY)
    this = {
        "asked": session.asked,
        "seconds": round(seconds, 3),
        "running_requests": session.load,
        "versions": versions(),
    }
    summary = {
        "dataset": session.dataset.name,
        "questions": len(session.dataset.cases),
        "modes": summary_of(records),
        "index": index,
        "memories": read_json(folder / FED),
        "judge": session.judge or before.get("judge"),
        "sessions": [*before.get("sessions", []), *([this] if session.asked else [])],
    }
    write_json(folder / SUMMARY, summary)
