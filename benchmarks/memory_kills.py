"""Kills a process at named points while an agent's turns are stored, and checks after each that nothing was lost.

    python -m benchmarks.memory_kills [--kills 200] [--seed 1]

A turn changes messages, an entry, a block and, when the queue is full, the summary. Each child process stores turns
until it kills itself at one of the points; what it had acknowledged by then must be there, and of no turn only a part.
Prints a table of kills by point. Needs ``fork`` and SIGKILL, so not on Windows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw

from memory import events
from memory.agent import Agent
from memory.forget import forget_text
from memory.loop import turn
from memory.records import Block, Item, Kind, PromptMessage, Schema, Search, Shelf, Turn
from memory.sqlite import open_storage
from memory.sqlite_schema import APPLICATION_ID, MIGRATIONS, Drawer, row_of
from memory.storage import Storage

NAME = "ana"
#: Where a child may be killed while it stores turns; a point is passed once or several times a turn, or less often.
POINTS = (
    "turn: before commit",
    "turn: between messages and summaries",
    "turn: after commit",
    "summary made",
    "vectors: before commit",
    "vectors: after commit",
    "forget: before commit",
    "forget: after commit",
)
MIGRATION_POINTS = ("migration: 1", "migration: 2", "migration: 3", "migration: before commit")
_FORGOTTEN_EVERY = 7
_MOST_PASSES = 5


class _Model:
    """Stores an entry and a block, then answers; all of it names the turn."""

    window_tokens = 1100

    def __init__(self) -> None:
        self.turn = 0
        self.asked = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) // 4 + 1 for text in texts]

    def count_prompt_tokens(self, messages: Sequence[PromptMessage]) -> int:
        return sum(self.count_tokens([message.content])[0] + 5 for message in messages)

    async def complete(self, _messages: Sequence[PromptMessage], *, schema: Schema, max_tokens: int) -> str:
        self.asked += 1
        old = f"turn {self.turn - 1}" if self.turn else "nothing yet"
        calls: list[dict[str, str]] = [
            {"function": "archival_insert", "text": f"entry of turn {self.turn}"},
            {"function": "working_replace", "block": "progress", "old": old, "new": f"turn {self.turn}"},
            {"function": "send_message", "message": f"answer to turn {self.turn}, " + "and so on " * 9},
        ]
        return json.dumps(calls[(self.asked - 1) % 3])


class _Embedder:
    name = "lengths"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[len(text) % 7 / 7, 1 - len(text) % 7 / 7] for text in texts]

    embed_queries = embed


def _agent(storage: Storage, model: _Model, reach: Callable[[str], None]) -> Agent:
    async def summarise(previous: str, messages: Sequence[str], max_tokens: int) -> str:
        reach("summary made")
        return f"{previous[-40:]} and {len(messages)} more"

    block = Block("progress", "nothing yet", 50)
    return Agent(NAME, storage, model, summarise, "Go on.", (block,), _Embedder(), reply_tokens=100)


def _dying(point: str, passes: int) -> Callable[[str], None]:
    """Kills this process when ``point`` is passed for the ``passes``-th time."""
    left = passes

    def reach(name: str) -> None:
        nonlocal left
        left -= name == point
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach


def store_turns(path: str, first_turn: int, point: str, passes: int) -> None:
    """Stores turns, acknowledging each, until killed. Every few turns the user has something forgotten."""
    reach = _dying(point, passes)
    storage = open_storage(Path(path), reach=reach)
    model = _Model()
    for number in range(first_turn, first_turn + 200):
        model.turn, model.asked = number, 0
        event = events.user_message(f"this is turn {number}, secret-{number};", datetime.now(UTC))
        asyncio.run(turn(_agent(storage, model, reach), event))
        _say({"turn": number})
        if number % _FORGOTTEN_EVERY == 0:
            forget_text(storage, NAME, f"secret-{number};")
            _say({"forgotten": number})


def open_older(path: str, point: str) -> None:
    """Opens an older file, to be killed on the way."""
    open_storage(Path(path), reach=_dying(point, 1))


def _say(what: dict[str, Any]) -> None:
    os.write(1, f"{json.dumps(what)}\n".encode())


def serve() -> None:
    """Fork a child for each job read from standard input, so that none has to import anything; say how it ended."""
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                store_turns(*job["arguments"]) if job["do"] == "turns" else open_older(*job["arguments"])
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _say({"ended": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


class Nursery:
    """A process that forks children."""

    def __enter__(self) -> Nursery:
        """Start it, from the folder that this file's package lies in."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.memory_kills", "--serve"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def killed(self, do: str, *arguments: str | int) -> list[dict[str, int]]:
        """Have a child do it until it is killed; what it said. Raises ``AssertionError`` if it was not killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps({'do': do, 'arguments': arguments})}\n")
        self._process.stdin.flush()
        said: list[dict[str, int]] = []
        for line in self._process.stdout:
            said.append(json.loads(line))
            if "ended" in said[-1]:
                assert said.pop() == {"ended": -signal.SIGKILL}, f"{do} {arguments} was not killed"
                return said
        raise AssertionError("the nursery ended")


@dataclass(slots=True)
class Acknowledged:
    """What the children have been told is stored, or gone."""

    turns: set[int] = field(default_factory=set)
    forgotten: set[int] = field(default_factory=set)

    def add(self, said: Sequence[dict[str, int]]) -> None:
        """Note what a child said."""
        self.turns.update(one["turn"] for one in said if "turn" in one)
        self.forgotten.update(one["forgotten"] for one in said if "forgotten" in one)


def check(path: Path, acknowledged: Acknowledged) -> int:
    """Check the file after a kill; the number of turns in it. Raises ``AssertionError`` for whatever is wrong."""
    db = apsw.Connection(str(path))
    assert db.pragma("integrity_check") == "ok"
    db.execute("INSERT INTO full_text (full_text) VALUES ('integrity-check')")
    db.close()
    storage = open_storage(path)
    state = storage.state(NAME)
    numbers = storage.numbers(NAME, Shelf.RECALL, 1, state.last_message)
    items = storage.items(NAME, Shelf.RECALL, numbers)
    replies = [item for item in items if item.kind is Kind.REPLY]
    turns = len(replies)
    _check_turns(storage, items, turns, acknowledged)
    assert [block.text for block in state.blocks] == ([f"turn {turns - 1}"] if turns else [])
    assert [item.number for item in state.queue] == [number for number in numbers if number > state.summary.through]
    through, previous = 0, 0
    for summary in storage.ledger(NAME):
        assert summary.previous == previous
        previous = summary.number
        if summary.first == through + 1:  # not one that was made anew after a deletion
            through = summary.through
        assert summary.through == through
    storage.close()
    return turns


def _check_turns(storage: Storage, items: Sequence[Item], turns: int, acknowledged: Acknowledged) -> None:
    replies = [item.text for item in items if item.kind is Kind.REPLY]
    assert [text.split(",")[0] for text in replies] == [f"answer to turn {number}" for number in range(turns)]
    assert acknowledged.turns <= set(range(turns)), "an acknowledged turn is lost"
    entries = storage.items(NAME, Shelf.ARCHIVAL, storage.numbers(NAME, Shelf.ARCHIVAL, 1, 1 << 30))
    assert [entry.text for entry in entries] == [f"entry of turn {number}" for number in range(turns)]
    for number in range(turns):
        found = storage.find(NAME, Search(Shelf.RECALL, phrase=f"secret-{number};"))
        gone = number in acknowledged.forgotten or (
            number == turns - 1 and number % _FORGOTTEN_EVERY == 0 and not found
        )
        assert len(found) == (0 if gone else 1), f"turn {number} is found {len(found)} times"
        if not found:
            acknowledged.forgotten.add(number)


def run(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill that many children, checking after each. The kills by point; a child that was not killed is an error."""
    chance = random.Random(seed)
    path, acknowledged, killed = folder / "memory.db", Acknowledged(), Counter[str]()
    turns = 0
    with Nursery() as nursery:
        while killed.total() < kills:
            if killed.total() % 6 == 5:
                point = chance.choice(MIGRATION_POINTS)
                _kill_migration(nursery, folder / f"old-{killed.total()}.db", point, chance)
            else:
                point = POINTS[killed.total() % len(POINTS)]
                passes = 1 if point.startswith(("forget", "summary")) else chance.randint(1, _MOST_PASSES)
                acknowledged.add(nursery.killed("turns", str(path), turns, point, passes))
                turns = check(path, acknowledged)
            killed[point] += 1
    return killed


