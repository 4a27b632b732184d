"""Passages: a few whole sentences of one chunk each, the unit that search finds and an embedder reads at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphreader.ingest.chunk import cut_long, is_furniture, sentences_of
from graphreader.ingest.tables import Table, Tables, tables_of
from graphreader.records import Chunk, Document, Heading, Passage
from graphreader.text.terms import UNSPACED

#: About a MiniLM window of 128 word pieces without its two markers: measured best in speed, and no worse in recall.
MAX_WORD_PIECES = 126
#: What names a passage may take this much of it.
_MAX_LEAD_WORD_PIECES = 48
_MAX_TITLE_CHARACTERS = 80
_MAX_CAPTION_CHARACTERS = 160
#: A heading starts a new passage when the current one is filled to this part.
_HEADING_FILL = 0.3
# A word-piece vocabulary holds most words whole, splits rare ones and figures, and has one piece for each mark and
# ideograph. Seven letters a piece hits the measured mean.
_PIECE = re.compile(rf"[{UNSPACED}]|[^\W\d_{UNSPACED}]{{1,7}}|\d{{1,2}}|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    text: str
    word_pieces: int
    heading: bool
    #: What stands above a row of a table; None for prose.
    table: Table | None


def estimated_word_pieces(text: str) -> int:
    """About how many word pieces a BERT tokenizer makes of ``text``; cheap, and seldom too low."""
    return len(_PIECE.findall(text))


def passages_of(document: Document, chunks: Sequence[Chunk], max_word_pieces: int = MAX_WORD_PIECES) -> list[Passage]:
    """Windows of consecutive whole sentences that cover every chunk, each about ``max_word_pieces`` word pieces.

    ``Passage.text`` is led by the document's title and the innermost headings, where they are short, and by a table's
    caption and column titles; furniture is left out of it. A sentence longer than a window is cut into several.
    """
    title = document.title if len(document.title) <= _MAX_TITLE_CHARACTERS else ""
    headings = {heading.start: heading for heading in document.headings}
    tables = tables_of(document)
    passages: list[Passage] = []
    for chunk in chunks:
        number = 0
        for lead, sentences in _windows(document, chunk, headings, tables, title, max_word_pieces):
            body = " ".join(sentence.text for sentence in sentences)
            passages.append(
                Passage(
                    id=f"{chunk.id}-p{number}",
                    document_id=document.id,
                    chunk_id=chunk.id,
                    start=sentences[0].start,
                    end=sentences[-1].end,
                    text=f"{lead}: {body}" if lead else body,
                )
            )
            number += 1
    return passages


def _windows(
    document: Document,
    chunk: Chunk,
    headings: Mapping[int, Heading],
    tables: Tables,
    title: str,
    max_word_pieces: int,
) -> Iterator[tuple[str, list[_Sentence]]]:
    """The windows of a chunk, each with what names it."""
    path = chunk.headings
    page_caption, page_end = "", -1
    lead = _lead(title, path)
    window: list[_Sentence] = []
    room = max_word_pieces - estimated_word_pieces(lead)
    filled = 0
    for sentence in _sentences(document, chunk, headings, tables, max_word_pieces // 2):
        crowded = filled + sentence.word_pieces > room
        begins = sentence.start in tables.page_captions
        if window and (crowded or begins or (sentence.heading and filled >= _HEADING_FILL * room)):
            yield lead, window
            window, filled = [], 0
        if sentence.heading or sentence.start >= page_end:
            page_caption = ""
        if not window:
            # A heading that begins the window stands in it already, so only those above it lead.
            above = path[: headings[sentence.start].level - 1] if sentence.heading else path
            if page_caption:
                above = (page_caption,)
            lead = _lead(title, () if begins else above, sentence.table)
            room = max_word_pieces - estimated_word_pieces(lead)
        if begins:
            page_caption, page_end = tables.page_captions[sentence.start]
        if sentence.heading:
            path = _entered(path, headings[sentence.start])
        window.append(sentence)
        filled += sentence.word_pieces
    if window:
        yield lead, window


def _entered(path: tuple[str, ...], heading: Heading) -> tuple[str, ...]:
    """The path of headings once this one is passed (exact up to skipped levels)."""
    return (*path[: heading.level - 1], heading.title)


def _lead(title: str, path: tuple[str, ...], table: Table | None = None) -> str:
    """What names a passage, outermost first; the outer names go first where it would be long."""
    above = () if table is not None and table.opens_page else path[-2:]
    names = [" ".join(name.split()) for name in (title, *above, *_table_names(table))]
    names = [name for name in dict.fromkeys(names) if name and len(name) <= 3 * _MAX_CAPTION_CHARACTERS]
    while len(names) > 1 and estimated_word_pieces(" - ".join(names)) > _MAX_LEAD_WORD_PIECES:
        names.pop(0)
    return " - ".join(names)


def _table_names(table: Table | None) -> tuple[str, ...]:
    return () if table is None else (table.caption, f"{table.columns} {table.group}".strip())


def _sentences(
    document: Document, chunk: Chunk, headings: Mapping[int, Heading], tables: Tables, max_word_pieces: int
) -> Iterator[_Sentence]:
    """The chunk's sentences without furniture, long ones cut, rows with what stands above their table."""
    for start, end in sentences_of(document, chunk.start, chunk.end):
        if is_furniture(document, start, end):
            continue
        table = tables.rows.get(start)
        for piece_start, piece_end in _cut_sentence(document.text, start, end, max_word_pieces):
            text = " ".join(document.text[piece_start:piece_end].split())
            yield _Sentence(piece_start, piece_end, text, estimated_word_pieces(text), start in headings, table)


def _cut_sentence(text: str, start: int, end: int, max_word_pieces: int) -> list[tuple[int, int]]:
    """The span itself, or trimmed pieces of it where it is longer than two windows' halves."""
    # No piece is shorter than a character, so this many characters always fit.
    if end - start <= 2 * max_word_pieces:
        return [(start, end)]
    word_pieces = estimated_word_pieces(text[start:end])
    if word_pieces <= 2 * max_word_pieces:
        return [(start, end)]
    size = max(1, (end - start) * 2 * max_word_pieces // word_pieces)
    pieces = []
    for piece_start, piece_end in cut_long(text, start, end, size):
        piece = text[piece_start:piece_end]
        if visible := piece.strip():
            lead = len(piece) - len(piece.lstrip())
            pieces.append((piece_start + lead, piece_start + lead + len(visible)))
    return pieces
