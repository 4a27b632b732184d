"""Connections to one library file: settings, transactions, and the translation of SQLite's errors.

A connection serves one thread at a time and goes back to a pool after each call, so readers never wait: in WAL mode
each sees the state of the last commit. Writers queue, within the process on a lock, between processes on SQLite's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from graphreader.errors import LibraryError, LibraryVersionError
from graphreader.library.sqlite_schema import ABANDONED_VERSIONS, APPLICATION_ID, MIGRATIONS

BUSY_TIMEOUT_SECONDS = 30.0
_PAGE_BYTES = 8192
_CACHE_KIBIBYTES = 16 * 1024


class Connections:
    """A pool of connections to the library file at ``path``; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
    def write(self) -> Iterator[apsw.Connection]:
        """A connection within a transaction that is committed, durably, where the block ends without an error."""
        with self._writing, self._lent() as db, transaction(db):
            yield db

    def shrink(self) -> None:
        """Give freed pages back to the file system, and empty the write-ahead log of what was removed.

        Does as much as other readers and writers allow.
        """
        with self._writing, self._lent() as db:
            db.execute("PRAGMA incremental_vacuum").fetchall()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        with self._state:
            self._closed = True
            idle, self._idle = self._idle, []
        for db in idle:
            db.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of SQLite, and text that UTF-8 cannot hold, become ``LibraryError``."""
        try:
            yield
        except apsw.Error as error:
            raise library_error(self.path, error) from error
        except UnicodeEncodeError as error:
            raise LibraryError(
                f"{self.path}: text with a lone surrogate cannot be stored ({error.reason}). "
                "Decode the source with errors='replace'."
            ) from error

    @contextmanager
    def _lent(self) -> Iterator[apsw.Connection]:
        with self.translated():
            db = self._take()
            try:
                yield db
            finally:
                self._give_back(db)

    def _take(self) -> apsw.Connection:
        with self._state:
            if self._closed:
                raise LibraryError(f"{self.path}: the library was closed. Open it again.")
            if self._idle:
                return self._idle.pop()
        return connect(self.path)

    def _give_back(self, db: apsw.Connection) -> None:
        with self._state:
            if not self._closed:
                self._idle.append(db)
                return
        db.close()


def _roll_back(db: apsw.Connection) -> None:
    if db.in_transaction:  # not after a commit, nor after an error on which SQLite itself gave the transaction up
        db.execute("ROLLBACK")


def connect(path: Path) -> apsw.Connection:
    """A new connection with the settings every connection to a library has. Raises ``apsw.Error``."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(int(BUSY_TIMEOUT_SECONDS * 1000))
    db.execute(
        f"PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; "
        f"PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{_CACHE_KIBIBYTES};"
    ).fetchall()  # some of these answer, and what follows an answer runs only after it was fetched
    return db


def prepare_file(path: Path) -> None:
    """Create the file and its folder where absent, and bring an older one up to date.

    Raises ``LibraryError`` where that is impossible, ``LibraryVersionError`` where a newer version wrote the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(
            f"{path.parent}: the library's folder cannot be created ({error.strerror}). "
            "Choose a place you may write to with --library."
        ) from error
    try:
        db = connect(path)
        try:
            _prepare(db, path)
        finally:
            db.close()
    except apsw.Error as error:
        raise library_error(path, error) from error


def _prepare(db: apsw.Connection, path: Path) -> None:
    version = _checked_version(db, path)
    if db.readonly("main"):
        raise LibraryError(f"{path}: the library may only be read. Allow writing to it, or choose another --library.")
    if version == 0:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;").fetchall()
    _use_write_ahead_log(db, path)
    if version == len(MIGRATIONS):
        return
    with transaction(db):
        version = _checked_version(db, path)  # again: another process may have been quicker
        for migration in MIGRATIONS[version:]:
            db.execute(migration)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};").fetchall()


@contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """A transaction that is the only writing one from its start."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        _roll_back(db)


def _checked_version(db: apsw.Connection, path: Path) -> int:
    version = int(db.pragma("user_version"))
    application_id = int(db.pragma("application_id"))
    ours = application_id == APPLICATION_ID
    if not ours and (application_id or version or db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()):
        raise LibraryError(
            f"{path}: an SQLite database of another program, not a library. Choose another file with --library."
        )
    if version > len(MIGRATIONS):
        raise LibraryVersionError(
            f"{path}: written by a newer version (library format {version}, this one knows {len(MIGRATIONS)}). "
            "Upgrade graphreader, or choose another file with --library."
        )
    if 0 < version <= ABANDONED_VERSIONS:
        raise LibraryVersionError(
            f"{path}: in a format of before the first release. Delete the file and index its sources again, or choose "
            "another file with --library."
        )
    return version


def _use_write_ahead_log(db: apsw.Connection, path: Path) -> None:
    """Switch to WAL. SQLite does not wait for its busy timeout where two processes switch at once, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            mode = db.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise LibraryError(f"{path}: its file system has no shared memory. Choose a local disk with --library.")
        return


def library_error(path: Path, error: apsw.Error) -> LibraryError:
    """What an error of SQLite means for the reader, and what mends it."""
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            return LibraryError(f"{path}: {meaning} ({error})")
    return LibraryError(f"{path}: the library failed. Check its disk, then try again ({type(error).__name__}: {error})")


_MEANINGS: tuple[tuple[tuple[type[apsw.Error], ...], str], ...] = (
    (
        (apsw.NotADBError, apsw.CorruptError),
        "not a library, or a damaged one. Restore it from a copy, or delete it and index the sources again",
    ),
    ((apsw.FullError,), "the disk is full, nothing was changed. Free some space, or move the library"),
    (
        (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError),
        "cannot be opened for writing. Check that you may write to it and its folder, or choose another --library",
    ),
    (
        (apsw.BusyError, apsw.LockedError),
        f"another process has kept it locked for {BUSY_TIMEOUT_SECONDS:.0f} s. Try again when that has finished",
    ),
    (
        (apsw.ConstraintError,),
        "refused records that contradict each other: ids must be unique. Index the document again",
    ),
    ((apsw.IOError,), "its disk failed or is full, nothing was changed. Check the disk, then try again"),
)
