"""Chunks: the pieces of a document that are read as a whole. They cover the text exactly and end with sentences."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import product
from operator import attrgetter
from typing import NamedTuple

from graphreader.errors import SettingsError
from graphreader.records import Chunk, Document
from graphreader.text.sentences import sentence_spans

CountTokens = Callable[[Sequence[str]], list[int]]

#: Characters per call of the token counter: few calls, and what a tokenizer holds beside its counts stays small.
_CHARACTERS_PER_COUNT = 1_000_000
#: A sentence of more than this many times ``max_chunk_tokens`` characters is cut before it is counted. Those of prose
#: and tables are shorter; a tokenizer takes some hundred bytes a token, which no line of 50 MB is worth.
_UNCOUNTED_CHARACTERS_PER_TOKEN = 32
#: A heading starts a new chunk when the current one is filled to this part.
_HEADING_FILL = 0.5
#: A full chunk is ended at a paragraph, or else at a line, if that leaves it filled to this part.
_PARAGRAPH_FILL = 0.5
_LINE_FILL = 0.75
_CLAUSE_END = re.compile(r"[,;:，；、：)）\]”’»—–。！？.!?](?:\s+|(?<=[，；、：）”’。！？]))")
_SPACE = re.compile(r"\s+")


class _Break(NamedTuple):
    """How good a place to begin a chunk the start of a unit is; compared in this order."""

    heading: bool
    paragraph: bool
    line: bool


_NO_BREAK = _Break(heading=False, paragraph=False, line=False)
#: Shared, since there is one for each sentence.
_BREAKS = {place: _Break(*place) for place in product((False, True), repeat=3)}


class _Unit(NamedTuple):
    """A sentence with the space that follows it, or a piece of a sentence that is too long for a chunk."""

    start: int
    end: int
    token_count: int
    begins: _Break


def sentences_of(document: Document, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Sentence spans of a part of a document. No sentence runs across an end of a heading or of furniture."""
    stop = len(document.text) if end is None else end
    spans: list[tuple[int, int]] = []
    begin = start
    for edge in [*_edges(document, start, stop), stop]:
        spans.extend(sentence_spans(document.text, begin, edge))
        begin = edge
    return spans


def readable_sentences(document: Document, start: int, end: int) -> list[tuple[int, int]]:
    """The sentence spans of a part of a document, without its furniture: what a reader is shown."""
    return [span for span in sentences_of(document, start, end) if not is_furniture(document, *span)]


def is_furniture(document: Document, start: int, end: int) -> bool:
    """Whether the span lies in one of the document's furniture spans."""
    index = bisect_right(document.furniture, (start, len(document.text))) - 1
    return index >= 0 and document.furniture[index][1] >= end


def heading_paths(document: Document) -> list[tuple[int, tuple[str, ...]]]:
    """For every heading its start and the path of titles in force from there, outermost first."""
    paths: list[tuple[int, tuple[str, ...]]] = []
    stack: list[tuple[int, str]] = []
    for heading in document.headings:
        while stack and stack[-1][0] >= heading.level:
            stack.pop()
        stack.append((heading.level, heading.title))
        paths.append((heading.start, tuple(title for _, title in stack)))
    return paths


def chunk_document(document: Document, count_tokens: CountTokens, max_chunk_tokens: int) -> list[Chunk]:
    """Chunks of at most ``max_chunk_tokens`` each, by ``count_tokens``; together they are exactly the document's text.

    A sentence is split only if it alone is longer than a chunk: at a clause, else between words, else anywhere. (One
    character that counts more than the limit stays one chunk.) A heading stays with what follows it. Counts need not
    be additive: every chunk's own text is counted, and one that is too long after all is divided.

    Raises ``SettingsError`` where ``max_chunk_tokens`` is below 1.
    """
    if max_chunk_tokens < 1:
        raise SettingsError(f"The chunk size is {max_chunk_tokens} tokens: set it to at least 1 (2000 is usual).")
    units = _units(document, count_tokens, max_chunk_tokens)
    ranges = _pack(units, max_chunk_tokens)
    counted = _fit(document.text, units, ranges, count_tokens, max_chunk_tokens)
    paths = heading_paths(document)
    starts = [start for start, _ in paths]
    chunks = []
    for index, (first, last, token_count) in enumerate(counted):
        lead = first
        while lead + 1 < last and units[lead].begins.heading and units[lead + 1].begins.heading:
            lead += 1
        at = bisect_right(starts, _first_visible(document.text, units[lead])) - 1
        chunks.append(
            Chunk(
                id=f"{document.id}-{index}",
                document_id=document.id,
                index=index,
                start=units[first].start,
                end=units[last - 1].end,
                token_count=token_count,
                headings=paths[at][1] if at >= 0 else (),
            )
        )
    return chunks


