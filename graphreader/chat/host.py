"""What a conversation is given by its reader."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphreader.agent.context import OnStep
from graphreader.connect import Connection
from graphreader.event_loop import EventLoop
from graphreader.library.protocol import Library
from graphreader.records import Answer, Mode
from graphreader.settings import Settings


@dataclass(frozen=True, slots=True)
class Host:
    """``answer`` answers a question of documents; ``not_searched`` warns of what of them cannot be searched yet."""

    settings: Settings
    library: Library
    library_path: Path
    connection: Connection
    loop: EventLoop
    answer: Callable[[str, Sequence[str], Mode, OnStep], Awaitable[Answer]]
    not_searched: Callable[[Sequence[str] | None], tuple[str, ...]]


def memory_path(library_path: Path) -> Path:
    """The file of memories of the conversations over a library: beside it, ``library.memory.db`` for ``library.db``."""
    return library_path.with_name(f"{library_path.stem}.memory.db")
