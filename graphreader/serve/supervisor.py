"""The parent of vLLM: ends it when it has been idle for long, starts it again a few times when it dies after it had
become ready, and leaves no process behind when it ends itself.

Run as a module it reads an ``Order`` as JSON from standard input, detaches from the command
that started it, prints its process id, and supervises.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from graphreader.serve import probe, state

_CHECK_SECONDS = 0.2
_READY_POLL_SECONDS = 0.5
_MAX_POLL_SECONDS = 10.0
_MAX_START_SECONDS = 3600.0
_TERMINATE_SECONDS = 20.0
_GROUP_GRACE_SECONDS = 5.0
#: A server that dies is started again after these waits; it is given up when it died so often within the window.
_BACKOFF_SECONDS = (1.0, 5.0, 15.0)
_RESTART_WINDOW_SECONDS = 600.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and when to end it. ``idle_timeout_seconds`` None: never for idleness.

    ``log`` gets the server's output; ``state`` is touched by clients and removed at the end. ``backoff_seconds`` are
    the waits before each restart of a server that had become ready, one restart for each.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    base_url: str
    log: str
    state: str
    idle_timeout_seconds: float | None
    backoff_seconds: Sequence[float] = _BACKOFF_SECONDS


class RestartBudget:
    """Tells how long to wait before a dead server is started again, or that it has died too often of late."""

    def __init__(self, backoff_seconds: Sequence[float]) -> None:
        self._backoff_seconds = backoff_seconds
        self._ends: list[float] = []

    def wait_seconds(self, now_seconds: float) -> float | None:
        """Count an end; the wait before the next start, None where the restarts are used up."""
        self._ends = [end for end in self._ends if now_seconds - end <= _RESTART_WINDOW_SECONDS]
        self._ends.append(now_seconds)
        tried = len(self._ends) - 1
        return self._backoff_seconds[tried] if tried < len(self._backoff_seconds) else None


class IdleClock:
    """Tells when a server has had nothing to do for ``timeout_seconds``. Fed with what each poll saw."""

    def __init__(self, timeout_seconds: float, started_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._started_seconds = started_seconds
        self._last_seen: tuple[float, float] | None = None
        self._active_seconds: float | None = None

    def is_over(self, now_seconds: float, seen: probe.Activity | None, touched_seconds: float) -> bool:
        """Whether the time is up. ``touched_seconds``: any number that changes when a client announces itself."""
        if seen is not None:
            evidence = (seen.counted, touched_seconds)
            if self._active_seconds is None or seen.requests > 0 or evidence != self._last_seen:
                self._active_seconds = now_seconds
            self._last_seen = evidence
        if self._active_seconds is None:  # never answered: it still loads the model
            return now_seconds - self._started_seconds > _MAX_START_SECONDS
        return now_seconds - self._active_seconds > self._timeout_seconds


def supervise(order: Order, stop: threading.Event, on_start: Callable[[int], None] | None = None) -> int:
    """Run the server until it ends for good, ``stop`` is set, or it was idle for too long. The server's exit code.

    A server that dies after it had become ready is started again, on the same port and with the same key, so that its
    clients find it; one that never became ready is not. All its processes are gone when this returns. ``on_start``
    gets the process id of each.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # the server's orphans become our children, not init's
    budget = RestartBudget(order.backoff_seconds)
    was_ready = False
    try:
        while True:
            code, ended = _run_once(order, stop, on_start)
            was_ready = was_ready or ended.was_ready
            wait_seconds = budget.wait_seconds(time.monotonic()) if ended.by_itself and was_ready else None
            if wait_seconds is None:
                return code
            _say_restart(order, code, wait_seconds)
            if stop.wait(wait_seconds):
                return code
    finally:
        state.forget(Path(order.state), os.getpid())


@dataclass(frozen=True, slots=True)
class _End:
    """How one run of the server ended: ``by_itself`` is neither a stop nor idleness."""

    by_itself: bool
    was_ready: bool


def _run_once(order: Order, stop: threading.Event, on_start: Callable[[int], None] | None) -> tuple[int, _End]:
    with Path(order.log).open("ab") as log:
        child = _popen(order, log)
    try:
        if on_start is not None:
            on_start(child.pid)
        ended = _watch(child, order, stop)
    finally:
        end_group(child)
    return child.returncode, ended


def _log(order: Order, said: str) -> None:
    with Path(order.log).open("a", encoding="utf-8") as log:
        log.write(f"GraphReader: {said}.\n")


def _say_restart(order: Order, code: int, wait_seconds: float) -> None:
    """In the log and the state file."""
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    end = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {how}"
    _log(order, f"the server ended at {end}; it is started again in {wait_seconds:g} s")
    state.record_restart(Path(order.state), os.getpid(), end)


def _popen(order: Order, log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(order.command),
        env=dict(order.environment),
        cwd=Path(order.log).parent,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever is left of its process group: politely first, then not."""
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_TERMINATE_SECONDS)
    # vLLM's workers give back their shared memory if they get the time.
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _is_gone(child):
            break
        with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
            os.killpg(child.pid, number)
        deadline = time.monotonic() + _GROUP_GRACE_SECONDS
        while not _is_gone(child) and time.monotonic() < deadline:
            time.sleep(0.05)


def _is_gone(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child and its process group have ended; the dead of it are reaped, for we are their reaper."""
    if child.poll() is None:
        return False
    with suppress(ChildProcessError):
        while os.waitpid(-child.pid, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return True
    return False


def _watch(child: subprocess.Popen[bytes], order: Order, stop: threading.Event) -> _End:
    """Wait for the end of a run; a server may be killed at any moment, so readiness is looked for from the start."""
    clock = None
    idle_poll_seconds = _MAX_POLL_SECONDS
    if order.idle_timeout_seconds is not None:
        clock = IdleClock(order.idle_timeout_seconds, time.monotonic())
        idle_poll_seconds = min(_MAX_POLL_SECONDS, order.idle_timeout_seconds / 4)
    next_idle_poll = time.monotonic() + idle_poll_seconds
    next_ready_poll, was_ready = time.monotonic(), False
    while child.poll() is None:
        if stop.wait(_CHECK_SECONDS):
            return _End(False, was_ready)
        if not was_ready and time.monotonic() >= next_ready_poll:
            was_ready = probe.is_healthy(order.base_url)
            if was_ready:
                _log(order, "the server is ready")
            next_ready_poll = time.monotonic() + _READY_POLL_SECONDS
        if clock is None or time.monotonic() < next_idle_poll:
            continue
        if clock.is_over(time.monotonic(), probe.activity(order.base_url), _touched(Path(order.state))):
            return _End(False, was_ready)
        next_idle_poll = time.monotonic() + idle_poll_seconds
    return _End(not stop.is_set(), was_ready)


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _die_with_parent() -> None:
    """In the child before exec: have Linux send SIGTERM when the supervisor dies, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _detach(log: Path) -> None:
    """Go on as a process of its own (double fork: nobody has to wait for it), and print its id."""
    sys.stdout.flush()
    if pid := os.fork():
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(nowhere, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def main() -> int:
    """Entry point of the module."""
    order = Order(**json.load(sys.stdin))
    _detach(Path(order.log))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return supervise(order, stop)


if __name__ == "__main__":
    sys.exit(main())
