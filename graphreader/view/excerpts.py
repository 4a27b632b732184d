"""Facts in their places: which stretch of the source is kept around each, so that it can be read where it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphreader.library.protocol import Library
from graphreader.records import AtomicFact, Document

#: Text kept on either side of a fact, and how much of that may be cut so that it begins and ends with a whole word.
_CONTEXT_CHARACTERS = 700
_WORD_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Verbatim text at ``start``..``end`` of a document of ``length`` characters, called ``document``."""

    document_id: str
    document: str
    start: int
    end: int
    text: str
    length: int


@dataclass(frozen=True, slots=True)
class PlacedFact:
    """A fact that rests on ``start``..``end`` of its document, inside excerpt number ``excerpt``.

    ``heading`` is the nearest one before it, or empty. ``key_elements`` are normalised names.
    """

    id: str
    text: str
    key_elements: tuple[str, ...]
    excerpt: int
    start: int
    end: int
    page: int
    heading: str


def place_facts(library: Library, facts: Iterable[AtomicFact]) -> tuple[dict[str, PlacedFact], list[Excerpt]]:
    """The facts by id, and the excerpts they lie in, which never overlap. Raises ``LibraryError``."""
    by_document: dict[str, dict[str, AtomicFact]] = {}
    for fact in facts:
        by_document.setdefault(fact.document_id, {})[fact.id] = fact
    placed: dict[str, PlacedFact] = {}
    excerpts: list[Excerpt] = []
    for document_id, own in by_document.items():
        layout = library.layout(document_id)
        found = _excerpts(library, layout, list(own.values()))
        starts = [excerpt.start for excerpt in found]
        heading_starts = [heading.start for heading in layout.headings]
        for fact in own.values():
            before = bisect_right(heading_starts, fact.start)
            placed[fact.id] = PlacedFact(
                id=fact.id,
                text=fact.text,
                key_elements=tuple(dict.fromkeys(element.name for element in fact.key_elements)),
                excerpt=len(excerpts) + bisect_right(starts, fact.start) - 1,
                start=fact.start,
                end=fact.end,
                page=layout.page_at(fact.start),
                heading=layout.headings[before - 1].title if before else "",
            )
        excerpts += found
    return placed, excerpts


def _excerpts(library: Library, layout: Document, facts: Sequence[AtomicFact]) -> list[Excerpt]:
    length = layout.pages[-1].end
    spans: list[tuple[int, int]] = []
    for fact in sorted(facts, key=lambda fact: fact.start):
        first = max(0, fact.start - _CONTEXT_CHARACTERS)
        last = min(length, fact.end + _CONTEXT_CHARACTERS)
        if spans and first <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(last, spans[-1][1])
        else:
            spans.append((first, last))
    texts = library.texts(layout.id, spans)
    return [_whole_words(layout, start, text, length) for (start, _), text in zip(spans, texts, strict=True)]


def _whole_words(layout: Document, start: int, text: str, length: int) -> Excerpt:
    """The excerpt without the parts of words at its ends; writing without spaces stays as it is."""
    end = start + len(text)
    head = 0 if start == 0 else _first_space(text[:_WORD_CHARACTERS])
    tail = 0 if end == length else _first_space(text[: -_WORD_CHARACTERS - 1 : -1])
    return Excerpt(layout.id, layout.title, start + head, end - tail, text[head : len(text) - tail], length)


def _first_space(text: str) -> int:
    return next((place for place, character in enumerate(text, start=1) if character.isspace()), 0)
