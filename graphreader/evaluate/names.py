"""Variants of the explorers for measuring what they owe to search: begun at names alone, or without its passages.

``paper`` is as near to the published GraphReader as the same explorers come: it starts where a model finds the names of
key elements fit for the question, without facts beside them, and answers from its notes alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from graphreader.agent.answer import Conclusion
from graphreader.agent.context import RunContext, StartNode
from graphreader.agent.relevance import relevance_of
from graphreader.answering import Documents, run_context
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.records import Citation, TraceStep
from graphreader.search import SearchResult, search
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.rerank import reranked

#: As many as search hands to the agent; the window cuts further.
_START_NODES = 24


async def paper(asking: Asking) -> Outcome:
    """Start nodes by name, no passages of search, no scores of search to put lists in order."""
    context = _context(asking, SearchResult())
    context = replace(context, relevance=relevance_of(asking.question, (), {}), start_nodes=await _by_name(asking))
    return await _explored(asking, context, "paper")


async def begun_at_names(asking: Asking) -> Outcome:
    """Start nodes by name; all else as in mode graph."""
    context = _context(asking, await _found(asking))
    return await _explored(asking, replace(context, start_nodes=await _by_name(asking)), "graph-names")


async def without_passages(asking: Asking) -> Outcome:
    """Start nodes as in mode graph; the answer from the notes alone."""
    context = _context(asking, await _found(asking))
    return await _explored(asking, replace(context, found=()), "graph-alone")


def _context(asking: Asking, found: SearchResult) -> RunContext:
    documents = Documents(asking.library, asking.document_ids)
    gate = asking.gate()
    return run_context(asking.library, gate, asking.question, documents, found, asking.settings, asking.on_step)


async def _found(asking: Asking) -> SearchResult:
    def look() -> SearchResult:
        found = search(asking.library, asking.question, documents=asking.document_ids, embedder=asking.embedder)
        return reranked(found, asking.question, asking.reranker, DEFAULT_WEIGHTS)

    return await asyncio.to_thread(look)


async def _by_name(asking: Asking) -> tuple[StartNode, ...]:
    alike = await asyncio.to_thread(asking.names.alike, asking.question, asking.document_ids, _START_NODES)
    return tuple(StartNode(element.name, element.spellings[0], "") for element in alike)


async def _explored(asking: Asking, context: RunContext, variant: str) -> Outcome:
    from graphreader.agent import workflow

    run_id = hashlib.sha256(f"{variant}\n{asking.key}".encode()).hexdigest()[:16]
    state = await workflow.run(context, run_id)
    result = state["result"]
    conclusion = Conclusion(
        result["answer"],
        result["answerable"],
        tuple(Citation(**citation) for citation in result["citations"]),
        tuple(result["warnings"]),
    )
    first = TraceStep("search", "offered", {"nodes": [node.spelling for node in context.start_nodes]})
    trace = [first, *(TraceStep(**step) for step in state["trace"])]
    return Outcome(conclusion, context.gate.usage, trace, result["stopped_by"])
