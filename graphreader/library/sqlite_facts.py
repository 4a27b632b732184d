"""Facts and their key elements: putting them in place of others, and the counts that follow from them.

Facts are kept in groups, a passage's together. A group is changed as a whole, and whatever is counted (the facts and
passages of a key element, its spellings, a document's facts) is changed by the difference, in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import apsw
import numpy as np

from graphreader.errors import LibraryError
from graphreader.library.sqlite_fact_blobs import StoredFact, pack_facts, unpack_facts


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact before it has a place; ``spellings`` are its key elements' spellings by name, in the fact's order."""

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

    @property
    def group(self) -> int:
        """The row of the group that the fact belongs to."""
        return -self.chunk if self.passage is None else self.passage

    @property
    def id_suffix(self) -> str:
        """What the id has behind its chunk's. Raises ``LibraryError`` where it does not begin with that."""
        if not self.public_id.startswith(self.chunk_id):
            raise LibraryError(f"fact {self.public_id!r}: its id must begin with its chunk's, {self.chunk_id!r}.")
        return self.public_id[len(self.chunk_id) :]


@dataclass(frozen=True, slots=True)
class Group:
    """The facts of one group."""

    phrases: list[StoredFact]
    model: list[StoredFact]

    def all(self) -> list[StoredFact]:
        """The facts of either kind, in the order of the text."""
        return sorted([*self.phrases, *self.model], key=lambda fact: (fact.start, fact.stop))


def read_groups(db: apsw.Connection, rows: Iterable[int]) -> dict[int, Group]:
    """The groups at these rows; those that have no facts are empty."""
    wanted = [(row,) for row in rows]
    found = db.executemany("SELECT id, phrases, model FROM fact_groups WHERE id = ?", wanted)
    groups = {row: Group(unpack_facts(phrases), unpack_facts(model)) for row, phrases, model in found}
    return {row: groups.get(row) or Group([], []) for (row,) in wanted}


def add_facts(db: apsw.Connection, document: int, facts: Sequence[FactRow]) -> None:
    """Store facts of groups that have none yet."""
    rows = dict.fromkeys(fact.group for fact in facts)
    change_groups(db, document, {row: Group([], []) for row in rows}, _stored(db, facts))


def replace_facts(
    db: apsw.Connection, document: int, rows: Iterable[int], facts: Sequence[FactRow], *, is_model: bool
) -> None:
    """Put facts, all of one origin and of these groups, in place of the groups' earlier ones of that origin."""
    before = read_groups(db, rows)
    made = {row: group.all() for row, group in _stored(db, facts).items()}
    after = {
        row: Group(old.phrases, made.get(row, [])) if is_model else Group(made.get(row, []), old.model)
        for row, old in before.items()
    }
    change_groups(db, document, before, after)


def change_groups(db: apsw.Connection, document: int, before: Mapping[int, Group], after: Mapping[int, Group]) -> None:
    """Store groups as they are to be, and correct every count by what changed. Groups may become empty."""
    facts: Counter[int] = Counter()
    passages: Counter[int] = Counter()
    spellings: Counter[tuple[int, int]] = Counter()
    held: list[tuple[int, int, int]] = []
    gone: list[tuple[int, int]] = []
    for row, old in before.items():
        old_facts, new_facts = old.all(), after[row].all()
        spellings.update(pair for fact in new_facts for pair in fact.keys)
        spellings.subtract(pair for fact in old_facts for pair in fact.keys)
        old_counts = Counter(key for fact in old_facts for key, _ in fact.keys)
        new_counts = Counter(key for fact in new_facts for key, _ in fact.keys)
        for key in old_counts.keys() | new_counts.keys():
            facts[key] += new_counts[key] - old_counts[key]
            passages[key] += ((new_counts[key] > 0) - (old_counts[key] > 0)) * (row > 0)
            if not new_counts[key]:
                gone.append((key, row))
            elif new_counts[key] != old_counts[key]:
                held.append((key, row, new_counts[key]))
    _put_groups(db, after)
    db.executemany("DELETE FROM key_groups WHERE key = ? AND fact_group = ?", gone)
    db.executemany("INSERT OR REPLACE INTO key_groups (key, fact_group, facts) VALUES (?, ?, ?)", sorted(held))
    db.executemany(
        "UPDATE key_elements SET fact_count = fact_count + ?, passage_count = passage_count + ? WHERE id = ?",
        [(count, passages[key], key) for key, count in sorted(facts.items()) if count or passages[key]],
    )
    db.executemany(
        "UPDATE key_spellings SET count = count + ? WHERE key = ? AND number = ?",
        [(count, key, number) for (key, number), count in sorted(spellings.items()) if count],
    )
    change = sum(len(after[row].all()) - len(old.all()) for row, old in before.items())
    db.execute("UPDATE documents SET fact_count = fact_count + ? WHERE id = ?", (change, document))
    if fewer := {key for (key, _), count in spellings.items() if count < 0}:
        _forget_unused(db, fewer)


