"""The local vLLM: one for the user, started by the first command that needs it and found again by the next.

A ``supervisor`` process is its parent; a state file (``state``) tells who and where; a lock keeps two commands from
starting two. Nothing here imports vLLM.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from graphreader.errors import ServeError
from graphreader.serve import probe, state, supervisor
from graphreader.serve.launch import Endpoint, Launch, MakeLaunch, OnProgress, checked_port, plan_vllm
from graphreader.serve.locking import locked
from graphreader.serve.logs import log_tail, new_log
from graphreader.serve.modules import module_command
from graphreader.serve.options import ServeOptions, differences
from graphreader.serve.state import ServerPaths, ServerState

__all__ = ["Endpoint", "ServeOptions", "ServerPaths", "ensure_running", "running", "stop"]

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
    plan: MakeLaunch = plan_vllm,
) -> Endpoint:
    """The server of ``model``: the one that runs, or a new one, ready for requests.

    A server of another model or with other options is ended first, once it has nothing to do; one that a user runs in
    the foreground is taken as it is if the model is the same. Interrupted while it loads, the server goes on and the
    next call waits for it. Raises ``ServeError`` with the end of the log where the server does not start, and what
    ``plan_vllm`` raises.
    """
    paths, model, options = paths or state.default_paths(), canonical_name(model), options or ServeOptions()
    found = state.load(paths.state)
    if found is None or _mismatch(found, model, options):
        if options.port is not None and (found is None or f":{options.port}/" not in found.base_url):
            checked_port(options.port)
        # Weights are prepared before the lock is taken: that may take minutes, and has a lock of its own.
        launch = plan(model, options, cache_folder, on_progress)
        with locked(paths.lock, start_timeout_seconds):
            found = _make_way(model, options, paths, start_timeout_seconds, on_progress)
            if found is None:
                found = _start(model, options, launch, paths, idle_timeout_seconds)
    elif on_progress is not None and (other := differences(found.options, options)):
        on_progress(
            "note",
            0,
            0,
            f"The server in the foreground is used as it was started: {'; '.join(other)} as in the settings.",
        )
    _touch(paths)
    return _wait_until_ready(found, paths, start_timeout_seconds, on_progress)


def running(paths: ServerPaths | None = None) -> Endpoint | None:
    """The server that runs and answers, or None; one that is still loading does not count."""
    paths = paths or state.default_paths()
    found = state.load(paths.state)
    if found is None:
        return None
    endpoint = endpoint_of(found)
    if endpoint is not None:
        _touch(paths)
    return endpoint


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


def canonical_name(model: str) -> str:
    """The name a model is served under: a local folder's full path, any other name as it is."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if (folder / "config.json").is_file() else model


def endpoint_of(found: ServerState) -> Endpoint | None:
    """The recorded server if it answers, with its window and what fits its cache; None while it loads."""
    window = probe.served_context_tokens(found.base_url, found.api_key, found.model)
    if window is None:
        return None
    capacity = probe.capacity(found.base_url)
    return Endpoint(
        found.base_url,
        found.api_key,
        found.model,
        window,
        capacity.tokens if capacity else None,
        capacity.max_concurrency if capacity else None,
    )


def died(code: int | None, paths: ServerPaths) -> ServeError:
    """The error for a server that ended, with the end of its log."""
    with_code = "" if code is None else f" with code {code}"
    return ServeError(f"The model server ended{with_code}. The end of its log, {paths.log}:\n{log_tail(paths.log)}")


def state_of(
    pid: int, model: str, options: ServeOptions, launch: Launch, *, in_foreground: bool = False
) -> ServerState:
    """The record of a server whose supervisor is the process ``pid``."""
    return ServerState(
        pid,
        state.process_started(pid) or "",
        launch.base_url,
        model,
        launch.api_key,
        options.recorded(),
        in_foreground,
    )


def _mismatch(found: ServerState, model: str, options: ServeOptions) -> str:
    """Why the server that runs is not the wished one, in words; empty where it is."""
    if found.model != model:
        return f"{model} is wanted"
    if found.in_foreground:
        return ""
    return "; ".join(differences(found.options, options))


def _make_way(
    model: str, options: ServeOptions, paths: ServerPaths, timeout_seconds: float, on_progress: OnProgress | None
) -> ServerState | None:
    """The wished server if another command has started it meanwhile; any other is ended once it is idle."""
    found = state.load(paths.state)
    if found is None or not (why := _mismatch(found, model, options)):
        return found
    started = still_since = time.monotonic()
    last = probe.activity(found.base_url)
    while time.monotonic() - still_since < _STILL_SECONDS and found.is_alive:
        waited_seconds = time.monotonic() - started
        if waited_seconds > timeout_seconds:
            raise ServeError(
                f"The server of {found.model} has been busy for {waited_seconds:.0f} s and is to be replaced ({why}): "
                "wait, or run `graphreader stop`."
            )
        if on_progress is not None:
            on_progress("server", int(waited_seconds), 0, f"waiting for {found.model} to finish: {why}")
        time.sleep(_POLL_SECONDS)
        now = probe.activity(found.base_url)
        if now is not None and (now != last or now.requests):
            last, still_since = now, time.monotonic()
    if on_progress is not None:
        on_progress("note", 0, 0, f"The server of {found.model} is replaced: {why}.")
    stop(paths)
    return None


def _start(
    model: str, options: ServeOptions, launch: Launch, paths: ServerPaths, idle_timeout_seconds: float
) -> ServerState:
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
    made = state_of(int(started.stdout), model, options, launch)
    state.save(made, paths.state)
    return made


def _wait_until_ready(
    found: ServerState, paths: ServerPaths, timeout_seconds: float, on_progress: OnProgress | None
) -> Endpoint:
    started = time.monotonic()
    while True:
        # The models are listed only when the engine is up; health tells that it still is.
        if probe.is_healthy(found.base_url) and (endpoint := endpoint_of(found)) is not None:
            return endpoint
        if not found.is_alive:
            raise died(None, paths)
        waited_seconds = time.monotonic() - started
        if waited_seconds > timeout_seconds:
            raise ServeError(
                f"The model server is not ready after {waited_seconds:.0f} s. It goes on loading: try again, or raise "
                f"serve.start_timeout_seconds. The end of {paths.log}:\n{log_tail(paths.log)}"
            )
        if on_progress is not None:
            on_progress("server", int(waited_seconds), 0, log_tail(paths.log, lines=1))
        time.sleep(_POLL_SECONDS)


def _touch(paths: ServerPaths) -> None:
    """Tell the supervisor that somebody is here."""
    with suppress(FileNotFoundError):
        os.utime(paths.state)
