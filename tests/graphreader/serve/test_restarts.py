"""A server that dies: started again a few times if it had been ready, on the same port and with the same key."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from http.client import HTTPException

import pytest
from fake_server import all_gone, eventually, plan
from hypothesis import given
from hypothesis import strategies as st

from graphreader.errors import ServeError
from graphreader.serve import diagnose, server, state, supervisor
from graphreader.serve.options import ServeOptions
from graphreader.serve.state import ServerPaths
from graphreader.serve.supervisor import Order, RestartBudget


def kill(base_url: str) -> None:
    """As a crash of the engine does."""
    with pytest.raises((urllib.error.URLError, HTTPException, ConnectionError)):
        urllib.request.urlopen(urllib.request.Request(f"{base_url.removesuffix('/v1')}/die", method="POST"), timeout=5)


def starts(paths: ServerPaths) -> list[list[int]]:
    """The process ids of each start: worker, server."""
    lines = [line for line in paths.log.read_text().splitlines() if line.startswith("worker")]
    return [[int(word) for word in line.split() if word.isdigit()] for line in lines]


def test_a_dead_server_comes_back_where_it_was(paths: ServerPaths) -> None:
    endpoint = server.ensure_running("tiny", paths=paths, plan=plan())
    until_ready(paths, 1)
    kill(endpoint.base_url)
    assert eventually(lambda: len(starts(paths)) == 2)
    assert server.ensure_running("tiny", paths=paths, plan=plan("dies")) == endpoint
    assert all_gone(starts(paths)[0])
    found = state.load(paths.state)
    assert found is not None
    assert found.restarts == 1
    assert found.last_end.endswith("with code 7")
    assert "GraphReader: the server ended at" in paths.log.read_text()
    (check,) = [check for check in diagnose.checks("tiny", None, paths) if check.name == "model server"]
    assert check.status == "warn"
    assert f"started again 1 times, last after an end at {found.last_end}" in check.detail
    assert server.stop(paths)
    assert all_gone([pid for pids in starts(paths) for pid in pids])


def until_ready(paths: ServerPaths, count: int) -> None:
    """Until the supervisor has seen so many starts come to their end; what dies before is not started again."""
    assert eventually(lambda: paths.log.exists() and paths.log.read_text().count("the server is ready") == count)


def supervised(paths: ServerPaths, backoff_seconds: tuple[float, ...], *flags: str) -> tuple[threading.Thread, Order]:
    paths.folder.mkdir()
    made = plan(*flags)("tiny", ServeOptions(), None, None)
    order = Order(
        made.command, made.environment, made.base_url, str(paths.log), str(paths.state), None, backoff_seconds
    )
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.supervise(order, threading.Event())), daemon=True)
    thread.codes = codes  # type: ignore[attr-defined]
    thread.start()
    return thread, order


def test_restarts_are_bounded(paths: ServerPaths) -> None:
    thread, order = supervised(paths, (0.05, 0.05))
    for number in range(1, 4):
        until_ready(paths, number)
        kill(order.base_url)
    thread.join(20)
    assert thread.codes == [7]  # type: ignore[attr-defined]
    assert len(starts(paths)) == 3
    assert all_gone([pid for pids in starts(paths) for pid in pids])


def test_a_restart_that_fails_counts_and_ends_in_its_code(paths: ServerPaths) -> None:
    thread, order = supervised(paths, (0.05, 0.05), "brittle")
    until_ready(paths, 1)
    kill(order.base_url)
    thread.join(20)
    assert thread.codes == [3]  # type: ignore[attr-defined]
    assert len(starts(paths)) == 3


def test_a_server_that_never_was_ready_is_not_started_again(paths: ServerPaths) -> None:
    with pytest.raises(ServeError, match="no such weights"):
        server.ensure_running("tiny", paths=paths, plan=plan("dies"))
    assert len(starts(paths)) == 1


@given(st.lists(st.floats(0.0, 400.0), max_size=40))
def test_never_more_restarts_within_the_window_than_allowed(gaps_seconds: list[float]) -> None:
    budget, now_seconds, granted = RestartBudget((1.0, 5.0, 15.0)), 0.0, []
    for gap_seconds in gaps_seconds:
        now_seconds += gap_seconds
        wait_seconds = budget.wait_seconds(now_seconds)
        if wait_seconds is not None:
            granted.append(now_seconds)
            assert wait_seconds in (1.0, 5.0, 15.0)
    for first in granted:
        assert sum(first <= later <= first + 600.0 for later in granted) <= 4


def test_a_server_that_dies_seldom_is_always_started_again() -> None:
    budget = RestartBudget((1.0, 5.0, 15.0))
    assert [budget.wait_seconds(700.0 * number) for number in range(10)] == [1.0] * 10
    assert [budget.wait_seconds(10_000.0 + number) for number in range(4)] == [1.0, 5.0, 15.0, None]
