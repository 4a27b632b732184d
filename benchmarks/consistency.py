"""Whether a library file is consistent, checked with plain SQL and not by the code that wrote it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import apsw

#: Rows that should not be there, by what they are.
_STRAYS = {
    "documents without a source": "SELECT public_id FROM documents WHERE id NOT IN (SELECT document FROM sources)",
    "documents without text": "SELECT public_id FROM documents WHERE id NOT IN (SELECT document FROM text_blocks)",
    "chunks out of order": """
        SELECT public_id FROM (SELECT public_id, number, start, stop, document, lag(stop, 1, 0) OVER (
            PARTITION BY document ORDER BY number) AS before FROM chunks) WHERE start != before OR stop < start""",
    "documents whose chunks do not cover them": """
        SELECT public_id FROM documents AS d
        WHERE character_count != (SELECT max(stop) FROM chunks WHERE document = d.id)""",
    "passages outside of their chunk": """
        SELECT p.id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk
        WHERE p.document != c.document OR p.start < c.start OR p.stop > c.stop""",
    "passages without full text": "SELECT id FROM passages WHERE id NOT IN (SELECT rowid FROM full_text)",
    "full text without passage": "SELECT rowid FROM full_text WHERE rowid NOT IN (SELECT id FROM passages)",
    "facts outside of their chunk": """
        SELECT f.id FROM facts AS f JOIN chunks AS c ON c.id = f.chunk
        WHERE f.document != c.document OR f.start < c.start OR f.stop > c.stop""",
    "facts of a passage that is gone": """
        SELECT id FROM facts WHERE passage IS NOT NULL AND passage NOT IN (SELECT id FROM passages)""",
    "key elements of no fact": "SELECT name FROM key_elements WHERE id NOT IN (SELECT key FROM fact_keys)",
    "spellings counted wrongly": """
        SELECT s.key FROM key_spellings AS s LEFT JOIN (
            SELECT key, spelling, count(*) AS held FROM fact_keys GROUP BY key, spelling
        ) AS k ON k.key = s.key AND k.spelling = s.number WHERE s.count IS NOT k.held""",
    "vectors without passage": "SELECT passage FROM vectors WHERE passage NOT IN (SELECT id FROM passages)",
    "vectors of a wrong length": """
        SELECT v.passage FROM vectors AS v JOIN vector_models AS m ON m.id = v.model
        WHERE length(v.vector) != 2 * m.dimensions""",
}


def problems_of(path: Path) -> Iterator[str]:
    """What is wrong with the library, a sentence each; none for one that is consistent, or not there."""
    if not path.exists():
        return
    db = apsw.Connection(str(path))
    try:
        version = db.pragma("user_version")
        if version == 0:
            return  # nothing was ever put: the file is empty
        for (line,) in db.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"integrity_check: {line}"
        yield from (f"foreign_key_check: {row}" for row in db.execute("PRAGMA foreign_key_check"))
        db.execute("INSERT INTO full_text (full_text) VALUES ('integrity-check')")
        for meaning, query in _STRAYS.items():
            ((count, example),) = db.execute(f"WITH t (i) AS ({query}) SELECT count(*), min(i) FROM t")
            if count:
                yield f"{count} {meaning}, {example!r} for one"
        yield from _texts_of_another_length(db)
    except apsw.Error as error:
        yield f"{type(error).__name__}: {error}"
    finally:
        db.close()


def _texts_of_another_length(db: apsw.Connection) -> Iterator[str]:
    lengths: dict[int, int] = {}
    for document, block in db.execute("SELECT document, text FROM text_blocks"):
        lengths[document] = lengths.get(document, 0) + len(zlib.decompress(block).decode("utf-8"))
    for document, name, count in db.execute("SELECT id, public_id, character_count FROM documents"):
        if lengths.get(document) != count:
            yield f"document {name} has {lengths.get(document)} of {count} characters"


def counts_of(path: Path) -> dict[str, int]:
    """How many rows the tables of the library have."""
    if not path.exists():
        return {}
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        tables = ("documents", "chunks", "passages", "facts", "key_elements", "vectors")
        return {table: next(db.execute(f"SELECT count(*) FROM {table}"))[0] for table in tables}
    finally:
        db.close()
