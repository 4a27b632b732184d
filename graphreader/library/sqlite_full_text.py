"""Full text: FTS5 over terms made beforehand, one row a passage, ranked by BM25 here.

FTS5 keeps for each term the rows that hold it and nothing else (``detail=none``). The second "whale" of a passage is
stored as a term of its own, and so is the third: the rows of these tell how often a term occurs, in a third of the
space that positions would take. The ``ascii`` tokenizer parts terms at every ASCII character but letters and digits, so
such characters are moved to Unicode's private use area first. A query's terms go the same way: nothing that FTS5's
query language knows is left in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import apsw
import numpy as np
from numpy.typing import NDArray

from graphreader.library.sqlite_memory import PassageTable, Scope
from graphreader.text.terms import terms

_PRIVATE = 0xE000
_ESCAPES = {code: _PRIVATE + code for code in range(128) if not chr(code).isalnum()}
#: Marks the second, third, ... occurrence of a term in a passage; above all escapes, and no index term holds it.
_REPEATED = "\uf000"
#: BM25's parameters, and the least weight of a term that most passages hold, as in FTS5 (Robertson, Zaragoza 2009).
_K1, _B, _LEAST_IDF = 1.2, 0.75, 1e-6

_Rows: TypeAlias = NDArray[np.int64]


def escape(term: str) -> str:
    """A term as one token of the full-text index. Lone surrogates, which UTF-8 lacks, become question marks."""
    if term.isascii() and term.isalnum():
        return term
    return term.encode("utf-8", "replace").decode("utf-8").translate(_ESCAPES)


def passage_terms(text: str, model_facts: Iterable[str]) -> list[str]:
    """What the full-text index gets for a passage: its terms, then those its model-written facts add, each once."""
    own = terms(text)
    added = dict.fromkeys(term for fact in model_facts for term in terms(fact))
    for term in set(own):
        added.pop(term, None)
    return _numbered(map(escape, (*own, *added)))


def _numbered(tokens: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    result = []
    for token in tokens:
        count = counts[token] = counts.get(token, 0) + 1
        result.append(token if count == 1 else f"{token}{_REPEATED}{count}")
    return result


def put_terms(db: apsw.Connection, rows: Iterable[tuple[int, Sequence[str]]]) -> None:
    """Index passages, in place of what is there: (row, as made by ``passage_terms``)."""
    db.executemany(
        "INSERT OR REPLACE INTO full_text (rowid, terms) VALUES (?, ?)",
        [(row, " ".join(tokens)) for row, tokens in rows],
    )


def purge(db: apsw.Connection) -> None:
    """Take the words of removed passages out of the index at once; FTS5 on its own does so when it merges next."""
    db.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")


def search_passages(
    db: apsw.Connection, passages: PassageTable, query: Sequence[str], scope: Scope | None, limit: int
) -> list[tuple[str, float]]:
    """See ``Library.search_passages``. Word statistics are the whole library's, whatever the documents."""
    if not len(passages.rows) or (scope is not None and not scope.within.any()):
        return []
    average = max(1.0, float(passages.term_counts.mean()))
    scores = np.zeros(len(passages.rows))
    for token in dict.fromkeys(escape(term) for term in query if term):
        rows = _rows_with(db, token)
        if not len(rows):
            continue
        places = passages.places_of(rows)
        frequency = _frequencies(db, token, rows)
        lengths = passages.term_counts[places] / average
        saturated = frequency * (_K1 + 1) / (frequency + _K1 * (1 - _B + _B * lengths))
        scores[places] += _idf(len(passages.rows), len(rows)) * saturated
    if scope is not None:
        scores[~scope.within] = 0.0
    best = _best(scores, limit)
    ids = passages.ids_of(db, passages.rows[best].tolist())
    return list(zip(ids, scores[best].tolist(), strict=True))


def _idf(passage_count: int, holding_count: int) -> float:
    idf = float(np.log((passage_count - holding_count + 0.5) / (holding_count + 0.5)))
    return idf if idf > 0 else _LEAST_IDF


def _frequencies(db: apsw.Connection, token: str, rows: _Rows) -> NDArray[np.float64]:
    """How often each of the passages that hold the token holds it."""
    frequency = np.ones(len(rows))
    count = 2
    while len(more := _rows_with(db, f"{token}{_REPEATED}{count}")):
        frequency[np.searchsorted(rows, more)] = count
        count += 1
    return frequency


def _rows_with(db: apsw.Connection, token: str) -> _Rows:
    # One string is several times quicker to fetch than a row for each passage.
    ((joined,),) = db.execute("SELECT group_concat(rowid) FROM full_text WHERE full_text MATCH ?", (f'"{token}"',))
    return np.fromstring(joined or "", dtype=np.int64, sep=",")


def _best(scores: NDArray[np.float64], limit: int) -> _Rows:
    """The places of the highest scores above zero, best first; equal ones in the order of the text."""
    held = np.flatnonzero(scores > 0)
    if 0 <= limit < len(held):
        least = np.partition(scores[held], len(held) - limit)[len(held) - limit] if limit else np.inf
        held = held[scores[held] >= least]
    return held[np.argsort(-scores[held], kind="stable")][:limit]
