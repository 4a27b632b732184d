"""Hostile situations: several processes on one library, kills, interruptions, no room, no permission, files that go.

Each situation works in an empty folder on ``library.db`` and returns the decisive command, its due exit code, and what
else went wrong.
"""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import apsw

from benchmarks.consistency import counts_of, problems_of
from benchmarks.hostile_inputs import prose
from benchmarks.hostile_process import Finished, Running, finish, start, start_python

Result = tuple[Finished, int, tuple[str, ...]]
Situation = Callable[[Path, random.Random, float, float], Result]

_EMBEDDER = "all-MiniLM-L6-v2"
_SEARCHING = """
import sys, pathlib
from graphreader import GraphReader
count = 0
with GraphReader("library.db") as reader:
    while not pathlib.Path("stop").exists():
        count += len(reader.search(sys.argv[1 + count % 7], kind=("facts", "chunks", "pages")[count % 3]).found)
    print(count)
"""


def _documents(folder: Path, rng: random.Random, scale: float, count: int = 12) -> list[str]:
    folder.mkdir()
    for number in range(count):
        pieces = "\n\n".join(prose(rng, 20_000 + 400_000 * scale))
        (folder / f"report {number}.txt").write_text(pieces, encoding="utf-8")
    return [str(folder)]


def _index(work: Path, *sources: str, embedder: str = "none") -> Running:
    return start(["index", *sources, "--library", "library.db"], work, GRAPHREADER_SEARCH__EMBEDDER=embedder)


