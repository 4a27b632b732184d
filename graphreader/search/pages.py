"""Pages for a question, from the passages that were found: a page says more than its best passage.

Three things are added: the page's passages (the best, and a little of the next two), BM25 of the question over the
page's whole text, and whether the question names the page or a numbered part that stands on it ("Table 2"). How rare a
word is, is counted in the pages compared, which hold the question's words by choice: good enough to order them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from graphreader.records import Document, Page
from graphreader.search.expand import expansions
from graphreader.search.question import Reading, queries_of, read_question
from graphreader.search.ranked import RankedPassage, RankingWeights
from graphreader.text.terms import terms

#: Pages whose whole text is read.
_READ_PAGES: Final = 30
#: What the second and third passage of a page add to its best.
_OTHER_PASSAGES: Final = 0.1
_COUNTED_OTHERS: Final = 2
#: A page number may be a printed one, or mean another document: it is looked up only where few documents are searched.
_MAX_DOCUMENTS_OF_NAMED_PAGE: Final = 3
_K1: Final = 1.2
_B: Final = 0.75

#: The texts of these pages, in their order.
ReadPages = Callable[[Sequence[tuple[str, Page]]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class RankedPage:
    """A page; ``best`` is the passage of it that was found first, None where the question names the page."""

    document_id: str
    page: Page
    score: float
    best: RankedPassage | None


def rank_pages(
    question: str,
    passages: Sequence[RankedPassage],
    layouts: Mapping[str, Document],
    read_pages: ReadPages,
    weights: RankingWeights,
) -> list[RankedPage]:
    """The pages of ``passages`` and those that ``question`` names, best first; ``layouts`` are of their documents."""
    reading = read_question(question)
    pages = sorted(_by_passages(passages, layouts), key=_order)
    named = _named(reading, pages, layouts)
    head, tail = [*named, *pages[:_READ_PAGES]], pages[_READ_PAGES:]
    if not head:
        return []
    texts = read_pages([(page.document_id, page.page) for page in head])
    fits = _fits(reading, texts, weights)
    highest = max(page.score for page in head) or 1.0
    scored = [
        RankedPage(
            page.document_id,
            page.page,
            page.score / highest
            + weights.page_text * fit
            + weights.named_page * (page.page.number in reading.pages)
            + weights.named_part * _names(reading, text),
            page.best,
        )
        for page, text, fit in zip(head, texts, fits, strict=True)
    ]
    rest = [RankedPage(page.document_id, page.page, page.score / highest, page.best) for page in tail]
    return sorted([*scored, *rest], key=_order)


def _order(page: RankedPage) -> tuple[float, str, int]:
    return (-page.score, page.document_id, page.page.start)


def _by_passages(passages: Sequence[RankedPassage], layouts: Mapping[str, Document]) -> list[RankedPage]:
    members: dict[tuple[str, int], list[RankedPassage]] = {}
    for ranked in passages:
        passage = ranked.passage
        number = layouts[passage.document_id].page_at(passage.start)
        members.setdefault((passage.document_id, number), []).append(ranked)
    pages = {(name, page.number): page for name, layout in layouts.items() for page in layout.pages}
    return [
        RankedPage(
            key[0],
            pages[key],
            own[0].score + _OTHER_PASSAGES * sum(ranked.score for ranked in own[1 : 1 + _COUNTED_OTHERS]),
            own[0],
        )
        for key, own in members.items()
    ]


def _named(reading: Reading, found: Sequence[RankedPage], layouts: Mapping[str, Document]) -> list[RankedPage]:
    """Pages whose number the question gives and of which no passage was found."""
    if not reading.pages or len(layouts) > _MAX_DOCUMENTS_OF_NAMED_PAGE:
        return []
    known = {(page.document_id, page.page.number) for page in found}
    return [
        RankedPage(name, page, 0.0, None)
        for name, layout in layouts.items()
        for page in layout.pages
        if page.number in reading.pages and (name, page.number) not in known
    ]


def _fits(reading: Reading, texts: Sequence[str], weights: RankingWeights) -> list[float]:
    """BM25 of each page's text, from 0 to 1, summed over the question and its expansions."""
    counted = [Counter(terms(text)) for text in texts]
    lengths = [sum(counts.values()) for counts in counted]
    average = sum(lengths) / len(lengths) or 1.0
    frequency = Counter(term for counts in counted for term in counts)
    total = [0.0] * len(texts)
    for query in queries_of(reading, (), expansions(reading.text), weights):
        scores = [0.0] * len(texts)
        for term in dict.fromkeys(terms(query.words)):
            idf = math.log(1 + (len(texts) - frequency[term] + 0.5) / (frequency[term] + 0.5))
            for place, counts in enumerate(counted):
                if count := counts[term]:
                    norm = _K1 * (1 - _B + _B * lengths[place] / average)
                    scores[place] += idf * count * (_K1 + 1) / (count + norm)
        highest = max(scores) or 1.0
        total = [before + query.weight * score / highest for before, score in zip(total, scores, strict=True)]
    highest = max(total) or 1.0
    return [score / highest for score in total]


def _names(reading: Reading, text: str) -> float:
    """How many of the numbered parts that the question names stand in ``text``: 1 where one begins a line, or 0.2."""
    found = 0.0
    for label in reading.labels:
        matches = list(re.finditer(_part_pattern(label), text, re.IGNORECASE | re.MULTILINE))
        begins = any(match.start() == 0 or text[match.start() - 1] == "\n" for match in matches)
        found += 1.0 if begins else 0.2 * bool(matches)
    return found


def _part_pattern(label: str) -> str:
    """Finds "Table 2", "TABLE 2:" or "Fig. 3"; for a section also its bare number before a title ("3.3 Results")."""
    kind, number = label.split(" ", 1)
    end = re.escape(number) + r"\b(?!\.\d)"
    short = kind[:3] if kind in ("figure", "section") else kind
    named = rf"\b(?:{kind}|{short}\.)[ -]?{end}"
    return rf"{named}|^[ \t]*{re.escape(number)}\.? +(?-i:[A-Z])" if kind in ("section", "chapter") else named
