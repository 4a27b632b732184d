"""Public ids of passages and facts in few bytes.

Such an id mostly begins with its chunk's, so a row keeps only the rest (``id_suffix``); any other id is kept whole
(``public_id``). It is found by a 32-bit hash, whose index takes a quarter of the space one over the ids would.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import apsw

from graphreader.errors import LibraryError

#: SQL for the whole id of a passage ``p`` or a fact ``f`` of the chunk ``c``.
PASSAGE_ID = "coalesce(p.public_id, c.public_id || p.id_suffix)"
FACT_ID = "coalesce(f.public_id, c.public_id || f.id_suffix)"

#: SQL conditions for ``lookups``.
IS_PASSAGE = f"p.id_hash = :hash AND {PASSAGE_ID} = :id"
IS_FACT = f"f.id_hash = :hash AND {FACT_ID} = :id"


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
    """Bindings for statements with ``IS_PASSAGE`` or ``IS_FACT``, one for each id."""
    return [{"id": public_id, "hash": id_hash(public_id)} for public_id in public_ids]


def refuse_taken(db: apsw.Connection, kind: str, public_ids: Sequence[str]) -> None:
    """Raise ``LibraryError`` where ids of ``kind`` (passages or facts) are given twice or taken."""
    select = {
        "passages": f"SELECT :id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk WHERE {IS_PASSAGE}",
        "facts": f"SELECT :id FROM facts AS f JOIN chunks AS c ON c.id = f.chunk WHERE {IS_FACT}",
    }[kind]
    taken = next(db.executemany(select, lookups(public_ids)), None)
    if taken is None and len(set(public_ids)) < len(public_ids):
        taken = Counter(public_ids).most_common(1)[0]
    if taken is not None:
        raise LibraryError(f"{db.filename}: the id {taken[0]!r} is given to two {kind}. Ids must be unique.")
