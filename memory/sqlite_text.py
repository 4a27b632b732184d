"""Exact substrings and ranked words, from one FTS5 index of words.

A text is case-folded and parted into runs of letters and digits. A run is a term; a run of Chinese or Japanese
characters is stored as its characters. FTS5 keeps for each term the rows that hold it and nothing else. A phrase's
inner runs must be terms; its first may be the end of one and its last the beginning, so these are looked up in a table
of all terms. What the index offers is checked against the text itself, so a phrase is found exactly where a scan would
find it, of whatever length and in whatever script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import apsw
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from memory.sqlite_schema import RowRange

_WORD = re.compile(r"[^\W_]+")
_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAS_CJK = re.compile(f"[{_CJK}]")
_PART = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
#: Longer terms are cut to this length, and so match whatever is asked of their end.
_MAX_TERM = 40
#: If the ends of a phrase match more terms than this, reading is quicker than looking up.
_MAX_ALTERNATIVES = 400
#: A long phrase is looked up by its first terms alone.
_MAX_CLAUSES = 40
#: A query word as a beginning counts half of the word itself; how much of it is kept stands in for a stemmer.
_PREFIX_WEIGHT = 0.5
#: So many of the best are looked at for how Chinese characters follow each other.
_LOOKED_AT = 300
_PREFIX_LEAST, _PREFIX_DROPPED = 4, 3

Rows = NDArray[np.int64]


def fold(text: str) -> str:
    """A text as it is compared: each character case-folded, whatever stands next to it."""
    return text.lower() if text.isascii() else text.casefold()


def runs(folded: str) -> Iterator[tuple[int, str]]:
    """Runs of letters and digits with their places, those of Chinese and Japanese apart from others."""
    for word in _WORD.finditer(folded):
        if word[0].isascii() or not _HAS_CJK.search(word[0]):
            yield word.start(), word[0]
        else:
            yield from ((word.start() + part.start(), part[0]) for part in _PART.finditer(word[0]))


def index_terms(text: str) -> set[str]:
    """What the index gets for a text."""
    folded = fold(text)
    if folded.isascii():  # the same, in a third of the time
        return {word[:_MAX_TERM] for word in _WORD.findall(folded)}
    terms: set[str] = set()
    for _, run in runs(folded):
        if _HAS_CJK.match(run):
            terms.update(run)
        else:
            terms.add(run[:_MAX_TERM])
    return terms


def index_texts(db: apsw.Connection, texts: Iterable[tuple[int, str]]) -> None:
    """Index texts under their rows."""
    for row, text in texts:
        terms = index_terms(text)
        db.execute("INSERT INTO full_text (rowid, terms) VALUES (?, ?)", (row, " ".join(terms)))
        words = [(term,) for term in terms if not _HAS_CJK.match(term)]
        db.executemany("INSERT OR IGNORE INTO terms (term) VALUES (?)", words)


def remove_texts(db: apsw.Connection, texts: Sequence[tuple[int, str]]) -> None:
    """Take texts out of the index, and out of the table of terms what no other text holds."""
    db.executemany(
        "INSERT INTO full_text (full_text, rowid, terms) VALUES ('delete', ?, ?)",
        [(row, " ".join(index_terms(text))) for row, text in texts],
    )
    for term in set().union(*(index_terms(text) for _, text in texts)):
        if not db.execute("SELECT 1 FROM full_text WHERE full_text MATCH ? LIMIT 1", (_quoted(term),)).fetchone():
            db.execute("DELETE FROM terms WHERE term = ?", (term,))


def find_phrase(db: apsw.Connection, within: RowRange, phrase: str) -> Rows:
    """The rows whose text holds the phrase, ascending."""
    folded = fold(phrase)
    expression, exact = _expression(db, folded)
    if expression is None:
        return _ascending(_holding(db.execute(_TEXTS_BETWEEN, (within.low, within.high)), folded))
    rows = _matching(db, within, expression)
    if exact:
        return rows
    texts = db.execute(_TEXTS_OF, (",".join(map(str, rows.tolist())).join("[]"),))
    return _ascending(_holding(texts, folded))


_TEXTS_BETWEEN = "SELECT id, text FROM items WHERE id BETWEEN ? AND ?"
_TEXTS_OF = "SELECT items.id, text FROM json_each(?) JOIN items ON items.id = json_each.value"


def rank_words(db: apsw.Connection, within: RowRange, query: str) -> Rows:
    """The rows that hold a word of the query, or one that begins like it: those with more and rarer ones first, and of
    equals the newest. Depends on the rows of the range alone.
    """
    count = within.high - within.low + 1
    scores = np.zeros(count, dtype=np.float64)
    for term in sorted(index_terms(query)):
        for expression, weight in _expressions_of(term):
            places = _matching(db, within, expression) - within.low
            if len(places):
                scores[places] += weight * np.log1p(count / len(places))
    held = np.flatnonzero(scores > 0)
    # Rounded: the same words added up in another order must not differ.
    best: Rows = held[np.lexsort((-held, -np.round(scores[held], 6)))].astype(np.int64) + np.int64(within.low)
    pairs = _pairs(query)
    return _by_pairs(db, best, pairs) if pairs else best


def _pairs(query: str) -> set[str]:
    """Neighbouring Chinese or Japanese characters: single ones say little."""
    return {a + b for _, run in runs(fold(query)) if _HAS_CJK.match(run) for a, b in pairwise(run)}


def _by_pairs(db: apsw.Connection, rows: Rows, pairs: set[str]) -> Rows:
    """The first rows, those whose text holds more of the pairs before others."""
    first = rows[:_LOOKED_AT].tolist()
    texts: dict[int, str] = dict(db.execute(_TEXTS_OF, (",".join(map(str, first)).join("[]"),)))
    held = {row: sum(pair in fold(texts[row]) for pair in pairs) for row in first}
    return np.array(sorted(first, key=lambda row: -held[row]) + rows[_LOOKED_AT:].tolist(), dtype=np.int64)


def _expressions_of(term: str) -> Iterator[tuple[str, float]]:
    yield _quoted(term), 1.0
    if len(term) > _PREFIX_LEAST and not _HAS_CJK.match(term) and not term.isdigit():
        yield f"{_quoted(term[: max(_PREFIX_LEAST, len(term) - _PREFIX_DROPPED)])}*", _PREFIX_WEIGHT


def _expression(db: apsw.Connection, folded: str) -> tuple[str | None, bool]:
    """A query for all rows that may hold the phrase, None for every row; whether it finds those alone."""
    clauses: list[str] = []
    parted = list(runs(folded))
    exact = len(parted) == 1 and parted[0][1] == folded
    for start, run in parted:
        first, last = start == 0, start + len(run) == len(folded)
        if _HAS_CJK.match(run):
            clauses.extend(map(_quoted, dict.fromkeys(run)))
            exact = exact and len(run) == 1
        elif first:
            found = _terms_with(db, run[:_MAX_TERM], anywhere=last)
            exact = exact and not any(len(term) >= _MAX_TERM for term in found)
            if not found:
                return f"{_quoted(run[:_MAX_TERM])} NOT {_quoted(run[:_MAX_TERM])}", True
            if len(found) <= _MAX_ALTERNATIVES:
                clauses.append(f"({' OR '.join(map(_quoted, found))})")
        else:
            clauses.append(f"{_quoted(run[:_MAX_TERM])}{'*' if last else ''}")
    return (" AND ".join(clauses[:_MAX_CLAUSES]), exact) if clauses else (None, False)


def _terms_with(db: apsw.Connection, run: str, *, anywhere: bool) -> list[str]:
    """Terms that end in ``run``, or hold it anywhere; terms that were cut may always."""
    condition = "instr(term, ?1)" if anywhere else "substr(term, -length(?1)) = ?1"
    sql = f"SELECT term FROM terms WHERE {condition} OR length(term) >= {_MAX_TERM} LIMIT {_MAX_ALTERNATIVES + 1}"
    return [term for (term,) in db.execute(sql, (run,))]


def _quoted(term: str) -> str:
    return f'"{term}"'


def _matching(db: apsw.Connection, within: RowRange, expression: str) -> Rows:
    # One string is several times quicker to fetch than a row for each item. FTS5 gives rows in ascending order.
    ((joined,),) = db.execute(
        "SELECT group_concat(rowid) FROM full_text WHERE full_text MATCH ? AND rowid BETWEEN ? AND ?",
        (expression, within.low, within.high),
    )
    return np.fromstring(joined or "", dtype=np.int64, sep=",")


def _holding(texts: Iterable[tuple[int, str]], folded: str) -> list[int]:
    return [row for row, text in texts if folded in fold(text)]


def _ascending(rows: list[int]) -> Rows:
    return np.array(sorted(rows), dtype=np.int64)
