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
#: How many of a rowid's last bits a span leaves out.
SPAN_BITS = 6
_DRAWER_BITS = 2
#: The bits of a rowid that are the number.
NUMBERS = (1 << _NUMBER_BITS) - 1


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
    return RowRange(base + 1, base + (NUMBERS if through is None else through))


def drawer_range(within: RowRange) -> RowRange:
    """All rowids of the drawer that a range lies in."""
    base = within.low >> _NUMBER_BITS << _NUMBER_BITS
    return RowRange(base + 1, base + NUMBERS)


def row_of(agent_row: int, drawer: Drawer, number: int) -> int:
    """An item's rowid."""
    return (agent_row << _DRAWER_BITS | drawer) << _NUMBER_BITS | number


def number_of(row: int) -> int:
    """The number in a rowid."""
    return row & NUMBERS


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

-- For every {1 << SPAN_BITS} numbers of a drawer the times they lie between. Messages come nearly in the order of
-- their times, so this serves as an index of times, at a fiftieth of its size.
CREATE TABLE spans (
    id INTEGER PRIMARY KEY,                     -- an item's without its last bits
    least INTEGER NOT NULL,
    greatest INTEGER NOT NULL
) STRICT;

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
    epoch INTEGER NOT NULL                      -- what readers keep of vectors is added to as long as this stays
) STRICT;
INSERT INTO counters (id, epoch) VALUES (0, 0);
"""

_FULL_TEXT = """
CREATE VIRTUAL TABLE full_text USING fts5 (terms, content='', columnsize=0, detail=none, tokenize='ascii');
CREATE TABLE terms (term TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

_VECTORS = """
CREATE TABLE embedders (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
) STRICT;
CREATE TABLE vectors (
    item INTEGER PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
    embedder INTEGER NOT NULL REFERENCES embedders (id),
    code BLOB NOT NULL                          -- see sqlite_vectors
) STRICT;
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
