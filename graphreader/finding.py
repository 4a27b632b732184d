"""What search found, placed in its sources: ranked facts, chunks or pages with document, page and verbatim text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from graphreader.errors import DocumentNotFoundError
from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.records import Document, FoundKind, Page
from graphreader.search import RankedKeyElement, RankedPassage, RankingWeights, SearchResult, search
from graphreader.search.pages import rank_pages
from graphreader.search.ranked import DEFAULT_WEIGHTS
from graphreader.search.rerank import Reranker, reranked

#: Searches begun anew because a document went meanwhile.
_MAX_REMOVALS = 5
#: Several passages stand on one page or in one chunk, so so many times more of them are ranked.
_PASSAGES_PER_UNIT = 4
#: A passage whose facts are still to be made stands among facts as one that fits the question fairly.
_WITHOUT_FACTS = 0.6


@dataclass(frozen=True, slots=True)
class Found:
    """One unit of a search's result. ``text`` stands verbatim at ``start``..``end`` of the document.

    ``document`` is the source's file name, ``score`` comparable within one result only, ``via`` says how it was found
    (see ``graphreader.search.ranked``), ``best_start``..``best_end`` is the passage of the unit that was found first.
    """

    rank: int
    score: float
    document: str
    document_id: str
    source: str
    title: str
    page: int
    start: int
    end: int
    text: str
    via: str
    best_start: int
    best_end: int


@dataclass(frozen=True, slots=True)
class Findings:
    """A search's result, best first; ``warnings`` say what was not searched yet."""

    question: str
    kind: FoundKind
    found: tuple[Found, ...]
    key_elements: tuple[RankedKeyElement, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Unit:
    document_id: str
    start: int
    end: int
    score: float
    via: str
    #: The passage of the unit that was found first.
    best_start: int
    best_end: int


def find(
    library: Library,
    question: str,
    *,
    documents: Sequence[str] | None,
    embedder: Embedder | None,
    kind: FoundKind,
    top: int,
    warnings: tuple[str, ...] = (),
    reranker: Reranker | None = None,
) -> Findings:
    """The ``top`` best facts, chunks or pages for ``question``; none where nothing fits. Raises ``LibraryError``.

    A document that another process removes while its passages are ranked is looked for no longer: the ranking is made
    anew without it. One that was asked for by its id is missed: ``DocumentNotFoundError``.
    """

    def look() -> SearchResult:
        result = search(library, question, documents=documents, embedder=embedder, weights=_weights(top))
        return reranked(result, question, reranker, DEFAULT_WEIGHTS)

    for _ in range(_MAX_REMOVALS):
        try:
            return replace(_placed(library, question, look(), kind, top), warnings=warnings)
        except DocumentNotFoundError:
            if documents is not None:
                raise
    return replace(_placed(library, question, look(), kind, top), warnings=warnings)


def _placed(library: Library, question: str, result: SearchResult, kind: FoundKind, top: int) -> Findings:
    layouts = {name: library.layout(name) for name in dict.fromkeys(p.passage.document_id for p in result.passages)}
    match kind:
        case FoundKind.FACTS:
            units = _facts(library, result)
        case FoundKind.CHUNKS:
            units = list(_chunks(result))
        case FoundKind.PAGES:
            units = list(_pages(library, question, result, layouts))
    units = units[:top]
    texts = _texts(library, [(unit.document_id, (unit.start, unit.end)) for unit in units])
    found = tuple(
        _found(rank, unit, layouts[unit.document_id], text)
        for rank, (unit, text) in enumerate(zip(units, texts, strict=True), start=1)
    )
    return Findings(question, kind, found, result.key_elements)


def _weights(top: int) -> RankingWeights:
    return replace(
        DEFAULT_WEIGHTS,
        top_passages=max(DEFAULT_WEIGHTS.top_passages, _PASSAGES_PER_UNIT * top),
        top_facts=max(DEFAULT_WEIGHTS.top_facts, top),
    )


def _facts(library: Library, result: SearchResult) -> list[_Unit]:
    """Facts, and whole passages where facts are still to be made: a question asked meanwhile finds those too."""
    homes: dict[str, list[RankedPassage]] = {}
    for ranked in result.passages:
        homes.setdefault(ranked.passage.chunk_id, []).append(ranked)
    units: dict[tuple[str, int, int], _Unit] = {}
    for entry in result.facts:
        fact = entry.fact
        candidates = homes[fact.chunk_id]
        home = next((p for p in candidates if p.passage.start <= fact.start < p.passage.end), candidates[0])
        # A model's facts may rest on one sentence, which is also a fact of its own: the first is the best.
        span = (fact.document_id, fact.start, fact.end)
        units.setdefault(span, _Unit(*span, entry.score, home.via, home.passage.start, home.passage.end))
    unseen = homes.keys() - {entry.fact.chunk_id for entry in result.facts}
    bare = unseen - {fact.chunk_id for fact in library.facts_of_chunks(sorted(unseen))}
    for ranked in (ranked for chunk_id in bare for ranked in homes[chunk_id]):
        passage = ranked.passage
        span = (passage.document_id, passage.start, passage.end)
        units[span] = _Unit(*span, _WITHOUT_FACTS * ranked.score, ranked.via, passage.start, passage.end)
    return sorted(units.values(), key=lambda unit: (-unit.score, unit.document_id, unit.start))


def _chunks(result: SearchResult) -> Iterator[_Unit]:
    best: dict[str, RankedPassage] = {}
    for ranked in result.passages:
        best.setdefault(ranked.passage.chunk_id, ranked)
    for entry in result.chunks:
        chunk = entry.chunk
        first = best[chunk.id]
        span = (first.passage.start, first.passage.end)
        yield _Unit(chunk.document_id, chunk.start, chunk.end, entry.score, first.via, *span)


def _pages(library: Library, question: str, result: SearchResult, layouts: dict[str, Document]) -> Iterator[_Unit]:
    def read(pages: Sequence[tuple[str, Page]]) -> list[str]:
        return _texts(library, [(document_id, (page.start, page.end)) for document_id, page in pages])

    for ranked in rank_pages(question, result.passages, layouts, read, DEFAULT_WEIGHTS):
        page = ranked.page
        via = "page" if ranked.best is None else ranked.best.via
        span = (page.start, page.end) if ranked.best is None else (ranked.best.passage.start, ranked.best.passage.end)
        yield _Unit(ranked.document_id, page.start, page.end, ranked.score, via, *span)


def _texts(library: Library, wanted: Sequence[tuple[str, tuple[int, int]]]) -> list[str]:
    """Verbatim texts of spans of documents; a document's spans are read together."""
    by_document: dict[str, list[tuple[int, int]]] = {}
    for document_id, span in wanted:
        by_document.setdefault(document_id, []).append(span)
    read = {
        (document_id, span): text
        for document_id, spans in by_document.items()
        for span, text in zip(spans, library.texts(document_id, spans), strict=True)
    }
    return [read[key] for key in wanted]


def _found(rank: int, unit: _Unit, layout: Document, text: str) -> Found:
    return Found(
        rank=rank,
        score=round(unit.score, 4),
        document=PurePath(layout.source).name,
        document_id=layout.id,
        source=layout.source,
        title=layout.title,
        page=layout.page_at(unit.start),
        start=unit.start,
        end=unit.end,
        text=text,
        via=unit.via,
        best_start=max(unit.start, unit.best_start),
        best_end=min(unit.end, unit.best_end),
    )
