"""What search found, placed in its sources: ranked facts, chunks or pages with document, page and verbatim text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from graphreader.errors import DocumentNotFoundError
from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.records import Document, FoundKind
from graphreader.search import RankedKeyElement, RankedPassage, RankingWeights, SearchResult, search
from graphreader.search.ranked import DEFAULT_WEIGHTS

#: Searches begun anew because a document went meanwhile.
_MAX_REMOVALS = 5
#: Several passages stand on one page or in one chunk, so so many times more of them are ranked.
_PASSAGES_PER_UNIT = 4
#: What further passages of a page add to its best.
_OTHER_PASSAGES = 0.1


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
    best: RankedPassage


def find(
    library: Library,
    question: str,
    *,
    documents: Sequence[str] | None,
    embedder: Embedder | None,
    kind: FoundKind,
    top: int,
    warnings: tuple[str, ...] = (),
) -> Findings:
    """The ``top`` best facts, chunks or pages for ``question``; none where nothing fits. Raises ``LibraryError``.

    A document that another process removes while its passages are ranked is looked for no longer: the ranking is made
    anew without it. One that was asked for by its id is missed: ``DocumentNotFoundError``.
    """
    for _ in range(_MAX_REMOVALS):
        try:
            return _find(library, question, documents, embedder, kind, top, warnings)
        except DocumentNotFoundError:
            if documents is not None:
                raise
    return _find(library, question, documents, embedder, kind, top, warnings)


def _find(
    library: Library,
    question: str,
    documents: Sequence[str] | None,
    embedder: Embedder | None,
    kind: FoundKind,
    top: int,
    warnings: tuple[str, ...],
) -> Findings:
    result = search(library, question, documents=documents, embedder=embedder, weights=_weights(top))
    layouts = {name: library.layout(name) for name in dict.fromkeys(p.passage.document_id for p in result.passages)}
    units = list(_UNITS[kind](result, layouts))[:top]
    texts = _texts(library, units)
    found = tuple(
        _found(rank, unit, layouts[unit.document_id], text)
        for rank, (unit, text) in enumerate(zip(units, texts, strict=True), start=1)
    )
    return Findings(question, kind, found, result.key_elements, warnings)


def _weights(top: int) -> RankingWeights:
    return replace(
        DEFAULT_WEIGHTS,
        top_passages=max(DEFAULT_WEIGHTS.top_passages, _PASSAGES_PER_UNIT * top),
        top_facts=max(DEFAULT_WEIGHTS.top_facts, top),
    )


def _facts(result: SearchResult, layouts: dict[str, Document]) -> Iterator[_Unit]:
    homes: dict[str, list[RankedPassage]] = {}
    for ranked in result.passages:
        homes.setdefault(ranked.passage.chunk_id, []).append(ranked)
    seen: set[tuple[str, int, int]] = set()
    for entry in result.facts:
        fact = entry.fact
        span = (fact.document_id, fact.start, fact.end)
        if span in seen:  # a model's facts may rest on one sentence, which is also a fact of its own
            continue
        seen.add(span)
        candidates = homes[fact.chunk_id]
        home = next((p for p in candidates if p.passage.start <= fact.start < p.passage.end), candidates[0])
        yield _Unit(*span, entry.score, home)


def _chunks(result: SearchResult, layouts: dict[str, Document]) -> Iterator[_Unit]:
    best: dict[str, RankedPassage] = {}
    for ranked in result.passages:
        best.setdefault(ranked.passage.chunk_id, ranked)
    for entry in result.chunks:
        chunk = entry.chunk
        yield _Unit(chunk.document_id, chunk.start, chunk.end, entry.score, best[chunk.id])


def _pages(result: SearchResult, layouts: dict[str, Document]) -> Iterator[_Unit]:
    """Pages by their best passage, and a little by how many others of theirs were found."""
    members: dict[tuple[str, int], list[RankedPassage]] = {}
    for ranked in result.passages:
        passage = ranked.passage
        number = layouts[passage.document_id].page_at(passage.start)
        members.setdefault((passage.document_id, number), []).append(ranked)
    units = []
    for (document_id, number), own in members.items():
        page = next(page for page in layouts[document_id].pages if page.number == number)
        score = own[0].score + _OTHER_PASSAGES * sum(ranked.score for ranked in own[1:])
        units.append(_Unit(document_id, page.start, page.end, score, own[0]))
    yield from sorted(units, key=lambda unit: (-unit.score, unit.document_id, unit.start))


_UNITS = {FoundKind.FACTS: _facts, FoundKind.CHUNKS: _chunks, FoundKind.PAGES: _pages}


def _texts(library: Library, units: Iterable[_Unit]) -> list[str]:
    """The units' verbatim texts; a document's spans are read together."""
    by_document: dict[str, list[tuple[int, int]]] = {}
    wanted = [(unit.document_id, (unit.start, unit.end)) for unit in units]
    for document_id, span in wanted:
        by_document.setdefault(document_id, []).append(span)
    read = {
        (document_id, span): text
        for document_id, spans in by_document.items()
        for span, text in zip(spans, library.texts(document_id, spans), strict=True)
    }
    return [read[key] for key in wanted]


def _found(rank: int, unit: _Unit, layout: Document, text: str) -> Found:
    passage = unit.best.passage
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
        via=unit.best.via,
        best_start=max(unit.start, passage.start),
        best_end=min(unit.end, passage.end),
    )
