"""What the contract tests of memory's storage share. A backend joins in ``open_memory_place``, ``bytes_of`` and
``conftest.memory_place``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from memory.records import AgentState, Block, Item, Kind, Summary, Turn
from memory.sqlite import open_storage
from memory.storage import Storage

NOON = datetime(2024, 1, 20, 12, tzinfo=UTC)


def open_memory_place(place: str) -> Storage:
    """Open the storage at ``place``, a backend's name and whatever it needs: ``sqlite:`` and a path."""
    backend, _, where = place.partition(":")
    return {"sqlite": lambda: open_storage(Path(where))}[backend]()


def bytes_of(place: str) -> bytes:
    """All that the backend has on disk."""
    path = Path(place.partition(":")[2])
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def said(text: str, hours: float = 0, kind: Kind = Kind.USER_MESSAGE, source: str | None = None) -> Item:
    return Item(kind, text, NOON + timedelta(hours=hours), source)


def say(storage: Storage, agent: str, *texts: str, kind: Kind = Kind.USER_MESSAGE) -> AgentState:
    """One turn of messages an hour apart."""
    return put(storage, agent, messages=[said(text, hours, kind) for hours, text in enumerate(texts)])


def keep(storage: Storage, agent: str, *texts: str) -> AgentState:
    """One turn that keeps entries."""
    return put(storage, agent, entries=[said(text, kind=Kind.ARCHIVED) for text in texts])


def put(
    storage: Storage,
    agent: str,
    messages: Sequence[Item] = (),
    entries: Sequence[Item] = (),
    edits: Sequence[Block] = (),
    summaries: Sequence[Summary] = (),
) -> AgentState:
    """One turn based on what is stored now. The state after it."""
    state = storage.state(agent)
    storage.commit(
        agent,
        Turn(state.last_message, state.summary.number, tuple(messages), tuple(entries), tuple(edits), tuple(summaries)),
    )
    return storage.state(agent)
