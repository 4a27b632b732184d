"""``graphreader chat`` as a user runs it, piped and on a terminal, against a real endpoint that follows a script."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakes import by_step
from scripted_server import KEY, scripted_server

TIDES = "# Tides\n\nThe tide mill at Orrin was built by Ada Brandt in 1802. Ada Brandt was born in Lowick.\n"


def kind(prompt: str, _schema: Any) -> Any:
    sentence = prompt.splitlines()[-1]
    told = {"I am": "about_user", "Thanks": "talk"}
    return {"kind": next((kind for start, kind in told.items() if sentence.startswith(start)), "documents")}


SCRIPT: dict[str, Any] = {
    "kind": kind,
    "rewrite": lambda prompt, _: {"question": prompt.splitlines()[-1].removeprefix("Last question: ")},
    "answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"},
    "call": {"function": "send_message", "message": "Nice to\nmeet you, \u001b[31mAnna."},
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
        "GRAPHREADER_CHAT__GUIDED": "true",
        "GRAPHREADER_CHAT__MODE": "search",
        "TERM": "xterm-256color",
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "graphreader", "chat", *arguments]


def runner(base_url: str) -> Run:
    def run(lines: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        text = "".join(f"{line}\n" for line in lines)
        return subprocess.run(
            command(*arguments), input=text, capture_output=True, text=True, env=environment(base_url), timeout=60
        )

    return run


@pytest.fixture
def run() -> Iterator[Run]:
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    with scripted_server(by_step(SCRIPT)) as base_url:
        yield runner(base_url)


def test_piped_lines_are_answered_one_by_one_in_plain_text(run: Run) -> None:
    done = run(["I am Anna.", "", "Who built the tide mill?"], "tides.md")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Nice to\nmeet you, \ufffd[31mAnna.\n\nAda Brandt\n[1] Tides, page 1\n")
    assert "was built by Ada Brandt in 1802" in " ".join(done.stdout.split())
    assert "›" not in done.stdout
    assert "\x1b" not in done.stdout


def test_it_goes_on_where_it_stopped_and_each_name_has_a_memory_of_its_own(run: Run) -> None:
    run(["I am Anna."], "tides.md", "--as", "anna")
    shown = run(["/memory", "/recall anna", "/cost"], "--as", "anna").stdout
    assert "I am Anna." in shown
    assert "Over: Tides" in shown
    assert "  you\n    I am Anna." in shown
    assert "this session  0 model calls" in shown
    other = run(["/recall anna"], "--as", "bert").stdout
    assert other == "Nothing found.\n"
    assert Path(".graphreader/library.memory.db").exists()


def test_one_line_that_fails_costs_no_other_and_the_exit_code_tells(run: Run) -> None:
    done = run(
        ["/nonsense", "/recall", "/forget", "/help", "Who built the tide mill?", "/quit", "never said"], "tides.md"
    )
    assert done.returncode == 1
    assert "/nonsense" in done.stderr
    assert "Say which text to look for." in done.stderr
    assert "Say which text to forget." in done.stderr
    assert "/forget TEXT" in done.stdout
    assert "Ada Brandt" in done.stdout
    assert run(["/recall never"]).stdout == "Nothing found.\n"


def test_a_model_that_is_not_there_fails_the_lines_that_need_it(run: Run) -> None:
    run(["I am Anna."], "tides.md")
    done = runner("http://127.0.0.1:9/v1")(["Who built the tide mill?", "/recall Anna"])
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "I am Anna." in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_what_is_forgotten_is_said_and_gone(run: Run) -> None:
    run(["I am Anna Zanzibar.", "Thanks, Zanzibar is me.", *(f"Thanks for {n}." for n in range(12))], "tides.md")
    found = run(["/recall Thanks", "/more"]).stdout
    assert "3 more: /more" in found
    assert "Thanks, Zanzibar is me." in found
    done = run(["/forget zanzibar", "/recall zanzibar", "/forget zanzibar", "/memory"])
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("Deleted: 3 messages, 1 note (user)")
    assert rest[:2] == ["Nothing found.", "Nothing that is remembered holds this text."]
    files = b"".join(path.read_bytes() for path in Path(".graphreader").iterdir() if path.is_file())
    assert b"zanzibar" not in files.lower()


def test_secrets_are_not_kept(run: Run) -> None:
    run(["I am Anna.", "Who built the tide mill?"], "tides.md")
    assert not any(KEY.encode() in path.read_bytes() for path in Path(".graphreader").iterdir() if path.is_file())


@pytest.mark.parametrize(("content", "words"), [(b"no database " * 500, "library.memory.db"), (None, "newer")])
def test_a_memory_file_that_cannot_be_used_is_one_sentence(run: Run, content: bytes | None, words: str) -> None:
    run(["I am Anna."], "tides.md")
    path = Path(".graphreader/library.memory.db")
    if content is None:
        import apsw

        db = apsw.Connection(str(path))
        db.pragma("user_version", 99)
        db.close()
    else:
        path.write_bytes(content)
    done = run(["/memory"])
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


class Pty:
    """A program on a terminal of its own."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        pty = pytest.importorskip("pty")
        self.seen = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execvpe(arguments[0], arguments, env)

    def wait(self, text: str, seconds: float = 30.0) -> str:
        """What it writes up to ``text``."""
        end, start = time.monotonic() + seconds, len(self.seen)
        while text not in self.seen[start:]:
            assert time.monotonic() < end, f"{text!r} did not come: {self.seen[start:]!r}"
            if select.select([self.file], [], [], 0.1)[0]:
                with suppress(OSError):
                    piece = os.read(self.file, 65_536)
                    if b"\x1b[6n" in piece:
                        os.write(self.file, b"\x1b[1;1R")
                    self.seen += piece.decode(errors="replace")
        return self.seen[start:]

    def send(self, text: str) -> None:
        os.write(self.file, text.encode())

    def ends(self, seconds: float = 20.0) -> int:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(OSError):
                if select.select([self.file], [], [], 0.05)[0]:
                    self.seen += os.read(self.file, 65_536).decode(errors="replace")
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"it did not end: {self.seen!r}")


