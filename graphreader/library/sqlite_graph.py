"""The graph of key elements: two are neighbours where a fact holds both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import apsw
import numpy as np

from graphreader.library.protocol import KeyElementSummary
from graphreader.library.sqlite_fact_blobs import unpack_facts
from graphreader.library.sqlite_memory import PassageTable, Scope

#: Key elements whose edges are counted at once: bounds the memory that ``edges`` takes.
_KEYS_AT_ONCE = 500


def key_elements(db: apsw.Connection, names: Sequence[str], scope: Scope | None) -> dict[str, KeyElementSummary]:
    """See ``Library.key_elements``. For the whole library the counts are kept; for documents they are added up."""
    unique = list(dict.fromkeys(names))
    if scope is None:
        select = "SELECT id, name, fact_count, passage_count FROM key_elements WHERE name = :name"
    else:
        select = (
            "SELECT e.id, e.name, sum(k.facts), count(*) FILTER (WHERE k.fact_group > 0) "
            f"FROM key_elements AS e JOIN key_groups AS k ON k.key = e.id {scope.join} "
            f"WHERE e.name = :name AND {scope.condition} GROUP BY e.id"
        )
    documents = scope.documents if scope else None
    rows = list(db.executemany(select, [{"name": name, "documents": documents} for name in unique]))
    return _summaries(db, rows)


def _summaries(db: apsw.Connection, rows: Sequence[tuple[int, str, int, int]]) -> dict[str, KeyElementSummary]:
    spellings: dict[int, list[tuple[int, str]]] = {key: [] for key, _, _, _ in rows}
    found = db.executemany(
        "SELECT key, count, text FROM key_spellings WHERE key = ? ORDER BY number", [(key,) for key in spellings]
    )
    for key, count, text in found:
        spellings[key].append((count, text))
    summaries = {}
    for key, name, fact_count, passage_count in rows:
        ordered = sorted(spellings[key], key=lambda pair: -pair[0])
        texts = tuple(name if text is None else text for _, text in ordered)
        summaries[name] = KeyElementSummary(name, texts, fact_count, passage_count)
    return summaries


def top_key_elements(db: apsw.Connection, scope: Scope | None, limit: int) -> list[KeyElementSummary]:
    """See ``Library.top_key_elements``; by name where equally frequent."""
    if scope is None:
        select = "SELECT e.id, e.name, e.fact_count AS facts, e.passage_count FROM key_elements AS e"
    else:
        select = (
            "SELECT e.id, e.name, n.facts AS facts, n.passages FROM ("
            "SELECT k.key, sum(k.facts) AS facts, count(*) FILTER (WHERE k.fact_group > 0) AS passages "
            f"FROM key_groups AS k {scope.join} WHERE {scope.condition} GROUP BY k.key) AS n "
            "JOIN key_elements AS e ON e.id = n.key"
        )
    rows = db.execute(
        f"{select} ORDER BY facts DESC, e.name LIMIT :limit",
        {"documents": scope.documents if scope else None, "limit": limit},
    )
    return list(_summaries(db, list(rows)).values())


def neighbours(db: apsw.Connection, name: str, scope: Scope | None, limit: int | None) -> list[tuple[str, int]]:
    """See ``Library.neighbours``; by name where equally frequent."""
    known = db.execute("SELECT id FROM key_elements WHERE name = ?", (name,)).fetchone()
    if known is None:
        return []
    (key,) = known
    counts: Counter[int] = Counter()
    for keys in _keys_of_facts(db, scope, key, key):
        if key in keys:
            counts.update(keys)
    del counts[key]
    names = _names(db, counts)
    ordered = sorted(((names[other], count) for other, count in counts.items()), key=lambda pair: (-pair[1], pair[0]))
    return ordered[:limit]


def _keys_of_facts(db: apsw.Connection, scope: Scope | None, first: int, last: int) -> Iterator[list[int]]:
    """The key elements of each fact of the groups that hold one of ``first`` to ``last``."""
    rows = db.execute(
        "SELECT g.phrases, g.model FROM fact_groups AS g WHERE g.id IN "
        f"(SELECT k.fact_group FROM key_groups AS k {scope.join if scope else ''} "
        f"WHERE k.key BETWEEN :first AND :last AND {scope.condition if scope else 'TRUE'})",
        {"first": first, "last": last, "documents": scope.documents if scope else None},
    )
    for blobs in rows:
        for blob in blobs:
            for fact in unpack_facts(blob):
                yield [key for key, _ in fact.keys]


def _names(db: apsw.Connection, keys: Iterable[int]) -> dict[int, str]:
    return dict(db.executemany("SELECT id, name FROM key_elements WHERE id = ?", [(key,) for key in keys]))


def passages_of_key_elements(
    db: apsw.Connection, passages: PassageTable, names: Sequence[str], scope: Scope | None, limit_per_name: int
) -> dict[str, list[str]]:
    """See ``Library.passages_of_key_elements``; in the order of their rows, an empty list for an unknown name."""
    join, condition, documents = (scope.join, scope.condition, scope.documents) if scope else ("", "TRUE", None)
    rows = db.executemany(
        f"SELECT :name, k.fact_group FROM key_groups AS k {join} "
        f"WHERE k.key = (SELECT id FROM key_elements WHERE name = :name) AND k.fact_group > 0 AND {condition} "
        "ORDER BY k.fact_group LIMIT :limit",
        [{"name": name, "documents": documents, "limit": limit_per_name} for name in dict.fromkeys(names)],
    )
    pairs = list(rows)
    ids = passages.ids_of(db, [row for _, row in pairs])
    found: dict[str, list[str]] = {name: [] for name in names}
    for (name, _), passage_id in zip(pairs, ids, strict=True):
        found[name].append(passage_id)
    return found


def key_elements_of_passages(
    db: apsw.Connection, passages: PassageTable, passage_ids: Sequence[str]
) -> dict[str, list[str]]:
    """See ``Library.key_elements_of_passages``; in the order of the text, an empty list for an unknown passage."""
    rows = dict(zip(passage_ids, passages.rows_of(db, passage_ids), strict=True))
    wanted = [(row,) for row in rows.values() if row is not None]
    keys = {
        row: np.frombuffer(blob, dtype="<u4").tolist()
        for row, blob in db.executemany("SELECT id, keys FROM fact_groups WHERE id = ?", wanted)
    }
    names = _names(db, {key for own in keys.values() for key in own})
    return {name: [names[key] for key in keys.get(row or 0, ())] for name, row in rows.items()}


def edges(db: apsw.Connection, scope: Scope | None) -> Iterator[tuple[str, str, int]]:
    """See ``Library.edges``: counted for some hundred key elements at a time, and handed out as they come."""
    ((last_key,),) = db.execute("SELECT coalesce(max(id), 0) FROM key_elements")
    for first in range(1, last_key + 1, _KEYS_AT_ONCE):
        last = first + _KEYS_AT_ONCE - 1
        counts: Counter[tuple[int, int]] = Counter()
        for keys in _keys_of_facts(db, scope, first, last):
            counts.update(pair for pair in combinations(sorted(keys), 2) if first <= pair[0] <= last)
        names = _names(db, {key for pair in counts for key in pair})
        for (one, other), count in counts.items():
            yield names[one], names[other], count
