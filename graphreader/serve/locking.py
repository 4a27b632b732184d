"""One process at a time: an advisory lock on a file, which the operating system gives back when its holder dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graphreader.errors import ServeError

_RETRY_SECONDS = 0.1


@contextmanager
def locked(path: Path, timeout_seconds: float, on_wait: Callable[[float], None] | None = None) -> Iterator[None]:
    """Hold the lock at ``path`` (made where absent, never removed: removing it would let two processes hold it).

    ``on_wait`` gets the seconds waited so far while another process holds it. Raises ``ServeError`` after the timeout.
    """
    import fcntl  # not on Windows, where vLLM does not run either

    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                waited_seconds = time.monotonic() - started
                if waited_seconds >= timeout_seconds:
                    raise ServeError(
                        f"Another process has held {path} for {waited_seconds:.0f} s: end it, then try again."
                    ) from error
                if on_wait is not None:
                    on_wait(waited_seconds)
                time.sleep(_RETRY_SECONDS)
        yield  # closing the file gives the lock back
