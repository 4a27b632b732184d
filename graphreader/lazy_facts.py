"""Facts that a model writes after the answer: which chunks wait for them, and who may work when.

``lazy`` indexing has the model write facts only for chunks that explorers have read. That happens in a detached
process (``facts_writer``), after the answer and never in a question's way: a question holds a shared lock beside the
library while it runs, and the writer, which looks for it four times a second, drops what it is doing until it is free.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graphreader.library.protocol import Library

try:
    import fcntl
except ImportError:  # Windows: no writer runs there, so nothing has to be kept out of its way.
    fcntl = None  # type: ignore[assignment]

_RUN_ID = "lazy-facts"
_WAITING, _SETTLED = b"waiting", b"settled"


def remember_read(library: Library, chunk_ids: Sequence[str]) -> None:
    """Put chunks that were read on the list."""
    for chunk_id in dict.fromkeys(chunk_ids):
        library.put_run_record(_RUN_ID, "", chunk_id, _WAITING)


def pending_chunks(library: Library) -> list[str]:
    """The chunks on the list that still exist and still have no facts by a model."""
    records = library.run_records(_RUN_ID, "")
    waiting = {chunk_id for chunk_id, state in records.items() if state == _WAITING}
    return [chunk_id for chunk_id in library.chunks_without_model_facts() if chunk_id in waiting] if waiting else []


def settle(library: Library, chunk_ids: Sequence[str]) -> None:
    """Do not try these again: their facts are written, or their failure is recorded."""
    for chunk_id in chunk_ids:
        library.put_run_record(_RUN_ID, "", chunk_id, _SETTLED)


@contextmanager
def asking(library_path: Path) -> Iterator[None]:
    """Held while a question runs."""
    if fcntl is None:
        yield
        return
    with _lock_file(library_path, "asking") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def somebody_asks(library_path: Path) -> bool:
    """Whether a question is running on this library, in any process."""
    with _lock_file(library_path, "asking") as file:
        return not _try_exclusive(file)


@contextmanager
def only_writer(library_path: Path) -> Iterator[bool]:
    """Held by the writer; False where another one is at work already."""
    with _lock_file(library_path, "writing") as file:
        yield _try_exclusive(file)


def spawn_writer(library_path: Path) -> None:
    """Start the writer, detached from this process; it ends when the list is empty."""
    if fcntl is None:
        return
    log = library_path.with_name(f"{library_path.name}.facts.log")
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "graphreader.facts_writer", str(library_path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@contextmanager
def _lock_file(library_path: Path, purpose: str) -> Iterator[IO[bytes]]:
    library_path.parent.mkdir(parents=True, exist_ok=True)
    with library_path.with_name(f"{library_path.name}.{purpose}").open("ab") as file:
        yield file


def _try_exclusive(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
