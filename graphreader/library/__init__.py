"""Where indexed documents live: a protocol, and a backend that keeps everything in one SQLite file."""

from __future__ import annotations

from pathlib import Path

from graphreader.library.protocol import Library

__all__ = ["Library", "open_library"]


def open_library(path: Path) -> Library:
    """Open the library file at ``path``, creating it and its folder where absent.

    Raises ``LibraryVersionError`` where a newer version wrote it, ``LibraryError`` where it cannot be used.
    """
    from graphreader.library.sqlite import open_library as open_sqlite  # apsw is loaded only when a library is opened

    return open_sqlite(path)
