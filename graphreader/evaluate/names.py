"""Variants of the explorers for measuring what they owe to search: begun at names alone, or without its passages.

``paper`` is as near to the published GraphReader as the same explorers come: it starts where a model finds the names of
key elements fit for the question, without facts beside them, and answers from its notes alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from graphreader.agent.context import RunContext, StartNode
from graphreader.agent.relevance import relevance_of
from graphreader.answering import Documents, explore, look, run_context
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.llm.gate import Gate
from graphreader.records import TraceStep
from graphreader.search import SearchResult

#: As many as search hands to the agent; the window cuts further.
_START_NODES = 24


async def paper(asking: Asking) -> Outcome:
    """Start nodes by name, no passages of search, no scores of search to put lists in order."""
    context = _context(asking, asking.gate(), SearchResult())
    context = replace(context, relevance=relevance_of(asking.question, (), {}), start_nodes=await _by_name(asking))
    return await _explored(asking, context, "paper")


async def begun_at_names(asking: Asking) -> Outcome:
    """Start nodes by name; all else as in mode graph."""
    context = await _as_graph(asking)
    return await _explored(asking, replace(context, start_nodes=await _by_name(asking)), "graph-names")


async def without_passages(asking: Asking) -> Outcome:
    """Start nodes as in mode graph; the answer from the notes alone."""
    return await _explored(asking, replace(await _as_graph(asking), found=()), "graph-alone")


async def _as_graph(asking: Asking) -> RunContext:
    gate = asking.gate()
    found, plan = await look(
        asking.library,
        gate,
        asking.question,
        asking.document_ids,
        asking.embedder,
        asking.reranker,
        asking.settings,
    )
    return replace(_context(asking, gate, found), plan=plan)


def _context(asking: Asking, gate: Gate, found: SearchResult) -> RunContext:
    documents = Documents(asking.library, asking.document_ids)
    return run_context(asking.library, gate, asking.question, documents, found, asking.settings, asking.on_step)


async def _by_name(asking: Asking) -> tuple[StartNode, ...]:
    alike = await asyncio.to_thread(asking.names.alike, asking.question, asking.document_ids, _START_NODES)
    return tuple(StartNode(element.name, element.spellings[0], "") for element in alike)


async def _explored(asking: Asking, context: RunContext, variant: str) -> Outcome:
    explored = await explore(context, asking.settings, variant)
    first = TraceStep("search", "offered", {"nodes": [node.spelling for node in context.start_nodes]})
    return Outcome(explored.conclusion, context.gate.usage, [first, *explored.trace], explored.stopped_by.value)