def test_on_a_terminal_a_reply_can_be_cancelled_and_lines_come_back() -> None:
    pytest.importorskip("prompt_toolkit", reason="the line editor is not installed")
    Path("tides.md").write_text(TIDES, encoding="utf-8")
    slow = True
    steps: list[str] = []

    def script(prompt: str, schema: Any) -> Any:
        if slow and steps[-1] == "answer":
            time.sleep(4)
        return by_step(SCRIPT)(prompt, schema)

    with scripted_server(script, steps) as base_url:
        typed = Pty(command("tides.md", "--as", "anna"), environment(base_url))
        typed.wait("›")
        typed.send("I am Anna.\r")
        typed.wait("No document was read")
        typed.wait("›")
        typed.send("Who built the tide mill?\r")
        typed.wait("answer_from_documents")
        while "answer" not in steps:
            time.sleep(0.05)
        typed.send("\x03")
        typed.wait("Nothing of it is kept.")
        slow = False
        typed.wait("›")
        typed.send("\x1b[A\r")  # the last line that is remembered
        typed.wait("No document was read")
        typed.wait("›")
        typed.send("/forget Anna\r")
        typed.wait("Delete?")
        typed.send("n\r")
        typed.wait("Nothing was deleted.")
        typed.wait("›")
        typed.send("half a line\x03")
        typed.wait("Ctrl-C again")
        typed.wait("›")
        typed.send("\x04")
        assert typed.ends() == 0
        done = runner(base_url)(["/recall tide mill", "/recall Anna"], "--as", "anna")
    assert "Who built" not in done.stdout
    assert done.stdout.count("I am Anna.") == 2
