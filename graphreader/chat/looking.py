"""What an agent holds, for people to look at. Reads the storage alone: no model, no embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphreader.chat.agent import BLOCKS
from graphreader.chat.records import MemoryView, Remembered
from graphreader.errors import GraphReaderError
from memory.records import Kind, Search, Shelf
from memory.storage import Storage

#: Messages looked through at once for the user's own.
_BATCH = 200


def view(
    storage: Storage, name: str, count_tokens: Callable[[Sequence[str]], list[int]], documents: tuple[str, ...] | None
) -> MemoryView:
    """All there is of an agent but the messages themselves."""
    state = storage.state(name)
    stored = {block.name for block in state.blocks}
    blocks = (*state.blocks, *(block for block in BLOCKS if block.name not in stored))
    tokens = count_tokens([block.text for block in blocks])
    return MemoryView(
        agent=name,
        blocks=tuple(zip(blocks, tokens, strict=True)),
        message_count=state.last_message,
        queue_count=len(state.queue),
        entry_count=state.last_entry,
        summary=state.summary,
        ledger=tuple(storage.ledger(name)),
        documents=documents,
    )


def recall(storage: Storage, name: str, text: str) -> list[Remembered]:
    """All that holds a text, the newest first; then what holds some of its words, the rare ones first."""
    wanted = text.strip()
    if not wanted:
        raise GraphReaderError("Say which text to look for.")
    exact = storage.find(name, Search(Shelf.RECALL, phrase=wanted))
    holding = set(exact)
    related = [one for one in storage.find(name, Search(Shelf.RECALL, words=wanted)) if one not in holding]
    items = storage.items(name, Shelf.RECALL, [*exact, *related])
    return [
        Remembered(item.number, item.time, item.kind, item.text, item.source, item.number in holding) for item in items
    ]


def said_by_user(storage: Storage, name: str, limit: int) -> list[str]:
    """The user's last messages, oldest first."""
    said: list[str] = []
    last = storage.state(name).last_message
    while last > 0 and len(said) < limit:
        numbers = storage.numbers(name, Shelf.RECALL, max(1, last - _BATCH + 1), last)
        items = storage.items(name, Shelf.RECALL, numbers[::-1])
        said += [item.text for item in items if item.kind is Kind.USER_MESSAGE]
        last -= _BATCH
    return said[:limit][::-1]