def cut_long(text: str, start: int, end: int, max_characters: int) -> list[tuple[int, int]]:
    """Divide a span into joining pieces of at most ``max_characters``: at clauses, else spaces, else anywhere."""
    pieces = []
    while end - start > max_characters:
        cut = _cut(text, start, start + max_characters)
        pieces.append((start, cut))
        start = cut
    pieces.append((start, end))
    return pieces


def _cut(text: str, start: int, limit: int) -> int:
    """The last good place to cut in the second half of ``text[start:limit]``, or ``limit``."""
    middle = start + (limit - start) // 2
    for pattern in (_CLAUSE_END, _SPACE):
        ends = [match.end() for match in pattern.finditer(text, middle, limit)]
        if ends:
            return ends[-1]
    return limit


def _edges(document: Document, start: int, end: int) -> list[int]:
    """Where headings and furniture begin and end between ``start`` and ``end``, in order."""
    headings, furniture = document.headings, document.furniture
    first = max(0, bisect_left(headings, start, key=attrgetter("start")) - 1)
    last = bisect_left(headings, end, key=attrgetter("start"))
    spans = [(heading.start, heading.end) for heading in headings[first:last]]
    first = max(0, bisect_left(furniture, (start, 0)) - 1)
    spans += furniture[first : bisect_left(furniture, (end, 0))]
    return sorted({edge for span in spans for edge in span if start < edge < end})


def _first_visible(text: str, unit: _Unit) -> int:
    space = _SPACE.match(text, unit.start, unit.end)
    return space.end() if space else unit.start


def _units(document: Document, count_tokens: CountTokens, max_tokens: int) -> list[_Unit]:
    text = document.text
    spans = sentences_of(document) or ([(0, len(text))] if text else [])
    starts = [0, *(start for start, _ in spans[1:])] if spans else []
    ends = [*starts[1:], len(text)]
    counts = _count_spans(text, list(zip(starts, ends, strict=False)), count_tokens, max_tokens)
    headings = {_skip_space(text, heading.start, heading.end) for heading in document.headings}
    units: list[_Unit] = []
    previous_end = 0
    for (visible, visible_end), start, end, token_count in zip(spans, starts, ends, counts, strict=False):
        newlines = text.count("\n", previous_end, visible)
        heading = visible in headings
        begins = _BREAKS[heading, heading or newlines > 1 or text.find("\f", previous_end, visible) >= 0, newlines > 0]
        previous_end = visible_end
        if token_count is not None and token_count <= max_tokens:
            units.append(_Unit(start, end, token_count, begins))
        else:
            pieces = _pieces(text, start, end, token_count, count_tokens, max_tokens)
            units.append(pieces[0]._replace(begins=begins))
            units.extend(pieces[1:])
    return units


def _count_spans(
    text: str, spans: list[tuple[int, int]], count_tokens: CountTokens, max_tokens: int
) -> list[int | None]:
    """The tokens of each span; None where it is so long that counting it whole would be a waste."""
    longest = _UNCOUNTED_CHARACTERS_PER_TOKEN * max_tokens
    counts = iter(_count(text, [span for span in spans if span[1] - span[0] <= longest], count_tokens))
    return [next(counts) if end - start <= longest else None for start, end in spans]


def _skip_space(text: str, start: int, end: int) -> int:
    space = _SPACE.match(text, start, end)
    return space.end() if space else start


def _count(text: str, spans: list[tuple[int, int]], count_tokens: CountTokens) -> list[int]:
    """The tokens of each span, none of which is longer than some chunks."""
    counts: list[int] = []
    batch: list[str] = []
    characters = 0
    for start, end in spans:
        batch.append(text[start:end])
        characters += end - start
        if characters >= _CHARACTERS_PER_COUNT:
            counts.extend(count_tokens(batch))
            batch, characters = [], 0
    if batch:
        counts.extend(count_tokens(batch))
    return counts


