"""Deletion: rows, what quotes them, index terms, vectors, and what summaries made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import apsw

from memory.records import Forgotten, Shelf
from memory.sqlite_items import DRAWERS
from memory.sqlite_schema import Drawer, drawer_of, number_of, row_of, row_range
from memory.sqlite_text import remove_texts

#: Texts whose terms are taken out of the index at once.
_BATCH = 500


def forget_items(db: apsw.Connection, agent: int, messages: Iterable[int], entries: Iterable[int]) -> Forgotten:
    """See ``Storage.forget``."""
    rows = [row_of(agent, drawer, number) for number in messages for drawer in DRAWERS[Shelf.RECALL]]
    rows += [row_of(agent, Drawer.ARCHIVAL, number) for number in entries]
    stored = _stored_with_quoting(db, rows)
    _delete(db, stored)
    gone = sorted({number_of(row) for row in stored if drawer_of(row) != Drawer.ARCHIVAL})
    return Forgotten(
        tuple(gone),
        tuple(sorted(number_of(row) for row in stored if drawer_of(row) == Drawer.ARCHIVAL)),
        tuple(_withdraw_summaries(db, agent, gone[0])) if gone else (),
    )


def _stored_with_quoting(db: apsw.Connection, rows: Sequence[int]) -> list[int]:
    """Those of the rows that exist, and all that quote them, or quote what quotes them."""
    sql = """
        WITH RECURSIVE found (id) AS (
            SELECT items.id FROM json_each(?) JOIN items ON items.id = json_each.value
            UNION
            SELECT quotes.item FROM found JOIN quotes ON quotes.quoted = found.id
        )
        SELECT id FROM found ORDER BY id
    """
    return [row for (row,) in db.execute(sql, (json.dumps(rows),))]


def _delete(db: apsw.Connection, rows: Sequence[int]) -> None:
    if not rows:
        return
    for start in range(0, len(rows), _BATCH):
        batch = json.dumps(rows[start : start + _BATCH])
        texts = db.execute("SELECT id, text FROM items WHERE id IN (SELECT value FROM json_each(?))", (batch,))
        remove_texts(db, [(int(row), str(text)) for row, text in texts])
        db.execute("DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))", (batch,))
        db.execute("DELETE FROM quotes WHERE quoted IN (SELECT value FROM json_each(?))", (batch,))
    db.execute("UPDATE counters SET epoch = epoch + 1")


def _withdraw_summaries(db: apsw.Connection, agent: int, first_gone: int) -> list[int]:
    """A summary tells of all messages up to its last: from the first deleted one on, each may hold some of it."""
    numbers = [
        number
        for (number,) in db.execute(
            "SELECT number FROM summaries WHERE agent = ? AND through >= ? AND NOT withdrawn ORDER BY number",
            (agent, first_gone),
        )
    ]
    db.executemany(
        "UPDATE summaries SET withdrawn = 1, text = '', sources = '[]' WHERE agent = ? AND number = ?",
        [(agent, number) for number in numbers],
    )
    return numbers


def forget_agent(db: apsw.Connection, agent: int) -> Forgotten:
    """See ``Storage.forget_agent``. The agent's row goes too: its numbers may be given again, to another."""
    rows = [
        row
        for drawer in Drawer
        for (row,) in db.execute(
            "SELECT id FROM items WHERE id BETWEEN ? AND ?",
            (row_range(agent, drawer).low, row_range(agent, drawer).high),
        )
    ]
    _delete(db, rows)
    summaries = [number for (number,) in db.execute("SELECT number FROM summaries WHERE agent = ?", (agent,))]
    blocks = [name for (name,) in db.execute("SELECT name FROM blocks WHERE agent = ?", (agent,))]
    db.execute("DELETE FROM agents WHERE id = ?", (agent,))
    return Forgotten(
        tuple(sorted(number_of(row) for row in rows if drawer_of(row) != Drawer.ARCHIVAL)),
        tuple(sorted(number_of(row) for row in rows if drawer_of(row) == Drawer.ARCHIVAL)),
        tuple(summaries),
        tuple(blocks),
    )
