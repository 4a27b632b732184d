"""Whole documents in one prompt: every chunk a numbered excerpt, the question last.

Prompts on the same documents are the same up to the question, so a server with a prefix cache computes the documents
once. What does not fit is refused, or cut to the largest contiguous part around the best chunk.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graphreader.agent.answer import MAX_REPLY_TOKENS, answer_prompt
from graphreader.agent.evidence import Excerpt
from graphreader.errors import DocumentsTooLongError
from graphreader.library.protocol import Library
from graphreader.llm.protocol import ChatModel, Message
from graphreader.records import Chunk, Document

#: What a chunk costs in the prompt beside its text: number, share of a title, line break. The exact count comes after.
_TOKENS_PER_CHUNK = 16
#: Chunks may have been counted by another model's tokenizer; beyond this multiple of the window nobody counts exactly.
_ESTIMATE_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Reading:
    """The chunks that one prompt holds. ``token_count`` is theirs, ``of_tokens`` that of all chosen documents;
    ``prefix`` names the text before the question, ``part`` says what was read where it was not everything.
    """

    chunks: tuple[Chunk, ...]
    token_count: int
    of_tokens: int
    prefix: str
    part: str = ""

    @property
    def excerpts(self) -> list[Excerpt]:
        """The chunks as evidence."""
        return [Excerpt(chunk.document_id, chunk.id, chunk.start, chunk.end, 0, 0.0) for chunk in self.chunks]


def chunks_within(library: Library, document_ids: Iterable[str], max_tokens: int) -> tuple[list[Chunk], int]:
    """The documents' chunks and their tokens; it stops at the first document that exceeds ``max_tokens``."""
    chunks: list[Chunk] = []
    tokens = 0
    for document_id in document_ids:
        own = library.chunks(document_id)
        chunks += own
        tokens += sum(chunk.token_count + _TOKENS_PER_CHUNK for chunk in own)
        if tokens > max_tokens:
            break
    return chunks, tokens


def read_whole(
    library: Library,
    model: ChatModel,
    question: str,
    documents: Mapping[str, Document],
    scores: Mapping[str, float] | None = None,
) -> Reading:
    """All chunks of ``documents``; with ``scores`` (of chunks, by id) the largest part that fits if they do not.

    Raises ``DocumentsTooLongError`` where they do not fit, or not even one chunk does.
    """
    countable = int(_ESTIMATE_MARGIN * model.context_tokens)
    chunks, tokens = chunks_within(library, documents, countable if scores is None else sys.maxsize)
    if tokens <= countable:
        needed = _prompt_tokens(model, question, chunks, documents) + MAX_REPLY_TOKENS
        if needed <= model.context_tokens:
            return Reading(tuple(chunks), tokens, tokens, prefix_of(chunks))
    else:
        needed = tokens + MAX_REPLY_TOKENS
    if scores is None:
        raise DocumentsTooLongError(tokens, needed, model.context_tokens)
    return _largest_part(model, question, chunks, documents, scores)


def _largest_part(
    model: ChatModel,
    question: str,
    chunks: Sequence[Chunk],
    documents: Mapping[str, Document],
    scores: Mapping[str, float],
) -> Reading:
    of_tokens = sum(chunk.token_count + _TOKENS_PER_CHUNK for chunk in chunks)
    best = max(chunks, key=lambda chunk: (scores.get(chunk.id, 0.0), -chunk.index))
    own = [chunk for chunk in chunks if chunk.document_id == best.document_id]
    room = model.context_tokens - MAX_REPLY_TOKENS - _prompt_tokens(model, question, (), documents)
    first, last = grown(
        [chunk.token_count + _TOKENS_PER_CHUNK for chunk in own],
        [scores.get(chunk.id, 0.0) for chunk in own],
        best.index,
        room,
    )
    while True:
        part = own[first : last + 1]
        needed = _prompt_tokens(model, question, part, documents) + MAX_REPLY_TOKENS
        if needed <= model.context_tokens:
            break
        if first == last:
            raise DocumentsTooLongError(of_tokens, needed, model.context_tokens)
        # The estimate of what stands around the chunks was too low: give up the end farther from the best.
        first, last = (first + 1, last) if best.index - first > last - best.index else (first, last - 1)
    tokens = sum(chunk.token_count + _TOKENS_PER_CHUNK for chunk in part)
    return Reading(tuple(part), tokens, of_tokens, prefix_of(part), _what_was_read(part, documents, tokens, of_tokens))


def grown(costs: Sequence[int], scores: Sequence[float], start: int, room: int) -> tuple[int, int]:
    """The first and last place of the largest run around ``start`` that costs at most ``room``, itself at least.

    It grows by the neighbour that scores higher, by the nearer one where both score the same, while one fits.
    """
    first = last = start
    left = room - costs[start]
    while True:
        offered = [place for place in (first - 1, last + 1) if 0 <= place < len(costs) and costs[place] <= left]
        if not offered:
            return first, last
        place = max(offered, key=lambda at: (scores[at], -abs(at - start), at))
        left -= costs[place]
        first, last = min(first, place), max(last, place)


def _prompt_tokens(model: ChatModel, question: str, chunks: Sequence[Chunk], documents: Mapping[str, Document]) -> int:
    excerpts = [Excerpt(chunk.document_id, chunk.id, chunk.start, chunk.end, 0, 0.0) for chunk in chunks]
    prompt, _ = answer_prompt(question, excerpts, documents, {chunk.id: chunk for chunk in chunks})
    return model.count_prompt_tokens([Message("system", prompt.system), Message("user", prompt.user)])


def prefix_of(chunks: Sequence[Chunk]) -> str:
    """A name for what stands before the question: the same chunks in the same order."""
    return hashlib.sha256("\n".join(chunk.id for chunk in chunks).encode()).hexdigest()[:16]


def _what_was_read(part: Sequence[Chunk], documents: Mapping[str, Document], tokens: int, of_tokens: int) -> str:
    document = documents[part[0].document_id]
    first, last = document.page_at(part[0].start), document.page_at(part[-1].end - 1)
    pages = f"page {first}" if first == last else f"pages {first} to {last}"
    return (
        f"Only a part was read: {document.title}, {pages}, characters {part[0].start:,} to {part[-1].end:,} of "
        f"{len(document.text):,} (about {tokens:,} of {of_tokens:,} tokens)."
    )
