"""The state file, process identity and the lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from graphreader.errors import ServeError
from graphreader.serve import state
from graphreader.serve.locking import locked
from graphreader.serve.state import ServerState


def own_state(**changes: object) -> ServerState:
    values: dict[str, object] = {
        "pid": os.getpid(),
        "pid_started": state.process_started(os.getpid()),
        "base_url": "http://127.0.0.1:1/v1",
        "model": "tiny",
        "api_key": "key",
    }
    return ServerState(**(values | changes))  # type: ignore[arg-type]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "server.json"
    state.save(own_state(), path)
    assert state.load(path) == own_state()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["server.json"]


def test_a_process_id_given_to_another_process_is_no_server(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    state.save(own_state(pid_started="long ago"), path)
    assert state.load(path) is None


def test_a_dead_process_is_no_server(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    started = state.process_started(ended.pid)
    ended.wait()
    path = tmp_path / "server.json"
    state.save(own_state(pid=ended.pid, pid_started=started or ""), path)
    assert state.load(path) is None


def test_a_zombie_counts_as_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()  # until it ends; nobody has waited for it yet
        deadline = threading.Event()
        for _ in range(200):
            if state.process_started(ended.pid) is None:
                break
            deadline.wait(0.02)
        assert state.process_started(ended.pid) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_damaged_file_is_no_server(tmp_path: Path, text: str) -> None:
    path = tmp_path / "server.json"
    path.write_text(text)
    assert state.load(path) is None
    state.forget(path, 1)


def test_only_the_own_record_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    state.save(own_state(), path)
    state.forget(path, os.getpid() + 1)
    assert path.exists()
    state.forget(path, os.getpid())
    assert not path.exists()


def test_the_lock_is_for_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a" / "lock"
    waited: list[float] = []
    with (
        locked(path, 1.0),
        pytest.raises(ServeError, match="Another process has held"),
        locked(path, 0.3, waited.append),
    ):
        pass
    assert waited
    with locked(path, 0.0):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, time; from pathlib import Path; from graphreader.serve.locking import locked\n"
        "with locked(Path(sys.argv[1]), 5.0): print('held', flush=True); time.sleep(60)"
    )
    root = str(Path(state.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ServeError), locked(path, 0.0):
            pass
        holder.kill()
        holder.wait()
        with locked(path, 5.0):
            pass
