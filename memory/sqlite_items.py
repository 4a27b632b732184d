"""Items, blocks and summaries as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import apsw

from memory.errors import BlockConflictError
from memory.records import SAID, AgentState, Block, Item, Kind, Shelf, Summary, Turn, storable
from memory.sqlite_schema import SPAN_BITS, Drawer, number_of, row_of, row_range
from memory.sqlite_text import index_texts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = tuple(Kind)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_ITEM = "items.id, items.kind, items.time, items.text, items.source"
_BLOCK = "name, text, max_tokens, description, source, version"
_SUMMARY = "number, previous, first, through, text, sources, withdrawn"

#: The drawers of each shelf.
DRAWERS = {Shelf.RECALL: (Drawer.SAID, Drawer.WORK), Shelf.ARCHIVAL: (Drawer.ARCHIVAL,)}


def microseconds(time: datetime) -> int:
    """A time as it is stored. Raises ``ValueError`` for one without a zone."""
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()}: a time needs its zone.")
    return (time - _EPOCH) // timedelta(microseconds=1)


def agent_row(db: apsw.Connection, agent: str) -> int | None:
    """An agent's row, None if nothing is stored of it."""
    found = db.execute("SELECT id FROM agents WHERE name = ?", (storable(agent),)).fetchone()
    return None if found is None else int(found[0])


def new_agent_row(db: apsw.Connection, agent: str) -> int:
    """An agent's row, made where there is none."""
    db.execute("INSERT INTO agents (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (storable(agent),))
    row = agent_row(db, agent)
    assert row is not None
    return row


def state_of(db: apsw.Connection, agent: str) -> AgentState:
    """See ``Storage.state``."""
    row = agent_row(db, agent)
    if row is None:
        return AgentState(agent)
    last_message, last_entry = counts(db, row)
    summary = _current_summary(db, row)
    queue = [
        item
        for drawer in DRAWERS[Shelf.RECALL]
        for item in _items_between(db, row_of(row, drawer, summary.through + 1), row_range(row, drawer).high)
    ]
    queue.sort(key=lambda item: item.number)
    return AgentState(agent, last_message, last_entry, summary, blocks(db, row), tuple(queue))


def blocks(db: apsw.Connection, row: int) -> tuple[Block, ...]:
    """See ``Storage.blocks``."""
    found = db.execute(f"SELECT {_BLOCK} FROM blocks WHERE agent = ? ORDER BY rowid", (row,))
    return tuple(Block(*one) for one in found)


def counts(db: apsw.Connection, row: int) -> tuple[int, int]:
    """The numbers of an agent's last message and entry."""
    ((last_message, last_entry),) = db.execute("SELECT last_message, last_entry FROM agents WHERE id = ?", (row,))
    return last_message, last_entry


def _current_summary(db: apsw.Connection, row: int) -> Summary:
    found = db.execute(
        f"SELECT {_SUMMARY} FROM summaries WHERE agent = ? ORDER BY number DESC LIMIT 1", (row,)
    ).fetchone()
    return Summary() if found is None else _summary(found)


def _summary(stored: Sequence[object]) -> Summary:
    number, previous, first, through, text, sources, withdrawn = stored
    return Summary(
        int(str(number)), int(str(previous)), int(str(first)), int(str(through)), str(text),
        frozenset(json.loads(str(sources))), bool(withdrawn),
    )  # fmt: skip


def ledger(db: apsw.Connection, row: int) -> list[Summary]:
    """See ``Storage.ledger``."""
    return [
        _summary(one) for one in db.execute(f"SELECT {_SUMMARY} FROM summaries WHERE agent = ? ORDER BY number", (row,))
    ]


def put_summary(db: apsw.Connection, row: int, summary: Summary) -> bool:
    """Append to the ledger, if ``previous`` is its end."""
    current = _current_summary(db, row)
    if current.number != summary.previous:
        return False
    db.execute(
        f"INSERT INTO summaries (agent, {_SUMMARY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row, current.number + 1, summary.previous, summary.first, summary.through, storable(summary.text),
            json.dumps(sorted(summary.sources), ensure_ascii=True), int(summary.withdrawn),
        ),
    )  # fmt: skip
    return True


