"""The plain window: the end of the documents, as many tokens of it as a small window holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphreader.agent.answer import MAX_REPLY_TOKENS, answer_prompt, conclude
from graphreader.agent.evidence import Excerpt
from graphreader.answering import Documents
from graphreader.evaluate.asking import Asking, Outcome
from graphreader.llm.protocol import Message
from graphreader.records import Chunk, Document, StoppedBy, TraceStep
from memory.paging import longest

_QUESTION_STEP_TOKENS = 64


async def last_tokens(asking: Asking) -> Outcome:
    """From the end of the last document, and of those before it where there is room."""
    gate = asking.gate()
    documents = Documents(asking.library, asking.document_ids)
    shown, chunks = await asyncio.to_thread(_end, asking, documents)
    conclusion = await conclude(gate, asking.question, shown, documents, chunks)
    evidence = [[item.document_id, item.start, item.end, item.votes] for item in shown]
    steps = [
        TraceStep("last-tokens", "read", {"characters": sum(item.end - item.start for item in shown)}),
        TraceStep("answer", "answer", {"answer": conclusion.answer, "evidence": evidence}),
    ]
    return Outcome(conclusion, gate.usage, steps, StoppedBy.FINISHED.value)


def _end(asking: Asking, documents: Mapping[str, Document]) -> tuple[list[Excerpt], dict[str, Chunk]]:
    """The longest end whose prompt and reply fit the window, a chunk an excerpt; the first is cut before a word.

    Room for the question is kept in steps, so that questions begin at the same word and share what the server cached.
    """
    chunks = [chunk for document_id in asking.document_ids for chunk in asking.library.chunks(document_id)]
    by_id = {chunk.id: chunk for chunk in chunks}
    window = min(asking.settings.evaluate.window_tokens, asking.model.context_tokens)
    (question_tokens,) = asking.model.count_tokens([asking.question])
    kept = MAX_REPLY_TOKENS + _QUESTION_STEP_TOKENS * (1 + question_tokens // _QUESTION_STEP_TOKENS)

    def fits(characters: int) -> bool:
        prompt, _ = answer_prompt("", _tail(chunks, characters, documents), documents, by_id)
        messages = [Message("system", prompt.system), Message("user", prompt.user)]
        return asking.model.count_prompt_tokens(messages) + kept <= window

    most = sum(chunk.end - chunk.start for chunk in chunks)
    return _tail(chunks, longest(most, fits), documents), by_id


def _tail(chunks: Sequence[Chunk], characters: int, documents: Mapping[str, Document]) -> list[Excerpt]:
    """The last ``characters`` of the chunks."""
    tail: list[Excerpt] = []
    for chunk in reversed(chunks):
        if characters <= 0:
            break
        excerpt = Excerpt(chunk.document_id, chunk.id, max(chunk.start, chunk.end - characters), chunk.end, 0, 0.0)
        characters -= chunk.end - chunk.start
        if excerpt.start > chunk.start:
            excerpt = _from_a_word(excerpt, documents[chunk.document_id].text)
        tail.append(excerpt)
    return [excerpt for excerpt in reversed(tail) if excerpt.start < excerpt.end]


def _from_a_word(excerpt: Excerpt, text: str) -> Excerpt:
    start = excerpt.start
    while start < excerpt.end and not text[start - 1].isspace():
        start += 1
    return excerpt if start == excerpt.end else replace(excerpt, start=start)
