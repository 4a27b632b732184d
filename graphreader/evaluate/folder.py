"""The folder of a run: records that survive a kill at any moment, their traces, and the settings they were made with.

A record is written, flushed and synced before it counts; a line that a kill cut in half is dropped at the next start.
Records that finish meanwhile share one sync.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO, Any, Self

from graphreader.errors import GraphReaderError
from graphreader.evaluate.record import Record, line_of, record_of

try:
    import fcntl
except ImportError:  # Windows: two runs into one folder are not kept apart there.
    fcntl = None  # type: ignore[assignment]

RECORDS, SETTINGS, SUMMARY, TRACES = "records.jsonl", "settings.json", "summary.json", "traces"
_LOCK = ".lock"
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)
_MAX_NAME_CHARACTERS = 60

#: A record, and what its trace file is to hold.
_Finished = tuple[Record, Any]


def trace_path(case_id: str, mode: str) -> str:
    """Where the trace of a question is kept, relative to the folder: the same for the same question and mode."""
    digest = hashlib.sha256(case_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    name = _UNSAFE.sub("-", case_id).strip(".-")[:_MAX_NAME_CHARACTERS]
    return f"{TRACES}/{mode}/{name or 'question'}-{digest}.json"


def read_records(folder: Path) -> list[Record]:
    """The records of a run, in the order they were finished; a last line without its end is left out.

    Raises ``GraphReaderError`` for any other line that is no record.
    """
    path = folder / RECORDS
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    records: dict[tuple[str, str], Record] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = record_of(line.decode("utf-8"))
        except ValueError as error:
            problem = f"{path}, line {number} is no record ({error}). Remove the line; its question is asked again."
            raise GraphReaderError(problem) from error
        records[record.key] = record
    return list(records.values())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of the folder; empty where there is none. Raises ``GraphReaderError`` for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise GraphReaderError(f"{path} is not JSON ({error}). Name another folder.") from error
    if not isinstance(value, dict):
        raise GraphReaderError(f"{path} holds no object. Name another folder.")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file of the folder as a whole: there is the old one or the new one, come what may."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(_encoded(json.dumps(value, ensure_ascii=False, indent=2) + "\n"))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class RunFolder:
    """The folder of a run that is under way, held by this process alone. A context manager."""

    def __init__(self, path: Path) -> None:
        """Take the folder, made where absent. Raises ``GraphReaderError`` where another process has it."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock_file: IO[bytes] = (path / _LOCK).open("ab")
        except OSError as error:
            raise GraphReaderError(f"Cannot write to {path} ({error.strerror}). Name another folder.") from error
        try:
            if fcntl is not None:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock_file.close()
            raise GraphReaderError(
                f"Another process is evaluating into {path}: wait for its end, or name another folder."
            ) from error
        self._file: IO[bytes] | None = None
        self._thread: Thread | None = None
        self._queue: SimpleQueue[_Finished | None] = SimpleQueue()
        self._problem: Exception | None = None
        self._closed = False
        self._folders: set[Path] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def settle(self, identity: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Note what the records are made with, or hold it to what is noted. ``about`` is noted and not held to.

        Raises ``GraphReaderError`` that names what differs.
        """
        path = self.path / SETTINGS
        known = read_json(path)
        plain = json.loads(json.dumps(identity))
        if known and known.get("identity") != plain:
            changed = ", ".join(_differences(known.get("identity"), plain))
            raise GraphReaderError(
                f"{self.path} holds a run with other settings ({changed}). Name another folder with --out, or repeat "
                "the command it was made with."
            )
        write_json(path, {"identity": plain, **about})

    def drop_half_line(self) -> None:
        """Cut what a kill left unfinished at the end of the records."""
        path = self.path / RECORDS
        if not path.exists():
            return
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())

    def keep_only(self, records: Sequence[Record]) -> None:
        """Replace the records by these."""
        path = self.path / RECORDS
        new = path.with_name(f".{path.name}.new")
        with new.open("wb") as file:
            file.writelines(_encoded(f"{line_of(record)}\n") for record in records)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def put(self, record: Record, trace: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write a record and its trace soon; nothing once the folder is closed: that question is asked again.

        Raises ``GraphReaderError`` where an earlier one could not be written.
        """
        self._check()
        if self._closed:
            return
        if self._thread is None:
            self._file = (self.path / RECORDS).open("ab")
            self._thread = Thread(target=self._write_all, name="records")
            self._thread.start()
        self._queue.put((record, trace))

    def close(self) -> None:
        """Write what is left, and give the folder back. Raises ``GraphReaderError`` where it cannot be written."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock_file.close()
        self._check()

    def _check(self) -> None:
        if self._problem is not None:
            problem, self._problem = self._problem, None
            if not isinstance(problem, OSError):
                raise problem
            raise GraphReaderError(
                f"Cannot write to {self.path} ({problem.strerror}). Make room, then repeat the command: it goes on."
            ) from problem

    def _write_all(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            going = None not in batch
            try:
                self._write([finished for finished in batch if finished is not None])
            except Exception as error:  # else the thread would end without a word, and what follows be lost
                self._problem = error
                going = False

    def _write(self, batch: list[_Finished]) -> None:
        assert self._file is not None
        for record, trace in batch:
            path = self.path / record.trace
            if path.parent not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(path.parent)
            # Not synced: a trace explains a result, and the same run again makes it anew.
            path.write_bytes(_encoded(json.dumps(trace, ensure_ascii=False)))
        if batch:
            self._file.write(b"".join(_encoded(f"{line_of(record)}\n") for record, _ in batch))
            self._file.flush()
            os.fsync(self._file.fileno())


def _encoded(text: str) -> bytes:
    """JSON in UTF-8; a lone surrogate, which documents and replies may hold, as JSON's own escape for it."""
    return text.encode("utf-8", "backslashreplace")


def _differences(old: Any, new: Any, name: str = "") -> list[str]:  # noqa: ANN401 - JSON values
    """The names of what is not the same, with both values where they are short."""
    if isinstance(old, dict) and isinstance(new, dict):
        inner: Callable[[str], str] = lambda key: f"{name}.{key}" if name else key  # noqa: E731
        keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
        return [found for key in keys for found in _differences(old.get(key), new.get(key), inner(key))]
    short = all(len(str(value)) <= 40 for value in (old, new))
    return [f"{name}: {old} there, {new} here" if short else name]
