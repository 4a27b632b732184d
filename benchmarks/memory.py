"""What memory costs: storing a turn, eight processes at once, searching 10,000 to 500,000 messages, bytes on disk.

    python -m benchmarks.memory [--turns 10000] [--sizes 10000 100000 500000] [--processes 8] [--seconds 10]

Made text of 15 to 60 words a message. Prints tables in Markdown; times of searches in milliseconds, the median of 15.
What is measured is the storage, with its index of words and vectors by chance of 384 dimensions; no model is called.
Each figure is of this machine, its disk and its load.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from memory.records import Item, Kind, Search, Shelf, Turn
from memory.sqlite import open_storage
from memory.storage import Place, Storage

_Run: TypeAlias = Callable[[Storage, int], object]
_NAME, _EMBEDDER, _DIMENSIONS = "ana", "chance", 384
_START = datetime(2024, 1, 1, tzinfo=UTC)
_WORDS_IN_ALL, _BATCH, _REPEATS = 30_000, 500, 15
_SYLLABLES = (
    "ba be bi bo da de di do fa fe ga go ka ke ki la le li lo ma me mi mo na ne no pa pe ra re ri sa se".split()
)


@lru_cache(maxsize=1)
def vocabulary() -> list[str]:
    """Made words, the frequent ones first and short."""
    chance = random.Random(1)
    return ["".join(chance.choices(_SYLLABLES, k=1 + (place > 50) + (place > 3000))) + (
        "" if place < 200 else chance.choice("xyz")) for place in range(_WORDS_IN_ALL)]  # fmt: skip


def messages(count: int, seed: int) -> Iterator[str]:
    """Made messages: words by Zipf's law, a number now and then, some Chinese."""
    words = np.array(vocabulary())
    chance = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(words) + 1)
    weights /= weights.sum()
    for number in range(count):
        chosen = chance.choice(words, size=int(chance.integers(15, 60)), p=weights)
        extra = f" 第{number}号检索记录" if number % 20 == 0 else f" {number}" if number % 5 == 0 else ""
        yield " ".join(chosen) + extra


def turn_of(texts: Sequence[str], first: int) -> Turn:
    """A turn of these messages, a minute apart."""
    items = [
        Item(Kind.REPLY if (first + place) % 2 else Kind.USER_MESSAGE, text, _START + timedelta(minutes=first + place))
        for place, text in enumerate(texts)
    ]
    return Turn(first, 0, tuple(items))


def fill(storage: Storage, count: int) -> int:
    """Store messages with vectors, many at once. Their bytes."""
    chance = np.random.default_rng(2)
    size, batch = 0, list[str]()
    for number, text in enumerate(messages(count, 3), start=1):
        batch.append(text)
        size += len(text.encode())
        if len(batch) == _BATCH or number == count:
            first = number - len(batch)
            storage.commit(_NAME, turn_of(batch, first))
            vectors = chance.standard_normal((len(batch), _DIMENSIONS))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            places: list[Place] = [(Shelf.RECALL, first + 1 + place) for place in range(len(batch))]
            storage.put_vectors(_NAME, _EMBEDDER, list(zip(places, vectors, strict=True)))
            batch = []
    return size


def measure_turns(folder: Path, turns: int) -> None:
    """Latency of storing a turn of two messages, one by one, and the bytes on disk afterwards."""
    storage = open_storage(folder / "turns.db")
    texts = list(messages(turns * 2, 4))
    times = []
    for number in range(turns):
        turn = turn_of(texts[number * 2 : number * 2 + 2], number * 2)
        started = time.perf_counter()
        storage.commit(_NAME, turn)
        times.append((time.perf_counter() - started) * 1000)
    storage.close()
    size = sum(file.stat().st_size for file in folder.glob("turns.db*"))
    text = sum(len(text.encode()) for text in texts)
    times.sort()
    _print("| turns | p50 ms | p95 ms | p99 ms | disk / text |", "|---|---|---|---|---|")
    p50, p95, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.95, 0.99))
    _print(f"| {turns:,} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {size / text:.2f} |", "")


def write_for(path: Path, me: int, seconds: float) -> None:
    """Store turns until the time is over; the count, and the 99th percentile, on standard output."""
    storage = open_storage(path)
    texts = list(messages(200, 100 + me))
    times: list[float] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        turn = turn_of([texts[len(times) % 100], texts[len(times) % 100 + 100]], 0)
        started = time.perf_counter()
        storage.commit(_NAME, turn)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    _print(f"{len(times)} {times[int(len(times) * 0.99)]:.2f}")


