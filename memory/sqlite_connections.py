"""Connections to one file of memories: settings, transactions, migration, and what SQLite's errors mean.

A connection serves one thread at a time and goes back to a pool after each call, so readers never wait: in WAL mode
each sees the state of the last commit. Writers queue, within the process on a lock, between processes on SQLite's own.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import apsw

from memory.errors import MemoryBusyError, MemoryDamagedError, MemoryDiskError, MemoryFileError, MemoryVersionError
from memory.sqlite_schema import APPLICATION_ID, MIGRATIONS

BUSY_TIMEOUT_SECONDS = 30.0
_PAUSE_SECONDS = (0.0005, 0.005)
_PAGE_BYTES = 4096
_CACHE_KIBIBYTES = 8 * 1024
#: Before this one a checkpoint could damage a file in WAL mode (https://sqlite.org/wal.html, "the WAL-reset bug").
_LEAST_SQLITE = (3, 51, 3)

#: Called with the name of each point that a write passes, so that tests can stop the process there.
Reach: TypeAlias = Callable[[str], None]


def pass_by(_name: str) -> None:
    """The ``Reach`` of every day: nothing happens."""


class Connections:
    """A pool of connections to the file at ``path``; safe to share between threads."""

    def __init__(self, path: Path, reach: Reach, busy_timeout_seconds: float) -> None:
        self.path = path
        self.reach = reach
        self._busy_timeout_seconds = busy_timeout_seconds
        self._idle: list[apsw.Connection] = []
        self._closed = False
        self._state = threading.Lock()
        self._writing = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[apsw.Connection]:
        """A connection that sees one consistent state until the block ends."""
        with self._lent() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                _roll_back(db)

    @contextmanager
    def write(self, what: str) -> Iterator[apsw.Connection]:
        """A connection within a transaction that is committed, durably, where the block ends without an error."""
        with self._writing, self._lent() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self.reach(f"{what}: before commit")
                db.execute("COMMIT")
            finally:
                _roll_back(db)
            self.reach(f"{what}: after commit")

    def purge(self) -> bool:
        """Give freed pages back, and empty the write-ahead log. False where readers of other processes prevent it."""
        with self._writing, self._lent() as db:
            db.execute("INSERT INTO full_text (full_text) VALUES ('optimize')")
            db.execute("PRAGMA incremental_vacuum").fetchall()
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0]
            return not busy

    def close(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        with self._state:
            self._closed = True
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    @contextmanager
    def _lent(self) -> Iterator[apsw.Connection]:
        try:
            db = self._take()
            try:
                yield db
            finally:
                self._give_back(db)
        except apsw.Error as error:
            raise file_error(self.path, error) from error

    def _take(self) -> apsw.Connection:
        with self._state:
            if self._closed:
                raise MemoryFileError(f"{self.path}: the memories were closed. Open them again.")
            if self._idle:
                return self._idle.pop()
        return connect(self.path, self._busy_timeout_seconds)

    def _give_back(self, db: apsw.Connection) -> None:
        with self._state:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()


def _roll_back(db: apsw.Connection) -> None:
    if db.in_transaction:  # not after a commit, nor after an error on which SQLite itself gave the transaction up
        db.execute("ROLLBACK")


def connect(path: Path, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> apsw.Connection:
    """A new connection with the settings that every connection has. Raises ``apsw.Error``."""
    db = apsw.Connection(str(path))
    db.set_busy_handler(_waiting(busy_timeout_seconds))
    db.execute(
        f"PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; "
        f"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{_CACHE_KIBIBYTES};"
    ).fetchall()  # some of these answer, and what follows an answer runs only after it was fetched
    return db


def _waiting(busy_timeout_seconds: float) -> Callable[[int], bool]:
    """Waits for a lock in short random pauses: those of SQLite grow to 0.1 s, and whoever waits longest waits on."""
    ends = 0.0

    def wait(tries_before: int) -> bool:
        nonlocal ends
        now = time.monotonic()
        if tries_before == 0:
            ends = now + busy_timeout_seconds
        if now >= ends:
            return False
        time.sleep(random.uniform(*_PAUSE_SECONDS))
        return True

    return wait


def prepare_file(path: Path, reach: Reach, busy_timeout_seconds: float) -> None:
    """Create the file and its folder where absent, and bring an older one up to date.

    Raises ``MemoryFileError`` where that is impossible, ``MemoryVersionError`` where a newer version wrote the file.
    """
    if tuple(map(int, apsw.sqlite_lib_version().split(".")[:3])) < _LEAST_SQLITE:
        raise MemoryFileError(
            f"{path}: SQLite {apsw.sqlite_lib_version()} can damage a file that several processes use. "
            "Run `pip install --upgrade apsw`."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MemoryFileError(
            f"{path.parent}: the folder cannot be created ({error.strerror}). Choose a place you may write to."
        ) from error
    try:
        db = connect(path, busy_timeout_seconds)
        try:
            _prepare(db, path, reach, busy_timeout_seconds)
        finally:
            db.close()
    except apsw.Error as error:
        raise file_error(path, error) from error


def _prepare(db: apsw.Connection, path: Path, reach: Reach, busy_timeout_seconds: float) -> None:
    version = _checked_version(db, path)
    if db.readonly("main"):
        raise MemoryFileError(f"{path}: the file may only be read. Allow writing to it, or choose another place.")
    if version == 0:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;").fetchall()
    _use_write_ahead_log(db, path, busy_timeout_seconds)
    if version == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(db, path)  # again: another process may have been quicker
        for number, migrate in enumerate(MIGRATIONS[version:], start=version + 1):
            migrate(db)
            reach(f"migration: {number}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};").fetchall()
        reach("migration: before commit")
        db.execute("COMMIT")
    finally:
        _roll_back(db)


def _checked_version(db: apsw.Connection, path: Path) -> int:
    version = int(db.pragma("user_version"))
    application_id = int(db.pragma("application_id"))
    ours = application_id == APPLICATION_ID
    if not ours and (application_id or version or db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()):
        raise MemoryDamagedError(f"{path}: an SQLite database of another program. Choose another file for memories.")
    if version > len(MIGRATIONS):
        raise MemoryVersionError(
            f"{path}: written by a newer version (format {version}, this one knows {len(MIGRATIONS)}). "
            "Upgrade, or choose another file."
        )
    return version


def _use_write_ahead_log(db: apsw.Connection, path: Path, busy_timeout_seconds: float) -> None:
    """Switch to WAL. SQLite does not wait for its busy timeout where two processes switch at once, so we do."""
    deadline = time.monotonic() + busy_timeout_seconds
    while True:
        try:
            mode = db.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise MemoryFileError(f"{path}: its file system has no shared memory. Choose a place on a local disk.")
        return


def file_error(path: Path, error: apsw.Error) -> MemoryFileError:
    """What an error of SQLite means for the reader, and what mends it."""
    for kinds, error_type, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return error_type(f"{path}: {meaning} ({error})")
    return MemoryFileError(f"{path}: failed. Check its disk, then try again ({type(error).__name__}: {error})")


_MEANINGS: tuple[tuple[tuple[type[apsw.Error], ...], type[MemoryFileError], str], ...] = (
    (
        (apsw.NotADBError, apsw.CorruptError),
        MemoryDamagedError,
        "not a file of memories, or a damaged one. Restore it from a copy, or move it away to start anew",
    ),
    (
        (apsw.FullError, apsw.IOError),
        MemoryDiskError,
        "its disk is full or failed, nothing was changed. Free some space or check the disk, then try again",
    ),
    (
        (apsw.BusyError, apsw.LockedError),
        MemoryBusyError,
        "another process kept it locked for too long, nothing was changed. Try again when that has finished",
    ),
    (
        (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError),
        MemoryFileError,
        "cannot be opened for writing. Check that you may write to it and its folder, or choose another place",
    ),
)
