"""Servers with vLLM's routes and no model, as real processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from graphreader.serve import state
from graphreader.serve.launch import Launch, MakeLaunch, free_port
from graphreader.serve.options import ServeOptions
from graphreader.serve.state import ServerPaths

FAKE = Path(__file__).parent / "graphreader" / "serve" / "fake_vllm.py"


def plan(*flags: str) -> MakeLaunch:
    """What ``launch.plan_vllm`` does, for the fake with these flags."""

    def make(model: str, options: ServeOptions, cache_folder: object, on_progress: object) -> Launch:
        port = options.port or free_port()
        line = [sys.executable, str(FAKE), str(port), model, *flags]
        return Launch(line, {**os.environ, "VLLM_API_KEY": "key"}, f"http://127.0.0.1:{port}/v1", "key")

    return make


def processes(paths: ServerPaths) -> list[int]:
    """The server and its worker, as it printed them."""
    line = next(line for line in paths.log.read_text().splitlines() if line.startswith("worker"))
    return [int(word) for word in line.split() if word.isdigit()]


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def all_gone(pids: list[int]) -> bool:
    return all(state.process_started(pid) is None for pid in pids)