def measure_processes(folder: Path, processes: int, seconds: float) -> None:
    """Turns a second that several processes store for one agent, and whether all are there."""
    path = folder / "processes.db"
    open_storage(path).close()
    _print("| processes | turns/s | p99 ms | acknowledged | stored |", "|---|---|---|---|---|")
    before = 0
    for count in sorted({1, processes}):
        command = [sys.executable, "-m", "benchmarks.memory", "--write-for", str(seconds), "--path", str(path)]
        writers = [
            subprocess.Popen([*command, "--me", str(me)], stdout=subprocess.PIPE, text=True) for me in range(count)
        ]
        said = [writer.communicate()[0].split() for writer in writers]
        acknowledged = sum(int(one[0]) for one in said)
        storage = open_storage(path)
        stored = len(storage.numbers(_NAME, Shelf.RECALL, before + 1, 1 << 30)) // 2
        before = before + stored * 2
        storage.close()
        worst = max(float(one[1]) for one in said)
        _print(f"| {count} | {acknowledged / seconds:.0f} | {worst:.1f} | {acknowledged} | {stored} |")
    _print("")


def measure_search(folder: Path, sizes: Sequence[int]) -> None:
    """Times of each kind of search, and of opening, at growing sizes."""
    queries = searches()
    columns = [name for name, _ in queries]
    _print(f"| messages | first by meaning | {' | '.join(columns)} | forget one | disk / text |")
    _print("|---" * (len(columns) + 4) + "|")
    for size in sizes:
        path = folder / f"search-{size}.db"
        storage = open_storage(path)
        text = fill(storage, size)
        storage.close()
        storage = open_storage(path)
        # The first reads the vectors into memory.
        first, *cells = [_median(run, storage, size, 1 if place == 0 else _REPEATS)
                         for place, (_, run) in enumerate([queries[-1], *queries])]  # fmt: skip
        cells.append(_median(_forget, storage, size, 1))
        storage.close()
        ratio = sum(file.stat().st_size for file in folder.glob(f"{path.name}*")) / text
        _print(f"| {size:,} | {first} | {' | '.join(cells)} | {ratio:.2f} |")


def _find(**what: str | datetime) -> _Run:
    return lambda storage, _size: storage.find(_NAME, Search(Shelf.RECALL, **what))  # type: ignore[arg-type]


def _rare(storage: Storage, size: int) -> list[int]:
    return storage.find(_NAME, Search(Shelf.RECALL, phrase=f" {size // 20 * 10 + 5}"))


def _nearest(storage: Storage, size: int) -> list[int]:
    return storage.nearest(_NAME, Shelf.RECALL, _EMBEDDER, [1.0] + [0.0] * (_DIMENSIONS - 1), size, 30)


def _forget(storage: Storage, size: int) -> object:
    return storage.forget(_NAME, [size // 2])


def searches() -> list[tuple[str, _Run]]:
    """What is searched for, the last by meaning."""
    words = vocabulary()
    return [
        ("rare phrase", _rare),
        ("frequent syllable (scan)", _find(phrase=words[0])),
        ("within a word", _find(phrase=words[3500][1:])),
        ("two Chinese characters", _find(phrase="检索")),
        ("sign alone (scan)", _find(phrase="$")),
        ("five words, ranked", _find(words=" ".join(words[place] for place in (3, 40, 900, 4000, 9000)))),
        ("one day", _find(since=_START + timedelta(days=2), until=_START + timedelta(days=3))),
        ("meaning", _nearest),
    ]


def _median(run: _Run, storage: Storage, size: int, repeats: int) -> str:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run(storage, size)
        times.append((time.perf_counter() - started) * 1000)
    return f"{statistics.median(times):.1f}"


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000, 500_000])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the processes write")
    parser.add_argument("--folder", type=Path, help="where the files are made; its disk is what is measured")
    for hidden, kind in (("--write-for", float), ("--path", Path), ("--me", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write_for is not None:
        write_for(options.path, options.me, options.write_for)
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure_turns(Path(folder), options.turns)
        measure_processes(Path(folder), options.processes, options.seconds)
        measure_search(Path(folder), options.sizes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
