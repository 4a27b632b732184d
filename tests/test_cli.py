"""Whole commands as a user runs them, against a real HTTP endpoint that follows a script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fakes import by_step
from scripted_server import KEY, scripted_server

from graphreader.cli import app

TIDES = "# Tides\n\nThe tide mill at Orrin was built by Ada Brandt in 1802. Ada Brandt was born in Lowick.\n"
SCRIPT: dict[str, Any] = {
    "plan": {"steps": ["builder of the tide mill"]},
    "chunk": {"notes": [1], "action": "termination"},
    "neighbour": {"neighbour": 0},
    "answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"},
    "extract": {"facts": []},
}
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(base_url: str) -> dict[str, str]:
    return os.environ | {
        "GRAPHREADER_MODEL__BASE_URL": base_url,
        "GRAPHREADER_MODEL__NAME": "scripted",
        "GRAPHREADER_MODEL__API_KEY": KEY,
        "GRAPHREADER_MODEL__RETRIES": "0",
        "GRAPHREADER_SEARCH__EMBEDDER": "none",
        "GRAPHREADER_INDEX__FACTS": "phrases",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "graphreader", *arguments]


def runner(base_url: str) -> Run:
    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), capture_output=True, text=True, env=environment(base_url), timeout=60, **options
        )

    return run


@pytest.fixture
def run() -> Iterator[Run]:
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    with scripted_server(by_step(SCRIPT)) as base_url:
        yield runner(base_url)


@pytest.fixture
def run_unanswered() -> Iterator[Run]:
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    nothing = {"answer": {"excerpts": [], "answerable": "no", "answer": ""}}
    with scripted_server(by_step(SCRIPT | nothing)) as base_url:
        yield runner(base_url)


def test_ask_prints_answer_citations_and_cost(run: Run) -> None:
    done = run("ask", "Who built the tide mill?", "tides.md")
    assert done.returncode == 0, done.stderr
    assert "Ada Brandt" in done.stdout
    assert "[1] Tides, page 1" in done.stdout
    assert "was built by Ada Brandt in 1802" in " ".join(done.stdout.split())
    assert "model calls" in done.stdout
    assert "prompt tokens" in done.stdout
    assert "explorer 1" in done.stderr


def test_json_is_alone_on_stdout(run: Run) -> None:
    done = run("ask", "Who built the tide mill?", "tides.md", "--json", "--trace", "trace.json")
    answer = json.loads(done.stdout)
    assert answer["answer"] == "Ada Brandt"
    assert answer["citations"][0]["page"] == 1
    assert json.loads(Path("trace.json").read_text(encoding="utf-8"))["trace"] == answer["trace"]


def test_a_whole_document_is_read_or_refused_with_its_numbers(run: Run) -> None:
    done = run("ask", "Who built the tide mill?", "tides.md", "--mode", "full")
    assert done.returncode == 0, done.stderr
    assert "full · scripted · 1 model calls" in done.stdout
    Path("long.md").write_text("# Long\n\n" + "The ferry carried salt to the isle. " * 4000, encoding="utf-8")
    refused = run("ask", "What did the ferry carry?", "long.md", "--mode", "full")
    assert refused.returncode == 1
    assert "the window is 16,384" in " ".join(refused.stderr.split())
    part = run("ask", "What did the ferry carry?", "long.md", "--mode", "full", "--allow-part")
    assert part.returncode == 0, part.stderr
    assert "Only a part was read: Long" in " ".join(part.stdout.split())


def test_auto_says_what_it_chose_and_why(run: Run) -> None:
    done = run("ask", "Who built the tide mill?", "tides.md", "--mode", "auto", "--max-seconds", "5", "--json")
    answer = json.loads(done.stdout)
    assert answer["mode"] == "full"
    assert answer["trace"][0]["detail"]["reason"] == "the text is short"
    assert answer["trace"][0]["detail"]["max_seconds"] == 5


def test_exit_code_three_where_the_documents_do_not_say(run_unanswered: Run) -> None:
    done = run_unanswered("ask", "How deep is the well?", "tides.md", "--mode", "search")
    assert done.returncode == 3
    assert "The documents do not say." in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "Q?", "--mode", "guess"],
        ["index"],
        ["nonsense"],
        ["index", "x", "--facts", "some"],
        ["graph", "--question", "Who?"],
        ["graph", "--html", "g.html", "--output", "g.graphml"],
        ["graph", "--html", "g.html", "--nodes", "0"],
    ],
)
def test_exit_code_two_for_wrong_usage(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "Q?"], "graphreader index"),
        (["ask", "Q?", "nowhere.pdf"], "nowhere.pdf"),
        (["documents"], "graphreader index"),
        (["show", "x"], "graphreader index"),
    ],
)
def test_exit_code_one_with_one_sentence_that_says_what_to_do(run: Run, arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_endpoint_that_is_not_there(run: Run) -> None:
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    done = runner("http://127.0.0.1:9/v1")("ask", "Q?", "tides.md")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert KEY not in done.stderr + done.stdout


def test_a_wrong_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(by_step(SCRIPT)) as base_url:
        wrong = environment(base_url) | {"GRAPHREADER_MODEL__API_KEY": "wrong"}
        done = subprocess.run(command("ask", "Q?", "tides.md"), capture_output=True, text=True, env=wrong, timeout=60)
    assert done.returncode == 1
    assert "model.api_key" in done.stderr


def test_index_lists_what_failed_and_keeps_the_rest(run: Run) -> None:
    Path("broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    done = run("index", "tides.md", "broken.pdf")
    assert done.returncode == 1
    assert "1 document indexed" in done.stdout
    assert "broken.pdf" in done.stderr
    again = run("index", "tides.md")
    assert again.returncode == 0
    assert "0 documents indexed, 1 unchanged" in again.stdout


def test_index_reads_standard_input(run: Run) -> None:
    assert run("index", "-", input=TIDES).returncode == 0
    assert len(json.loads(run("documents", "--json").stdout)) == 1


def test_looking_at_a_library_and_removing_from_it(run: Run) -> None:
    run("index", "tides.md")
    rows = json.loads(run("documents", "--json").stdout)
    assert rows[0]["title"] == "Tides"
    assert "Tides" in run("documents").stdout
    assert "Tides" in run("show", "tides.md").stdout
    assert "Tides" in run("show", "tides.md", "--outline").stdout
    assert "ada brandt" in run("show", "tides.md", "--facts").stdout
    assert "built by Ada Brandt" in run("show", rows[0]["id"], "--page", "1").stdout
    assert "1 to 1" in run("show", rows[0]["id"], "--page", "9").stderr
    assert run("remove", "tides.md").returncode == 0
    assert json.loads(run("documents", "--json").stdout) == []
    assert run("remove", "tides.md").returncode == 1


def test_search_lists_evidence_without_a_model(run: Run) -> None:
    rows = json.loads(run("search", "Who built the mill?", "tides.md", "--json").stdout)
    assert {"rank", "score", "document", "title", "page", "start", "end", "text", "via"} <= rows[0].keys()
    assert TIDES[rows[0]["start"] : rows[0]["end"]] == rows[0]["text"]
    assert "built by Ada Brandt" in rows[0]["text"]
    assert len(json.loads(run("search", "Ada Brandt", "--top", "1", "--kind", "pages", "--json").stdout)) == 1
    shown = run("search", "Who built the mill?", "--explain").stdout
    assert "[1] Tides, page 1" in shown
    assert "built by Ada Brandt" in shown
    assert run("search", "zeppelin").returncode == 3


def test_the_graph_is_exported(run: Run) -> None:
    run("index", "tides.md")
    nodes = {node["id"]: node for node in json.loads(run("graph", "--format", "json").stdout)["nodes"]}
    assert nodes["ada brandt"]["label"] == "Ada Brandt"
    assert nodes["ada brandt"]["facts"] == 2
    assert run("graph", "--output", "out/graph.graphml").returncode == 0
    assert ElementTree.parse("out/graph.graphml").getroot().tag.endswith("graphml")


def test_the_graph_is_written_as_a_page(run: Run) -> None:
    run("index", "tides.md")
    done = run("graph", "--html", "out/tides.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "out/tides.html" in done.stderr
    page = Path("out/tides.html").read_text(encoding="utf-8")
    assert "<title>Tides</title>" in page
    assert "Ada Brandt was born in Lowick." in page
    question = "Where was Ada Brandt born?"
    assert run("graph", "--html", "q.html", "--question", question, "--document", "tides.md").returncode == 0
    assert f"<title>{question}</title>" in Path("q.html").read_text(encoding="utf-8")


def test_a_page_of_nothing_is_not_written(run: Run) -> None:
    run("index", "tides.md")
    done = run("graph", "--html", "q.html", "-q", "Xylophon?")
    assert done.returncode == 3
    assert "q.html was not written" in done.stderr
    assert not Path("q.html").exists()


def test_a_page_that_cannot_be_made(run: Run) -> None:
    assert "graphreader index" in run("graph", "--html", "g.html").stderr
    run("index", "tides.md")
    for arguments, words in (
        (["g.html", "--document", "nowhere.md"], "nowhere.md"),
        (["tides.md/g.html"], "tides.md/g.html"),
        (["g.html", "--question", " "], "empty"),
    ):
        done = run("graph", "--html", *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not Path("g.html").exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_question_goes_on_when_it_is_asked_again(stop: signal.Signals) -> None:
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    steps: list[str] = []
    slow = True

    def script(prompt: str, schema: Any) -> Any:
        if slow and steps[-1] == "answer":
            time.sleep(3)
        return by_step(SCRIPT)(prompt, schema)

    with scripted_server(script, steps) as base_url:
        asking = subprocess.Popen(
            command("ask", "Who built the tide mill?", "tides.md"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(base_url),
        )
        while "answer" not in steps:
            assert asking.poll() is None
            time.sleep(0.05)
        asking.send_signal(stop)
        _, errors = asking.communicate(timeout=20)
        assert "Traceback" not in errors
        if stop == signal.SIGINT:
            assert asking.returncode == 130
            assert "Interrupted" in errors
        slow = False
        before = len(steps)
        done = runner(base_url)("ask", "Who built the tide mill?", "tides.md")
        assert done.returncode == 0
        assert "resumed" in done.stderr
        assert steps[before:] == ["answer"]


def test_doctor_names_model_and_endpoint_and_hides_the_key(run: Run) -> None:
    done = run("doctor")
    assert "scripted" in done.stdout
    assert "http://127.0.0.1" in done.stdout
    assert KEY not in done.stdout + done.stderr
    checks = json.loads(run("doctor", "--json").stdout)
    assert {"name", "status", "detail", "mend"} == set(checks[0])


def test_every_command_has_help() -> None:
    for registered in app.registered_commands:
        assert registered.callback is not None
        name = registered.callback.__name__
        done = subprocess.run(command(name, "--help"), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0
        assert (registered.callback.__doc__ or "").split(".")[0].split()[0] in done.stdout
