"""Whether a library file is consistent, by plain SQL; only packed facts are read by the library's own code."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np

from graphreader.library.sqlite_fact_blobs import unpack_facts

#: Rows that should not be there, by what they are.
_STRAYS = {
    "documents without a source": "SELECT public_id FROM documents WHERE id NOT IN (SELECT document FROM sources)",
    "documents without text": "SELECT public_id FROM documents WHERE id NOT IN (SELECT document FROM text_blocks)",
    "chunks out of order": """
        SELECT public_id FROM (SELECT public_id, number, start, stop, document, lag(stop, 1, 0) OVER (
            PARTITION BY document ORDER BY number) AS before FROM chunks) WHERE start != before OR stop < start""",
    "documents whose chunks do not cover them": """
        SELECT public_id FROM documents AS d
        WHERE character_count != (SELECT max(stop) FROM chunks WHERE document = d.id)""",
    "passages outside of their chunk": """
        SELECT p.id FROM passages AS p JOIN chunks AS c ON c.id = p.chunk
        WHERE p.document != c.document OR p.start < c.start OR p.stop > c.stop""",
    "passages without full text": "SELECT id FROM passages WHERE id NOT IN (SELECT rowid FROM full_text)",
    "full text without passage": "SELECT rowid FROM full_text WHERE rowid NOT IN (SELECT id FROM passages)",
    "facts of a passage that is gone": """
        SELECT id FROM fact_groups
        WHERE id > 0 AND id NOT IN (SELECT id FROM passages) OR id < 0 AND -id NOT IN (SELECT id FROM chunks)""",
    "key elements of no fact": "SELECT name FROM key_elements WHERE id NOT IN (SELECT key FROM key_groups)",
    "key elements of facts that are gone": """
        SELECT key FROM key_groups WHERE fact_group NOT IN (SELECT id FROM fact_groups)""",
    "key elements counted wrongly": """
        SELECT e.name FROM key_elements AS e JOIN (
            SELECT key, sum(facts) AS facts, sum(fact_group > 0) AS passages FROM key_groups GROUP BY key
        ) AS k ON k.key = e.id WHERE e.fact_count != k.facts OR e.passage_count != k.passages""",
    "spellings counted wrongly": """
        SELECT e.name FROM key_elements AS e
        WHERE e.fact_count IS NOT (SELECT sum(count) FROM key_spellings WHERE key = e.id)""",
    "vector blocks of a wrong length": """
        SELECT v.id FROM vector_blocks AS v JOIN vector_models AS m ON m.id = v.model
        WHERE length(v.codes) != v.count * m.dimensions OR length(v.scales) != 4 * v.count
        OR length(v.passages) != 4 * v.count""",
}


def problems_of(path: Path) -> Iterator[str]:
    """What is wrong with the library, a sentence each; none for one that is consistent, or not there."""
    if not path.exists():
        return
    db = apsw.Connection(str(path))
    try:
        version = db.pragma("user_version")
        if version == 0:
            return  # nothing was ever put: the file is empty
        for (line,) in db.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"integrity_check: {line}"
        yield from (f"foreign_key_check: {row}" for row in db.execute("PRAGMA foreign_key_check"))
        db.execute("INSERT INTO full_text (full_text) VALUES ('integrity-check')")
        for meaning, query in _STRAYS.items():
            ((count, example),) = db.execute(f"WITH t (i) AS ({query}) SELECT count(*), min(i) FROM t")
            if count:
                yield f"{count} {meaning}, {example!r} for one"
        yield from _texts_of_another_length(db)
        yield from _facts_that_disagree(db)
        yield from _vectors_without_passage(db)
    except apsw.Error as error:
        yield f"{type(error).__name__}: {error}"
    finally:
        db.close()


def _texts_of_another_length(db: apsw.Connection) -> Iterator[str]:
    lengths: dict[int, int] = {}
    for document, block in db.execute("SELECT document, text FROM text_blocks"):
        lengths[document] = lengths.get(document, 0) + len(zlib.decompress(block).decode("utf-8"))
    for document, name, count in db.execute("SELECT id, public_id, character_count FROM documents"):
        if lengths.get(document) != count:
            yield f"document {name} has {lengths.get(document)} of {count} characters"


def _facts_that_disagree(db: apsw.Connection) -> Iterator[str]:
    """Facts outside of their chunk, and key elements that the facts of a group hold more or less often than is said."""
    chunks = "SELECT id, start, stop FROM chunks"
    spans = {-row: (start, stop) for row, start, stop in db.execute(chunks)}
    spans |= {row: spans[-chunk] for row, chunk in db.execute("SELECT id, chunk FROM passages") if -chunk in spans}
    said: dict[int, dict[int, int]] = {}
    for key, group, facts in db.execute("SELECT key, fact_group, facts FROM key_groups"):
        said.setdefault(group, {})[key] = facts
    for group, *blobs in db.execute("SELECT id, phrases, model FROM fact_groups"):
        facts = [fact for blob in blobs for fact in unpack_facts(blob)]
        start, stop = spans.get(group, (0, 0))
        if any(fact.start < start or fact.stop > stop for fact in facts):
            yield f"a fact of group {group} lies outside of its chunk"
        if Counter(key for fact in facts for key, _ in fact.keys) != said.get(group, {}):
            yield f"the key elements of group {group} are counted wrongly"


def _vectors_without_passage(db: apsw.Connection) -> Iterator[str]:
    known = {row for (row,) in db.execute("SELECT id FROM passages")}
    for block, rows in db.execute("SELECT id, passages FROM vector_blocks"):
        if strays := set(np.frombuffer(rows, dtype="<u4").tolist()) - known:
            yield f"vector block {block} has vectors of {len(strays)} passages that are gone"


def counts_of(path: Path) -> dict[str, int]:
    """How many rows the tables of the library have."""
    if not path.exists():
        return {}
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        tables = ("documents", "chunks", "passages", "key_elements")
        counts = {table: next(db.execute(f"SELECT count(*) FROM {table}"))[0] for table in tables}
        counts["facts"] = next(db.execute("SELECT coalesce(sum(fact_count), 0) FROM documents"))[0]
        counts["vectors"] = next(db.execute("SELECT coalesce(sum(count), 0) FROM vector_blocks"))[0]
        return counts
    finally:
        db.close()
