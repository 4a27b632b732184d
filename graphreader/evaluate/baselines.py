"""Baselines: from nothing, from the best passages of a plain ranking, from the gold evidence alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from graphreader.agent.answer import NOT_SAID, Conclusion, conclude, told
from graphreader.agent.evidence import Excerpt, fitting, merged
from graphreader.answering import Documents
from graphreader.errors import GraphReaderError
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.llm.gate import Gate
from graphreader.llm.measured import search_tokens
from graphreader.records import StoppedBy, TraceStep
from graphreader.search.question import Query
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.seed import best, reads, seed_scores
from graphreader.text.terms import terms
from prompts import render

#: As many passages as mode search looks at; the token budget cuts further.
_PASSAGES = 24
_MAX_CLOSED_BOOK_TOKENS = 96
#: What the answering prompt takes beside the excerpts.
_PROMPT_TOKENS = 1024


class ClosedBookReply(BaseModel):
    """An answer from memory."""

    answerable: Literal["yes", "no"]
    answer: str


_CLOSED_BOOK_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answerable": {"type": "string", "enum": ["yes", "no"]}, "answer": {"type": "string"}},
    "required": ["answerable", "answer"],
    "additionalProperties": False,
}


async def closed_book(asking: Asking) -> Outcome:
    """What the model says without any document."""
    gate = asking.gate()
    prompt = render("closed_book", question=asking.question)
    reply = await gate.ask(prompt, ClosedBookReply, _CLOSED_BOOK_SCHEMA, _MAX_CLOSED_BOOK_TOKENS, _cut)
    answer = " ".join(reply.answer.split())
    answerable = reply.answerable == "yes" and bool(answer)
    conclusion = Conclusion(answer if answerable else NOT_SAID, answerable, ())
    return _outcome(gate, conclusion, [])


def _cut(text: str) -> ClosedBookReply | None:
    """A reply that ran into its limit: the beginning of its answer."""
    _, found, beginning = text.partition('"answer":')
    words = beginning.strip().removeprefix('"').split("\\")[0].rpartition(" ")[0]
    return ClosedBookReply(answerable="yes", answer=words) if found and words else None


async def bm25(asking: Asking) -> Outcome:
    """From the best passages by BM25."""

    def rank() -> list[tuple[str, float]]:
        return asking.library.search_passages(terms(asking.question), asking.document_ids, _PASSAGES)

    return await _from_passages(asking, await asyncio.to_thread(rank))


async def dense(asking: Asking) -> Outcome:
    """From the best passages by the cosine of their vectors."""

    def rank() -> list[tuple[str, float]]:
        assert asking.embedder is not None
        query = asking.embedder.embed_queries([asking.question])
        nearest = asking.library.nearest_passages(asking.embedder.name, query, asking.document_ids, _PASSAGES)
        scores = dict(zip(nearest.passage_ids, nearest.cosines[:, 0].tolist(), strict=True))
        return [(passage, scores[passage]) for passage in best(scores, _PASSAGES)]

    return await _from_passages(asking, await asyncio.to_thread(rank))


async def hybrid(asking: Asking) -> Outcome:
    """From the best passages by BM25 and vectors added, the first step of the reader's own search."""

    def rank() -> list[tuple[str, float]]:
        queries = [Query(asking.question, asking.question, 1.0)]
        seed = seed_scores(asking.library, queries, asking.document_ids, asking.embedder, DEFAULT_WEIGHTS)
        return [(passage, seed.fused[passage]) for passage in seed.best(_PASSAGES)]

    return await _from_passages(asking, await asyncio.to_thread(rank))


def check_embedder(asking: Asking) -> None:
    """Raise ``GraphReaderError`` where vectors cannot rank this question."""
    if asking.embedder is None:
        raise GraphReaderError("Vectors are switched off (search.embedder is 'none'): set it, or leave the mode out.")
    if not reads(asking.embedder, asking.question):
        raise GraphReaderError(
            f"The embedder {asking.embedder.name} was not made for the script of the question: set search.embedder."
        )


async def gold(asking: Asking) -> Outcome:
    """From the gold evidence, all of it that the window holds."""
    excerpts = []
    for number, span in enumerate(asking.gold):
        chunks = asking.library.chunks(span.document_id)
        home = next((chunk.id for chunk in chunks if chunk.start <= span.start < chunk.end), "")
        excerpts.append(Excerpt(span.document_id, home, span.start, span.end, 0, 1.0 / (1 + number)))
    room = asking.model.context_tokens - _PROMPT_TOKENS
    return await _from_excerpts(asking, merged(excerpts), max(room, 1), [])


async def _from_passages(asking: Asking, ranked: Sequence[tuple[str, float]]) -> Outcome:
    scores = dict(ranked)
    passages = asking.library.passages_by_id(list(scores))
    excerpts = merged(
        Excerpt(passage.document_id, passage.chunk_id, passage.start, passage.end, 0, scores[passage.id])
        for passage in passages
    )
    found = [[item.document_id, item.start, item.end] for item in excerpts]
    most = search_tokens(asking.settings.search, asking.model.name)
    return await _from_excerpts(asking, excerpts, most, found)


async def _from_excerpts(asking: Asking, excerpts: Sequence[Excerpt], max_tokens: int, found: list[Any]) -> Outcome:
    gate = asking.gate()
    documents = Documents(asking.library, asking.document_ids)
    shown = fitting(excerpts, documents, asking.model.count_tokens, max_tokens)
    chunks = {chunk.id: chunk for chunk in asking.library.chunks_by_id([item.chunk_id for item in shown])}
    conclusion = await conclude(gate, asking.question, shown, documents, chunks)
    steps = [
        TraceStep("search", "search", {"passages": len(excerpts), "shown_passages": len(shown), "found": found}),
        TraceStep("answer", "answer", told(conclusion, shown)),
    ]
    return _outcome(gate, conclusion, steps)


def _outcome(gate: Gate, conclusion: Conclusion, steps: Sequence[TraceStep]) -> Outcome:
    return Outcome(conclusion, gate.usage, steps, StoppedBy.FINISHED.value)
