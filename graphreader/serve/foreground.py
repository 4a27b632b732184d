"""The local vLLM as a user runs it: in the foreground, until Ctrl-C. Other commands find it too."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graphreader.errors import ServeError
from graphreader.serve import probe, server, state, supervisor
from graphreader.serve.launch import Endpoint, MakeLaunch, OnProgress, checked_port, plan_vllm
from graphreader.serve.locking import locked
from graphreader.serve.logs import new_log
from graphreader.serve.options import ServeOptions
from graphreader.serve.state import ServerPaths, ServerState

_POLL_SECONDS = 0.3
_LOCK_TIMEOUT_SECONDS = 60.0


def serve_foreground(
    model: str,
    options: ServeOptions | None = None,
    *,
    on_ready: Callable[[Endpoint], None],
    on_line: Callable[[str], None],
    on_progress: OnProgress | None = None,
    cache_folder: Path | None = None,
    paths: ServerPaths | None = None,
    plan: MakeLaunch = plan_vllm,
) -> None:
    """Run the server until Ctrl-C or SIGTERM; call it from the main thread.

    ``on_line`` gets each line of its log, ``on_ready`` the endpoint once it answers, and again after a restart; both on
    other threads. Raises ``ServeError`` where a server runs already, the port is in use, or this one ends by itself,
    and what ``plan_vllm`` raises.
    """
    paths, model, options = paths or state.default_paths(), server.canonical_name(model), options or ServeOptions()
    _refuse_another(paths)  # before weights are converted
    if options.port is not None:
        checked_port(options.port)
    launch = plan(model, options, cache_folder, on_progress)
    with locked(paths.lock, _LOCK_TIMEOUT_SECONDS):
        _refuse_another(paths)
        new_log(paths.log)
        own = server.state_of(os.getpid(), model, options, launch, in_foreground=True)
        state.save(own, paths.state)
    order = supervisor.Order(
        launch.command, launch.environment, launch.base_url, str(paths.log), str(paths.state), None
    )
    stopping, anew = threading.Event(), threading.Event()
    follower = threading.Thread(target=_follow, args=(paths.log, own, stopping, anew, on_line, on_ready), daemon=True)
    with _signals_set(stopping):
        follower.start()
        code = supervisor.supervise(order, stopping, lambda _: anew.set())
    ended_by_itself = not stopping.is_set()
    stopping.set()
    follower.join(5.0)
    if ended_by_itself:
        raise server.died(code, paths)


def _refuse_another(paths: ServerPaths) -> None:
    if (other := state.load(paths.state)) is not None:
        raise ServeError(f"A server of {other.model} runs already ({other.base_url}): run `graphreader stop` first.")


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
    anew: threading.Event,
    on_line: Callable[[str], None],
    on_ready: Callable[[Endpoint], None],
) -> None:
    """Hand on the log's lines as they come, and say once for each start (``anew``) that the server answers."""
    said_ready = True
    with log.open(encoding="utf-8", errors="replace") as file:
        while True:
            last_round = stopping.is_set()
            while line := file.readline():
                on_line(line.rstrip("\n"))
            if last_round:
                return
            if anew.is_set():
                anew.clear()
                said_ready = False
            if not said_ready:
                said_ready = _say_ready(own, on_line, on_ready)
            stopping.wait(_POLL_SECONDS)


def _say_ready(own: ServerState, on_line: Callable[[str], None], on_ready: Callable[[Endpoint], None]) -> bool:
    """Whether there is nothing more to wait for: it answers, or somebody else does in its place."""
    if not probe.is_healthy(own.base_url):
        return False
    try:
        endpoint = server.endpoint_of(own)
    except ServeError as error:
        on_line(str(error))
        return True
    if endpoint is not None:
        on_ready(endpoint)
    return endpoint is not None
