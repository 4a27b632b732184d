"""Work in progress and its results: model facts, cached replies, failures, answers, the state of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import apsw

from graphreader.errors import LibraryError
from graphreader.library.protocol import ExtractionFailure
from graphreader.library.sqlite_documents import chunk_row, document_row
from graphreader.library.sqlite_facts import FactRow, replace_facts
from graphreader.library.sqlite_full_text import passage_terms, put_terms
from graphreader.library.sqlite_memory import new_epoch
from graphreader.library.sqlite_put import Placement, fact_row
from graphreader.library.sqlite_read_facts import SELECT_GROUPS, read_facts
from graphreader.library.sqlite_scope import within
from graphreader.library.sqlite_search import SELECT_PASSAGES, read_passages
from graphreader.library.sqlite_text import Spans, pack, unpack
from graphreader.records import AtomicFact, FactOrigin


def add_model_facts(db: apsw.Connection, chunk_id: str, facts: Sequence[AtomicFact]) -> None:
    """See ``Library.add_model_facts``. Raises ``LibraryError`` for a chunk that is gone or another chunk's fact."""
    if strangers := [fact.id for fact in facts if fact.chunk_id != chunk_id]:
        raise LibraryError(f"fact {strangers[0]!r} is not of chunk {chunk_id!r}. Add each chunk's facts on their own.")
    ((chunk, passages),) = _replace_facts(db, [chunk_id], facts, is_model=True).items()
    _index_again(db, passages)
    db.execute("UPDATE chunks SET has_model_facts = 1 WHERE id = ?", (chunk,))
    db.execute("DELETE FROM failures WHERE chunk = ?", (chunk,))


def put_phrase_facts(db: apsw.Connection, chunk_ids: Sequence[str], facts: Sequence[AtomicFact]) -> None:
    """See ``Library.put_phrase_facts``. Full text need not change: these facts are the passages' own words."""
    known = set(chunk_ids)
    if strangers := [fact.id for fact in facts if fact.chunk_id not in known]:
        raise LibraryError(f"fact {strangers[0]!r} is of none of the chunks given with it. Name its chunk too.")
    _replace_facts(db, chunk_ids, facts, is_model=False)


def _replace_facts(
    db: apsw.Connection, chunk_ids: Sequence[str], facts: Sequence[AtomicFact], *, is_model: bool
) -> dict[int, list[int]]:
    """Put facts of one origin in place of the chunks' earlier ones; returns the chunks' rows with their passages'."""
    rows = {chunk_id: chunk_row(db, chunk_id) for chunk_id in dict.fromkeys(chunk_ids)}
    chunks = [(chunk,) for chunk in rows.values()]
    documents = dict(db.executemany("SELECT id, document FROM chunks WHERE id = ?", chunks))
    starts: dict[int, list[tuple[int, int]]] = {chunk: [] for chunk in rows.values()}
    for chunk, start, passage in db.executemany("SELECT chunk, start, id FROM passages WHERE chunk = ?", chunks):
        starts[chunk].append((start, passage))
    placements = {chunk_id: Placement(starts[chunk]) for chunk_id, chunk in rows.items()}
    spans = Spans(db)
    made: dict[int, list[FactRow]] = {document: [] for document in documents.values()}
    for fact in facts:
        chunk = rows[fact.chunk_id]
        span = spans.read(documents[chunk], fact.start, fact.end)
        row = fact_row(fact, chunk, placements[fact.chunk_id].passage_at(fact.start), span)
        made[documents[chunk]].append(row)
    for document, fact_rows in made.items():
        own = [chunk for chunk in rows.values() if documents[chunk] == document]
        groups = [*(passage for chunk in own for _, passage in starts[chunk]), *(-chunk for chunk in own)]
        replace_facts(db, document, groups, fact_rows, is_model=is_model)
    return {chunk: [passage for _, passage in found] for chunk, found in starts.items()}


