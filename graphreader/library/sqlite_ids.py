"""Public ids of passages in few bytes.

Such an id mostly begins with its chunk's, so a row keeps only the rest (``id_suffix``); any other id is kept whole
(``public_id``). It is found by a 32-bit hash, whose index takes a quarter of the space one over the ids would.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import apsw

from graphreader.errors import LibraryError

#: SQL for the whole id of a passage ``p`` of the chunk ``c``.
PASSAGE_ID = "coalesce(p.public_id, c.public_id || p.id_suffix)"

#: SQL condition for ``lookups``.
IS_PASSAGE = f"p.id_hash = :hash AND {PASSAGE_ID} = :id"


def id_hash(public_id: str) -> int:
    """CRC-32 as a signed number, which SQLite stores in four bytes where an unsigned one may take six."""
    unsigned = zlib.crc32(public_id.encode("utf-8"))
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def shorten_id(public_id: str, chunk_id: str) -> tuple[int, str | None, str | None]:
    """What a row keeps of an id: (``id_hash``, ``public_id``, ``id_suffix``)."""
    if public_id.startswith(chunk_id):
        return id_hash(public_id), None, public_id[len(chunk_id) :]
    return id_hash(public_id), public_id, None


def lookups(public_ids: Iterable[str]) -> list[dict[str, str | int | None]]:
    """Bindings for statements with ``IS_PASSAGE``, one for each id."""
    return [{"id": public_id, "hash": id_hash(public_id)} for public_id in public_ids]


def refuse_taken(db: apsw.Connection, passage_ids: Sequence[str]) -> None:
    """Raise ``LibraryError`` where ids of passages are given twice or taken."""
    select = f"SELECT :id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk WHERE {IS_PASSAGE}"
    taken = next(db.executemany(select, lookups(passage_ids)), None)
    if taken is None and len(set(passage_ids)) < len(passage_ids):
        taken = Counter(passage_ids).most_common(1)[0]
    if taken is not None:
        raise LibraryError(f"{db.filename}: the id {taken[0]!r} is given to two passages. Ids must be unique.")
