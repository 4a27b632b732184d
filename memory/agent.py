"""An agent, and what its memory is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from memory.protocols import Archive, Embedder, Model, Summarise
from memory.queue import QueueLimits
from memory.records import Block
from memory.storage import Storage
from memory.window import Frame, no_excerpts, now


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: its name, and what its memory is given. ``instructions`` are read-only.

    ``blocks`` are made where the agent does not have them yet. ``zone`` is that of the dates it asks for.
    ``function_names`` are those of memory's functions that it has, by default all.
    """

    name: str
    storage: Storage
    model: Model
    summarise: Summarise
    instructions: str
    blocks: tuple[Block, ...] = ()
    embedder: Embedder | None = None
    archive: Archive | None = None
    function_names: frozenset[str] | None = None
    reply_tokens: int = 512
    page_tokens: int = 1000
    max_quarantine_tokens: int = 200
    max_quarantine_blocks: int = 4
    queue_limits: QueueLimits = field(default_factory=QueueLimits)
    zone: tzinfo = UTC
    clock: Callable[[], datetime] = now

    @property
    def budget_tokens(self) -> int:
        """What a request may have: the window less the reply's reserve."""
        return self.model.window_tokens - self.reply_tokens

    def frame(self) -> Frame:
        """What its window is made with."""
        return Frame(
            self.model,
            self.summarise,
            self.budget_tokens,
            self.instructions,
            self.blocks,
            self.queue_limits,
            self.clock,
            no_excerpts if self.archive is None else self.archive.count,
        )
