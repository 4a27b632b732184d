"""Vectors: blocks of some hundred, each number a byte, compared with a question in memory.

A vector is stored as whole numbers from -127 to 127 and the scale that they are multiplied by: half the space of 16-bit
floats at no measured loss of recall. A reader keeps the blocks that it has read; a block is never changed, so that only
new ones are read later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import apsw
import numpy as np
from numpy.typing import NDArray

from graphreader.errors import LibraryError
from graphreader.library.protocol import Nearest
from graphreader.library.sqlite_ids import IS_PASSAGE, lookups
from graphreader.library.sqlite_memory import PassageTable, Scope

_Floats: TypeAlias = NDArray[np.float32]
_Rows: TypeAlias = NDArray[np.int64]

#: As floats a block of 384 dimensions fits a processor's second cache.
_BLOCK_ROWS = 512
_LARGEST_CODE = 127


@dataclass(frozen=True, slots=True)
class Block:
    """Some passages' vectors: rows ascending, scales (passages), codes (passages, dimensions)."""

    rows: _Rows
    scales: _Floats
    codes: NDArray[np.int8]


def encode(rows: Sequence[int], vectors: _Floats) -> Block:
    """A block of these vectors, sorted by row; the last vector of a row that is given twice counts."""
    last = {row: place for place, row in enumerate(rows)}
    order = sorted(last)
    ordered = vectors[[last[row] for row in order]]
    scales = np.abs(ordered).max(axis=1, keepdims=True) / _LARGEST_CODE
    codes = np.rint(ordered / np.where(scales > 0, scales, 1)).astype(np.int8)
    return Block(np.array(order, dtype=np.int64), scales[:, 0].astype(np.float32), codes)


def put_vectors(db: apsw.Connection, model: str, passage_ids: Sequence[str], vectors: _Floats) -> None:
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
    row = _model_row(db, model, int(vectors.shape[1]))
    new = encode([passage for _, passage in found], vectors[[place for place, _ in found]])
    touched = _take_blocks(db, row, int(new.rows[0]), int(new.rows[-1]))
    kept = [_without(block, new.rows) for block in touched]
    _put_blocks(db, row, [*kept, *_take_small_last(db, row), new])


def _model_row(db: apsw.Connection, model: str, dimensions: int) -> int:
    db.execute("INSERT OR IGNORE INTO vector_models (name, dimensions) VALUES (?, ?)", (model, dimensions))
    ((row, stored),) = db.execute("SELECT id, dimensions FROM vector_models WHERE name = ?", (model,))
    if stored != dimensions:
        raise LibraryError(
            f"{model!r} gave vectors of {dimensions} dimensions, but those in the library have {stored}. "
            "Use the embedder that the library was made with, or remove its documents and index them again."
        )
    return int(row)


def forget_vectors(db: apsw.Connection, first: int, last: int) -> None:
    """Remove the vectors of the passages from row ``first`` to ``last``."""
    for model in [int(row) for (row,) in db.execute("SELECT id FROM vector_models")]:
        touched = _take_blocks(db, model, first, last)
        gone = np.arange(first, last + 1)
        _put_blocks(db, model, [_without(block, gone) for block in touched])
    db.execute("DELETE FROM vector_models AS m WHERE NOT EXISTS (SELECT 1 FROM vector_blocks WHERE model = m.id)")


def _take_blocks(db: apsw.Connection, model: int, first: int, last: int) -> list[Block]:
    """Take out the blocks that may hold rows from ``first`` to ``last``."""
    found = db.execute(
        "SELECT id FROM vector_blocks WHERE model = ? AND first <= ? AND last >= ? ORDER BY id", (model, last, first)
    )
    return _take(db, model, [number for (number,) in found])


def _take_small_last(db: apsw.Connection, model: int) -> list[Block]:
    """Take out the newest block if it has room."""
    found = db.execute("SELECT id, count FROM vector_blocks WHERE model = ? ORDER BY id DESC LIMIT 1", (model,))
    return _take(db, model, [number for number, count in found if count < _BLOCK_ROWS])