def _rows(library: Path, table: str) -> Callable[[], bool]:
    """Whether the table has rows yet; looked at from outside."""

    def has_rows() -> bool:
        if not library.exists():
            return False
        db = apsw.Connection(str(library), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None
        except apsw.Error:
            return False
        finally:
            db.close()

    return has_rows


def _missing(work: Path, sources: list[str], limit_seconds: float, embedder: str = "none") -> list[str]:
    """What a library that was made at one go has and ``library.db`` has not."""
    whole = work / "whole.db"
    running = start(["index", *sources, "--library", str(whole)], work, GRAPHREADER_SEARCH__EMBEDDER=embedder)
    finish(running, limit_seconds)
    expected, found = counts_of(whole), counts_of(work / "library.db")
    return [f"{found[table]} of {count} {table}" for table, count in expected.items() if found[table] != count]


def two_indexers(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """Two commands index the same folder into a new library at once."""
    sources = _documents(work / "in", rng, scale)
    both = [_index(work, *sources), _index(work, *sources)]
    first, second = (finish(running, limit_seconds) for running in both)
    wrong = [f"the other one: exit code {first.exit_code}: {first.last_line}"] if first.exit_code else []
    return second, 0, (*wrong, *_missing(work, sources, limit_seconds))


def two_indexers_overlapping(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """One command indexes a folder, another a folder within it, while a third removes what they put."""
    sources = _documents(work / "in", rng, scale)
    inner = _documents(work / "in" / "inner", rng, scale)
    both = [_index(work, *sources), _index(work, *inner)]
    both[0].until(_rows(work / "library.db", "documents"), limit_seconds)
    finish(start(["remove", "report 0.txt", "--library", "library.db"], work), limit_seconds)
    first, second = (finish(running, limit_seconds) for running in both)
    wrong = [f"the other one: exit code {first.exit_code}: {first.last_line}"] if first.exit_code else []
    return second, 0, tuple(wrong)


def removal_during_search(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """Documents are removed one after the other while another process searches without a pause."""
    finish(_index(work, *_documents(work / "in", rng, scale)), limit_seconds)
    words = (work / "in" / "report 0.txt").read_text(encoding="utf-8").split()
    questions = [" ".join(rng.sample(words, 5)) for _ in range(7)]
    searching = start_python(["-c", _SEARCHING, *questions], work)
    wrong = []
    for number in range(11):
        done = finish(start(["remove", f"report {number}.txt", "--library", "library.db"], work), limit_seconds)
        if done.exit_code:
            wrong.append(f"remove {number}: {done.last_line}")
    (work / "stop").touch()
    return finish(searching, limit_seconds), 0, tuple(wrong)


def files_that_vanish(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """Files are deleted, replaced and locked while their folder is being indexed."""
    sources = _documents(work / "in", rng, scale / 20, count=40)
    running = _index(work, *sources)
    running.until(_rows(work / "library.db", "documents"), limit_seconds)
    (work / "in" / "report 9.txt").unlink()  # the last but one in their order
    (work / "in" / "report 8.txt").write_text("Much shorter now.", encoding="utf-8")
    (work / "in" / "report 7.txt").unlink()
    (work / "in" / "report 7.txt").mkdir()
    (work / "in" / "report 6.txt").chmod(0)
    return finish(running, limit_seconds), 1, ()


def _killed(stage: str, table: str, embedder: str) -> Situation:
    def situation(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
        sources = _documents(work / "in", rng, scale)
        running = _index(work, *sources, embedder=embedder)
        wrong = []
        if running.until(_rows(work / "library.db", table), limit_seconds):
            running.process.kill()
        else:
            wrong.append("finished before it was killed")
        finish(running, limit_seconds)
        wrong += [f"after the kill: {problem}" for problem in problems_of(work / "library.db")]
        again = finish(_index(work, *sources, embedder=embedder), limit_seconds)
        return again, 0, (*wrong, *_missing(work, sources, limit_seconds, embedder))

    situation.__doc__ = f"Killed while {stage}, then indexed again."
    return situation


def interrupted(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """Ctrl-C while the graph is made; the same command then goes on to the end."""
    sources = _documents(work / "in", rng, scale)
    running = _index(work, *sources)
    running.until(_rows(work / "library.db", "fact_groups"), limit_seconds)
    running.process.send_signal(signal.SIGINT)
    done = finish(running, limit_seconds)
    wrong = [f"after Ctrl-C: {problem}" for problem in problems_of(work / "library.db")]
    again = finish(_index(work, *sources), limit_seconds)
    wrong += [f"again: {again.last_line}"] if again.exit_code else []
    return done, 130, (*wrong, *_missing(work, sources, limit_seconds))


def disk_full(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """No file may grow beyond one MB (as on a full disk); with room again the same command goes on to the end."""
    sources = _documents(work / "in", rng, scale)
    running = start(["index", *sources, "--library", "library.db"], work, max_file_bytes=1_000_000)
    done = finish(running, limit_seconds)
    wrong = [f"while full: {problem}" for problem in problems_of(work / "library.db")]
    again = finish(_index(work, *sources), limit_seconds)
    wrong += [f"again: {again.last_line}"] if again.exit_code else []
    return done, 1, (*wrong, *_missing(work, sources, limit_seconds))


def read_only_folder(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """The library's folder may not be written to; neither may a library that is there."""
    sources = _documents(work / "in", rng, 0.0, count=2)
    locked = work / "locked"
    locked.mkdir(mode=0o555)
    done = finish(start(["index", *sources, "--library", "locked/library.db"], work), limit_seconds)
    finish(_index(work, *sources), limit_seconds)
    (work / "library.db").chmod(0o444)
    second = finish(_index(work, *sources), limit_seconds)
    (work / "library.db").chmod(0o644)
    wrong = [] if second.exit_code == 1 else [f"a read-only library: exit code {second.exit_code}"]
    return done, 1, (*wrong, *(["a traceback"] if "Traceback" in second.stderr else []))


def many_processes(work: Path, rng: random.Random, scale: float, limit_seconds: float) -> Result:
    """Four processes index four folders into one library, another lists and searches it meanwhile."""
    folders = [_documents(work / f"in{number}", rng, scale / 4, count=4)[0] for number in range(4)]
    running = [_index(work, folder) for folder in folders]
    running[0].until(_rows(work / "library.db", "documents"), limit_seconds)
    asked: list[Finished] = []

    def ask() -> None:
        for _ in range(3):
            asked.append(finish(start(["documents", "--library", "library.db"], work), limit_seconds))
            asked.append(finish(start(["search", "mill", "--library", "library.db"], work), limit_seconds))

    asking = threading.Thread(target=ask)
    asking.start()
    done = [finish(one, limit_seconds) for one in running]
    asking.join()
    wrong = [f"exit code {one.exit_code}: {one.last_line}" for one in done[1:] if one.exit_code]
    wrong += [f"asked: {one.exit_code}: {one.last_line}" for one in asked if one.exit_code not in (0, 3)]
    return done[0], 0, tuple(wrong)


SITUATIONS: dict[str, Situation] = {
    "two_indexers": two_indexers,
    "two_indexers_overlapping": two_indexers_overlapping,
    "many_processes": many_processes,
    "removal_during_search": removal_during_search,
    "files_that_vanish": files_that_vanish,
    "killed_while_reading": _killed("the sources are read", "documents", "none"),
    "killed_while_linking": _killed("the graph is made", "fact_groups", "none"),
    "killed_while_embedding": _killed("vectors are made", "vector_blocks", _EMBEDDER),
    "interrupted": interrupted,
    "disk_full": disk_full,
    "read_only_folder": read_only_folder,
}
