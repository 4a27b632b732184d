"""Full text and vectors.

Full text is FTS5 over terms made beforehand, one row a passage: the terms of its text, and those that model-written
facts resting on it add. Its ``ascii`` tokenizer parts terms at every ASCII character but letters and digits, so such
characters are moved to Unicode's private use area first. A query's terms go the same way: nothing that FTS5's query
language knows is left in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from graphreader.errors import LibraryError
from graphreader.library.sqlite_ids import IS_PASSAGE, PASSAGE_ID, lookups
from graphreader.library.sqlite_scope import within
from graphreader.library.sqlite_text import Spans, restore
from graphreader.records import Passage
from graphreader.text.terms import terms

_PRIVATE = 0xE000
_ESCAPES = {code: _PRIVATE + code for code in range(128) if not chr(code).isalnum()}


def escape(term: str) -> str:
    """A term as one token of the full-text index. Lone surrogates, which UTF-8 lacks, become question marks."""
    if term.isascii() and term.isalnum():
        return term
    return term.encode("utf-8", "replace").decode("utf-8").translate(_ESCAPES)


def passage_terms(text: str, model_facts: Iterable[str]) -> str:
    """What the full-text index gets for a passage: its terms, then those its model-written facts add, each once."""
    own = terms(text)
    added = dict.fromkeys(term for fact in model_facts for term in terms(fact))
    for term in set(own):
        added.pop(term, None)
    return " ".join(map(escape, (*own, *added)))


def passage_count(db: apsw.Connection, documents: str | None) -> int:
    """See ``Library.passage_count``."""
    ((count,),) = db.execute(
        f"SELECT count(*) FROM passages WHERE {within('document', documents)}",
        {"documents": documents},
    )
    return int(count)


def search_passages(
    db: apsw.Connection, query: Sequence[str], documents: str | None, limit: int
) -> list[tuple[str, float]]:
    """See ``Library.search_passages``. Word statistics are the whole library's, whatever the documents."""
    match = " OR ".join(f'"{escape(term)}"' for term in dict.fromkeys(query) if term)
    ((low, high),) = db.execute(
        f"SELECT min(id), max(id) FROM passages WHERE {within('document', documents)}",
        {"documents": documents},
    )
    if not match or low is None:
        return []
    found = db.execute(
        f"SELECT {PASSAGE_ID}, -bm25(full_text) AS score FROM full_text "
        "CROSS JOIN passages AS p ON p.id = full_text.rowid CROSS JOIN chunks AS c ON c.id = p.chunk "
        "WHERE full_text MATCH :match AND full_text.rowid BETWEEN :low AND :high "
        f"AND {within('p.document', documents)} "
        "ORDER BY score DESC, p.document, p.start LIMIT :limit",
        {"match": match, "low": low, "high": high, "documents": documents, "limit": limit},
    )
    return [(passage, float(score)) for passage, score in found]


def purge(db: apsw.Connection) -> None:
    """Take the words of removed passages out of the index at once; FTS5 on its own does so when it merges next."""
    db.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")


def passages_by_id(db: apsw.Connection, passage_ids: Sequence[str]) -> list[Passage]:
    """See ``Library.passages_by_id``."""
    selected = db.executemany(f"{SELECT_PASSAGES} WHERE {IS_PASSAGE}", lookups(passage_ids))
    return read_passages(db, selected)


def passages_without_vector(db: apsw.Connection, model: str, documents: str | None, limit: int | None) -> list[Passage]:
    """See ``Library.passages_without_vector``."""
    selected = db.execute(
        f"{SELECT_PASSAGES} WHERE NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.passage = p.id "
        "AND v.model = (SELECT id FROM vector_models WHERE name = :model)) "
        f"AND {within('p.document', documents)} "
        "ORDER BY p.document, p.start, p.id LIMIT :limit",
        {"model": model, "documents": documents, "limit": -1 if limit is None else limit},
    )
    return read_passages(db, selected)


SELECT_PASSAGES = f"""
SELECT {PASSAGE_ID}, d.public_id, c.public_id, p.document, p.start, p.stop, p.form, p.text
FROM passages AS p JOIN chunks AS c ON c.id = p.chunk JOIN documents AS d ON d.id = p.document
"""


def read_passages(
    db: apsw.Connection, selected: Iterable[tuple[str, str, str, int, int, int, int, str | None]]
) -> list[Passage]:
    """The passages of rows of ``SELECT_PASSAGES``, in their order."""
    rows = list(selected)
    spans = Spans(db)
    return [
        Passage(public_id, document_id, chunk_id, start, stop, restore(form, text, spans.read(document, start, stop)))
        for public_id, document_id, chunk_id, document, start, stop, form, text in rows
    ]


def put_vectors(db: apsw.Connection, model: str, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """See ``Library.put_vectors``. Raises ``LibraryError`` for a shape that does not fit."""
    if vectors.ndim != 2 or len(vectors) != len(passage_ids) or not vectors.shape[1]:
        raise LibraryError(
            f"{len(passage_ids)} passages were given vectors of shape {vectors.shape}. Give one row to each passage."
        )
    found = list(
        db.executemany(
            f"SELECT :place, p.id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk WHERE {IS_PASSAGE}",
            [{"place": place, **known} for place, known in enumerate(lookups(passage_ids))],
        )
    )
    if not found:
        return
    dimensions = int(vectors.shape[1])
    db.execute("INSERT OR IGNORE INTO vector_models (name, dimensions) VALUES (?, ?)", (model, dimensions))
    ((row, stored),) = db.execute("SELECT id, dimensions FROM vector_models WHERE name = ?", (model,))
    if stored != dimensions:
        raise LibraryError(
            f"{model!r} gave vectors of {dimensions} dimensions, but those in the library have {stored}. "
            "Use the embedder that the library was made with, or remove its documents and index them again."
        )
    halves = vectors.astype("<f2")
    db.executemany(
        "INSERT INTO vectors (passage, model, vector) VALUES (?, ?, ?) "
        "ON CONFLICT (passage, model) DO UPDATE SET vector = excluded.vector",
        [(passage, row, halves[place].tobytes()) for place, passage in found],
    )


def vector_count(db: apsw.Connection, model: str, documents: str | None) -> int:
    """See ``Library.vector_count``."""
    ((count,),) = db.execute(
        "SELECT count(*) FROM vectors AS v JOIN passages AS p ON p.id = v.passage "
        f"WHERE v.model = (SELECT id FROM vector_models WHERE name = :model) AND {within('p.document', documents)}",
        {"model": model, "documents": documents},
    )
    return int(count)


def vectors(db: apsw.Connection, model: str, documents: str | None) -> tuple[list[str], NDArray[np.float16]]:
    """See ``Library.vectors``; in no particular order."""
    known = db.execute("SELECT id, dimensions FROM vector_models WHERE name = ?", (model,)).fetchone()
    if known is None:
        return [], np.zeros((0, 0), dtype=np.float16)
    row, dimensions = known
    both = "vectors AS v CROSS JOIN passages AS p" if documents is None else "passages AS p CROSS JOIN vectors AS v"
    found = list(
        db.execute(
            f"SELECT {PASSAGE_ID}, v.vector FROM {both} CROSS JOIN chunks AS c ON c.id = p.chunk "
            f"WHERE v.passage = p.id AND v.model = :model AND {within('p.document', documents)}",
            {"model": row, "documents": documents},
        )
    )
    joined = b"".join(vector for _, vector in found)
    matrix = np.frombuffer(joined, dtype="<f2").reshape(len(found), dimensions)
    return [passage for passage, _ in found], matrix.astype(np.float16, copy=False)
