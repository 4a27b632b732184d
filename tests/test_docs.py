"""The README is true: its commands exist with their options, and its Python example runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import by_step
from scripted_server import KEY, scripted_server

from graphreader.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("command", [words for words in commands() if words[0] == "graphreader"], ids=" ".join)
def test_commands_and_their_options_exist(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphreader", command[1], "--help"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0
    for option in (word for word in command if word.startswith("--")):
        assert option in done.stdout


def test_every_command_is_in_the_readme() -> None:
    named = {words[1] for words in commands() if words[0] == "graphreader"}
    assert named == {command.callback.__name__ for command in app.registered_commands if command.callback is not None}


def test_make_targets_exist() -> None:
    for words in commands():
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE)


def test_folders_of_the_map_exist() -> None:
    for name in re.findall(r"^((?:graphreader|memory|prompts|examples|benchmarks)/\S*)", README, re.MULTILINE):
        assert (Path(__file__).parents[1] / name).exists()


def test_the_toml_example_is_valid() -> None:
    from graphreader import Settings

    Path("graphreader.toml").write_text(blocks("toml")[0], encoding="utf-8")
    assert Settings.load().index.max_chunk_tokens == 2000


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A document as the examples name it, and a model that answers them."""
    Path("annual.md").write_text("# Tides\n\nThe tide mill was built by Ada Brandt in 1802.\n", encoding="utf-8")
    steps = by_step(
        {"answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"}, "extract": {"facts": []}}
    )

    def script(prompt: str, schema: Any) -> Any:
        if "anyOf" not in schema:
            return steps(prompt, schema)
        return {"function": "answer_from_documents", "question": "Who built the tide mill?"}

    with scripted_server(script) as base_url:
        for name, value in {"BASE_URL": base_url, "NAME": "scripted", "API_KEY": KEY}.items():
            monkeypatch.setenv(f"GRAPHREADER_MODEL__{name}", value)
        monkeypatch.setenv("GRAPHREADER_SEARCH__EMBEDDER", "none")
        monkeypatch.setenv("GRAPHREADER_INDEX__FACTS", "phrases")
        yield


@pytest.mark.usefixtures("scripted")
def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "1 documents, 0 failures" in printed
    assert "Ada Brandt True" in printed
    assert "Tides 1" in printed


@pytest.mark.usefixtures("scripted")
def test_the_conversation_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[1], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "Ada Brandt" in printed
    assert "The tide mill was built by Ada Brandt in 1802." in printed
