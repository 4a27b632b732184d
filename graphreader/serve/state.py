"""What one command tells the next about the server it started: a file only its owner can read."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

from graphreader.errors import ServeError


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """The files of the one local server, all in ``folder``."""

    folder: Path

    @property
    def state(self) -> Path:
        """The record of the running server; its modification time is when a client last asked for it."""
        return self.folder / "server.json"

    @property
    def log(self) -> Path:
        """What vLLM and its supervisor print."""
        return self.folder / "server.log"

    @property
    def lock(self) -> Path:
        """Held while a server is looked for and started."""
        return self.folder / "server.lock"


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server that was started. ``pid`` is its supervisor, ``pid_started`` guards against the number's reuse.

    ``options`` are those it runs under. ``in_foreground``: a user started it and looks at its log. ``restarts`` counts
    how often the engine died and was started again, ``last_end`` says when and how it last did.
    """

    pid: int
    pid_started: str
    base_url: str
    model: str
    api_key: str
    options: Mapping[str, Any] = field(default_factory=dict)
    in_foreground: bool = False
    restarts: int = 0
    last_end: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether that very process runs."""
        return process_started(self.pid) == self.pid_started


def default_paths() -> ServerPaths:
    """In the user's state folder."""
    return ServerPaths(platformdirs.user_state_path("graphreader") / "serve")


def save(state: ServerState, path: Path) -> None:
    """Write atomically, with mode 0600: it holds the key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".server-")  # made with 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
    Path(name).replace(path)


def load(path: Path) -> ServerState | None:
    """The recorded server if it lives. Raises ``ServeError`` where the file cannot be read for lack of rights."""
    try:
        state = ServerState(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None  # of another version, or damaged: it tells of no server that we could use
    except OSError as error:
        raise ServeError(f"{path} cannot be read ({error.strerror}): make it yours, or remove it.") from error
    return state if state.is_alive else None


def record_restart(path: Path, pid: int, end: str) -> None:
    """Note in the file, if it tells of the process ``pid``, that its engine ended and is started again."""
    try:
        found = load(path)
    except ServeError:
        return  # the record is for people; the restart matters more
    if found is not None and found.pid == pid:
        save(replace(found, restarts=found.restarts + 1, last_end=end), path)


def forget(path: Path, pid: int) -> None:
    """Remove the file if it still tells of the process ``pid``."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(recorded, dict) and recorded.get("pid") == pid:
        path.unlink(missing_ok=True)


def process_started(pid: int) -> str | None:
    """When a process began, in the system's own words (only to be compared); None where it is gone or a zombie."""
    if not Path("/proc/self/stat").exists():
        found = subprocess.run(["ps", "-p", str(pid), "-o", "lstart="], capture_output=True, text=True, check=False)
        return found.stdout.strip() or None
    try:
        # After the name, which is in parentheses and may hold anything: state is field 3, start time field 22.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
