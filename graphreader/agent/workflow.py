"""The run of one question in mode ``graph``, wired with langgraph: plan, start nodes, explorers side by side, answer.

Every finished step is checkpointed in the library; a run that was killed goes on from there when the same question is
asked again of the same documents.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import zip_longest
from typing import Any, TypedDict, cast

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from graphreader.agent.answer import conclude, told
from graphreader.agent.checkpoints import LibraryCheckpoints
from graphreader.agent.context import RunContext
from graphreader.agent.evidence import Excerpt, fitting, in_context, merged
from graphreader.agent.explore import step
from graphreader.agent.plan import choose_nodes, make_plan
from graphreader.agent.state import ExplorerState, NoteState, Phase, RunState, new_explorer, trace_step
from graphreader.errors import BadModelOutputError
from graphreader.llm.measured import answer_tokens
from graphreader.records import Chunk, StoppedBy, TraceStep, Usage

#: Supersteps langgraph allows one explorer beyond its own limits: a net, not a rule.
_SPARE_STEPS = 20
#: Where among a run's records its cost so far is kept.
_USAGE = "usage"


class _ExplorerOutput(TypedDict):
    explorers: list[ExplorerState]


class _ExplorerRun(ExplorerState):
    explorers: list[ExplorerState]


async def run(context: RunContext, run_id: str) -> RunState:
    """Run to the end, or on from where an earlier process was stopped. Raises ``ModelError`` as the steps do."""
    checkpoints = LibraryCheckpoints(context.library)

    def on_step(step: TraceStep) -> None:
        spent = json.dumps(asdict(context.gate.usage)).encode()
        context.library.put_run_record(run_id, _USAGE, _USAGE, spent)
        context.on_step(step)

    graph = _graph(replace(context, on_step=on_step)).compile(checkpointer=checkpoints)
    config: Any = {
        "configurable": {"thread_id": run_id},
        "recursion_limit": context.limits.max_steps + _SPARE_STEPS,
    }
    unfinished = await checkpoints.aget_tuple(config) is not None
    if unfinished:
        spent = context.library.run_records(run_id, _USAGE).get(_USAGE, b"{}")
        context.gate.resume(Usage(**json.loads(spent)))
        context.on_step(TraceStep("run", "resumed", {"run": run_id}))
    initial = RunState(plan=[], nodes=[], explorers=[], trace=[], result={})
    # durability="sync": a step's checkpoint is on disk before the next step spends tokens.
    result = await graph.ainvoke(None if unfinished else initial, config, durability="sync")
    await checkpoints.adelete_thread(run_id)
    return cast(RunState, result)


def _graph(context: RunContext) -> StateGraph[Any, Any, Any, Any]:
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(RunState)
    graph.add_node("plan", partial(_plan, context))
    graph.add_node("start", partial(_choose, context))
    graph.add_node("explore", _explorer_graph(context).compile())
    graph.add_node("answer", partial(_answer, context))
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "start")
    graph.add_conditional_edges("start", _spread, ["explore", "answer"])
    graph.add_edge("explore", "answer")
    graph.add_edge("answer", END)
    return graph


def _explorer_graph(context: RunContext) -> StateGraph[Any, Any, Any, Any]:
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(
        _ExplorerRun, input_schema=ExplorerState, output_schema=_ExplorerOutput
    )

    async def take_step(state: ExplorerState) -> dict[str, Any]:
        update = await step(context, state)
        return update | {"explorers": [update]} if update["phase"] == Phase.DONE else update

    def follow(state: ExplorerState) -> Hashable:
        return END if state["phase"] == Phase.DONE else "step"

    graph.add_node("step", take_step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", follow, ["step", END])
    return graph


async def _plan(context: RunContext, state: RunState) -> dict[str, Any]:
    try:
        plan, problem = list(context.plan) or await make_plan(context.gate, context.question), {}
    except BadModelOutputError as error:
        # Exploring without a plan is worse, but better than no answer.
        plan, problem = [context.question], {"problem": str(error)}
    return {"plan": plan, "trace": [_traced(context, "plan", "plan", steps=plan, **problem)]}


async def _choose(context: RunContext, state: RunState) -> dict[str, Any]:
    nodes = await choose_nodes(context, state["plan"])
    entry = _traced(
        context, "plan", "start_nodes", nodes=[node.spelling for node in nodes], offered=len(context.start_nodes)
    )
    return {"nodes": [node.name for node in nodes], "trace": [entry]}


def _spread(state: RunState) -> list[Send] | str:
    sends = [
        Send("explore", new_explorer(number, name, state["plan"]))
        for number, name in enumerate(state["nodes"], start=1)
    ]
    return sends or "answer"


async def _answer(context: RunContext, state: RunState) -> dict[str, Any]:
    explorers = sorted(state["explorers"], key=lambda explorer: explorer["explorer"])
    excerpts = evidence_of(context, explorers)
    chunk_ids = list(dict.fromkeys(excerpt.chunk_id for excerpt in excerpts))
    chunks = {chunk.id: chunk for chunk in context.library.chunks_by_id(chunk_ids)}
    conclusion = await conclude(context.gate, context.question, excerpts, context.documents, chunks)
    steps = [entry for explorer in explorers for entry in explorer["trace"]]
    result = {
        "answer": conclusion.answer,
        "answerable": conclusion.answerable,
        "citations": [_citation(citation) for citation in conclusion.citations],
        "warnings": list(conclusion.warnings),
        "stopped_by": _stopped_by(explorers),
        "read": list(dict.fromkeys(chunk_id for explorer in explorers for chunk_id in explorer["read"])),
    }
    found = [[item.document_id, item.start, item.end] for item in context.found]
    entry = _traced(context, "answer", "answer", **told(conclusion, excerpts), found=found)
    return {"result": result, "trace": [*steps, entry]}


def evidence_of(context: RunContext, explorers: list[ExplorerState]) -> list[Excerpt]:
    """What search found and what explorers noted, each the best first and taking turns, until the prompt is full: a
    model that notes too much must not crowd out what search is sure of, nor the other way round.
    """
    notes = [note for explorer in explorers for note in explorer["notes"]]
    chunks = {chunk.id: chunk for chunk in context.library.chunks_by_id([note["chunk_id"] for note in notes])}
    texts = [context.text(note["document_id"], note["start"], note["end"]) for note in notes]
    scores = context.relevance.scores(texts, [note["chunk_id"] for note in notes])
    noted = merged(
        Excerpt(note["document_id"], note["chunk_id"], *_widened(context, chunks, note), 1, score)
        for note, score in zip(notes, scores, strict=True)
    )
    most = answer_tokens(context.limits, context.gate.model.name)
    return fitting(_taking_turns(context.found, noted), context.documents, context.count_tokens(), most)


def _taking_turns(found: Sequence[Excerpt], noted: Sequence[Excerpt]) -> list[Excerpt]:
    """A passage, a note, a passage, ... A note that overlaps a passage is read in the passage."""
    taken: list[Excerpt] = []
    for passage, note in zip_longest(found, noted):
        if passage is not None:
            taken = [one for one in taken if not (one.votes and _overlap(one, passage))]
            taken.append(passage)
        if note is not None and not any(_overlap(note, one) for one in taken):
            taken.append(note)
    return taken


def _widened(context: RunContext, chunks: Mapping[str, Chunk], note: NoteState) -> tuple[int, int]:
    document = context.documents[note["document_id"]]
    return in_context(document, chunks[note["chunk_id"]], note["start"], note["end"])


def _overlap(one: Excerpt, other: Excerpt) -> bool:
    return one.document_id == other.document_id and one.start < other.end and other.start < one.end


def _stopped_by(explorers: list[ExplorerState]) -> str:
    limits = [explorer["stopped_by"] for explorer in explorers if explorer["stopped_by"] != StoppedBy.FINISHED]
    return limits[0] if limits else StoppedBy.FINISHED.value


def _citation(citation: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: getattr(citation, name) for name in citation.__slots__}


def _traced(context: RunContext, actor: str, action: str, **detail: Any) -> dict[str, Any]:  # noqa: ANN401
    entry = trace_step(actor, action, **detail)
    context.on_step(TraceStep(actor, action, entry["detail"]))
    return entry
