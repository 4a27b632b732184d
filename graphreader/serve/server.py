"""The local vLLM: one for the user, started by the first command that needs it and found again by the next.

A ``supervisor`` process is its parent; a state file (``state``) tells who and where; a lock keeps two commands from
starting two. Nothing here imports vLLM.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from graphreader.errors import ServeError
from graphreader.serve import probe, state, supervisor
from graphreader.serve.command import ServeOptions
from graphreader.serve.launch import Endpoint, Launch, OnProgress, Plan, plan_vllm
from graphreader.serve.locking import locked
from graphreader.serve.logs import log_tail, new_log
from graphreader.serve.modules import module_command
from graphreader.serve.state import ServerPaths, ServerState

__all__ = ["Endpoint", "ServeOptions", "ServerPaths", "ensure_running", "running", "serve_foreground", "stop"]

_POLL_SECONDS = 0.3
#: A server between two requests of one run is not idle: its counters must stand still for this long.
_STILL_SECONDS = 2.0
_STOP_SECONDS = 40.0


def ensure_running(
    model: str,
    options: ServeOptions | None = None,
    *,
    idle_timeout_seconds: float = 1800.0,
    start_timeout_seconds: float = 600.0,
    on_progress: OnProgress | None = None,
    cache_folder: Path | None = None,
    paths: ServerPaths | None = None,
    plan: Plan = plan_vllm,
) -> Endpoint:
    """The server of ``model``: the one that runs, or a new one, ready for requests.

    A server of another model is ended first, once it has nothing to do. Interrupted while it loads, the server goes
    on and the next call waits for it. Raises ``ServeError`` with the end of the log where the server does not start,
    ``WeightsError`` and ``MissingDependencyError`` as ``plan_vllm``.
    """
    paths, model = paths or state.default_paths(), canonical_name(model)
    found = state.load(paths.state)
    if found is None or found.model != model:
        # Weights are prepared before the lock is taken: that may take minutes, and has a lock of its own.
        launch = plan(model, options or ServeOptions(), cache_folder, on_progress)
        with locked(paths.lock, start_timeout_seconds):
            found = _make_way(model, paths, start_timeout_seconds, on_progress)
            if found is None:
                found = _start(model, launch, paths, idle_timeout_seconds)
    _touch(paths)
    return _wait_until_ready(found, paths, start_timeout_seconds, on_progress)


def running(paths: ServerPaths | None = None) -> Endpoint | None:
    """The server that runs and answers, or None; one that is still loading does not count."""
    paths = paths or state.default_paths()
    found = state.load(paths.state)
    if found is None:
        return None
    window = probe.served_context_tokens(found.base_url, found.api_key, found.model)
    if window is None:
        return None
    _touch(paths)
    return Endpoint(found.base_url, found.api_key, found.model, window)


def stop(paths: ServerPaths | None = None) -> bool:
    """End the server and all its processes; False where none runs. Raises ``ServeError`` if it does not end."""
    paths = paths or state.default_paths()
    found = state.load(paths.state)
    if found is None:
        paths.state.unlink(missing_ok=True)
        return False
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while found.is_alive:
        if time.monotonic() > deadline:
            raise ServeError(f"The model server (process {found.pid}) does not end: run `kill -9 {found.pid}`.")
        time.sleep(0.05)
    state.forget(paths.state, found.pid)
    return True


def serve_foreground(
    model: str,
    options: ServeOptions | None = None,
    *,
    on_ready: Callable[[Endpoint], None],
    on_line: Callable[[str], None],
    on_progress: OnProgress | None = None,
    cache_folder: Path | None = None,
    paths: ServerPaths | None = None,
    plan: Plan = plan_vllm,
) -> None:
    """Run the server until Ctrl-C or SIGTERM; call it from the main thread. Other commands find this server too.

    ``on_line`` gets each line of its log, ``on_ready`` the endpoint once it answers; both on other threads. Raises
    ``ServeError`` where a server runs already or this one ends by itself.
    """
    paths, model = paths or state.default_paths(), canonical_name(model)
    launch = plan(model, options or ServeOptions(), cache_folder, on_progress)
    with locked(paths.lock, 60.0):
        if (other := state.load(paths.state)) is not None:
            raise ServeError(
                f"A server of {other.model} runs already ({other.base_url}): run `graphreader stop` first."
            )
        new_log(paths.log)
        own = _state_of(os.getpid(), model, launch)
        state.save(own, paths.state)
    order = supervisor.Order(
        launch.command, launch.environment, launch.base_url, str(paths.log), str(paths.state), None
    )
    stopping = threading.Event()
    follower = threading.Thread(target=_follow, args=(paths.log, own, stopping, on_line, on_ready), daemon=True)
    with _signals_set(stopping):
        follower.start()
        code = supervisor.supervise(order, stopping)
    ended_by_itself = not stopping.is_set()
    stopping.set()
    follower.join(5.0)
    if ended_by_itself:
        raise _died(code, paths)


def canonical_name(model: str) -> str:
    """The name a model is served under: a local folder's full path, any other name as it is."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if (folder / "config.json").is_file() else model


