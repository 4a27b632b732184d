"""A real vLLM with the small model, started once for all live tests; they skip where vLLM is not installed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from graphreader.serve import packaged, server, state
from graphreader.serve.server import Endpoint, ServeOptions, ServerPaths

SMALL_MODEL = "smollm2-135m-instruct"
_START_TIMEOUT_SECONDS = 900.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder, and skip it with the reason where it cannot run."""
    here, reason = Path(__file__).parent, _why_not()
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def _why_not() -> str:
    if find_spec("vllm") is None:
        return "vLLM is not installed"
    if packaged.missing_distributions(packaged.PACKAGED[SMALL_MODEL]):
        return f"{SMALL_MODEL} is not installed"
    return ""


@pytest.fixture(scope="session")
def server_paths(tmp_path_factory: pytest.TempPathFactory) -> ServerPaths:
    """Files of the test's own server: the user's, if one runs, is left alone. The converted weights are shared."""
    return ServerPaths(tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="session")
def endpoint(server_paths: ServerPaths) -> Iterator[Endpoint]:
    """A running server of the small model, with a window of 4,096 tokens; its end must leave no process behind."""
    options = ServeOptions(max_context_tokens=4096, kv_cache_gib=1)
    family: list[int] = []
    try:
        made = server.ensure_running(
            SMALL_MODEL, options, paths=server_paths, start_timeout_seconds=_START_TIMEOUT_SECONDS
        )
        yield made
        found = state.load(server_paths.state)
        assert found is not None, "the server ended during the tests"
        family = [found.pid, *_descendants(found.pid)]
        assert len(family) >= 3  # supervisor, vLLM's front end, its engine
    finally:
        server.stop(server_paths)
    assert [pid for pid in family if state.process_started(pid) is not None] == []


def _descendants(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [(int(child), int(parent)) for child, parent in (line.split() for line in listing.splitlines())]
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in pairs if parent in frontier}
        found += sorted(frontier)
    return found