def old_file(path: Path, texts: Sequence[str]) -> None:
    """A file of the first format, with messages."""
    db = apsw.Connection(str(path))
    MIGRATIONS[0](db)
    db.execute("INSERT INTO agents (id, name, last_message) VALUES (1, ?, ?)", (NAME, len(texts)))
    rows = [(row_of(1, Drawer.SAID, number), text) for number, text in enumerate(texts, start=1)]
    db.executemany("INSERT INTO items (id, kind, time, text) VALUES (?, 0, 0, ?)", rows)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;").fetchall()
    db.close()


def _kill_migration(nursery: Nursery, path: Path, point: str, chance: random.Random) -> None:
    texts = [f"message {chance.random()}" for _ in range(40)]
    fresh = point == "migration: 1"
    if not fresh:
        old_file(path, texts)
    nursery.killed("open", str(path), point)
    storage = open_storage(path)
    if fresh:
        storage.commit(NAME, Turn(0, 0, tuple(events.user_message(text, datetime.now(UTC)) for text in texts)))
    for number, text in enumerate(texts, start=1):
        assert storage.find(NAME, Search(Shelf.RECALL, phrase=text)) == [number]
    assert storage.state(NAME).last_message == len(texts)
    storage.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_kills", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        killed = run(Path(folder), options.kills, options.seed)
    sys.stdout.write("| killed at | times |\n|---|---|\n")
    sys.stdout.writelines(f"| {point} | {times} |\n" for point, times in sorted(killed.items()))
    sys.stdout.write(f"\n{killed.total()} kills: no acknowledged turn lost, none half there, no check failed.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
