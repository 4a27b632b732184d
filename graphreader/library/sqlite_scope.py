"""Narrowing a query to some documents."""

from __future__ import annotations

import json
from collections.abc import Sequence

import apsw


def scope(db: apsw.Connection, documents: Sequence[str] | None) -> str | None:
    """The rows of these documents as a JSON list, as ``within`` takes it; None, the whole library, stays None."""
    if documents is None:
        return None
    rows = db.executemany(
        "SELECT id FROM documents WHERE public_id = ?", [(name,) for name in dict.fromkeys(documents)]
    )
    return json.dumps([row for (row,) in rows])


def within(column: str, documents: str | None) -> str:
    """An SQL condition on a column of document rows; the statement is to bind ``documents`` under that name."""
    return "TRUE" if documents is None else f"{column} IN (SELECT value FROM json_each(:documents))"
