"""The graph of key elements: two are neighbours where a fact holds both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw

from graphreader.library.protocol import KeyElementSummary
from graphreader.library.sqlite_ids import IS_PASSAGE, PASSAGE_ID, lookups
from graphreader.library.sqlite_scope import within

#: Key elements whose edges are counted by one query: bounds the memory that ``edges`` takes.
_KEYS_AT_ONCE = 500


def key_elements(db: apsw.Connection, names: Sequence[str], documents: str | None) -> dict[str, KeyElementSummary]:
    """See ``Library.key_elements``."""
    rows = list(
        db.executemany(
            "SELECT e.id, e.name, count(*), count(DISTINCT f.passage) FROM key_elements AS e "
            "JOIN fact_keys AS k ON k.key = e.id JOIN facts AS f ON f.id = k.fact WHERE e.name = :name "
            f"AND {within('f.document', documents)} GROUP BY e.id",
            [{"name": name, "documents": documents} for name in dict.fromkeys(names)],
        )
    )
    spellings: dict[str, list[str]] = {name: [] for _, name, _, _ in rows}
    found = db.executemany(
        "SELECT e.name, coalesce(s.text, e.name) FROM key_elements AS e JOIN key_spellings AS s ON s.key = e.id "
        "WHERE e.id = ? ORDER BY s.count DESC, s.number",
        [(key,) for key, _, _, _ in rows],
    )
    for name, spelling in found:
        spellings[name].append(spelling)
    return {
        name: KeyElementSummary(name, tuple(spellings[name]), fact_count, passage_count)
        for _, name, fact_count, passage_count in rows
    }


def top_key_elements(db: apsw.Connection, documents: str | None, limit: int) -> list[KeyElementSummary]:
    """See ``Library.top_key_elements``; by name where equally frequent."""
    if documents is None:
        counts = "SELECT key, sum(count) AS facts FROM key_spellings GROUP BY key"
    else:
        counts = (
            "SELECT k.key, count(*) AS facts FROM chunks AS c JOIN facts AS f ON f.chunk = c.id "
            "JOIN fact_keys AS k ON k.fact = f.id "
            f"WHERE {within('c.document', documents)} GROUP BY k.key"
        )
    rows = db.execute(
        f"SELECT e.name FROM ({counts}) AS n JOIN key_elements AS e ON e.id = n.key "
        "ORDER BY n.facts DESC, e.name LIMIT :limit",
        {"documents": documents, "limit": limit},
    )
    return list(key_elements(db, [name for (name,) in rows], documents).values())


def neighbours(db: apsw.Connection, name: str, documents: str | None, limit: int | None) -> list[tuple[str, int]]:
    """See ``Library.neighbours``; by name where equally frequent."""
    rows = db.execute(
        "SELECT e.name, n.facts FROM (SELECT other.key, count(*) AS facts FROM fact_keys AS k "
        "CROSS JOIN facts AS f ON f.id = k.fact CROSS JOIN fact_keys AS other ON other.fact = k.fact "
        "WHERE k.key = (SELECT id FROM key_elements WHERE name = :name) AND other.key <> k.key "
        f"AND {within('f.document', documents)} GROUP BY other.key) AS n "
        "JOIN key_elements AS e ON e.id = n.key ORDER BY n.facts DESC, e.name LIMIT :limit",
        {"name": name, "documents": documents, "limit": -1 if limit is None else limit},
    )
    return [(other, count) for other, count in rows]


def passages_of_key_elements(
    db: apsw.Connection, names: Sequence[str], documents: str | None, limit_per_name: int
) -> dict[str, list[str]]:
    """See ``Library.passages_of_key_elements``; in the order of the text, an empty list for an unknown name."""
    passages: dict[str, list[str]] = {name: [] for name in names}
    rows = db.executemany(
        f"SELECT :name, {PASSAGE_ID} FROM (SELECT DISTINCT f.passage FROM fact_keys AS k "
        "CROSS JOIN facts AS f ON f.id = k.fact WHERE k.key = (SELECT id FROM key_elements WHERE name = :name) "
        f"AND {within('f.document', documents)}) AS n "
        "CROSS JOIN passages AS p ON p.id = n.passage "
        "CROSS JOIN chunks AS c ON c.id = p.chunk ORDER BY p.document, p.start, p.id LIMIT :limit",
        [{"name": name, "documents": documents, "limit": limit_per_name} for name in passages],
    )
    for name, passage in rows:
        passages[name].append(passage)
    return passages


def key_elements_of_passages(db: apsw.Connection, passage_ids: Sequence[str]) -> dict[str, list[str]]:
    """See ``Library.key_elements_of_passages``; in the order of the text, an empty list for an unknown passage."""
    names: dict[str, dict[str, None]] = {passage: {} for passage in passage_ids}
    rows = db.executemany(
        "SELECT :id, e.name FROM passages AS p JOIN chunks AS c ON c.id = p.chunk "
        "JOIN facts AS f ON f.chunk = p.chunk AND f.passage = p.id "
        "JOIN fact_keys AS k ON k.fact = f.id JOIN key_elements AS e ON e.id = k.key "
        f"WHERE {IS_PASSAGE} ORDER BY f.start, f.stop, f.id, k.position",
        lookups(names),
    )
    for passage, name in rows:
        names[passage][name] = None
    return {passage: list(found) for passage, found in names.items()}


def edges(db: apsw.Connection, documents: str | None) -> Iterator[tuple[str, str, int]]:
    """See ``Library.edges``: counted for some hundred key elements at a time, and handed out as they come."""
    ((last,),) = db.execute("SELECT coalesce(max(id), 0) FROM key_elements")
    for first in range(1, last + 1, _KEYS_AT_ONCE):
        yield from db.execute(
            "SELECT a.name, b.name, n.facts FROM (SELECT k.key AS one, other.key AS two, count(*) AS facts "
            "FROM fact_keys AS k CROSS JOIN facts AS f ON f.id = k.fact "
            "CROSS JOIN fact_keys AS other ON other.fact = k.fact AND other.key > k.key "
            "WHERE k.key >= :first AND k.key < :first + :step "
            f"AND {within('f.document', documents)} "
            "GROUP BY k.key, other.key) AS n "
            "JOIN key_elements AS a ON a.id = n.one JOIN key_elements AS b ON b.id = n.two",
            {"first": first, "step": _KEYS_AT_ONCE, "documents": documents},
        )
