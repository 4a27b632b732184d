"""Facts as records again, from the groups that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import apsw

from graphreader.library.sqlite_fact_blobs import StoredFact, unpack_facts
from graphreader.library.sqlite_ids import IS_PASSAGE, lookups
from graphreader.library.sqlite_memory import Memory, Scope, TextBlocks
from graphreader.library.sqlite_text import Spans, restore
from graphreader.records import AtomicFact, FactOrigin, KeyElement

_COLUMNS = "g.phrases, g.model, c.public_id, d.public_id, c.document"
#: To be followed by a condition; ``p`` is the passage.
SELECT_GROUPS = (
    f"SELECT {_COLUMNS} FROM passages AS p JOIN fact_groups AS g ON g.id = p.id JOIN chunks AS c ON c.id = p.chunk "
    "JOIN documents AS d ON d.id = c.document"
)
#: The same for groups of chunks without passages.
_SELECT_BARE_GROUPS = (
    f"SELECT {_COLUMNS} FROM chunks AS c JOIN fact_groups AS g ON g.id = -c.id JOIN documents AS d ON d.id = c.document"
)

SelectedGroup: TypeAlias = tuple[bytes | None, bytes | None, str, str, int]
_Stored: TypeAlias = tuple[StoredFact, FactOrigin, str, str, int]


def read_facts(db: apsw.Connection, blocks: TextBlocks | None, groups: Iterable[SelectedGroup]) -> list[AtomicFact]:
    """The facts of rows of ``SELECT_GROUPS``, in the order of the text."""
    return _records(db, blocks, _in_order(stored for group in groups for stored in _of_group(group)))


def _of_group(group: SelectedGroup) -> list[_Stored]:
    phrases, model, chunk_id, document_id, document = group
    return [
        (fact, origin, chunk_id, document_id, document)
        for blob, origin in ((phrases, FactOrigin.PHRASES), (model, FactOrigin.MODEL))
        for fact in unpack_facts(blob)
    ]


def _in_order(stored: Iterable[_Stored]) -> list[_Stored]:
    return sorted(stored, key=lambda item: (item[4], item[0].start, item[0].stop))


def _records(db: apsw.Connection, blocks: TextBlocks | None, stored: Sequence[_Stored]) -> list[AtomicFact]:
    pairs = dict.fromkeys(pair for fact, _, _, _, _ in stored for pair in fact.keys)
    rows = db.executemany(
        "SELECT e.id, s.number, e.name, coalesce(s.text, e.name) FROM key_elements AS e "
        "JOIN key_spellings AS s ON s.key = e.id WHERE e.id = ? AND s.number = ?",
        list(pairs),
    )
    elements = {(key, number): KeyElement(name, spelling) for key, number, name, spelling in rows}
    spans = Spans(db, blocks)
    return [
        AtomicFact(
            id=f"{chunk_id}{fact.id_suffix}",
            document_id=document_id,
            chunk_id=chunk_id,
            start=fact.start,
            end=fact.stop,
            text=restore(fact.form, fact.text, spans.read(document, fact.start, fact.stop)),
            key_elements=tuple(elements[pair] for pair in fact.keys),
            origin=origin,
        )
        for fact, origin, chunk_id, document_id, document in stored
    ]


def facts_of_chunks(db: apsw.Connection, memory: Memory, chunk_ids: Iterable[str]) -> list[AtomicFact]:
    """See ``Library.facts_of_chunks``."""
    ids = [(chunk_id,) for chunk_id in dict.fromkeys(chunk_ids)]
    selected = [
        *db.executemany(f"{SELECT_GROUPS} WHERE c.public_id = ?", ids),
        *db.executemany(f"{_SELECT_BARE_GROUPS} WHERE c.public_id = ?", ids),
    ]
    return read_facts(db, memory.blocks(db), selected)


def facts_of_passages(db: apsw.Connection, memory: Memory, passage_ids: Iterable[str]) -> list[AtomicFact]:
    """See ``Library.facts_of_passages``."""
    selected = db.executemany(f"{SELECT_GROUPS} WHERE {IS_PASSAGE}", lookups(dict.fromkeys(passage_ids)))
    return read_facts(db, memory.blocks(db), selected)


def facts_by_id(db: apsw.Connection, memory: Memory, fact_ids: Sequence[str]) -> list[AtomicFact]:
    """See ``Library.facts_by_id``. A fact's id begins with its chunk's, so that is tried first."""
    beginnings = {name: [name[:place] for place in range(len(name), 0, -1)] for name in fact_ids}
    usual = {name.rpartition("-")[0] for name in fact_ids}
    found = {fact.id: fact for fact in facts_of_chunks(db, memory, usual)}
    others = {beginning for name in fact_ids if name not in found for beginning in beginnings[name]}
    found.update({fact.id: fact for fact in facts_of_chunks(db, memory, others - usual)})
    return [found[name] for name in fact_ids if name in found]


def facts_of_key_element(
    db: apsw.Connection, memory: Memory, name: str, scope: Scope | None, limit: int | None
) -> list[AtomicFact]:
    """See ``Library.facts_of_key_element``."""
    known = db.execute("SELECT id FROM key_elements WHERE name = ?", (name,)).fetchone()
    if known is None:
        return []
    join, condition, documents = (scope.join, scope.condition, scope.documents) if scope else ("", "TRUE", None)
    stored = []
    for select, row in ((SELECT_GROUPS, "p.id"), (_SELECT_BARE_GROUPS, "-c.id")):
        groups = db.execute(
            f"{select} WHERE {row} IN "
            f"(SELECT k.fact_group FROM key_groups AS k {join} WHERE k.key = :key AND {condition}) "
            f"ORDER BY c.document, c.number, {row} LIMIT :limit",
            {"key": known[0], "documents": documents, "limit": -1 if limit is None else limit},
        )
        stored += [item for group in groups for item in _of_group(group) if _holds(item[0], known[0])]
    return _records(db, memory.blocks(db), _in_order(stored)[:limit])


def _holds(fact: StoredFact, key: int) -> bool:
    return any(own == key for own, _ in fact.keys)
