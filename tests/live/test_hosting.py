"""A server beyond the native window with int8 weights, on a real vLLM: what was planned, a crash, a killed parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable

import pytest

from graphreader.serve import launch, server, state
from graphreader.serve.options import ServeOptions
from graphreader.serve.server import Endpoint
from graphreader.serve.state import ServerPaths

SMALL_MODEL = "smollm2-135m-instruct"
OPTIONS = ServeOptions(context_tokens=12_288, rope="yarn", quantization="int8", kv_cache_gib=1, ngram_tokens=4)
START_TIMEOUT_SECONDS = 900.0


def completion(endpoint: Endpoint, prompt: str) -> str:
    body = {"model": endpoint.model, "prompt": prompt, "temperature": 0, "max_tokens": 8}
    request = urllib.request.Request(
        f"{endpoint.base_url}/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as response:
        return str(json.load(response)["choices"][0]["text"])


def descendants(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listing.splitlines())}
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += sorted(frontier)
    return found


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def none_lives(pids: list[int]) -> bool:
    return all(state.process_started(pid) is None for pid in pids)


def test_planned_served_crashed_and_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = ServerPaths(tmp_path_factory.mktemp("hosting"))
    try:
        planned = launch.dry_run(SMALL_MODEL, OPTIONS).plan
        started = {"paths": paths, "start_timeout_seconds": START_TIMEOUT_SECONDS}
        endpoint = server.ensure_running(SMALL_MODEL, OPTIONS, **started)  # type: ignore[arg-type]
        assert endpoint.max_model_len == planned.max_model_len == 12_288
        assert endpoint.capacity_tokens == planned.capacity_tokens
        assert endpoint.max_concurrency == pytest.approx(planned.max_concurrency)
        text = "The capital of France is"
        first = completion(endpoint, text)
        assert "Paris" in first
        assert len(completion(endpoint, "The river runs past the mill. " * 1300)) > 0  # some 9,000 tokens

        found = state.load(paths.state)
        assert found is not None
        before = descendants(found.pid)
        os.kill(before[-1], signal.SIGKILL)  # the worker, deepest of all
        assert eventually(lambda: state.load(paths.state) is not None and _restarts(paths) == 1, 120)
        again = server.ensure_running(SMALL_MODEL, OPTIONS, **started)  # type: ignore[arg-type]
        assert again == endpoint
        assert completion(again, text) == first
        assert none_lives(before)

        family = [found.pid, *descendants(found.pid)]
        assert len(family) >= 3
        os.kill(found.pid, signal.SIGKILL)
        assert eventually(lambda: none_lives(family), 60)
        assert server.running(paths) is None
    finally:
        server.stop(paths)


def _restarts(paths: ServerPaths) -> int:
    found = state.load(paths.state)
    return found.restarts if found is not None else -1