def put_turn(db: apsw.Connection, agent: str, turn: Turn) -> int:
    """Messages, entries and edits of a turn: see ``Storage.commit``. Summaries follow with ``put_summaries``."""
    row = new_agent_row(db, agent)
    conflicts = [block.name for block in turn.edits if not _put_block(db, row, block)]
    if conflicts:
        raise BlockConflictError(conflicts)
    last_message, last_entry = counts(db, row)
    messages = list(_renumbered(turn.messages, last_message, turn.based_on))
    for number, item in enumerate(messages, start=last_message + 1):
        _put_item(db, row_of(row, Drawer.SAID if item.kind in SAID else Drawer.WORK, number), item)
        _put_quotes(db, row, row_of(row, Drawer.SAID if item.kind in SAID else Drawer.WORK, number), item.quotes)
    for number, item in enumerate(turn.entries, start=last_entry + 1):
        _put_item(db, row_of(row, Drawer.ARCHIVAL, number), item)
    db.execute(
        "UPDATE agents SET last_message = ?, last_entry = ? WHERE id = ?",
        (last_message + len(turn.messages), last_entry + len(turn.entries), row),
    )
    return last_message + len(turn.messages)


def _renumbered(items: Iterable[Item], last: int, based_on: int) -> Iterator[Item]:
    """What quotes messages of its own turn quotes them by their final numbers."""
    for item in items:
        moved = frozenset(number + last - based_on if number > based_on else number for number in item.quotes)
        yield Item(item.kind, item.text, item.time, item.source, moved)


def put_summaries(db: apsw.Connection, agent: str, turn: Turn) -> None:
    """The summaries of a turn just put, those that are wrong because others wrote in between left out."""
    row = new_agent_row(db, agent)
    alone = counts(db, row)[0] == turn.based_on + len(turn.messages)
    if _current_summary(db, row).number != turn.based_on_summary:
        return
    for summary in turn.summaries:
        if (summary.through > turn.based_on and not alone) or not put_summary(db, row, summary):
            return


def _put_item(db: apsw.Connection, row: int, item: Item) -> None:
    text = storable(item.text)
    db.execute(
        "INSERT INTO items (id, kind, time, text, source) VALUES (?, ?, ?, ?, ?)",
        (row, _CODES[item.kind], microseconds(item.time), text, None if item.source is None else storable(item.source)),
    )
    db.execute(
        "INSERT INTO spans (id, least, greatest) VALUES (?1, ?2, ?2) ON CONFLICT (id) DO UPDATE SET "
        "least = min(least, excluded.least), greatest = max(greatest, excluded.greatest)",
        (row >> SPAN_BITS, microseconds(item.time)),
    )
    index_texts(db, [(row, text)])


def _put_quotes(db: apsw.Connection, agent: int, row: int, quotes: Iterable[int]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO quotes (quoted, item) VALUES (?, ?)",
        [(row_of(agent, drawer, number), row) for number in quotes for drawer in DRAWERS[Shelf.RECALL]],
    )


def put_block(db: apsw.Connection, agent: str, block: Block) -> Block:
    """See ``Storage.put_block``."""
    row = new_agent_row(db, agent)
    if not _put_block(db, row, block):
        raise BlockConflictError([block.name])
    return next(stored for stored in blocks(db, row) if stored.name == storable(block.name))


def _put_block(db: apsw.Connection, row: int, block: Block) -> bool:
    name, source = storable(block.name), None if block.source is None else storable(block.source)
    found = db.execute("SELECT version FROM blocks WHERE agent = ? AND name = ?", (row, name)).fetchone()
    if (0 if found is None else found[0]) != block.version:
        return False
    db.execute(
        f"INSERT INTO blocks (agent, {_BLOCK}) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (agent, name) DO UPDATE SET text = excluded.text, max_tokens = excluded.max_tokens, "
        "description = excluded.description, source = excluded.source, version = excluded.version",
        (row, name, storable(block.text), block.max_tokens, storable(block.description), source, block.version + 1),
    )
    return True


def items(db: apsw.Connection, row: int, shelf: Shelf, numbers: Sequence[int]) -> list[Item]:
    """See ``Storage.items``."""
    rows = [row_of(row, drawer, number) for number in numbers for drawer in DRAWERS[shelf]]
    return list(_items_of(db, rows))


def _items_of(db: apsw.Connection, rows: Sequence[int]) -> Iterator[Item]:
    sql = f"SELECT {_ITEM} FROM json_each(?) JOIN items ON items.id = json_each.value ORDER BY json_each.key"
    yield from map(_item, db.execute(sql, (json.dumps(rows),)))


def _items_between(db: apsw.Connection, low: int, high: int) -> Iterator[Item]:
    yield from map(_item, db.execute(f"SELECT {_ITEM} FROM items WHERE id BETWEEN ? AND ? ORDER BY id", (low, high)))


def _item(stored: Sequence[object]) -> Item:
    row, kind, time, text, source = stored
    when = _EPOCH + timedelta(microseconds=int(str(time)))
    return Item(
        _KINDS[int(str(kind))], str(text), when, None if source is None else str(source), frozenset(),
        number_of(int(str(row))),
    )  # fmt: skip
