"""Vectors by meaning: four bits a dimension, scanned exactly.

A vector is stored as one float32 scale and its rounded components, two in a byte: for 384 dimensions 196 bytes, about
the text of a message. The scan reads them once and keeps them in memory, adding what has arrived since; a deletion
anywhere makes it read anew.
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
from memory.sqlite_schema import RowRange

_LEVELS = 7  # components are rounded to -7 ... 7, stored as 1 ... 15
_SCAN_ROWS = 16_384
_MAX_KEPT = 8


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a scan has read of one drawer: ascending in the order of arrival."""

    deletions: int
    last_id: int
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
        ((deletions,),) = db.execute("SELECT deletions FROM counters")
        with self._lock:
            kept = self._kept.get(key)
        width = 4 + (dimensions + 1) // 2
        if kept is None or kept.deletions != deletions:
            kept = _Kept(deletions, 0, *_unpacked([], width))
        drawer = RowRange(within.low, within.low | (1 << 38) - 1)
        new: list[Any] = db.execute(_NEW, (kept.last_id, embedder, drawer.low, drawer.high)).fetchall()
        if new:
            kept = _joined(kept, new, width)
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return kept


_NEW = "SELECT id, item, code FROM vectors WHERE id > ? AND embedder = ? AND item BETWEEN ? AND ? ORDER BY id"


def _joined(kept: _Kept, new: Sequence[tuple[int, int, bytes]], width: int) -> _Kept:
    rows, scales, codes = _unpacked(new, width)
    return _Kept(
        kept.deletions,
        new[-1][0],
        np.concatenate([kept.rows, rows]),
        np.concatenate([kept.scales, scales]),
        np.concatenate([kept.codes, codes]),
    )


def _unpacked(
    stored: Sequence[tuple[int, int, bytes]], width: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
    packed = np.frombuffer(b"".join(code for _, _, code in stored), dtype=np.uint8).reshape(-1, width)
    rows = np.array([item for _, item, _ in stored], dtype=np.int64)
    scales = np.ascontiguousarray(packed[:, :4]).view(np.float32).reshape(-1)
    return rows, scales, packed[:, 4:].copy()


def encode(vector: Sequence[float]) -> bytes:
    """A unit vector as it is stored. Raises ``EmbeddingError`` for one that is not finite."""
    components = np.asarray(vector, dtype=np.float32)
    if components.ndim != 1 or not np.isfinite(components).all():
        raise EmbeddingError("An embedder gave a vector that is not a list of finite numbers. Use another embedder.")
    scale = np.float32(max(float(np.abs(components).max(initial=0.0)), 1e-12) / _LEVELS)
    levels = (np.rint(components / scale) + _LEVELS + 1).astype(np.uint8)
    if len(levels) % 2:
        levels = np.append(levels, np.uint8(_LEVELS + 1))
    packed: bytes = (levels[0::2] << 4 | levels[1::2]).tobytes()
    return scale.tobytes() + packed


def nearest(kept: _Kept, vector: Sequence[float], last_row: int, limit: int) -> list[int]:
    """Rows up to ``last_row`` by the cosine to ``vector``, best first; of equals the newest."""
    query = np.asarray(vector, dtype=np.float32)
    half = kept.codes.shape[1]
    padded = np.zeros(half * 2, dtype=np.float32)
    padded[: len(query)] = query
    high, low, offset = padded[0::2], padded[1::2], float(padded.sum()) * (_LEVELS + 1)
    scores = np.empty(len(kept.rows), dtype=np.float32)
    for start in range(0, len(kept.rows), _SCAN_ROWS):
        codes = kept.codes[start : start + _SCAN_ROWS]
        part = (codes >> 4).astype(np.float32) @ high + (codes & 15).astype(np.float32) @ low
        scores[start : start + _SCAN_ROWS] = (part - offset) * kept.scales[start : start + _SCAN_ROWS]
    seen = np.flatnonzero(kept.rows <= last_row)
    order = np.lexsort((-kept.rows[seen], -np.round(scores[seen], 5)))[:limit]
    return [int(row) for row in kept.rows[seen][order]]
