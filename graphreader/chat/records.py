"""What a conversation gives back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from graphreader.records import Citation, Usage
from memory.records import Block, Kind, Summary


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The reply to one message.

    ``citations`` stand verbatim in their documents. ``calls`` are the functions the model called, as JSON, in order;
    ``read_documents``: one of them looked into documents. ``stopped_by`` is "replied", or what ended the turn without
    a reply (see ``memory.loop.Stop``); ``text`` is then empty. ``usage`` is of all calls, an answer's own included.
    """

    message: str
    text: str
    citations: tuple[Citation, ...]
    read_documents: bool
    calls: tuple[str, ...]
    stopped_by: str
    usage: Usage
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryView:
    """What an agent holds: working context with the tokens of each block, the queue behind the summary, the stores."""

    agent: str
    blocks: tuple[tuple[Block, int], ...]
    message_count: int
    queue_count: int
    entry_count: int
    summary: Summary
    #: All summaries there ever were, oldest first: which messages each covers, of which one it was made.
    ledger: tuple[Summary, ...]
    #: Titles of the documents the conversation is over; None for the whole library.
    documents: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A message found in recall storage. ``exact``: it holds the text looked for, not just some of its words."""

    number: int
    time: datetime
    kind: Kind
    text: str
    source: str | None
    exact: bool