def _make_way(
    model: str, paths: ServerPaths, timeout_seconds: float, on_progress: OnProgress | None
) -> ServerState | None:
    """The server of ``model`` if another command has started it meanwhile; one of another model is ended."""
    found = state.load(paths.state)
    if found is None or found.model == model:
        return found
    started = still_since = time.monotonic()
    last = probe.activity(found.base_url)
    while time.monotonic() - still_since < _STILL_SECONDS and found.is_alive:
        waited_seconds = time.monotonic() - started
        if waited_seconds > timeout_seconds:
            raise ServeError(
                f"The server of {found.model} has been busy for {waited_seconds:.0f} s and {model} is wanted: wait, or "
                "run `graphreader stop`."
            )
        if on_progress is not None:
            on_progress("server", int(waited_seconds), 0, f"waiting for {found.model} to finish, to load {model}")
        time.sleep(_POLL_SECONDS)
        now = probe.activity(found.base_url)
        if now is not None and (now != last or now.requests):
            last, still_since = now, time.monotonic()
    stop(paths)
    return None


def _start(model: str, launch: Launch, paths: ServerPaths, idle_timeout_seconds: float) -> ServerState:
    new_log(paths.log)
    order = supervisor.Order(
        launch.command, launch.environment, launch.base_url, str(paths.log), str(paths.state), idle_timeout_seconds
    )
    started = subprocess.run(
        module_command(supervisor.__name__),
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=False,
    )
    if started.returncode != 0:
        raise ServeError(f"The supervisor of the model server does not start: {started.stderr.strip()[-500:]}")
    made = _state_of(int(started.stdout), model, launch)
    state.save(made, paths.state)
    return made


def _state_of(pid: int, model: str, launch: Launch) -> ServerState:
    return ServerState(pid, state.process_started(pid) or "", launch.base_url, model, launch.api_key)


def _wait_until_ready(
    found: ServerState, paths: ServerPaths, timeout_seconds: float, on_progress: OnProgress | None
) -> Endpoint:
    started = time.monotonic()
    while True:
        # The models are listed only when the engine is up; health tells that it still is.
        if probe.is_healthy(found.base_url):
            window = probe.served_context_tokens(found.base_url, found.api_key, found.model)
            if window is not None:
                return Endpoint(found.base_url, found.api_key, found.model, window)
        if not found.is_alive:
            raise _died(None, paths)
        waited_seconds = time.monotonic() - started
        if waited_seconds > timeout_seconds:
            raise ServeError(
                f"The model server is not ready after {waited_seconds:.0f} s. It goes on loading: try again, or raise "
                f"serve.start_timeout_seconds. The end of {paths.log}:\n{log_tail(paths.log)}"
            )
        if on_progress is not None:
            on_progress("server", int(waited_seconds), 0, log_tail(paths.log, lines=1))
        time.sleep(_POLL_SECONDS)


def _died(code: int | None, paths: ServerPaths) -> ServeError:
    with_code = "" if code is None else f" with code {code}"
    return ServeError(f"The model server ended{with_code}. The end of its log, {paths.log}:\n{log_tail(paths.log)}")


def _touch(paths: ServerPaths) -> None:
    """Tell the supervisor that somebody is here."""
    with suppress(FileNotFoundError):
        os.utime(paths.state)


@contextmanager
def _signals_set(event: threading.Event) -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP set ``event`` and do nothing else."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: event.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    log: Path,
    own: ServerState,
    stopping: threading.Event,
    on_line: Callable[[str], None],
    on_ready: Callable[[Endpoint], None],
) -> None:
    """Hand on the log's lines as they come, and say once that the server answers."""
    said_ready = False
    with log.open(encoding="utf-8", errors="replace") as file:
        while True:
            last_round = stopping.is_set()
            while line := file.readline():
                on_line(line.rstrip("\n"))
            if last_round:
                return
            if not said_ready and probe.is_healthy(own.base_url):
                window = probe.served_context_tokens(own.base_url, own.api_key, own.model)
                if window is not None:
                    said_ready = True
                    on_ready(Endpoint(own.base_url, own.api_key, own.model, window))
            stopping.wait(_POLL_SECONDS)