def _take(db: apsw.Connection, model: int, ids: Iterable[int]) -> list[Block]:
    ((dimensions,),) = db.execute("SELECT dimensions FROM vector_models WHERE id = ?", (model,))
    numbers = [(number,) for number in ids]
    blocks = [
        _block(dimensions, *row)
        for row in db.executemany("SELECT passages, scales, codes FROM vector_blocks WHERE id = ?", numbers)
    ]
    db.executemany("DELETE FROM vector_blocks WHERE id = ?", numbers)
    return blocks


def _put_blocks(db: apsw.Connection, model: int, blocks: Sequence[Block]) -> None:
    """Store what the blocks hold, in blocks of full size but the last."""
    if not blocks:
        return
    rows = np.concatenate([block.rows for block in blocks])
    order = np.argsort(rows, kind="stable")
    scales = np.concatenate([block.scales for block in blocks])
    codes = np.concatenate([block.codes for block in blocks])
    for start in range(0, len(order), _BLOCK_ROWS):
        part = order[start : start + _BLOCK_ROWS]
        ((number,),) = db.execute("UPDATE counters SET vector_blocks = vector_blocks + 1 RETURNING vector_blocks")
        db.execute(
            "INSERT INTO vector_blocks (id, model, count, first, last, passages, scales, codes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                model,
                len(part),
                int(rows[part[0]]),
                int(rows[part[-1]]),
                rows[part].astype("<u4").tobytes(),
                scales[part].astype("<f4").tobytes(),
                codes[part].tobytes(),
            ),
        )


def _without(block: Block, rows: _Rows) -> Block:
    kept = ~np.isin(block.rows, rows)
    return Block(block.rows[kept], block.scales[kept], block.codes[kept])


def _rows(blob: bytes) -> _Rows:
    return np.frombuffer(blob, dtype="<u4").astype(np.int64)


def _block(dimensions: int, passages: bytes, scales: bytes, codes: bytes) -> Block:
    return Block(
        _rows(passages),
        np.frombuffer(scales, dtype="<f4").astype(np.float32),
        np.frombuffer(codes, dtype=np.int8).reshape(-1, dimensions),
    )


def embedded_rows(db: apsw.Connection, model: str) -> _Rows:
    """The rows of the passages that have a vector of this model, ascending."""
    blobs = db.execute(
        "SELECT passages FROM vector_blocks WHERE model = (SELECT id FROM vector_models WHERE name = ?)", (model,)
    )
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *(_rows(blob) for (blob,) in blobs)]))


def vector_count(db: apsw.Connection, model: str, passages: PassageTable | None, scope: Scope | None) -> int:
    """See ``Library.vector_count``; ``passages`` only where there is a scope."""
    if scope is None or passages is None:
        ((count,),) = db.execute(
            "SELECT coalesce(sum(count), 0) FROM vector_blocks "
            "WHERE model = (SELECT id FROM vector_models WHERE name = ?)",
            (model,),
        )
        return int(count)
    return int(np.isin(passages.rows[scope.within], embedded_rows(db, model)).sum())


@dataclass(frozen=True, slots=True)
class VectorTable:
    """All blocks of a model; ``rows`` are those of the blocks joined, ``order`` is what sorts them."""

    numbers: tuple[int, ...]
    blocks: tuple[Block, ...]
    rows: _Rows
    order: _Rows

    def places_of(self, rows: _Rows) -> _Rows:
        """The places of these rows (ascending) among ``self.rows``; rows that have no vector are left out."""
        if not len(self.rows):
            return self.order
        at = np.searchsorted(self.rows, rows, sorter=self.order)
        places = self.order[np.minimum(at, len(self.rows) - 1)]
        return np.asarray(places[self.rows[places] == rows])

    def cosines(self, queries: _Floats, places: _Rows | None = None) -> _Floats:
        """The cosines of all vectors, or of those at ``places`` (ascending), with each query: (vectors, queries)."""
        parts = [np.zeros((0, len(queries)), dtype=np.float32)]
        first = 0
        for block in self.blocks:
            if places is None:
                parts.append(_cosines(block.codes, block.scales, queries))
            else:
                low, high = np.searchsorted(places, (first, first + len(block.rows)))
                if low < high:
                    chosen = places[low:high] - first
                    parts.append(_cosines(block.codes[chosen], block.scales[chosen], queries))
            first += len(block.rows)
        return np.concatenate(parts)


