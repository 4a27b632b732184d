"""The server's log file."""

from __future__ import annotations

from pathlib import Path

_KEPT_LINES = 15
_READ_BYTES = 20_000


def new_log(path: Path) -> None:
    """An empty log of mode 0600; the one before is kept as .old, because it may tell why a server ended."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_suffix(".log.old"))
    path.touch(mode=0o600)


def log_tail(path: Path, lines: int = _KEPT_LINES) -> str:
    """The last lines that are not empty; nothing where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _READ_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
