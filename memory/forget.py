"""Forgetting a text: wherever an agent holds it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from memory.records import Block, Forgotten, Search, Shelf
from memory.storage import Storage


def forget_text(storage: Storage, agent: str, text: str) -> Forgotten:
    """Delete every message and entry that holds ``text``, case apart, and cut it out of blocks.

    Results that quote such a message go too, and summaries that cover one are withdrawn, to be made anew with the next
    turn. What was told in other words is not found. Raises ``BlockConflictError`` where a block changes meanwhile.
    """
    messages, entries = _holding(storage, agent, text)
    edited = []
    for block in _edited(storage.blocks(agent), text):
        storage.put_block(agent, block)
        edited.append(block.name)
    return replace(storage.forget(agent, messages, entries), edited_blocks=tuple(edited))


def would_forget(storage: Storage, agent: str, text: str) -> Forgotten:
    """What ``forget_text`` would delete, beside the results that quote those messages. Nothing is changed."""
    messages, entries = _holding(storage, agent, text)
    first = min(messages, default=None)
    withdrawn = [
        one.number for one in storage.ledger(agent) if first is not None and one.through >= first and not one.withdrawn
    ]
    edited = [block.name for block in _edited(storage.blocks(agent), text)]
    return Forgotten(tuple(sorted(messages)), tuple(entries), tuple(withdrawn), tuple(edited), erased=False)


def _holding(storage: Storage, agent: str, text: str) -> tuple[set[int], list[int]]:
    """The messages and the entries that hold a text."""
    if not text.strip():
        raise ValueError("There is no text to forget.")
    in_json = json.dumps(text, ensure_ascii=False)[1:-1]  # as calls and results hold it
    messages = {
        number
        for phrase in {text, in_json}
        for number in storage.find(agent, Search(Shelf.RECALL, phrase=phrase, everything=True))
    }
    return messages, storage.find(agent, Search(Shelf.ARCHIVAL, phrase=text))


def _edited(blocks: Iterable[Block], text: str) -> list[Block]:
    """Those blocks that hold a text, without it."""
    cut = [(block, _without(block.text, text)) for block in blocks]
    return [replace(block, text=kept) for block, kept in cut if kept != block.text]


def _without(text: str, unwanted: str) -> str:
    """``text`` without the lines that hold ``unwanted``; a block is a list of lines."""
    folded = unwanted.casefold()
    if folded not in text.casefold():
        return text
    kept = "\n".join(line for line in text.splitlines() if folded not in line.casefold())
    return "" if folded in kept.casefold() else kept
