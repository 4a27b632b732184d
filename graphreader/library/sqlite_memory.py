"""What a process keeps in memory of a library file, so that a question need not read all of it.

A few numbers for each passage, the ids of those seen, and blocks of text. All of it stays good for an *epoch*: until
passages are removed or changed (see ``new_epoch``). Passages that are only added come behind the known ones and are
read when first needed. Never used within a writing transaction: what that sees may be rolled back.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import apsw
import numpy as np
from numpy.typing import NDArray

from graphreader.library.sqlite_ids import IS_PASSAGE, PASSAGE_ID, lookups

_Rows: TypeAlias = NDArray[np.int64]

#: Ids of passages kept at most: some ten megabytes.
_KEPT_IDS = 100_000
#: Decompressed blocks of text kept at most: eight million characters.
_KEPT_BLOCKS = 512
#: Lists of documents whose passages are remembered.
_KEPT_SCOPES = 8


def new_epoch(db: apsw.Connection) -> None:
    """To be called by whoever removes or changes passages, in the same transaction."""
    db.execute("UPDATE counters SET epoch = epoch + 1")


@dataclass(frozen=True, slots=True)
class Scope:
    """The passages of some documents: which of the table's, and what narrows ``key_groups AS k`` to their groups.

    ``join`` follows the table, ``condition`` the WHERE; the statement is to bind ``documents``.
    """

    within: NDArray[np.bool_]
    join: str
    condition: str
    documents: str


#: Few ranges of rows are sought one by one; where there are many, each group's document is looked up.
_MOST_RANGES = 16
_BY_RANGE = "JOIN json_each(:documents) AS r ON k.fact_group BETWEEN r.value ->> 0 AND r.value ->> 1"
_BY_DOCUMENT = (
    "coalesce((SELECT document FROM passages WHERE id = k.fact_group), "
    "(SELECT document FROM chunks WHERE id = -k.fact_group)) IN (SELECT value FROM json_each(:documents))"
)


@dataclass(slots=True)
class _Kept:
    """What an epoch's tables share."""

    ids: dict[int, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    #: By the documents, and how many documents and passages there were.
    scopes: dict[tuple[tuple[str, ...], int, int], Scope | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PassageTable:
    """All passages as parallel arrays, by ascending row: row, row of the document, number of index terms."""

    epoch: int
    rows: _Rows
    documents: _Rows
    term_counts: _Rows
    kept: _Kept

    def places_of(self, rows: _Rows) -> _Rows:
        """Where these rows, all of them here and ascending, stand in the arrays."""
        return np.searchsorted(self.rows, rows)

    def ids_of(self, db: apsw.Connection, rows: Iterable[int]) -> list[str]:
        """The ids of passages by their rows."""
        wanted = list(rows)
        ids = self.kept.ids
        missing = [row for row in wanted if row not in ids]
        found = dict(
            db.executemany(
                f"SELECT p.id, {PASSAGE_ID} FROM passages AS p JOIN chunks AS c ON c.id = p.chunk WHERE p.id = ?",
                [(row,) for row in missing],
            )
        )
        result = [ids[row] if row in ids else found[row] for row in wanted]
        self._keep(found)
        return result

    def rows_of(self, db: apsw.Connection, passage_ids: Sequence[str]) -> list[int | None]:
        """The rows of passages by their ids; None for one that is gone."""
        rows = self.kept.rows
        result = {name: rows.get(name) for name in passage_ids}
        found = dict(
            db.executemany(
                f"SELECT :id, p.id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk WHERE {IS_PASSAGE}",
                lookups([name for name, row in result.items() if row is None]),
            )
        )
        result.update(found)
        self._keep({row: name for name, row in found.items()})
        return [result[name] for name in passage_ids]

    def _keep(self, ids: dict[int, str]) -> None:
        if len(self.kept.ids) > _KEPT_IDS:
            self.kept.ids, self.kept.rows = {}, {}
        self.kept.ids.update(ids)
        self.kept.rows.update({name: row for row, name in ids.items()})

    def scope(self, db: apsw.Connection, documents: Sequence[str] | None) -> Scope | None:
        """The passages of these documents; None for the whole library, also where all documents are named."""
        if documents is None:
            return None
        ((document_count,),) = db.execute("SELECT count(*) FROM documents")
        key = (tuple(documents), document_count, len(self.rows))
        scopes = self.kept.scopes
        if key not in scopes:
            if len(scopes) >= _KEPT_SCOPES:
                scopes = self.kept.scopes = {}
            scopes[key] = self._scope(db, key[0], document_count)
        return scopes[key]

    def _scope(self, db: apsw.Connection, documents: Sequence[str], document_count: int) -> Scope | None:
        names = [(name,) for name in dict.fromkeys(documents)]
        chosen = np.array([row for (row,) in db.executemany("SELECT id FROM documents WHERE public_id = ?", names)])
        if len(chosen) == document_count:
            return None
        within = np.isin(self.documents, chosen)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], within, [False])).astype(np.int8)))
        ranges = [(int(self.rows[first]), int(self.rows[end - 1])) for first, end in edges.reshape(-1, 2)]
        if len(ranges) > _MOST_RANGES or len(chosen) > _MOST_RANGES:
            return Scope(within, "", _BY_DOCUMENT, json.dumps(chosen.tolist()))
        # The chunks of a document follow each other too; those without passages have groups of their own.
        ranges += db.executemany(
            "SELECT -max(id), -min(id) FROM chunks WHERE document = ? HAVING count(*)",
            [(document,) for document in chosen.tolist()],
        )
        return Scope(within, _BY_RANGE, "TRUE", json.dumps(ranges))


