"""Memories in one SQLite file, through ``apsw``. Each method is one transaction; none calls a model.

Instances may be shared between threads, and several processes may use one file at once: see ``sqlite_connections``.
After a fork, open the file anew in the child.
"""

# ruff: noqa: D102  (what the methods mean is said once, in the protocol)
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np

from memory import sqlite_forget, sqlite_items
from memory.errors import EmbeddingError
from memory.records import AgentState, Block, Forgotten, Item, Search, Shelf, Summary, Turn, storable
from memory.sqlite_connections import BUSY_TIMEOUT_SECONDS, Connections, Reach, pass_by, prepare_file
from memory.sqlite_items import DRAWERS
from memory.sqlite_schema import NUMBERS, SPAN_BITS, Drawer, RowRange, number_of, row_of, row_range
from memory.sqlite_text import Rows, find_phrase, rank_words
from memory.sqlite_vectors import VectorMemory, encode, nearest, put_codes
from memory.storage import Place, Storage

_SEARCHED = {Shelf.RECALL: Drawer.SAID, Shelf.ARCHIVAL: Drawer.ARCHIVAL}


def open_storage(path: Path, *, reach: Reach = pass_by, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Storage:
    """Open the file of memories at ``path``, creating it and its folder where absent.

    ``reach`` is told of each point that a write passes, for tests. Raises ``MemoryVersionError`` where a newer version
    wrote the file, ``MemoryFileError`` where it cannot be used.
    """
    prepare_file(path, reach, busy_timeout_seconds)
    return SqliteStorage(Connections(path, reach, busy_timeout_seconds))


class SqliteStorage:
    """``Storage`` over the connections to one file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._vectors = VectorMemory()

    def agents(self) -> list[str]:
        with self._connections.read() as db:
            return [name for (name,) in db.execute("SELECT name FROM agents ORDER BY name")]

    def state(self, agent: str) -> AgentState:
        with self._connections.read() as db:
            return sqlite_items.state_of(db, agent)

    def blocks(self, agent: str) -> tuple[Block, ...]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            return () if row is None else sqlite_items.blocks(db, row)

    def commit(self, agent: str, turn: Turn) -> int:
        with self._connections.write("turn") as db:
            last_message = sqlite_items.put_turn(db, agent, turn)
            self._connections.reach("turn: between messages and summaries")
            sqlite_items.put_summaries(db, agent, turn)
        return last_message

    def items(self, agent: str, shelf: Shelf, numbers: Sequence[int]) -> list[Item]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            return [] if row is None else sqlite_items.items(db, row, shelf, numbers)

    def numbers(self, agent: str, shelf: Shelf, first: int, last: int) -> list[int]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            if row is None:
                return []
            return sorted(
                number_of(found)
                for drawer in DRAWERS[shelf]
                for (found,) in db.execute(
                    "SELECT id FROM items WHERE id BETWEEN ? AND ?",
                    (row_of(row, drawer, first), row_of(row, drawer, last)),
                )
            )

    # search ----------------------------------------------------------------------------------------------------
    def find(self, agent: str, search: Search) -> list[int]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            if row is None:
                return []
            last_message, last_entry = sqlite_items.counts(db, row)
            last = last_message if search.shelf is Shelf.RECALL else last_entry
            through = last if search.through is None else min(search.through, last)
            drawers = DRAWERS[search.shelf] if search.everything else (_SEARCHED[search.shelf],)
            ranges = [row_range(row, drawer, through) for drawer in drawers]
            if search.words:
                return _numbers_of([rank_words(db, within, search.words) for within in ranges])
            return sorted(_numbers_of([_found(db, within, search) for within in ranges]), reverse=True)

    def without_vector(self, agent: str, model: str, limit: int) -> list[tuple[Place, str]]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            if row is None:
                return []
            embedder = db.execute("SELECT id FROM embedders WHERE name = ?", (model,)).fetchone()
            found: list[tuple[Place, str]] = []
            for shelf, drawer in _SEARCHED.items():
                within = row_range(row, drawer)
                rows = db.execute(
                    "SELECT id, text FROM items WHERE id BETWEEN ? AND ? AND NOT EXISTS "
                    "(SELECT 1 FROM vectors WHERE item = items.id AND embedder = ?) ORDER BY id LIMIT ?",
                    (within.low, within.high, embedder[0] if embedder else 0, limit - len(found)),
                )
                found += [((shelf, number_of(one)), text) for one, text in rows]
            return found

    def put_vectors(self, agent: str, model: str, vectors: Sequence[tuple[Place, Sequence[float]]]) -> None:
        codes = [(place, encode(vector)) for place, vector in vectors]
        if not codes:
            return
        with self._connections.write("vectors") as db:
            row = sqlite_items.agent_row(db, agent)
            if row is None:
                return
            embedder = _embedder(db, model, {len(vector) for _, vector in vectors})
            put_codes(db, embedder, [(row_of(row, _SEARCHED[shelf], number), code) for (shelf, number), code in codes])

    def nearest(
        self, agent: str, shelf: Shelf, model: str, vector: Sequence[float], through: int, limit: int
    ) -> list[int]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            embedder = db.execute("SELECT id, dimensions FROM embedders WHERE name = ?", (model,)).fetchone()
            if row is None or embedder is None:
                return []
            if embedder[1] != len(vector):
                raise _wrong_length(model, len(vector), embedder[1])
            within = row_range(row, _SEARCHED[shelf], through)
            kept = self._vectors.of(db, within, *embedder)
        return [number_of(found) for found in nearest(kept, vector, within.high, limit)]

    # summaries and blocks --------------------------------------------------------------------------------------
    def ledger(self, agent: str) -> list[Summary]:
        with self._connections.read() as db:
            row = sqlite_items.agent_row(db, agent)
            return [] if row is None else sqlite_items.ledger(db, row)

    def put_summary(self, agent: str, summary: Summary) -> bool:
        with self._connections.write("summary") as db:
            row = sqlite_items.agent_row(db, agent)
            return row is not None and sqlite_items.put_summary(db, row, summary)

    def put_block(self, agent: str, block: Block) -> Block:
        with self._connections.write("block") as db:
            return sqlite_items.put_block(db, agent, block)

    # deletion --------------------------------------------------------------------------------------------------
    def forget(self, agent: str, messages: Iterable[int] = (), entries: Iterable[int] = ()) -> Forgotten:
        with self._connections.write("forget") as db:
            row = sqlite_items.agent_row(db, agent)
            gone = Forgotten() if row is None else sqlite_forget.forget_items(db, row, messages, entries)
        return replace(gone, erased=self.purge())

    def forget_block(self, agent: str, name: str) -> Forgotten:
        with self._connections.write("forget") as db:
            row = sqlite_items.agent_row(db, agent)
            db.execute("DELETE FROM blocks WHERE agent = ? AND name = ?", (row, storable(name)))
            gone = Forgotten(edited_blocks=(name,) if db.changes() else ())
        return replace(gone, erased=self.purge())

    def forget_agent(self, agent: str) -> Forgotten:
        with self._connections.write("forget") as db:
            row = sqlite_items.agent_row(db, agent)
            gone = Forgotten() if row is None else sqlite_forget.forget_agent(db, row)
        return replace(gone, erased=self.purge())

    def purge(self) -> bool:
        return self._connections.purge()

    def close(self) -> None:
        self._connections.close()


def _numbers_of(rows: Sequence[Rows]) -> list[int]:
    """The numbers in several arrays of rowids, one after the other."""
    numbers: list[int] = (np.concatenate(rows) & np.int64(NUMBERS)).tolist()
    return numbers


_DATED = f"""
    SELECT items.id FROM spans
    CROSS JOIN items ON items.id BETWEEN spans.id << {SPAN_BITS} AND (spans.id + 1 << {SPAN_BITS}) - 1
    WHERE spans.id BETWEEN ?3 >> {SPAN_BITS} AND ?4 >> {SPAN_BITS} AND greatest >= ?1 AND least <= ?2
        AND items.id BETWEEN ?3 AND ?4 AND time BETWEEN ?1 AND ?2
"""


def _found(db: apsw.Connection, within: RowRange, search: Search) -> Rows:
    """What a search without words finds in one drawer."""
    rows = find_phrase(db, within, search.phrase) if search.phrase else None
    if search.since is None and search.until is None and rows is not None:
        return rows
    lowest = -(1 << 62) if search.since is None else sqlite_items.microseconds(search.since)
    highest = 1 << 62 if search.until is None else sqlite_items.microseconds(search.until)
    dated = db.execute(_DATED, (lowest, highest, within.low, within.high))
    timely = np.array([row for (row,) in dated], dtype=np.int64)
    return timely if rows is None else np.intersect1d(rows, timely)


def _embedder(db: apsw.Connection, name: str, lengths: set[int]) -> int:
    """The embedder's row. Raises ``EmbeddingError`` where its vectors are not as long as before."""
    (length,) = lengths if len(lengths) == 1 else (0,)
    db.execute("INSERT OR IGNORE INTO embedders (name, dimensions) VALUES (?, ?)", (name, length))
    ((row, dimensions),) = db.execute("SELECT id, dimensions FROM embedders WHERE name = ?", (name,))
    if length == 0 or dimensions != length:
        raise _wrong_length(name, length, dimensions)
    return int(row)


def _wrong_length(name: str, length: int, dimensions: int) -> EmbeddingError:
    return EmbeddingError(
        f"The embedder {name!r} gave vectors of {length} components where {dimensions} are stored. "
        "Give the embedder another name."
    )
