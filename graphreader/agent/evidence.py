"""From notes (or search hits) to the numbered excerpts of the answering prompt, and from its reply back to citations.

An excerpt is a span of a document; what is shown to a reader as a quote is cut to the sentences of it that carry the
answer, and is compared with the source before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from graphreader.ingest.chunk import readable_sentences
from graphreader.records import Chunk, Citation, Document
from graphreader.text.terms import terms
from memory.paging import longest

#: What an excerpt costs beside its text: its number, its share of a title, line breaks.
_TOKENS_PER_EXCERPT = 16
#: A longer neighbour of a noted sentence is a statement of its own rather than what the sentence refers to.
_MAX_CONTEXT_CHARACTERS = 240
#: A question's words count less than the answer's when the sentence that carries an answer is looked for.
_QUESTION_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A span offered as evidence. ``votes``: how many explorers noted it; 0 where only search found it."""

    document_id: str
    chunk_id: str
    start: int
    end: int
    votes: int
    score: float


def merged(excerpts: Iterable[Excerpt]) -> list[Excerpt]:
    """Excerpts with overlapping spans joined, votes added; best first: by votes, then by score."""
    joined: list[Excerpt] = []
    for excerpt in sorted(excerpts, key=lambda item: (item.document_id, item.start, item.end)):
        last = joined[-1] if joined else None
        if last is not None and last.document_id == excerpt.document_id and excerpt.start < last.end:
            joined[-1] = replace(
                last,
                end=max(last.end, excerpt.end),
                votes=last.votes + excerpt.votes,
                score=max(last.score, excerpt.score),
            )
        else:
            joined.append(excerpt)
    return sorted(joined, key=lambda item: (-item.votes, -item.score, item.document_id, item.start))


def fitting(
    excerpts: Sequence[Excerpt],
    documents: Mapping[str, Document],
    count_tokens: Callable[[Sequence[str]], list[int]],
    max_tokens: int,
) -> list[Excerpt]:
    """The best excerpts that the window holds; one that is too long makes way for those behind it. Where none fits, the
    beginning of the best.
    """
    texts = [one_line(documents[item.document_id], item.start, item.end) for item in excerpts]
    kept: list[Excerpt] = []
    left = max_tokens
    for excerpt, tokens in zip(excerpts, count_tokens(texts), strict=True):
        cost = tokens + _TOKENS_PER_EXCERPT
        if cost <= left:
            kept.append(excerpt)
            left -= cost
    if kept or not excerpts:
        return kept
    best, document = excerpts[0], documents[excerpts[0].document_id]

    def fits(length: int) -> bool:
        text = one_line(document, best.start, best.start + length)
        return count_tokens([text])[0] + _TOKENS_PER_EXCERPT <= max_tokens

    return [replace(best, end=best.start + max(longest(best.end - best.start, fits), 1))]


def grouped(
    excerpts: Sequence[Excerpt], documents: Mapping[str, Document], chunks: Mapping[str, Chunk]
) -> tuple[list[dict[str, Any]], list[Excerpt]]:
    """The excerpts in the order of the text under titles (document, heading, page), as the prompt shows them, and the
    excerpts in the order of their numbers.
    """
    ordered = sorted(excerpts, key=lambda item: (item.document_id, item.start))
    groups: list[dict[str, Any]] = []
    number = 0
    for title, members in groupby(ordered, key=lambda item: _title(item, documents, chunks)):
        shown = []
        for member in members:
            number += 1
            text = one_line(documents[member.document_id], member.start, member.end)
            shown.append({"number": number, "text": text})
        groups.append({"title": title, "excerpts": shown})
    return groups, ordered


def cite(excerpt: Excerpt, answer: str, question: str, document: Document) -> Citation | None:
    """The quote of an excerpt that carries ``answer``, or None where the source does not hold it verbatim."""
    start, end = _carrying_span(excerpt, answer, question, document)
    quote = document.text[start:end]
    if not quote.strip() or not document.pages[0].start <= start < end <= document.pages[-1].end:
        return None
    return Citation(document.title, document.id, document.source, document.page_at(start), start, end, quote)


def support(answer: str, question: str, text: str) -> float:
    """Share of the answer's own terms (those that the question does not hold already) that ``text`` holds, 0 to 1."""
    own = set(terms(answer)) - set(terms(question))
    return len(own & set(terms(text))) / len(own) if own else share(answer, text)


def share(words: str, text: str) -> float:
    """Share of the terms of ``words`` that ``text`` holds, 0 to 1."""
    wanted = set(terms(words))
    return len(wanted & set(terms(text))) / len(wanted) if wanted else 0.0


def in_context(document: Document, chunk: Chunk, start: int, end: int) -> tuple[int, int]:
    """A noted sentence with the one before and the one after it, within its chunk, where they are short.

    What "he" or "that year" means mostly stands there, and a small model that names a sentence is often one off.
    """
    spans = readable_sentences(document, chunk.start, chunk.end)
    held = [index for index, span in enumerate(spans) if span[0] < end and start < span[1]]
    if not held:
        return start, end
    before, after = spans[max(held[0] - 1, 0)], spans[min(held[-1] + 1, len(spans) - 1)]
    first = before[0] if before[1] - before[0] <= _MAX_CONTEXT_CHARACTERS else spans[held[0]][0]
    last = after[1] if after[1] - after[0] <= _MAX_CONTEXT_CHARACTERS else spans[held[-1]][1]
    return first, last


def one_line(document: Document, start: int, end: int) -> str:
    """A span's text with its white space folded."""
    return " ".join(document.text[start:end].split())


def _title(excerpt: Excerpt, documents: Mapping[str, Document], chunks: Mapping[str, Chunk]) -> str:
    document = documents[excerpt.document_id]
    chunk = chunks.get(excerpt.chunk_id)
    heading = f", {' / '.join(chunk.headings[-2:])}" if chunk is not None and chunk.headings else ""
    return f"{document.title}{heading}, page {document.page_at(excerpt.start)}:"


def _carrying_span(excerpt: Excerpt, answer: str, question: str, document: Document) -> tuple[int, int]:
    answer_terms, question_terms = set(terms(answer)), set(terms(question))

    def weight(span: tuple[int, int]) -> float:
        held = set(terms(document.text[span[0] : span[1]]))
        return len(held & answer_terms) + _QUESTION_WEIGHT * len(held & question_terms)

    spans = readable_sentences(document, excerpt.start, excerpt.end)
    return max(spans, key=weight) if spans else (excerpt.start, excerpt.end)
