"""Vectors by meaning: two bits a dimension, scanned exactly.

A vector is stored as a float32 scale and its components rounded to -3, -1, 1 or 3 halves of a step, four in a byte: for
384 dimensions 100 bytes, less than the text of a message. The step is that of the best uniform quantizer of two bits
for normal values (0.9957 deviations: Max 1960). What is looked for is not rounded. A scan keeps what it read in memory
and adds what has arrived since; a deletion, or a vector that arrives late, makes it read anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from memory.errors import EmbeddingError
from memory.sqlite_schema import RowRange, drawer_range

_STEP = 0.9957
_MAX_KEPT = 8


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a scan has read of one drawer, in the order of the rows; ``codes``: a row for each place of a code."""

    epoch: int
    rows: NDArray[np.int64]
    scales: NDArray[np.float32]
    codes: NDArray[np.uint8]


class VectorMemory:
    """What scans keep between calls: the packed vectors of the drawers used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, db: apsw.Connection, within: RowRange, embedder: int, dimensions: int) -> _Kept:
        """All vectors of a drawer, as the transaction sees them."""
        key = (within.low, embedder)
        ((epoch,),) = db.execute("SELECT epoch FROM counters")
        with self._lock:
            kept = self._kept.get(key)
        width = 4 + (dimensions + 3) // 4
        if kept is None or kept.epoch != epoch:
            kept = _Kept(epoch, *_unpacked([], width))
        last = int(kept.rows[-1]) if len(kept.rows) else 0
        drawer = drawer_range(within)
        new: list[Any] = db.execute(_NEW, (embedder, max(drawer.low, last + 1), drawer.high)).fetchall()
        if new:
            rows, scales, codes = _unpacked(new, width)
            kept = _Kept(
                epoch,
                np.concatenate([kept.rows, rows]),
                np.concatenate([kept.scales, scales]),
                np.concatenate([kept.codes, codes], axis=1),
            )
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return kept


_NEW = "SELECT item, code FROM vectors WHERE embedder = ? AND item BETWEEN ? AND ? ORDER BY item"


def _unpacked(
    stored: Sequence[tuple[int, bytes]], width: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
    packed = np.frombuffer(b"".join(code for _, code in stored), dtype=np.uint8).reshape(-1, width)
    rows = np.array([item for item, _ in stored], dtype=np.int64)
    scales = np.ascontiguousarray(packed[:, :4]).view(np.float32).reshape(-1)
    return rows, scales, np.ascontiguousarray(packed[:, 4:].T)


def put_codes(db: apsw.Connection, embedder: int, codes: Sequence[tuple[int, bytes]]) -> None:
    """Store encoded vectors of items, in place of those of other embedders; of items that are gone nothing."""
    for item, code in codes:
        drawer = drawer_range(RowRange(item, item))
        later = db.execute("SELECT 1 FROM vectors WHERE item BETWEEN ? AND ? LIMIT 1", (item, drawer.high)).fetchone()
        if later:  # whoever has read those will not look for this one
            db.execute("UPDATE counters SET epoch = epoch + 1")
        db.execute(
            "INSERT OR REPLACE INTO vectors (item, embedder, code) SELECT id, ?2, ?3 FROM items WHERE id = ?1",
            (item, embedder, code),
        )


def encode(vector: Sequence[float]) -> bytes:
    """A vector as it is stored. Raises ``EmbeddingError`` for one that is not a list of finite numbers."""
    components = np.asarray(vector, dtype=np.float32)
    if components.ndim != 1 or not np.isfinite(components).all():
        raise EmbeddingError("An embedder gave a vector that is not a list of finite numbers. Use another embedder.")
    length = float(np.linalg.norm(components))
    step = max(_STEP * length / max(1, len(components)) ** 0.5, 1e-12)
    levels = np.clip(np.floor(components / step) + 2, 0, 3).astype(np.uint8)
    # The scale makes the rounded vector as long as the vector was.
    scale = np.float32(length / max(float(np.linalg.norm(levels - 1.5)), 1e-12))
    padded = np.zeros(-(-len(levels) // 4) * 4, dtype=np.uint8)
    padded[: len(levels)] = levels
    packed: bytes = (padded[0::4] << 6 | padded[1::4] << 4 | padded[2::4] << 2 | padded[3::4]).tobytes()
    return scale.tobytes() + packed


def nearest(kept: _Kept, vector: Sequence[float], last_row: int, limit: int) -> list[int]:
    """Rows up to ``last_row`` by the cosine to ``vector``, best first; of equals the newest."""
    count = int(np.searchsorted(kept.rows, last_row, side="right"))
    query = np.zeros((len(kept.codes), 4), dtype=np.float32)
    query.reshape(-1)[: len(vector)] = np.asarray(vector, dtype=np.float32)
    # What each byte adds to the product, for each place: looking this up is ten times quicker than unpacking.
    levels = (np.arange(256)[:, None] >> np.array([6, 4, 2, 0]) & 3) - np.float32(1.5)
    added = query @ levels.astype(np.float32).T
    scores = np.zeros(count, dtype=np.float32)
    for codes, table in zip(kept.codes, added, strict=True):
        scores += table.take(codes[:count])
    scores *= kept.scales[:count]
    if limit < count:  # all that the limit may let in, equals included
        least = np.partition(scores, count - limit)[count - limit] - np.float32(1e-5)
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(count)
    order = places[np.lexsort((-kept.rows[places], -np.round(scores[places], 5)))][:limit]
    return [int(row) for row in kept.rows[order]]
