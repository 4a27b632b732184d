"""Forgetting a text: wherever an agent holds it."""

from __future__ import annotations

import json
from dataclasses import replace

from memory.records import Forgotten, Search, Shelf
from memory.storage import Storage


def forget_text(storage: Storage, agent: str, text: str) -> Forgotten:
    """Delete every message and entry that holds ``text``, case apart, and cut it out of blocks.

    Results that quote such a message go too, and summaries that cover one are withdrawn, to be made anew with the next
    turn. What was told in other words is not found. Raises ``BlockConflictError`` where a block changes meanwhile.
    """
    if not text.strip():
        raise ValueError("There is no text to forget.")
    in_json = json.dumps(text, ensure_ascii=False)[1:-1]  # as calls and results hold it
    messages = {
        number
        for phrase in {text, in_json}
        for number in storage.find(agent, Search(Shelf.RECALL, phrase=phrase, everything=True))
    }
    entries = storage.find(agent, Search(Shelf.ARCHIVAL, phrase=text))
    edited = []
    for block in storage.blocks(agent):
        kept = _without(block.text, text)
        if kept != block.text:
            storage.put_block(agent, replace(block, text=kept))
            edited.append(block.name)
    return replace(storage.forget(agent, messages, entries), edited_blocks=tuple(edited))


def _without(text: str, unwanted: str) -> str:
    """``text`` without the lines that hold ``unwanted``; a block is a list of lines."""
    folded = unwanted.casefold()
    if folded not in text.casefold():
        return text
    kept = "\n".join(line for line in text.splitlines() if folded not in line.casefold())
    return "" if folded in kept.casefold() else kept