_EMPTY = VectorTable((), (), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


class VectorMemory:
    """The blocks that readers have read, by model; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, VectorTable] = {}

    def read(self, db: apsw.Connection, model: str) -> VectorTable:
        """All blocks of a model, as the transaction sees them. Those that it sees no more are let go."""
        known = db.execute("SELECT id, dimensions FROM vector_models WHERE name = ?", (model,)).fetchone()
        if known is None:
            return _EMPTY
        row, dimensions = known
        with self._lock:
            table = self._tables.get(model, _EMPTY)
            found = db.execute("SELECT id FROM vector_blocks WHERE model = ? ORDER BY id", (row,))
            numbers = tuple(number for (number,) in found)
            if numbers != table.numbers:
                here = dict(zip(table.numbers, table.blocks, strict=True))
                blocks = tuple(here.get(number) or _read_block(db, dimensions, number) for number in numbers)
                rows = np.concatenate([_EMPTY.rows, *(block.rows for block in blocks)])
                table = self._tables[model] = VectorTable(numbers, blocks, rows, np.argsort(rows, kind="stable"))
        return table


def _read_block(db: apsw.Connection, dimensions: int, number: int) -> Block:
    ((passages, scales, codes),) = db.execute(
        "SELECT passages, scales, codes FROM vector_blocks WHERE id = ?", (number,)
    )
    return _block(dimensions, passages, scales, codes)


def nearest_passages(
    db: apsw.Connection,
    passages: PassageTable,
    vectors: VectorTable,
    queries: _Floats,
    scope: Scope | None,
    limit: int,
) -> Nearest:
    """See ``Library.nearest_passages``: every vector is compared."""
    places = None if scope is None else np.sort(vectors.places_of(passages.rows[scope.within]))
    cosines = vectors.cosines(queries, places)
    if not len(cosines):
        return Nearest([], cosines, np.zeros(len(queries)), np.zeros(len(queries)))
    rows = vectors.rows if places is None else vectors.rows[places]
    best: dict[int, None] = {}
    for column in cosines.T:
        cut = len(column) - limit
        high = np.argpartition(column, cut)[cut:] if cut > 0 else np.arange(len(column))
        best.update(dict.fromkeys(high.tolist()))
    chosen = np.array(sorted(best), dtype=np.int64)
    ids = passages.ids_of(db, rows[chosen].tolist())
    return Nearest(ids, cosines[chosen], cosines.min(axis=0), cosines.max(axis=0))


def cosines_of(
    db: apsw.Connection, passages: PassageTable, vectors: VectorTable, queries: _Floats, passage_ids: Sequence[str]
) -> dict[str, _Floats]:
    """See ``Library.cosines_of``."""
    rows = passages.rows_of(db, passage_ids)
    wanted = {row: name for name, row in zip(passage_ids, rows, strict=True) if row is not None}
    places = np.sort(vectors.places_of(np.array(sorted(wanted), dtype=np.int64)))
    names = [wanted[row] for row in vectors.rows[places].tolist()]
    return dict(zip(names, vectors.cosines(queries, places), strict=True))


def _cosines(codes: NDArray[np.int8], scales: _Floats, queries: _Floats) -> _Floats:
    if queries.shape[1] != codes.shape[1]:
        raise LibraryError(
            f"The question's vector has {queries.shape[1]} dimensions, those in the library have {codes.shape[1]}. "
            "Use the embedder that the library was made with."
        )
    return np.asarray(codes.astype(np.float32) @ queries.T * scales[:, None], dtype=np.float32)