class TextBlocks:
    """Decompressed blocks of text by (row of the document, number), the last used ones; safe to share."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, place: tuple[int, int]) -> str | None:
        """The block, if it is here."""
        with self._lock:
            text = self._blocks.get(place)
            if text is not None:
                self._blocks.move_to_end(place)
            return text

    def put(self, place: tuple[int, int], text: str) -> None:
        """Keep a block; the one unused for longest may go."""
        with self._lock:
            self._blocks[place] = text
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)


class Memory:
    """What is kept, for all threads that use one library."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: PassageTable | None = None
        self._blocks: tuple[int, TextBlocks] = (-1, TextBlocks())

    def passages(self, db: apsw.Connection) -> PassageTable:
        """The passages as the transaction sees them."""
        ((epoch, last),) = db.execute("SELECT epoch, (SELECT coalesce(max(id), 0) FROM passages) FROM counters")
        with self._lock:
            known = self._table
            if known is None or known.epoch != epoch:
                made = _read(db, PassageTable(epoch, *_NO_ROWS, _Kept()))
                if known is None or known.epoch < epoch:
                    self._table = made
                return made
            if known.rows.size and known.rows[-1] > last:
                count = int(np.searchsorted(known.rows, last, side="right"))
                rows, documents, counts = known.rows[:count], known.documents[:count], known.term_counts[:count]
                return replace(known, rows=rows, documents=documents, term_counts=counts)
            if not known.rows.size or known.rows[-1] < last:
                known = self._table = _read(db, known)
            return known

    def blocks(self, db: apsw.Connection) -> TextBlocks:
        """The blocks of text as the transaction sees them."""
        ((epoch,),) = db.execute("SELECT epoch FROM counters")
        with self._lock:
            if self._blocks[0] < epoch:
                self._blocks = (epoch, TextBlocks())
            return self._blocks[1] if self._blocks[0] == epoch else TextBlocks()


_NO_ROWS = (np.zeros(0, dtype=np.int64),) * 3


def _read(db: apsw.Connection, known: PassageTable) -> PassageTable:
    """``known`` with the passages behind it."""
    last = int(known.rows[-1]) if known.rows.size else -1
    columns = [known.rows, known.documents, known.term_counts]
    found = db.execute("SELECT id, document, term_count FROM passages WHERE id > ? ORDER BY id", (last,))
    flat = np.fromiter((number for row in found for number in row), dtype=np.int64).reshape(-1, 3)
    rows, documents, counts = (np.concatenate(pair) for pair in zip(columns, flat.T, strict=True))
    return PassageTable(known.epoch, rows, documents, counts, known.kept)
