"""An event loop in a thread of its own, for callers without one; a notebook's own loop is left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from graphreader.errors import GraphReaderError
from memory.errors import AgentMemoryError

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class EventLoop:
    """The loop, started when first needed. ``at_end`` runs on it before it ends."""

    def __init__(self, at_end: Callable[[], Awaitable[None]]) -> None:
        self._at_end = at_end
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def submit(self, work: Callable[[], Awaitable[T]]) -> Future[T]:
        """Start an async function."""
        if self._portal is None:
            from anyio.from_thread import start_blocking_portal

            self._portal = self._stack.enter_context(start_blocking_portal())
            # After the portal on the stack, so before it when the stack unwinds: connections end on their own loop.
            self._stack.callback(self._portal.call, self._at_end)
        return self._portal.start_task_soon(work)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run an async function to its end; Ctrl-C cancels it. Raises what it raises."""
        future = self.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            try:
                future.result()
            except (CancelledError, GraphReaderError, AgentMemoryError):
                pass
            raise

    def close(self) -> None:
        """End it, and what it holds open."""
        self._stack.close()
        self._portal = None
