"""The tables of a file of memories, as an ordered list of migrations: the file's ``user_version`` counts those applied.

An item's rowid says whose it is, where it belongs and its number, so that a range of rowids is all that a search has to
be told: see ``Drawer``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import apsw

from memory.sqlite_text import index_texts

#: Written into the file's header, so that another program's database is never taken for ours. ASCII "GrMm".
APPLICATION_ID = 0x47724D6D

_NUMBER_BITS = 38
_DRAWER_BITS = 2
_NUMBERS = (1 << _NUMBER_BITS) - 1


class Drawer(IntEnum):
    """Where an item lies: the messages a model may find, the other messages (numbered with the former), the archive."""

    SAID = 0
    WORK = 1
    ARCHIVAL = 2


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rowids of one drawer of one agent, from its first to a last one."""

    low: int
    high: int


def row_range(agent_row: int, drawer: Drawer, through: int | None = None) -> RowRange:
    """The rowids of a drawer up to the number ``through``."""
    base = (agent_row << _DRAWER_BITS | drawer) << _NUMBER_BITS
    return RowRange(base + 1, base + (_NUMBERS if through is None else through))


def row_of(agent_row: int, drawer: Drawer, number: int) -> int:
    """An item's rowid."""
    return (agent_row << _DRAWER_BITS | drawer) << _NUMBER_BITS | number


def number_of(row: int) -> int:
    """The number in a rowid."""
    return row & _NUMBERS


def drawer_of(row: int) -> Drawer:
    """The drawer in a rowid."""
    return Drawer(row >> _NUMBER_BITS & ((1 << _DRAWER_BITS) - 1))


_TABLES = f"""
CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_message INTEGER NOT NULL DEFAULT 0,    -- numbers given so far: none is given twice, whatever is deleted
    last_entry INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE items (
    id INTEGER PRIMARY KEY,                     -- agent, drawer and number
    kind INTEGER NOT NULL,
    time INTEGER NOT NULL,                      -- microseconds since 1970, UTC
    text TEXT NOT NULL,
    source TEXT
) STRICT;
CREATE INDEX items_by_time ON items (id >> {_NUMBER_BITS}, time);

CREATE TABLE quotes (
    quoted INTEGER NOT NULL,
    item INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    PRIMARY KEY (quoted, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX quotes_by_item ON quotes (item);

CREATE TABLE blocks (
    agent INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    description TEXT NOT NULL,
    source TEXT,
    version INTEGER NOT NULL,
    PRIMARY KEY (agent, name)
) STRICT;

CREATE TABLE summaries (
    agent INTEGER NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    first INTEGER NOT NULL,
    through INTEGER NOT NULL,
    text TEXT NOT NULL,
    sources TEXT NOT NULL,                      -- JSON list
    withdrawn INTEGER NOT NULL,
    PRIMARY KEY (agent, number)
) STRICT;

CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    deletions INTEGER NOT NULL                  -- what readers keep of vectors stays good as long as this
) STRICT;
INSERT INTO counters (id, deletions) VALUES (0, 0);
"""

_FULL_TEXT = """
CREATE VIRTUAL TABLE full_text USING fts5 (terms, content='', contentless_delete=1, detail=none, tokenize='ascii');
CREATE TABLE terms (term TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

_VECTORS = """
CREATE TABLE embedders (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
) STRICT;
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,                     -- ascending in the order of their arrival
    item INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    embedder INTEGER NOT NULL REFERENCES embedders (id),
    code BLOB NOT NULL                          -- see sqlite_vectors
) STRICT;
CREATE UNIQUE INDEX vectors_by_item ON vectors (item, embedder);
"""


def _create_tables(db: apsw.Connection) -> None:
    db.execute(_TABLES)


def _create_full_text(db: apsw.Connection) -> None:
    db.execute(_FULL_TEXT)
    index_texts(db, db.execute("SELECT id, text FROM items ORDER BY id"))


def _create_vectors(db: apsw.Connection) -> None:
    db.execute(_VECTORS)


Migration: TypeAlias = Callable[[apsw.Connection], None]
#: Only ever appended to.
MIGRATIONS: tuple[Migration, ...] = (_create_tables, _create_full_text, _create_vectors)
