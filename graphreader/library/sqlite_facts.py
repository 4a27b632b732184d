"""Facts and their key elements: adding, forgetting, reading back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import apsw

from graphreader.library.sqlite_ids import FACT_ID, IS_FACT, IS_PASSAGE, lookups, refuse_taken, shorten_id
from graphreader.library.sqlite_scope import within
from graphreader.library.sqlite_text import Spans, restore
from graphreader.records import AtomicFact, FactOrigin, KeyElement


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact as it is stored; ``spellings`` are its key elements' spellings by name, in the fact's order."""

    public_id: str
    chunk_id: str
    chunk: int
    passage: int | None
    start: int
    stop: int
    is_model: int
    form: int
    text: str | None
    spellings: Mapping[str, str]

    def moved(self, chunk_base: int, passage_base: int) -> FactRow:
        """The same with positions turned into rowids."""
        passage = None if self.passage is None else self.passage + passage_base
        return replace(self, chunk=self.chunk + chunk_base, passage=passage)


def add_facts(db: apsw.Connection, document: int, facts: Sequence[FactRow]) -> None:
    """Store facts and tie them to their key elements, which are made where new."""
    refuse_taken(db, "facts", [fact.public_id for fact in facts])
    ((base,),) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM facts")
    db.executemany(
        "INSERT INTO facts "
        "(id, document, id_hash, public_id, id_suffix, chunk, passage, start, stop, origin, form, text) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                base + place,
                document,
                *shorten_id(f.public_id, f.chunk_id),
                f.chunk,
                f.passage,
                f.start,
                f.stop,
                f.is_model,
                f.form,
                f.text,
            )
            for place, f in enumerate(facts)
        ],
    )
    keys = _key_rows(db, facts)
    counts = Counter(pair for fact in facts for pair in fact.spellings.items())
    numbers = _count_spellings(db, keys, counts)
    db.executemany(
        "INSERT INTO fact_keys (fact, position, key, spelling) VALUES (?, ?, ?, ?)",
        [
            (base + place, position, keys[name], numbers[name, spelling])
            for place, fact in enumerate(facts)
            for position, (name, spelling) in enumerate(fact.spellings.items())
        ],
    )


def _key_rows(db: apsw.Connection, facts: Sequence[FactRow]) -> dict[str, int]:
    names = [(name,) for name in dict.fromkeys(name for fact in facts for name in fact.spellings)]
    db.executemany("INSERT OR IGNORE INTO key_elements (name) VALUES (?)", names)
    return dict(db.executemany("SELECT name, id FROM key_elements WHERE name = ?", names))


