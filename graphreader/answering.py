"""From a question over an indexed library to an answer, in mode ``graph``, ``search`` or ``full``; ``auto`` chooses."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphreader.agent.answer import Conclusion, conclude, told
from graphreader.agent.context import OnStep, RunContext, StartNode
from graphreader.agent.evidence import Excerpt, fitting, merged
from graphreader.agent.plan import make_plan
from graphreader.agent.relevance import relevance_of
from graphreader.agent.whole import read_whole
from graphreader.errors import BadModelOutputError, DocumentsTooLongError
from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.llm.gate import Gate, question_gate
from graphreader.llm.measured import search_tokens
from graphreader.llm.protocol import ChatModel
from graphreader.records import Answer, Citation, Document, Mode, StoppedBy, TraceStep
from graphreader.routing import endpoint_of, remember_sent, routed
from graphreader.search import SearchResult, search
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.rerank import Reranker, reranked
from graphreader.settings import Settings

#: How many start nodes and passages search hands to the agent; the window cuts further.
_START_NODES = 24
_PASSAGES = 24


class Documents(Mapping[str, Document]):
    """The documents of a question, each loaded when it is first looked at."""

    def __init__(self, library: Library, document_ids: Sequence[str]) -> None:
        self._library = library
        self._ids = tuple(document_ids)
        self._loaded: dict[str, Document] = {}

    def __getitem__(self, document_id: str) -> Document:
        if document_id not in self._loaded:
            self._loaded[document_id] = self._library.document(document_id)
        return self._loaded[document_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


async def answer_question(
    library: Library,
    model: ChatModel,
    embedder: Embedder | None,
    question: str,
    document_ids: Sequence[str],
    mode: Mode,
    settings: Settings,
    on_step: OnStep,
    reranker: Reranker | None = None,
) -> tuple[Answer, list[str]]:
    """The answer, and the ids of the chunks that were read on the way. Raises ``ModelError``."""
    gate = question_gate(model, settings)
    documents = Documents(library, document_ids)
    if mode is Mode.FULL and not settings.full.allow_part:
        return await _by_whole(library, gate, question, documents, None, settings, on_step), []
    found, plan = await look(library, gate, question, document_ids, embedder, reranker, settings)
    steps: list[TraceStep] = []
    if mode is Mode.AUTO:
        route = await asyncio.to_thread(routed, library, model, question, document_ids, found, settings)
        steps.append(TraceStep("route", route.mode.value, {"reason": route.reason, **route.considered}))
        on_step(steps[0])
        mode = route.mode
    if mode is Mode.FULL:
        allowed = found if settings.full.allow_part else None
        try:
            return _led(steps, await _by_whole(library, gate, question, documents, allowed, settings, on_step)), []
        except DocumentsTooLongError as error:
            if not steps:
                raise
            # Chosen on counts of another tokenizer than the model's.
            mode = Mode.SEARCH
            steps.append(TraceStep("route", mode.value, {"reason": str(error)}))
            on_step(steps[-1])
    if mode is Mode.SEARCH:
        return _led(steps, await _by_search(library, gate, question, documents, found, settings, on_step)), []
    context = replace(run_context(library, gate, question, documents, found, settings, on_step), plan=plan)
    explored = await explore(context, settings)
    answer = _answer(gate, question, Mode.GRAPH, explored.conclusion, explored.stopped_by, explored.trace)
    return _led(steps, answer), explored.read


async def look(
    library: Library,
    gate: Gate,
    question: str,
    document_ids: Sequence[str],
    embedder: Embedder | None,
    reranker: Reranker | None,
    settings: Settings,
) -> tuple[SearchResult, tuple[str, ...]]:
    """What search finds; and the parts that the model split the question into for it, where settings ask for that."""
    plan = await _parts(gate, question) if settings.search.decompose else []

    def ranked() -> SearchResult:
        found = search(library, question, documents=document_ids, embedder=embedder, extra_queries=plan)
        return reranked(found, question, reranker, DEFAULT_WEIGHTS)

    return await asyncio.to_thread(ranked), tuple(plan)


def _led(steps: Sequence[TraceStep], answer: Answer) -> Answer:
    return replace(answer, trace=(*steps, *answer.trace)) if steps else answer


async def _parts(gate: Gate, question: str) -> list[str]:
    """What the model splits the question into; nothing where it cannot, since search does without."""
    try:
        return await make_plan(gate, question)
    except BadModelOutputError:
        return []


async def _by_whole(
    library: Library,
    gate: Gate,
    question: str,
    documents: Documents,
    found: SearchResult | None,
    settings: Settings,
    on_step: OnStep,
) -> Answer:
    """From all of the documents, or with ``found`` from the largest part around what it ranks best."""
    scores = None if found is None else {ranked.chunk.id: ranked.score for ranked in found.chunks}
    reading = await asyncio.to_thread(read_whole, library, gate.model, question, documents, scores)
    detail = {"chunks": len(reading.chunks), "tokens": reading.token_count, "of_tokens": reading.of_tokens}
    trace = [TraceStep("full", "read", {**detail, "part": reading.part} if reading.part else detail)]
    on_step(trace[0])
    chunks = {chunk.id: chunk for chunk in reading.chunks}
    conclusion = await conclude(gate, question, reading.excerpts, documents, chunks)
    remember_sent(library, endpoint_of(settings, gate.model), reading, gate.usage.cached_tokens)
    trace.append(TraceStep("answer", "answer", told(conclusion, reading.excerpts)))
    on_step(trace[-1])
    if reading.part:
        conclusion = replace(conclusion, warnings=(*conclusion.warnings, reading.part))
    return _answer(gate, question, Mode.FULL, conclusion, StoppedBy.FINISHED, trace)


async def _by_search(
    library: Library,
    gate: Gate,
    question: str,
    documents: Documents,
    found: SearchResult,
    settings: Settings,
    on_step: OnStep,
) -> Answer:
    most = search_tokens(settings.search, gate.model.name)
    excerpts = fitting(found_excerpts(found), documents, gate.model.count_tokens, most)
    places = [[item.document_id, item.start, item.end] for item in found_excerpts(found)]
    detail = {"passages": len(found.passages), "shown": len(excerpts), "found": places}
    trace = [TraceStep("search", "search", detail)]
    on_step(trace[0])
    chunks = {chunk.id: chunk for chunk in library.chunks_by_id([excerpt.chunk_id for excerpt in excerpts])}
    conclusion = await conclude(gate, question, excerpts, documents, chunks)
    trace.append(TraceStep("answer", "answer", told(conclusion, excerpts)))
    on_step(trace[-1])
    return _answer(gate, question, Mode.SEARCH, conclusion, StoppedBy.FINISHED, trace)


@dataclass(frozen=True, slots=True)
class Explored:
    """What explorers came to, and the chunks that they read."""

    conclusion: Conclusion
    stopped_by: StoppedBy
    trace: list[TraceStep]
    read: list[str]


async def explore(context: RunContext, settings: Settings, variant: str = "") -> Explored:
    """Have the explorers answer, from where an earlier process was stopped at the same question.

    ``variant`` names a way to explore that is not the reader's own, so that neither goes on with the other's work.
    """
    from graphreader.agent import workflow

    state = await workflow.run(context, _run_id(context, settings, variant))
    result: dict[str, Any] = state["result"]
    conclusion = Conclusion(
        result["answer"],
        result["answerable"],
        tuple(Citation(**citation) for citation in result["citations"]),
        tuple(result["warnings"]),
    )
    trace = [TraceStep(**step) for step in state["trace"]]
    return Explored(conclusion, StoppedBy(result["stopped_by"]), trace, result["read"])


def _answer(
    gate: Gate, question: str, mode: Mode, conclusion: Conclusion, stopped_by: StoppedBy, trace: Sequence[TraceStep]
) -> Answer:
    return Answer(
        question=question,
        answer=conclusion.answer,
        answerable=conclusion.answerable,
        citations=conclusion.citations,
        usage=gate.usage,
        mode=mode,
        model=gate.model.name,
        stopped_by=stopped_by,
        trace=tuple(trace),
        warnings=conclusion.warnings,
    )


def run_context(
    library: Library,
    gate: Gate,
    question: str,
    documents: Documents,
    found: SearchResult,
    settings: Settings,
    on_step: OnStep,
) -> RunContext:
    """What the agent works with: search's finds as start nodes, as evidence of last resort, and as relevance.

    From now on the gate keeps its calls within the explorers' window.
    """
    gate.narrow(settings.explore.window_tokens)
    highest = max((ranked.score for ranked in found.chunks), default=0.0) or 1.0
    scores = {ranked.chunk.id: ranked.score / highest for ranked in found.chunks}
    return RunContext(
        question=question,
        documents=documents,
        library=library,
        gate=gate,
        limits=settings.explore,
        relevance=relevance_of(question, (), scores),
        start_nodes=_start_nodes(found),
        found=tuple(found_excerpts(found)),
        on_step=on_step,
    )


def _start_nodes(found: SearchResult) -> tuple[StartNode, ...]:
    nodes = (
        StartNode(ranked.name, ranked.spelling, ranked.best_fact.text if ranked.best_fact else "")
        for ranked in found.key_elements
    )
    return tuple(nodes)[:_START_NODES]


def found_excerpts(found: SearchResult) -> list[Excerpt]:
    """The best passages of a search as evidence, overlapping ones joined."""
    return merged(
        Excerpt(
            ranked.passage.document_id,
            ranked.passage.chunk_id,
            ranked.passage.start,
            ranked.passage.end,
            0,
            ranked.score,
        )
        for ranked in found.passages[:_PASSAGES]
    )


def _run_id(context: RunContext, settings: Settings, variant: str) -> str:
    """The same question of the same documents under the same limits is the same run, so that it can be resumed."""
    documents, explore_settings = sorted(context.documents), settings.explore.model_dump()
    identity = [context.question, documents, context.gate.model.name, explore_settings, settings.index.max_chunk_tokens]
    return hashlib.sha256(json.dumps([*identity, variant], ensure_ascii=True).encode()).hexdigest()[:16]
