"""Whole documents in one prompt: every chunk a numbered excerpt, the question last.

Prompts on the same documents are the same up to the question, so a server with a prefix cache computes the documents
once. What does not fit is refused, or cut to the largest contiguous part around the best chunk.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from graphreader.agent.answer import MAX_REPLY_TOKENS, answer_prompt
from graphreader.agent.evidence import Excerpt
from graphreader.errors import DocumentsTooLongError
from graphreader.library.protocol import Library
from graphreader.llm.protocol import ChatModel, Message
from graphreader.records import Chunk, Document

#: What a chunk costs in the prompt beside its text: number, share of a title, line break. The exact count comes after.
_TOKENS_PER_CHUNK = 16
#: Chunks may have been counted by another model's tokenizer; beyond this multiple of the window nobody counts exactly,
#: and beyond the second not at all.
_ESTIMATE_MARGIN = 2.5
_COUNTED_WINDOWS = 16
#: Documents that are named where several were read as a whole.
_NAMED_DOCUMENTS = 5


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


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive chunks of one document, ``own[first:last + 1]``, around the one at ``best``."""

    own: Sequence[Chunk]
    best: int
    first: int
    last: int

    @property
    def chunks(self) -> Sequence[Chunk]:
        return self.own[self.first : self.last + 1]

    @property
    def is_whole(self) -> bool:
        return len(self.chunks) == len(self.own)

    def shrunk(self) -> _Run | None:
        """Without the end that is farther from the best chunk; None where that was the last."""
        if self.first == self.last:
            return None
        if self.best - self.first > self.last - self.best:
            return replace(self, first=self.first + 1)
        return replace(self, last=self.last - 1)

    def extended(self) -> list[_Run]:
        """With one chunk more, behind it or before it, where there is one."""
        longer = [replace(self, last=self.last + 1)] if self.last + 1 < len(self.own) else []
        return [*longer, replace(self, first=self.first - 1)] if self.first > 0 else longer


def chunks_within(library: Library, document_ids: Iterable[str], max_tokens: int) -> tuple[list[Chunk], int]:
    """The documents' chunks in the order of the prompt, and their tokens; it stops at the first document that exceeds
    ``max_tokens``.
    """
    chunks: list[Chunk] = []
    tokens = 0
    for document_id in sorted(document_ids):
        own = library.chunks(document_id)
        chunks += own
        tokens += _cost(own)
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
    most = _COUNTED_WINDOWS * model.context_tokens if scores is None else sys.maxsize
    chunks, tokens = chunks_within(library, documents, most)
    around = _prompt_tokens(model, question, (), documents) + MAX_REPLY_TOKENS
    needed = around + tokens
    if tokens <= countable:
        needed = _prompt_tokens(model, question, chunks, documents) + MAX_REPLY_TOKENS
        if needed <= model.context_tokens:
            return Reading(tuple(chunks), tokens, tokens, prefix_of(chunks))
    room = model.context_tokens - around

    def fits(runs: Sequence[_Run]) -> bool:
        return _prompt_tokens(model, question, _joined(runs), documents) + MAX_REPLY_TOKENS <= model.context_tokens

    runs = _fitted([] if scores is None else _largest_part(chunks, scores, room), fits)
    if not runs:
        raise DocumentsTooLongError(tokens, needed, model.context_tokens, max(room, 0), is_counted=tokens <= most)
    part = _joined(runs)
    return Reading(part, _cost(part), tokens, prefix_of(part), _what_was_read(runs, documents, tokens))


def _fitted(runs: list[_Run], fits: Callable[[Sequence[_Run]], bool]) -> list[_Run]:
    """What stands around the chunks was estimated: the last run gives up what does not fit, then takes what still does.

    Empty where not even one chunk fits.
    """
    while runs and not fits(runs):
        shrunk = runs.pop().shrunk()
        runs += [shrunk] if shrunk is not None else []
    while runs:
        offered = next((run for run in runs[-1].extended() if fits([*runs[:-1], run])), None)
        if offered is None:
            break
        runs[-1] = offered
    return runs


def _joined(runs: Sequence[_Run]) -> tuple[Chunk, ...]:
    """The chunks of all runs in the order of the prompt."""
    return tuple(chunk for run in sorted(runs, key=lambda run: run.own[0].document_id) for chunk in run.chunks)


def _largest_part(chunks: Sequence[Chunk], scores: Mapping[str, float], room: int) -> list[_Run]:
    """The largest part around the best chunk, and while a document is whole, that of the next best document."""
    documents = [list(own) for _, own in groupby(chunks, key=lambda chunk: chunk.document_id)]
    runs: list[_Run] = []
    for own in sorted(documents, key=lambda own: -max(scores.get(chunk.id, 0.0) for chunk in own)):
        costs, own_scores = [_cost([chunk]) for chunk in own], [scores.get(chunk.id, 0.0) for chunk in own]
        best = max(range(len(own)), key=lambda place: (own_scores[place], -place))
        if runs and costs[best] > room:
            break
        runs.append(_Run(own, best, *grown(costs, own_scores, best, room)))
        room -= _cost(runs[-1].chunks)
        if not runs[-1].is_whole:
            break
    return runs


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


def _cost(chunks: Iterable[Chunk]) -> int:
    return sum(chunk.token_count + _TOKENS_PER_CHUNK for chunk in chunks)


def _what_was_read(runs: Sequence[_Run], documents: Mapping[str, Document], of_tokens: int) -> str:
    cut = [_span(run.chunks, documents[run.own[0].document_id]) for run in runs if not run.is_whole]
    whole = [documents[run.own[0].document_id].title for run in runs if run.is_whole]
    named = ", ".join(whole[:_NAMED_DOCUMENTS])
    more = f" and {len(whole) - _NAMED_DOCUMENTS:,} more" if len(whole) > _NAMED_DOCUMENTS else ""
    parts = [*([f"all of {named}{more}"] if whole else []), *cut]
    tokens = sum(_cost(run.chunks) for run in runs)
    return f"Only a part was read: {'; '.join(parts)} (about {tokens:,} of {of_tokens:,} tokens)."


def _span(part: Sequence[Chunk], document: Document) -> str:
    first, last = document.page_at(part[0].start), document.page_at(part[-1].end - 1)
    pages = f"page {first}" if first == last else f"pages {first} to {last}"
    of_characters = f"characters {part[0].start:,} to {part[-1].end:,} of {len(document.text):,}"
    return f"{document.title}, {pages}, {of_characters}"