def _index_again(db: apsw.Connection, passages: Sequence[int]) -> None:
    """Bring the full text of passages up to date with their model-written facts."""
    for row in passages:
        (passage,) = read_passages(db, db.execute(f"{SELECT_PASSAGES} WHERE p.id = ?", (row,)))
        facts = read_facts(db, None, db.execute(f"{SELECT_GROUPS} WHERE p.id = ?", (row,)))
        words = passage_terms(passage.text, [fact.text for fact in facts if fact.origin is FactOrigin.MODEL])
        put_terms(db, [(row, words)])
        db.execute("UPDATE passages SET term_count = ? WHERE id = ?", (len(words), row))
    new_epoch(db)


def cached_extraction(db: apsw.Connection, key: str) -> str | None:
    """See ``Library.cached_extraction``."""
    found = db.execute("SELECT reply FROM extractions WHERE key = ?", (key,)).fetchone()
    return None if found is None else unpack(found[0])


def put_extraction(db: apsw.Connection, key: str, document_id: str, reply: str) -> None:
    """See ``Library.put_extraction``."""
    db.execute(
        "INSERT OR REPLACE INTO extractions (key, document_public_id, reply) VALUES (?, ?, ?)",
        (key, document_id, pack(reply)),
    )


def record_failure(db: apsw.Connection, chunk_id: str, error: str) -> None:
    """See ``Library.record_failure``. Raises ``LibraryError`` for a chunk that is gone."""
    db.execute("INSERT OR REPLACE INTO failures (chunk, error) VALUES (?, ?)", (chunk_row(db, chunk_id), error))


def failures(db: apsw.Connection, documents: str | None) -> list[ExtractionFailure]:
    """See ``Library.failures``; in the order of the text."""
    rows = db.execute(
        "SELECT d.public_id, c.public_id, f.error FROM failures AS f JOIN chunks AS c ON c.id = f.chunk "
        "JOIN documents AS d ON d.id = c.document "
        f"WHERE {within('d.id', documents)} ORDER BY d.id, c.number",
        {"documents": documents},
    )
    return [ExtractionFailure(document_id, chunk_id, error) for document_id, chunk_id, error in rows]


def put_answer(db: apsw.Connection, answer: Mapping[str, object], document_ids: Sequence[str]) -> None:
    """See ``Library.put_answer``. Raises ``DocumentNotFoundError`` where a document was removed meanwhile."""
    rows = [document_row(db, name) for name in dict.fromkeys(document_ids)]
    db.execute("INSERT INTO answers (answer) VALUES (?)", (pack(json.dumps(answer)),))
    number = db.last_insert_rowid()
    db.executemany("INSERT INTO answer_documents (answer, document) VALUES (?, ?)", [(number, row) for row in rows])


def answers(db: apsw.Connection, limit: int) -> list[dict[str, object]]:
    """See ``Library.answers``."""
    rows = db.execute("SELECT answer FROM answers ORDER BY id DESC LIMIT ?", (limit,))
    return [json.loads(unpack(blob)) for (blob,) in rows]


def put_run_record(db: apsw.Connection, run_id: str, namespace: str, key: str, value: bytes) -> None:
    """See ``Library.put_run_record``."""
    db.execute(
        "INSERT INTO run_records (run, namespace, key, value) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (run, namespace, key) DO UPDATE SET value = excluded.value",
        (run_id, namespace, key, value),
    )


def run_records(db: apsw.Connection, run_id: str, namespace: str | None, key_prefix: str) -> dict[str, bytes]:
    """See ``Library.run_records``."""
    # The order of UTF-8 is that of code points, so all keys with the prefix follow from the prefix on.
    rows = db.execute(
        "SELECT namespace, key, value FROM run_records WHERE run = :run "
        "AND (:namespace IS NULL OR namespace = :namespace) AND key >= :prefix",
        {"run": run_id, "namespace": namespace, "prefix": key_prefix},
    )
    found = {
        key if namespace is not None else f"{space}\n{key}": value
        for space, key, value in rows
        if key.startswith(key_prefix)
    }
    return dict(sorted(found.items()))


def delete_run(db: apsw.Connection, run_id: str) -> None:
    """See ``Library.delete_run``."""
    db.execute("DELETE FROM run_records WHERE run = ?", (run_id,))
