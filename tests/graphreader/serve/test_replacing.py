"""Which server a command takes: the one that runs, another in its place, or a user's own as it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_server import FAKE, all_gone, eventually, plan, processes

from graphreader.errors import ServeError
from graphreader.serve import foreground, launch, server, state
from graphreader.serve.options import ServeOptions, differences
from graphreader.serve.state import ServerPaths

LONG = ServeOptions(context_tokens=32_768)


def test_other_options_take_the_place_of_an_idle_server(paths: ServerPaths) -> None:
    said: list[tuple[str, str]] = []
    first = server.ensure_running("tiny", paths=paths, plan=plan())
    old = processes(paths)
    second = server.ensure_running(
        "tiny",
        LONG,
        paths=paths,
        plan=plan(),
        on_progress=lambda stage, done, total, detail: said.append((stage, detail)),
    )
    assert second.base_url != first.base_url
    assert all_gone(old)
    assert ("note", "The server of tiny is replaced: context tokens unset, not 32768.") in said
    assert server.ensure_running("tiny", LONG, paths=paths, plan=plan("dies")) == second


def test_a_wished_port_may_be_that_of_the_server_in_the_way(paths: ServerPaths) -> None:
    port = launch.free_port()
    first = server.ensure_running("tiny", ServeOptions(port=port), paths=paths, plan=plan())
    second = server.ensure_running("tiny", replace(LONG, port=port), paths=paths, plan=plan())
    assert first.base_url == second.base_url == f"http://127.0.0.1:{port}/v1"


def test_a_wished_port_that_others_use(paths: ServerPaths) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        options = ServeOptions(port=listener.getsockname()[1])
        with pytest.raises(ServeError, match=r"is in use.*use --port \d+, or leave --port out"):
            server.ensure_running("tiny", options, paths=paths, plan=plan())
        with pytest.raises(ServeError, match=r"is in use.*use --port \d+"):
            foreground.serve_foreground("tiny", options, paths=paths, plan=plan(), on_ready=print, on_line=print)
    assert server.running(paths) is None


def test_a_busy_server_keeps_its_options(paths: ServerPaths) -> None:
    endpoint = server.ensure_running("tiny", paths=paths, plan=plan("busy"))
    with pytest.raises(ServeError, match=r"busy for .* to be replaced \(context tokens unset, not 32768\)"):
        server.ensure_running("tiny", LONG, paths=paths, plan=plan(), start_timeout_seconds=1.0)
    assert server.running(paths) == endpoint


def test_a_server_recorded_without_options_is_replaced(paths: ServerPaths) -> None:
    first = server.ensure_running("tiny", paths=paths, plan=plan())
    found = state.load(paths.state)
    assert found is not None
    state.save(state.ServerState(found.pid, found.pid_started, found.base_url, found.model, found.api_key), paths.state)
    assert server.ensure_running("tiny", paths=paths, plan=plan()).base_url != first.base_url


def test_every_option_counts() -> None:
    recorded = ServeOptions().recorded()
    assert differences(recorded, ServeOptions()) == []
    for name, value in recorded.items():
        assert len(differences(recorded | {name: "another"}, ServeOptions())) == 1, (name, value)
    with_adapter = ServeOptions(lora_modules=(("law", "/law"),))
    assert differences(with_adapter.recorded(), with_adapter) == []


def in_foreground(paths: ServerPaths, *flags: str) -> subprocess.Popen[str]:
    script = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(FAKE.parents[2])!r}, {str(Path(server.__file__).parents[2])!r}]\n"
        "import fake_server; from graphreader.serve import foreground, state\n"
        "foreground.serve_foreground('tiny', paths=state.ServerPaths(Path(sys.argv[1])),\n"
        "    plan=fake_server.plan(*sys.argv[2:]), on_line=print,\n"
        "    on_ready=lambda endpoint: print('ready', endpoint.max_model_len, flush=True))\n"
    )
    line = [sys.executable, "-c", script, str(paths.folder), *flags]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until_ready(serving: subprocess.Popen[str]) -> None:
    assert serving.stdout is not None
    for line in serving.stdout:
        if line == "ready 512\n":
            return
    raise AssertionError("it ended before it was ready")


def test_a_users_own_server_is_taken_as_it_is(paths: ServerPaths) -> None:
    said: list[tuple[str, str]] = []
    with in_foreground(paths) as serving:
        until_ready(serving)
        endpoint = server.ensure_running(
            "tiny",
            LONG,
            paths=paths,
            plan=plan("dies"),
            on_progress=lambda stage, done, total, detail: said.append((stage, detail)),
        )
        assert endpoint == server.running(paths)
        assert [stage for stage, detail in said if "context tokens unset, not 32768" in detail] == ["note"]
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=30)
    assert serving.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_end_of_the_foreground_is_the_end_of_all(paths: ServerPaths, number: signal.Signals) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        pytest.skip("only Linux tells a child of its parent's death")
    with in_foreground(paths) as serving:
        until_ready(serving)
        vllm = processes(paths)[1]
        serving.send_signal(number)
        serving.communicate(timeout=30)
    assert serving.returncode == (-number if number == signal.SIGKILL else 0)
    # Killed, it cannot end the worker of the fake; a real engine watches its parent, which a live test shows.
    assert eventually(lambda: all_gone([vllm] if number == signal.SIGKILL else processes(paths)))
    if number == signal.SIGKILL:
        os.kill(processes(paths)[0], signal.SIGKILL)
    assert server.running(paths) is None