def _count_spellings(
    db: apsw.Connection, keys: Mapping[str, int], counts: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    """Add to the spellings' counts; returns each (name, spelling)'s number."""
    names = {key: name for name, key in keys.items()}
    numbers: dict[tuple[str, str], int] = {}
    free = dict.fromkeys(keys, 0)
    known = db.executemany("SELECT key, number, text FROM key_spellings WHERE key = ?", [(key,) for key in names])
    for key, number, text in known:
        name = names[key]
        numbers[name, name if text is None else text] = number
        free[name] = max(free[name], number + 1)
    for name, spelling in counts:
        if (name, spelling) not in numbers:
            numbers[name, spelling] = free[name]
            free[name] += 1
    db.executemany(
        "INSERT INTO key_spellings (key, number, text, count) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (key, number) DO UPDATE SET count = count + excluded.count",
        [
            (keys[name], numbers[name, spelling], None if spelling == name else spelling, count)
            for (name, spelling), count in counts.items()
        ],
    )
    return numbers


def forget_facts(db: apsw.Connection, facts: Sequence[int]) -> None:
    """Remove facts, and the spellings and key elements that no other fact holds."""
    rows = [(fact,) for fact in facts]
    held = Counter(db.executemany("SELECT key, spelling FROM fact_keys WHERE fact = ?", rows))
    db.executemany("DELETE FROM facts WHERE id = ?", rows)
    db.executemany(
        "UPDATE key_spellings SET count = count - ? WHERE key = ? AND number = ?",
        [(count, key, number) for (key, number), count in held.items()],
    )
    keys = [(key,) for key in {key for key, _ in held}]
    db.executemany("DELETE FROM key_spellings WHERE key = ? AND count = 0", keys)
    db.executemany(
        "DELETE FROM key_elements AS e WHERE id = ? AND NOT EXISTS (SELECT 1 FROM key_spellings WHERE key = e.id)", keys
    )


#: To be followed by a condition; ``f`` is the fact, ``c`` its chunk, ``d`` its document.
SELECT_FACTS = f"""
SELECT f.id, {FACT_ID}, d.public_id, c.public_id, f.document, f.start, f.stop, f.origin, f.form, f.text
FROM facts AS f JOIN chunks AS c ON c.id = f.chunk JOIN documents AS d ON d.id = f.document
"""

SelectedFact: TypeAlias = tuple[int, str, str, str, int, int, int, int, int, str | None]


def read_facts(db: apsw.Connection, selected: Iterable[SelectedFact]) -> list[AtomicFact]:
    """The facts of rows of ``SELECT_FACTS``, in their order."""
    rows = list(selected)
    elements: dict[int, list[KeyElement]] = {row[0]: [] for row in rows}
    found = db.executemany(
        "SELECT k.fact, e.name, coalesce(s.text, e.name) FROM fact_keys AS k JOIN key_elements AS e ON e.id = k.key "
        "JOIN key_spellings AS s ON s.key = k.key AND s.number = k.spelling WHERE k.fact = ? ORDER BY k.position",
        [(fact,) for fact in elements],
    )
    for fact, name, spelling in found:
        elements[fact].append(KeyElement(name, spelling))
    spans = Spans(db)
    return [
        AtomicFact(
            id=public_id,
            document_id=document_id,
            chunk_id=chunk_id,
            start=start,
            end=stop,
            text=restore(form, text, spans.read(document, start, stop)),
            key_elements=tuple(elements[row]),
            origin=FactOrigin.MODEL if origin else FactOrigin.PHRASES,
        )
        for row, public_id, document_id, chunk_id, document, start, stop, origin, form, text in rows
    ]


def facts_by_id(db: apsw.Connection, fact_ids: Sequence[str]) -> list[AtomicFact]:
    """See ``Library.facts_by_id``."""
    return read_facts(db, db.executemany(f"{SELECT_FACTS} WHERE {IS_FACT}", lookups(fact_ids)))


def facts_of_chunks(db: apsw.Connection, chunk_ids: Sequence[str]) -> list[AtomicFact]:
    """See ``Library.facts_of_chunks``."""
    selected = db.executemany(
        f"{SELECT_FACTS} WHERE c.public_id = ?", [(chunk_id,) for chunk_id in dict.fromkeys(chunk_ids)]
    )
    return read_facts(db, sorted(selected, key=text_order))


def facts_of_passages(db: apsw.Connection, passage_ids: Sequence[str]) -> list[AtomicFact]:
    """See ``Library.facts_of_passages``."""
    selected = db.executemany(
        f"{SELECT_FACTS} JOIN passages AS p ON p.chunk = f.chunk AND p.id = f.passage WHERE {IS_PASSAGE}",
        lookups(dict.fromkeys(passage_ids)),
    )
    return read_facts(db, sorted(selected, key=text_order))


def text_order(row: SelectedFact) -> tuple[int, int, int, int]:
    """What sorts rows of ``SELECT_FACTS`` in the order of the text: document, start, end, row."""
    return row[4], row[5], row[6], row[0]


def facts_of_key_element(db: apsw.Connection, name: str, documents: str | None, limit: int | None) -> list[AtomicFact]:
    """See ``Library.facts_of_key_element``; ``documents`` as made by ``scope``."""
    selected = db.execute(
        f"{SELECT_FACTS} JOIN fact_keys AS k ON k.fact = f.id "
        "WHERE k.key = (SELECT id FROM key_elements WHERE name = :name) "
        f"AND {within('f.document', documents)} "
        "ORDER BY f.document, f.start, f.stop, f.id LIMIT :limit",
        {"name": name, "documents": documents, "limit": -1 if limit is None else limit},
    )
    return read_facts(db, selected)
