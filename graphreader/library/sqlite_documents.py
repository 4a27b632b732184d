"""Documents, their sources and chunks: finding, reading, removing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import apsw

from graphreader.errors import DocumentNotFoundError, LibraryError
from graphreader.library.protocol import DocumentSummary
from graphreader.library.sqlite_put import remove_index
from graphreader.library.sqlite_scope import within
from graphreader.library.sqlite_text import Spans, unpack, whole_text
from graphreader.records import Chunk, Document, Heading, Page

_SHORTEST_PREFIX = 4
_LISTED_MATCHES = 5


def document_row(db: apsw.Connection, document_id: str) -> int:
    """A document's row. Raises ``DocumentNotFoundError``."""
    found = db.execute("SELECT id FROM documents WHERE public_id = ?", (document_id,)).fetchone()
    if found is None:
        raise DocumentNotFoundError(_nothing_called(db, document_id))
    return int(found[0])


def chunk_row(db: apsw.Connection, chunk_id: str) -> int:
    """A chunk's row. Raises ``LibraryError`` where it is gone."""
    found = db.execute("SELECT id FROM chunks WHERE public_id = ?", (chunk_id,)).fetchone()
    if found is None:
        raise LibraryError(
            f"{db.filename}: no chunk {chunk_id!r}: its document was removed or indexed anew. Ask for its chunks again."
        )
    return int(found[0])


def _nothing_called(db: apsw.Connection, name: str) -> str:
    return f"{db.filename}: no document {name!r}. `graphreader documents` lists those that are here."


def settings_key(db: apsw.Connection, document_id: str) -> str | None:
    """See ``Library.settings_key``."""
    found = db.execute("SELECT settings_key FROM documents WHERE public_id = ?", (document_id,)).fetchone()
    return None if found is None else str(found[0])


def set_settings_key(db: apsw.Connection, document_id: str, key: str) -> None:
    """Replace a document's settings key. Raises ``DocumentNotFoundError``."""
    db.execute("UPDATE documents SET settings_key = ? WHERE id = ?", (key, document_row(db, document_id)))


def documents_of_settings_key(db: apsw.Connection, key: str) -> list[str]:
    """See ``Library.documents_of_settings_key``."""
    return [
        name for (name,) in db.execute("SELECT public_id FROM documents WHERE settings_key = ? ORDER BY id", (key,))
    ]


def point_source(db: apsw.Connection, path: str, document: int) -> None:
    """Let a source point to a document; one that this leaves without a source is removed."""
    before = db.execute("SELECT document FROM sources WHERE path = ?", (path,)).fetchone()
    newest = db.execute("SELECT path FROM sources WHERE document = ? ORDER BY id DESC LIMIT 1", (document,)).fetchone()
    if newest == (path,):
        return
    db.execute("DELETE FROM sources WHERE path = ?", (path,))
    db.execute("INSERT INTO sources (path, document) VALUES (?, ?)", (path, document))
    if before is not None:
        _remove_if_without_source(db, before[0])


def _remove_if_without_source(db: apsw.Connection, document: int) -> None:
    if not db.execute("SELECT 1 FROM sources WHERE document = ?", (document,)).fetchone():
        remove_document(db, document)


def sources_under(db: apsw.Connection, prefix: str) -> dict[str, str]:
    """See ``Library.sources_under``."""
    # The order of UTF-8 is that of code points, so all paths with the prefix follow from the prefix on.
    rows = db.execute(
        "SELECT s.path, d.public_id FROM sources AS s JOIN documents AS d ON d.id = s.document "
        "WHERE s.path >= :prefix AND substr(s.path, 1, length(:prefix)) = :prefix",
        {"prefix": prefix},
    )
    return dict(rows)


def remove_sources(db: apsw.Connection, sources: Sequence[str]) -> None:
    """See ``Library.remove_sources``."""
    for source in sources:
        found = db.execute("DELETE FROM sources WHERE path = ? RETURNING document", (source,)).fetchone()
        if found is not None:
            _remove_if_without_source(db, found[0])


def remove_document(db: apsw.Connection, document: int) -> None:
    """Remove a document and everything that came from it."""
    remove_index(db, document)
    db.execute("DELETE FROM answers WHERE id IN (SELECT answer FROM answer_documents WHERE document = ?)", (document,))
    db.execute(
        "DELETE FROM extractions WHERE document_public_id = (SELECT public_id FROM documents WHERE id = ?)", (document,)
    )
    db.execute("DELETE FROM documents WHERE id = ?", (document,))


def find(db: apsw.Connection, name: str) -> str:
    """See ``Library.find``. An id or a source as it stands comes first; file names and titles match in any case."""
    rows = list(
        db.execute(
            "SELECT d.public_id, d.title, s.path FROM documents AS d LEFT JOIN sources AS s ON s.document = d.id "
            "ORDER BY d.id, s.id"
        )
    )
    exact = [public_id for public_id, _, _ in rows if public_id == name]
    exact += [public_id for public_id, _, path in rows if path in (name, str(Path(name).absolute()))]
    if exact:
        return str(exact[0])
    matches = {public_id: title for public_id, title, path in rows if _is_called(name, public_id, title, path)}
    if not matches:
        raise DocumentNotFoundError(_nothing_called(db, name))
    if len(matches) > 1:
        listed = ", ".join(f"{public_id} ({title})" for public_id, title in list(matches.items())[:_LISTED_MATCHES])
        raise DocumentNotFoundError(f"{db.filename}: {len(matches)} documents match {name!r}: {listed}. Give the id.")
    return str(next(iter(matches)))


