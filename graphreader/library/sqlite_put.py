"""Writing a document's index: all rows that come from it, and their removal.

What costs time and needs no database (compression, index terms) is made by ``prepare`` before a transaction begins.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import apsw

from graphreader.errors import LibraryError
from graphreader.library.protocol import IndexedDocument
from graphreader.library.sqlite_facts import FactRow, Group, add_facts, change_groups, read_groups
from graphreader.library.sqlite_full_text import passage_terms, put_terms
from graphreader.library.sqlite_ids import refuse_taken, shorten_id
from graphreader.library.sqlite_memory import new_epoch
from graphreader.library.sqlite_text import blocks, pack, shorten
from graphreader.library.sqlite_vectors import forget_vectors
from graphreader.records import AtomicFact, Chunk, Document, FactOrigin, Passage

_Row: TypeAlias = tuple[str | int | bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document's rows before they have rowids. ``chunk`` and ``passage`` fields hold positions in the lists here."""

    document: Document
    settings_key: str
    layout: bytes
    blocks: list[bytes]
    chunks: list[_Row]
    passages: list[_Row]
    passage_ids: list[str]
    terms: list[list[str]]
    facts: list[FactRow]


class Placement:
    """Which passage of a chunk a fact belongs to: the last that starts at or before the fact, or else the first."""

    def __init__(self, starts: Sequence[tuple[int, int]]) -> None:
        """``starts`` are (start, passage row) of one chunk's passages."""
        ordered = sorted(starts)
        self._starts = [start for start, _ in ordered]
        self._rows = [row for _, row in ordered]

    def passage_at(self, offset: int) -> int | None:
        """The passage's row, or None in a chunk without passages."""
        if not self._rows:
            return None
        return self._rows[max(bisect_right(self._starts, offset) - 1, 0)]


def fact_row(fact: AtomicFact, chunk: int, passage: int | None, span: str) -> FactRow:
    """What is stored of a fact. A key element that the fact names twice counts once, with its first spelling."""
    spellings: dict[str, str] = {}
    for element in fact.key_elements:
        spellings.setdefault(element.name, element.spelling)
    form, text = shorten(fact.text, span)
    is_model = int(fact.origin is FactOrigin.MODEL)
    return FactRow(fact.id, fact.chunk_id, chunk, passage, fact.start, fact.end, is_model, form, text, spellings)


def prepare(indexed: IndexedDocument) -> Prepared:
    """Turn a document's records into rows. Raises ``LibraryError`` where one refers to what is not among them."""
    document, chunks, passages = indexed.document, indexed.chunks, indexed.passages
    chunk_places = {chunk.id: place for place, chunk in enumerate(chunks)}
    starts: dict[int, list[tuple[int, int]]] = {}
    for place, passage in enumerate(passages):
        starts.setdefault(_known(chunk_places, passage), []).append((passage.start, place))
    placements = {chunk: Placement(found) for chunk, found in starts.items()}
    nowhere = Placement(())
    fact_rows = []
    model_texts: dict[int, list[str]] = {}
    for fact in indexed.facts:
        chunk_place = _known(chunk_places, fact)
        passage_place = placements.get(chunk_place, nowhere).passage_at(fact.start)
        fact_rows.append(fact_row(fact, chunk_place, passage_place, document.text[fact.start : fact.end]))
        if fact.origin is FactOrigin.MODEL and passage_place is not None:
            model_texts.setdefault(passage_place, []).append(fact.text)
    terms = [passage_terms(passage.text, model_texts.get(place, ())) for place, passage in enumerate(passages)]
    modelled = {row.chunk for row in fact_rows if row.is_model}
    return Prepared(
        document=document,
        settings_key=indexed.settings_key,
        layout=_layout(document),
        blocks=blocks(document.text),
        chunks=[_chunk_row(chunk, chunk_places[chunk.id] in modelled) for chunk in chunks],
        passages=[
            _passage_row(passage, chunk_places[passage.chunk_id], document.text, len(words))
            for passage, words in zip(passages, terms, strict=True)
        ],
        passage_ids=[passage.id for passage in passages],
        terms=terms,
        facts=fact_rows,
    )


def _known(chunk_places: dict[str, int], record: Passage | AtomicFact) -> int:
    try:
        return chunk_places[record.chunk_id]
    except KeyError:
        raise LibraryError(
            f"{type(record).__name__} {record.id!r} is of chunk {record.chunk_id!r}, which is not among the chunks "
            "given with it. Put a document with all its chunks."
        ) from None


