"""``graphreader evaluate`` and ``report`` as a user runs them: kills, interruptions, the last line, exit codes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import by_step
from scripted_server import KEY, scripted_server

from .conftest import SCRIPT

QUESTIONS = 10
#: A machine that runs the tests may be busy with something else.
TIMEOUT_SECONDS = 240


def write_dataset(questions: int = QUESTIONS) -> None:
    Path("mill.md").write_text("# Mill\n\nThe tide mill at Orrin was built by Ada Brandt.\n", encoding="utf-8")
    rows = [
        {"id": f"q{number}", "document": "mill.md", "question": f"Who built mill {number}?", "answer": "Ada Brandt"}
        for number in range(questions)
    ]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "graphreader", *arguments]


def environment(base_url: str) -> dict[str, str]:
    return os.environ | {
        "GRAPHREADER_MODEL__BASE_URL": base_url,
        "GRAPHREADER_MODEL__NAME": "scripted",
        "GRAPHREADER_MODEL__API_KEY": KEY,
        "GRAPHREADER_MODEL__RETRIES": "0",
        "GRAPHREADER_SEARCH__EMBEDDER": "none",
    }


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server that takes a moment for each reply, and the steps it was asked for."""

    def script(prompt: str, schema: Any) -> Any:
        time.sleep(0.05)
        return by_step(SCRIPT)(prompt, schema)

    steps: list[str] = []
    write_dataset()
    with scripted_server(script, steps) as base_url:
        yield base_url, steps


EVALUATE = ("evaluate", "questions.jsonl", "--mode", "search,closed-book", "--concurrency", "2", "--out", "run")


def lines() -> list[dict[str, Any]]:
    path = Path("run/records.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_run_that_is_killed_again_and_again_loses_and_repeats_nothing(server: tuple[str, list[str]]) -> None:
    base_url, steps = server
    rng = random.Random(5)
    before: list[str] = []
    kills = 0
    for turn in range(6):
        running = subprocess.Popen(
            command(*EVALUATE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(base_url)
        )
        started, known = time.monotonic(), len(before)
        patience = rng.uniform(0.0, 0.1)
        while running.poll() is None and turn < 3 and time.monotonic() - started < TIMEOUT_SECONDS:
            path = Path("run/records.jsonl")
            if path.exists() and path.read_bytes().count(b"\n") > known:
                time.sleep(patience)
                running.kill()
                break
            time.sleep(0.005)
        output, errors = running.communicate(timeout=TIMEOUT_SECONDS)
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL, errors
        kills += 1
        held = Path("run/records.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        assert held[: len(before)] == before
        before = held
    assert running.returncode == 0, errors
    assert kills >= 2
    rows = lines()
    assert Counter((row["id"], row["mode"]) for row in rows) == Counter(
        (f"q{number}", mode) for number in range(QUESTIONS) for mode in ("search", "closed-book")
    )
    assert not any(row["error"] for row in rows)
    assert json.loads(output.splitlines()[-1])["modes"]["search"]["n"] == QUESTIONS
    # What was under way at a kill is asked again, at most: two questions each time.
    assert 2 * QUESTIONS <= len(steps) <= 2 * QUESTIONS + 2 * kills


def test_an_interrupted_run_keeps_what_is_finished(server: tuple[str, list[str]]) -> None:
    base_url, _ = server
    running = subprocess.Popen(
        command(*EVALUATE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(base_url)
    )
    while not Path("run/records.jsonl").exists() or len(lines()) < 2:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=TIMEOUT_SECONDS)
    assert running.returncode == 130, errors
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert output == ""
    kept = lines()
    assert len(kept) >= 2
    assert sum(entry["n"] for entry in json.loads(Path("run/summary.json").read_text())["modes"].values()) == len(kept)
    done = subprocess.run(
        command(*EVALUATE), capture_output=True, text=True, env=environment(base_url), timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} of {2 * QUESTIONS} questions were asked before" in done.stderr
    assert lines()[: len(kept)] == kept
    assert len(lines()) == 2 * QUESTIONS


def test_the_last_line_is_json_and_the_report_is_written(server: tuple[str, list[str]]) -> None:
    base_url, _ = server
    write_dataset(3)
    done = subprocess.run(
        command(*EVALUATE), capture_output=True, text=True, env=environment(base_url), timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["out"] == "run"
    assert last["modes"]["search"]["scores"]["em"]["mean"] == 1.0
    assert "tokens/s" in done.stderr
    settings = json.loads(Path("run/settings.json").read_text(encoding="utf-8"))
    assert settings["identity"]["model"] == "scripted"
    assert settings["identity"]["settings"]["explore"]["max_seconds"] is None
    assert settings["versions"]["python"]
    assert KEY not in Path("run/settings.json").read_text(encoding="utf-8") + done.stdout + done.stderr
    made = subprocess.run(command("report", "run"), capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert made.returncode == 0, made.stderr
    written = json.loads(made.stdout.splitlines()[-1])
    assert Path(written["html"]).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(Path(written["json"]).read_text(encoding="utf-8"))["runs"]


@pytest.mark.parametrize("judge_key", [KEY, None])
def test_a_judge_elsewhere_gets_its_own_key_alone(server: tuple[str, list[str]], judge_key: str | None) -> None:
    base_url, _ = server
    write_dataset(3)
    own = {"GRAPHREADER_EVALUATE__JUDGE_API_KEY": judge_key} if judge_key else {}
    with scripted_server(lambda *_: {"verdict": "no"}) as judge_url:
        done = subprocess.run(
            command(*EVALUATE, "--judge-model", "scripted", "--judge-url", judge_url),
            capture_output=True,
            text=True,
            env=environment(base_url) | own,
            timeout=TIMEOUT_SECONDS,
        )
    assert done.returncode == 0, done.stderr
    rated = [row for row in lines() if row["mode"] == "search" and "lr1" in row["scores"]]
    assert len(rated) == (3 if judge_key else 0)
    assert KEY not in Path("run/settings.json").read_text(encoding="utf-8") + done.stdout + done.stderr


def test_a_server_of_our_own_is_not_taken_away_by_a_judge() -> None:
    write_dataset(3)
    given = {name: value for name, value in environment("").items() if not name.startswith("GRAPHREADER_MODEL__")}
    done = subprocess.run(
        command(*EVALUATE, "--judge-model", "other"), capture_output=True, text=True, env=given, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 2
    assert "--judge-url" in done.stderr
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "nowhere.jsonl", "--out", "run"], "nowhere.jsonl"),
        (["evaluate", "questions.jsonl", "--mode", "nonsense", "--out", "run"], "closed-book"),
        (["report", "nowhere"], "graphreader evaluate"),
    ],
)
def test_one_sentence_says_what_to_do(server: tuple[str, list[str]], arguments: list[str], words: str) -> None:
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(server[0]), timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_endpoint_that_is_not_there() -> None:
    write_dataset(3)
    done = subprocess.run(
        command(*EVALUATE),
        capture_output=True,
        text=True,
        env=environment("http://127.0.0.1:9/v1"),
        timeout=TIMEOUT_SECONDS,
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert lines() == []
