"""The life of a server: started once, found again, ended when idle or told to, nothing left behind.

The server is a real process with vLLM's routes and no model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path

import pytest
from fake_server import FAKE, all_gone, eventually, plan, processes

from graphreader.errors import MissingDependencyError, ServeError
from graphreader.serve import foreground, launch, probe, server, state, supervisor
from graphreader.serve.modules import module_command
from graphreader.serve.options import ServeOptions
from graphreader.serve.state import ServerPaths


def test_started_found_again_and_stopped(paths: ServerPaths) -> None:
    seen: list[str] = []
    assert server.running(paths) is None
    endpoint = server.ensure_running(
        "tiny", paths=paths, plan=plan("slow"), on_progress=lambda stage, *_: seen.append(stage)
    )
    assert (endpoint.model, endpoint.max_model_len, endpoint.api_key) == ("tiny", 512, "key")
    assert (endpoint.capacity_tokens, endpoint.max_concurrency) == (1280, 2.5)
    assert "server" in seen
    assert paths.log.stat().st_mode & 0o077 == 0

    assert server.ensure_running("tiny", paths=paths, plan=plan("dies")) == endpoint
    assert server.running(paths) == endpoint

    found = state.load(paths.state)
    assert found is not None
    pids = [found.pid, *processes(paths)]
    assert server.stop(paths)
    assert all_gone(pids)
    assert not paths.state.exists()
    assert not server.stop(paths)


def test_it_outlives_the_command_that_started_it(paths: ServerPaths, tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(FAKE.parents[2])!r}, {str(Path(server.__file__).parents[2])!r}]\n"
        "import fake_server; from graphreader.serve import server, state\n"
        "server.ensure_running('tiny', paths=state.ServerPaths(Path(sys.argv[1])), plan=fake_server.plan())\n"
    )
    subprocess.run([sys.executable, str(script), str(paths.folder)], check=True, timeout=60)
    endpoint = server.running(paths)
    assert endpoint is not None
    assert endpoint.model == "tiny"


def test_two_commands_at_once_start_one_server(paths: ServerPaths) -> None:
    endpoints: list[server.Endpoint] = []
    threads = [
        threading.Thread(target=lambda: endpoints.append(server.ensure_running("tiny", paths=paths, plan=plan("slow"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(endpoints) == 4
    assert len(set(endpoints)) == 1


def test_a_server_that_dies_shows_the_end_of_its_log(paths: ServerPaths) -> None:
    with pytest.raises(ServeError, match="no such weights") as caught:
        server.ensure_running("tiny", paths=paths, plan=plan("dies"))
    assert str(paths.log) in str(caught.value)
    assert all_gone(processes(paths))
    assert server.running(paths) is None


def test_a_start_that_takes_too_long(paths: ServerPaths) -> None:
    with pytest.raises(ServeError, match=r"not ready after .* It goes on loading"):
        server.ensure_running("tiny", paths=paths, plan=plan("slow"), start_timeout_seconds=0.1)
    assert server.ensure_running("tiny", paths=paths, plan=plan("dies")).model == "tiny"


def test_another_model_takes_the_place_of_an_idle_one(paths: ServerPaths) -> None:
    said: list[str] = []
    server.ensure_running("tiny", paths=paths, plan=plan())
    old = processes(paths)
    endpoint = server.ensure_running(
        "other", paths=paths, plan=plan(), on_progress=lambda stage, done, total, detail: said.append(detail)
    )
    assert endpoint.model == "other"
    assert all_gone(old)
    assert any("waiting for tiny" in detail for detail in said)


def test_a_busy_server_is_not_replaced(paths: ServerPaths) -> None:
    endpoint = server.ensure_running("tiny", paths=paths, plan=plan("busy"))
    with pytest.raises(ServeError, match=r"tiny has been busy for .* `graphreader stop`"):
        server.ensure_running("other", paths=paths, plan=plan(), start_timeout_seconds=1.0)
    assert server.running(paths) == endpoint


def test_an_idle_server_ends(paths: ServerPaths) -> None:
    server.ensure_running("tiny", paths=paths, plan=plan(), idle_timeout_seconds=1.0)
    pids = processes(paths)
    assert eventually(lambda: all_gone(pids))
    assert eventually(lambda: not paths.state.exists())


def test_a_busy_server_does_not_end(paths: ServerPaths) -> None:
    server.ensure_running("tiny", paths=paths, plan=plan("busy"), idle_timeout_seconds=0.4)
    time.sleep(2.0)
    assert server.running(paths) is not None


def test_requests_keep_a_server_alive(paths: ServerPaths) -> None:
    endpoint = server.ensure_running("tiny", paths=paths, plan=plan(), idle_timeout_seconds=1.5)
    for _ in range(6):
        time.sleep(0.5)
        with urllib.request.urlopen(urllib.request.Request(endpoint.base_url + "/x", method="POST"), timeout=5):
            pass
    assert state.load(paths.state) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_supervisor_takes_the_server_with_it(paths: ServerPaths) -> None:
    server.ensure_running("tiny", paths=paths, plan=plan())
    found = state.load(paths.state)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    assert eventually(lambda: state.process_started(processes(paths)[1]) is None)
    assert server.running(paths) is None


def test_a_supervisor_leaves_nothing_of_a_stubborn_server(
    tmp_path: Path, paths: ServerPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_TERMINATE_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "_GROUP_GRACE_SECONDS", 0.5)
    stop, made = threading.Event(), plan("stubborn")("tiny", ServeOptions(), None, None)
    paths.folder.mkdir()
    order = supervisor.Order(made.command, made.environment, made.base_url, str(paths.log), str(paths.state), None)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(supervisor.supervise(order, stop)))
    thread.start()
    assert eventually(lambda: probe.is_healthy(made.base_url))
    stop.set()
    thread.join(20)
    assert codes == [-signal.SIGKILL]
    assert all_gone(processes(paths))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_supervisor_process_obeys_signals(paths: ServerPaths, number: signal.Signals) -> None:
    paths.folder.mkdir()
    made = plan()("tiny", ServeOptions(), None, None)
    order = supervisor.Order(made.command, made.environment, made.base_url, str(paths.log), str(paths.state), 60.0)
    started = subprocess.run(
        module_command(supervisor.__name__), input=json.dumps(asdict(order)), capture_output=True, text=True, check=True
    )
    pid = int(started.stdout)
    assert eventually(lambda: probe.is_healthy(made.base_url))
    os.kill(pid, number)
    assert eventually(lambda: all_gone([pid, *processes(paths)]))


def test_in_the_foreground_until_interrupted(paths: ServerPaths) -> None:
    lines: list[str] = []
    ready: list[server.Endpoint] = []

    def on_ready(endpoint: server.Endpoint) -> None:
        assert server.running(paths) == endpoint
        ready.append(endpoint)
        os.kill(os.getpid(), signal.SIGINT)

    foreground.serve_foreground("tiny", paths=paths, plan=plan(), on_ready=on_ready, on_line=lines.append)
    assert [endpoint.model for endpoint in ready] == ["tiny"]
    assert lines[0].startswith("worker")
    assert all_gone(processes(paths))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_the_foreground_a_death_is_an_error(paths: ServerPaths) -> None:
    with pytest.raises(ServeError, match=r"ended with code 3.*\n.*no such weights|no such weights"):
        foreground.serve_foreground("tiny", paths=paths, plan=plan("dies"), on_ready=print, on_line=lambda line: None)


def test_one_server_at_a_time(paths: ServerPaths) -> None:
    server.ensure_running("tiny", paths=paths, plan=plan())
    with pytest.raises(ServeError, match=r"A server of tiny runs already .*: run `graphreader stop`"):
        foreground.serve_foreground("tiny", paths=paths, plan=plan(), on_ready=print, on_line=lambda line: None)


def test_somebody_elses_server_at_the_port_is_told_apart(paths: ServerPaths) -> None:
    endpoint = server.ensure_running("tiny", paths=paths, plan=plan())
    with pytest.raises(ServeError, match="serves tiny, an-adapter, not other"):
        probe.served_context_tokens(endpoint.base_url, "key", "other")
    assert probe.served_context_tokens(endpoint.base_url, "wrong key", "tiny") is None


def test_without_vllm_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"vllm.*run `make setup`"):
        launch.plan_vllm("tiny", ServeOptions())


def test_capacity_is_summed_over_engines() -> None:
    line = 'vllm:cache_config_info{{engine="{}",kv_cache_max_concurrency="{}",kv_cache_size_tokens="{}"}} 1.0\n'
    text = "# TYPE vllm:cache_config_info gauge\n" + line.format(0, "2.5", "1280") + line.format(1, "2.0", "1024")
    assert probe.parse_capacity(text) == probe.Capacity(2304, 4.5)
    assert probe.parse_capacity(line.format(0, "None", "None")) is None
    assert probe.parse_capacity("vllm:num_requests_running 1.0\n") is None


def test_metrics_are_summed_over_engines() -> None:
    text = (
        "# HELP vllm:num_requests_running x\n"
        'vllm:num_requests_running{engine="0"} 2.0\nvllm:num_requests_running{engine="1"} 1.0\n'
        'vllm:num_requests_waiting_by_reason{reason="deferred"} 9.0\nvllm:num_requests_waiting 4.0\n'
        'vllm:prompt_tokens_total{a="b c"} 1.5e+03\nvllm:request_success_total{x="y"} 1.0\n'
    )
    assert probe.parse_metrics(text) == probe.Activity(7.0, 1501.0)


def test_the_idle_clock() -> None:
    clock = supervisor.IdleClock(10.0, started_seconds=0.0)
    assert not clock.is_over(600.0, None, 0.0)  # still loading
    assert not clock.is_over(601.0, probe.Activity(0, 0), 0.0)
    assert not clock.is_over(611.0, None, 0.0)  # silent for exactly the timeout
    assert clock.is_over(611.5, None, 0.0)
    assert not clock.is_over(612.0, probe.Activity(0, 5), 0.0)  # it worked meanwhile
    assert not clock.is_over(620.0, probe.Activity(0, 5), 1.0)  # a client announced itself
    assert not clock.is_over(631.0, probe.Activity(1, 5), 1.0)  # a request is under way
    assert clock.is_over(642.0, probe.Activity(0, 5), 1.0)


def test_a_server_that_never_answers_is_given_up() -> None:
    clock = supervisor.IdleClock(10.0, started_seconds=0.0)
    assert clock.is_over(3601.0, None, 0.0)