def _pieces(
    text: str, start: int, end: int, token_count: int | None, count_tokens: CountTokens, max_tokens: int
) -> list[_Unit]:
    """A sentence that is too long, in pieces that are not. Not counted, it is cut as if each character were a token."""
    if token_count is None:
        cut = cut_long(text, start, end, max_tokens)
        pending = [(*span, count) for span, count in zip(cut, _count(text, cut, count_tokens), strict=True)]
    else:
        pending = [(start, end, token_count)]
    done: list[_Unit] = []
    while pending:
        short = [piece for piece in pending if piece[2] <= max_tokens or piece[1] - piece[0] == 1]
        done.extend(_Unit(*piece, _NO_BREAK) for piece in short)
        spans: list[tuple[int, int]] = []
        for begin, stop, count in pending:
            if count > max_tokens and stop - begin > 1:
                # A tenth below the average keeps most pieces within the limit at the first try.
                size = min((stop - begin + 1) // 2, int((stop - begin) * max_tokens / count * 0.9))
                spans.extend(cut_long(text, begin, stop, max(1, size)))
        counts = _count(text, spans, count_tokens)
        pending = [(*span, count) for span, count in zip(spans, counts, strict=True)]
    return sorted(done)


def _pack(units: list[_Unit], max_tokens: int) -> list[tuple[int, int]]:
    """Ranges of units whose summed counts are within the limit, ended at the best place near it."""
    ranges: list[tuple[int, int]] = []
    first, filled = 0, 0
    for index, unit in enumerate(units):
        while index > first and (
            filled + unit.token_count > max_tokens or (unit.begins.heading and filled >= _HEADING_FILL * max_tokens)
        ):
            full = filled + unit.token_count > max_tokens
            cut = _best_cut(units, first, index, filled, max_tokens) if full else _before_headings(units, first, index)
            ranges.append((first, cut))
            first = cut
            filled = sum(member.token_count for member in units[first:index])
            if not full:
                break
        filled += unit.token_count
    if units:
        ranges.append((first, len(units)))
    return ranges


def _best_cut(units: list[_Unit], first: int, limit: int, filled: int, max_tokens: int) -> int:
    """Where to end a full chunk of ``units[first:limit]``, at a paragraph, a line or a sentence."""
    line = 0
    for cut in range(limit, first, -1):
        if units[cut].begins.paragraph and filled >= _PARAGRAPH_FILL * max_tokens:
            return _before_headings(units, first, cut)
        if not line and units[cut].begins.line and filled >= _LINE_FILL * max_tokens:
            line = cut
        filled -= units[cut - 1].token_count
        if filled < _PARAGRAPH_FILL * max_tokens:
            break
    return _before_headings(units, first, line or limit)


def _before_headings(units: list[_Unit], first: int, cut: int) -> int:
    """``cut`` moved before the headings that stand there, unless nothing else is left."""
    moved = cut
    while moved - 1 > first and units[moved - 1].begins.heading:
        moved -= 1
    return cut if units[moved - 1].begins.heading else moved


def _fit(
    text: str, units: list[_Unit], ranges: list[tuple[int, int]], count_tokens: CountTokens, max_tokens: int
) -> list[tuple[int, int, int]]:
    """Ranges with the count of their own text; those above the limit are halved until none is."""
    fitting: list[tuple[int, int, int]] = []
    pending = ranges
    while pending:
        counts = _count(text, [(units[first].start, units[last - 1].end) for first, last in pending], count_tokens)
        halves: list[tuple[int, int]] = []
        for (first, last), count in zip(pending, counts, strict=True):
            if count <= max_tokens or last - first == 1:
                fitting.append((first, last, count))
            else:
                middle = _middle(units, first, last)
                halves += [(first, middle), (middle, last)]
        pending = halves
    return sorted(fitting)


def _middle(units: list[_Unit], first: int, last: int) -> int:
    """The best place to begin a chunk in the middle half of ``units[first:last]``."""
    quarter = (last - first) // 4
    centre = (first + last) // 2
    places = range(first + max(1, quarter), max(last - quarter, first + 2))
    return max(places, key=lambda place: (units[place].begins, -abs(place - centre)))