def _put_groups(db: apsw.Connection, groups: Mapping[int, Group]) -> None:
    rows = []
    for row, group in groups.items():
        keys = dict.fromkeys(key for fact in group.all() for key, _ in fact.keys)
        packed = np.array(list(keys), dtype="<u4").tobytes()
        rows.append((row, packed, pack_facts(group.phrases), pack_facts(group.model)))
    db.executemany(
        "INSERT OR REPLACE INTO fact_groups (id, keys, phrases, model) VALUES (?, ?, ?, ?)",
        [row for row in rows if row[2] is not None or row[3] is not None],
    )
    empty = [(row[0],) for row in rows if row[2] is None and row[3] is None]
    db.executemany("DELETE FROM fact_groups WHERE id = ?", empty)


def _forget_unused(db: apsw.Connection, keys: Iterable[int]) -> None:
    """Remove spellings and key elements that no fact holds any more."""
    rows = [(key,) for key in keys]
    db.executemany("DELETE FROM key_spellings WHERE key = ? AND count = 0", rows)
    db.executemany("DELETE FROM key_elements WHERE id = ? AND fact_count = 0", rows)


def _stored(db: apsw.Connection, facts: Sequence[FactRow]) -> dict[int, Group]:
    """The facts by group, with rows for their key elements and numbers for the spellings, made where new."""
    if len({fact.public_id for fact in facts}) < len(facts):
        twice = Counter(fact.public_id for fact in facts).most_common(1)[0][0]
        raise LibraryError(f"{db.filename}: the id {twice!r} is given to two facts. Ids must be unique.")
    keys = _key_rows(db, facts)
    numbers = _spelling_numbers(db, keys, dict.fromkeys(pair for fact in facts for pair in fact.spellings.items()))
    groups: dict[int, Group] = {}
    for fact in facts:
        pairs = tuple((keys[name], numbers[name, spelling]) for name, spelling in fact.spellings.items())
        stored = StoredFact(fact.id_suffix, fact.start, fact.stop, fact.form, fact.text, pairs)
        group = groups.setdefault(fact.group, Group([], []))
        (group.model if fact.is_model else group.phrases).append(stored)
    return groups


def _key_rows(db: apsw.Connection, facts: Sequence[FactRow]) -> dict[str, int]:
    names = [(name,) for name in dict.fromkeys(name for fact in facts for name in fact.spellings)]
    db.executemany("INSERT OR IGNORE INTO key_elements (name, fact_count, passage_count) VALUES (?, 0, 0)", names)
    return dict(db.executemany("SELECT name, id FROM key_elements WHERE name = ?", names))


def _spelling_numbers(
    db: apsw.Connection, keys: Mapping[str, int], pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Each (name, spelling)'s number; new ones are stored with a count of zero."""
    names = {key: name for name, key in keys.items()}
    numbers: dict[tuple[str, str], int] = {}
    free = dict.fromkeys(keys, 0)
    known = db.executemany("SELECT key, number, text FROM key_spellings WHERE key = ?", [(key,) for key in names])
    for key, number, text in known:
        name = names[key]
        numbers[name, name if text is None else text] = number
        free[name] = max(free[name], number + 1)
    new = []
    for name, spelling in pairs:
        if (name, spelling) not in numbers:
            numbers[name, spelling] = free[name]
            new.append((keys[name], free[name], None if spelling == name else spelling))
            free[name] += 1
    db.executemany("INSERT INTO key_spellings (key, number, text, count) VALUES (?, ?, ?, 0)", new)
    return numbers