def _layout(document: Document) -> bytes:
    layout = {
        "pages": [(page.number, page.start, page.end) for page in document.pages],
        "headings": [(heading.level, heading.title, heading.start, heading.end) for heading in document.headings],
        "furniture": document.furniture,
        "metadata": dict(document.metadata),
    }
    return pack(json.dumps(layout, separators=(",", ":")))


def _chunk_row(chunk: Chunk, has_model_facts: bool) -> _Row:
    headings = json.dumps(chunk.headings, ensure_ascii=False) if chunk.headings else None
    return chunk.id, chunk.index, chunk.start, chunk.end, chunk.token_count, headings, int(has_model_facts)


def _passage_row(passage: Passage, chunk_place: int, document_text: str, term_count: int) -> _Row:
    form, text = shorten(passage.text, document_text[passage.start : passage.end])
    return chunk_place, *shorten_id(passage.id, passage.chunk_id), passage.start, passage.end, term_count, form, text


def put_index(db: apsw.Connection, prepared: Prepared) -> int:
    """Store a document's rows, in place of those it has; returns the document's row."""
    row = db.execute("SELECT id FROM documents WHERE public_id = ?", (prepared.document.id,)).fetchone()
    if row is not None:
        remove_index(db, row[0])
    document = _put_document_row(db, prepared)
    db.executemany(
        "INSERT INTO text_blocks (document, number, text) VALUES (?, ?, ?)",
        [(document, number, block) for number, block in enumerate(prepared.blocks)],
    )
    chunk_base = next_row(db, "chunks")
    db.executemany(
        "INSERT INTO chunks (id, document, public_id, number, start, stop, token_count, headings, has_model_facts) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(chunk_base + place, document, *chunk) for place, chunk in enumerate(prepared.chunks)],
    )
    refuse_taken(db, prepared.passage_ids)
    passage_base = next_row(db, "passages")
    db.executemany(
        "INSERT INTO passages "
        "(id, document, chunk, id_hash, public_id, id_suffix, start, stop, term_count, form, text) "
        "VALUES (?1, ?2, ?3 + ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        [(passage_base + place, document, chunk_base, *passage) for place, passage in enumerate(prepared.passages)],
    )
    put_terms(db, [(passage_base + place, words) for place, words in enumerate(prepared.terms)])
    add_facts(db, document, [fact.moved(chunk_base, passage_base) for fact in prepared.facts])
    return document


def _put_document_row(db: apsw.Connection, prepared: Prepared) -> int:
    document = prepared.document
    ((row,),) = db.execute(
        "INSERT INTO documents "
        "(public_id, title, media_type, character_count, page_count, settings_key, indexed_at, layout) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (public_id) DO UPDATE SET title = excluded.title, "
        "media_type = excluded.media_type, character_count = excluded.character_count, "
        "page_count = excluded.page_count, settings_key = excluded.settings_key, indexed_at = excluded.indexed_at, "
        "layout = excluded.layout RETURNING id",
        (
            document.id,
            document.title,
            document.media_type,
            len(document.text),
            len(document.pages),
            prepared.settings_key,
            datetime.now(UTC).isoformat(timespec="seconds"),
            prepared.layout,
        ),
    )
    return int(row)


def next_row(db: apsw.Connection, table: str) -> int:
    """The rowid after the highest of a table: within a writing transaction nobody else can take it."""
    ((row,),) = db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}")
    return int(row)


def remove_index(db: apsw.Connection, document: int) -> None:
    """Remove what was made of a document: its text, chunks, passages, facts, full text and vectors."""
    rows = [row for (row,) in db.execute("SELECT id FROM passages WHERE document = ?", (document,))]
    chunks = [row for (row,) in db.execute("SELECT id FROM chunks WHERE document = ?", (document,))]
    doomed = {
        row: group for row, group in read_groups(db, [*rows, *(-chunk for chunk in chunks)]).items() if group.all()
    }
    change_groups(db, document, doomed, dict.fromkeys(doomed, Group([], [])))
    if rows:
        db.execute("DELETE FROM full_text WHERE rowid BETWEEN ? AND ?", (min(rows), max(rows)))
        forget_vectors(db, min(rows), max(rows))
    for table in ("passages", "chunks", "text_blocks"):  # failures go with their chunks
        db.execute(f"DELETE FROM {table} WHERE document = ?", (document,))
    new_epoch(db)
