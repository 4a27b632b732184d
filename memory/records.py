"""What memory is made of. No input or output; times are aware, numbers count from 1 within an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
#: A JSON value.
Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class Kind(StrEnum):
    """What an item is. The order is that of the storage's codes: only ever appended to."""

    USER_MESSAGE = "user_message"
    REPLY = "reply"
    DOCUMENT_LOADED = "document_loaded"
    TIMED = "timed"
    READING = "reading"  # the result of a function that shows text of documents, or does anything else
    SYSTEM_ALERT = "system_alert"
    PRESSURE = "memory_pressure"
    CALL = "function_call"
    RESULT = "function_result"  # of a memory function: what it shows is stored elsewhere already
    ARCHIVED = "archived"
    ANSWER = "answer_sent_to_user"  # said to the user by a function, as it stands


#: What a model finds in recall storage. The rest (calls, what memory functions showed, warnings) would echo itself.
SAID = frozenset({Kind.USER_MESSAGE, Kind.REPLY, Kind.DOCUMENT_LOADED, Kind.TIMED, Kind.READING, Kind.ANSWER})


class Shelf(IntEnum):
    """The two unbounded stores."""

    RECALL = 0
    ARCHIVAL = 1


@dataclass(frozen=True, slots=True)
class Item:
    """A message of recall storage, or an entry of archival storage. Never changed once stored.

    ``text`` of a call or a result is JSON. ``source`` names the document that the text comes from: it is then data,
    and never to be trusted. ``quotes`` are the numbers of the messages whose text a result repeats: it is forgotten
    with them. ``number`` is 0 before it is known.
    """

    kind: Kind
    text: str
    time: datetime
    source: str | None = None
    quotes: frozenset[int] = frozenset()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A named part of working context. ``version`` counts its changes; 0 is a block that is not stored yet.

    ``source`` marks a quarantined block: notes made while that document's text was in the window.
    """

    name: str
    text: str
    max_tokens: int
    description: str = ""
    source: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """The recursive summary of all messages up to ``through``.

    It was made of the summary ``previous`` (0: none) and the messages ``first`` to ``through``: these records are the
    ledger of what each summary covers. ``sources`` are the documents whose text went into it. A ``withdrawn`` summary
    covered a message that was deleted: its text is gone.
    """

    number: int = 0
    previous: int = 0
    first: int = 1
    through: int = 0
    text: str = ""
    sources: frozenset[str] = frozenset()
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class AgentState:
    """What is stored of an agent beside the two shelves' items. ``queue`` are the messages after the summary's."""

    name: str
    last_message: int = 0
    last_entry: int = 0
    summary: Summary = field(default_factory=Summary)
    blocks: tuple[Block, ...] = ()
    queue: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn changes, stored all or not at all.

    ``based_on`` and ``based_on_summary`` are the last message's and the summary's numbers when the turn began;
    ``summaries`` number messages as if nobody else wrote since. ``edits`` carry the version that was edited.
    """

    based_on: int
    based_on_summary: int
    messages: tuple[Item, ...] = ()
    entries: tuple[Item, ...] = ()
    edits: tuple[Block, ...] = ()
    summaries: tuple[Summary, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """What to find on a shelf. ``phrase``: exact text, case apart. ``words``: any of them, ranked by how rare they are.

    Without words the newest come first. ``since`` and ``until`` are both inclusive. ``through``: only items up to that
    number, so that a search can be repeated exactly. ``everything``: also what a model does not find, see ``SAID``.
    """

    shelf: Shelf
    phrase: str = ""
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None
    through: int | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a deletion removed. ``erased``: nothing of it is left in the file; False where another process was reading
    all the time, then the next deletion or ``Storage.purge`` completes it.
    """

    messages: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()
    withdrawn_summaries: tuple[int, ...] = ()
    edited_blocks: tuple[str, ...] = ()
    erased: bool = True


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a request, as chat models take it. ``role``: system, user or assistant."""

    role: str
    content: str


def storable(text: str) -> str:
    """Text as it can be stored: lone surrogates, which UTF-8 lacks, become U+FFFD."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def numbered(item: Item, number: int) -> Item:
    """The item under the number it was stored with."""
    return replace(item, number=number)
