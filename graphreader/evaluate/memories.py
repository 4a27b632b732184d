"""The agents of mode ``memory``, kept in the folder of a run: each is fed its documents once, and then only asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graphreader.evaluate.cases import Part
from graphreader.evaluate.folder import read_json, write_json
from memory.sqlite import open_storage
from memory.storage import Storage

#: What feeding has cost, by agent.
FED = "memories.json"
_FILE = "memories.db"


class Memories:
    """The storage of a run's agents, and what they are fed: the parts of documents. A context manager."""

    def __init__(self, folder: Path, parts_of: Callable[[str], Sequence[Part]]) -> None:
        self.parts_of = parts_of
        self._folder = folder
        self._storage: Storage | None = None
        self._locks: dict[str, asyncio.Lock] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._storage is not None:
            self._storage.close()

    @property
    def storage(self) -> Storage:
        """The storage, made when it is first asked for. Raises what ``open_storage`` raises."""
        if self._storage is None:
            self._storage = open_storage(self._folder / _FILE)
        return self._storage

    def lock(self, agent: str) -> asyncio.Lock:
        """Held while an agent is fed."""
        return self._locks.setdefault(agent, asyncio.Lock())

    def fed(self, agent: str) -> Mapping[str, Any]:
        """What is noted of feeding an agent; its ``usage`` and whether it is ``complete``. Empty before."""
        noted: Mapping[str, Any] = read_json(self._folder / FED).get(agent, {})
        return noted

    def note(self, agent: str, cost: Mapping[str, Any]) -> None:
        """Note how far an agent has been fed, and what it has cost."""
        write_json(self._folder / FED, {**read_json(self._folder / FED), agent: dict(cost)})