def _is_called(name: str, public_id: str, title: str, path: str | None) -> bool:
    if len(name) >= _SHORTEST_PREFIX and public_id.startswith(name):
        return True
    return name.casefold() in (title.casefold(), PurePath(path or "").name.casefold())


def document_ids(db: apsw.Connection) -> list[str]:
    """See ``Library.document_ids``."""
    return [name for (name,) in db.execute("SELECT public_id FROM documents ORDER BY id")]


def document(db: apsw.Connection, document_id: str) -> Document:
    """See ``Library.document``."""
    return replace(layout(db, document_id), text=whole_text(db, document_row(db, document_id)))


def layout(db: apsw.Connection, document_id: str) -> Document:
    """See ``Library.layout``; ``source`` is the one it was put with, or added, last."""
    row = document_row(db, document_id)
    ((title, media_type, packed),) = db.execute("SELECT title, media_type, layout FROM documents WHERE id = ?", (row,))
    ((source,),) = db.execute("SELECT path FROM sources WHERE document = ? ORDER BY id DESC LIMIT 1", (row,))
    parts = json.loads(unpack(packed))
    return Document(
        id=document_id,
        source=source,
        title=title,
        media_type=media_type,
        text="",
        pages=tuple(Page(*page) for page in parts["pages"]),
        headings=tuple(Heading(*heading) for heading in parts["headings"]),
        furniture=tuple((start, end) for start, end in parts["furniture"]),
        metadata=parts.get("metadata", {}),  # absent where an earlier version wrote the library
    )


def texts(db: apsw.Connection, document_id: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """See ``Library.texts``."""
    row = document_row(db, document_id)
    reader = Spans(db)
    return [reader.read(row, start, end) for start, end in spans]


def summaries(db: apsw.Connection) -> list[DocumentSummary]:
    """See ``Library.summaries``."""
    sources: dict[int, list[str]] = {}
    for row, path in db.execute("SELECT document, path FROM sources ORDER BY id"):
        sources.setdefault(row, []).append(path)
    chunks = {
        row: (count, modelled)
        for row, count, modelled in db.execute(
            "SELECT document, count(*), sum(has_model_facts) FROM chunks GROUP BY document"
        )
    }
    rows = db.execute(
        "SELECT id, public_id, title, media_type, character_count, page_count, fact_count, indexed_at FROM documents "
        "ORDER BY id"
    )
    return [
        DocumentSummary(
            id=public_id,
            title=title,
            sources=tuple(sources[row]),
            media_type=media_type,
            character_count=character_count,
            page_count=page_count,
            chunk_count=chunks.get(row, (0, 0))[0],
            fact_count=fact_count,
            model_fact_chunk_count=chunks.get(row, (0, 0))[1],
            indexed_at=indexed_at,
        )
        for row, public_id, title, media_type, character_count, page_count, fact_count, indexed_at in rows
    ]


_SELECT_CHUNKS = """
SELECT c.public_id, d.public_id, c.number, c.start, c.stop, c.token_count, c.headings
FROM chunks AS c JOIN documents AS d ON d.id = c.document
"""


def chunks(db: apsw.Connection, document_id: str) -> list[Chunk]:
    """See ``Library.chunks``; none for a document that is not here."""
    return _read_chunks(db.execute(f"{_SELECT_CHUNKS} WHERE d.public_id = ? ORDER BY c.number", (document_id,)))


def chunk_count(db: apsw.Connection, documents: str | None) -> int:
    """See ``Library.chunk_count``."""
    found = db.execute(f"SELECT count(*) FROM chunks WHERE {within('document', documents)}", {"documents": documents})
    ((count,),) = found
    return int(count)


def chunks_by_id(db: apsw.Connection, chunk_ids: Sequence[str]) -> list[Chunk]:
    """See ``Library.chunks_by_id``."""
    return _read_chunks(db.executemany(f"{_SELECT_CHUNKS} WHERE c.public_id = ?", [(name,) for name in chunk_ids]))


def _read_chunks(rows: Iterable[tuple[str, str, int, int, int, int, str | None]]) -> list[Chunk]:
    return [
        Chunk(
            public_id,
            document_id,
            number,
            start,
            stop,
            token_count,
            tuple(json.loads(headings)) if headings else (),
        )
        for public_id, document_id, number, start, stop, token_count, headings in rows
    ]


def chunks_without_model_facts(db: apsw.Connection, documents: str | None) -> list[str]:
    """See ``Library.chunks_without_model_facts``."""
    rows = db.execute(
        "SELECT public_id FROM chunks WHERE has_model_facts = 0 "
        f"AND {within('document', documents)} ORDER BY document, number",
        {"documents": documents},
    )
    return [name for (name,) in rows]
