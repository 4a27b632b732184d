"""Passages: reading them, and finding those that lack a vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import numpy as np

from graphreader.library.sqlite_ids import IS_PASSAGE, PASSAGE_ID, lookups
from graphreader.library.sqlite_memory import Memory, PassageTable, Scope, TextBlocks
from graphreader.library.sqlite_text import Spans, restore
from graphreader.library.sqlite_vectors import embedded_rows
from graphreader.records import Passage

#: To be followed by a condition.
SELECT_PASSAGES = f"""
SELECT {PASSAGE_ID}, d.public_id, c.public_id, p.document, p.start, p.stop, p.form, p.text
FROM passages AS p JOIN chunks AS c ON c.id = p.chunk JOIN documents AS d ON d.id = p.document
"""


def passage_count(passages: PassageTable, scope: Scope | None) -> int:
    """See ``Library.passage_count``."""
    return len(passages.rows) if scope is None else int(scope.within.sum())


def passages_by_id(db: apsw.Connection, memory: Memory, passage_ids: Sequence[str]) -> list[Passage]:
    """See ``Library.passages_by_id``."""
    selected = db.executemany(f"{SELECT_PASSAGES} WHERE {IS_PASSAGE}", lookups(passage_ids))
    return read_passages(db, selected, memory.blocks(db))


def passages_without_vector(
    db: apsw.Connection, passages: PassageTable, model: str, scope: Scope | None, limit: int | None
) -> list[Passage]:
    """See ``Library.passages_without_vector``."""
    rows = passages.rows if scope is None else passages.rows[scope.within]
    missing = np.setdiff1d(rows, embedded_rows(db, model), assume_unique=True)[:limit]
    selected = db.executemany(f"{SELECT_PASSAGES} WHERE p.id = ?", [(row,) for row in missing.tolist()])
    return read_passages(db, selected)


def read_passages(
    db: apsw.Connection,
    selected: Iterable[tuple[str, str, str, int, int, int, int, str | None]],
    blocks: TextBlocks | None = None,
) -> list[Passage]:
    """The passages of rows of ``SELECT_PASSAGES``, in their order."""
    rows = list(selected)
    spans = Spans(db, blocks)
    return [
        Passage(public_id, document_id, chunk_id, start, stop, restore(form, text, spans.read(document, start, stop)))
        for public_id, document_id, chunk_id, document, start, stop, form, text in rows
    ]
