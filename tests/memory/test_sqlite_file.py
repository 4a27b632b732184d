"""The file of memories: formats, damage, a full disk, growth."""

from __future__ import annotations

import os
import random
from pathlib import Path

import apsw
import pytest
from contract.library_contract import start_python
from memory_doubles import NOON, LetterEmbedder

from benchmarks.memory_kills import NAME, old_file
from memory.errors import (
    MemoryBusyError,
    MemoryDamagedError,
    MemoryDiskError,
    MemoryFileError,
    MemoryVersionError,
)
from memory.records import Item, Kind, Search, Shelf, Turn
from memory.sqlite import open_storage
from memory.storage import Storage

WORDS = (
    "the of and a to in he was that it his her with as had for she not at but be on they you have him is said all so "
    "tide harbour keeper ledger council island winter morning letter answer question garden mountain railway engine "
    "violin painter doctor summer kitchen window promise journey stranger village captain lantern weather machine"
).split()


def write(storage: Storage, *texts: str) -> None:
    state = storage.state("ana")
    messages = tuple(Item(Kind.USER_MESSAGE, text, NOON) for text in texts)
    storage.commit("ana", Turn(state.last_message, state.summary.number, messages))


def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    old_file(path, ["first of all", "检索", "third"])
    storage = open_storage(path)
    assert [item.text for item in storage.state(NAME).queue] == ["first of all", "检索", "third"]
    assert storage.find(NAME, Search(Shelf.RECALL, phrase="索")) == [2]
    assert storage.find(NAME, Search(Shelf.RECALL, words="third first")) == [3, 1]
    assert len(storage.without_vector(NAME, "m", 9)) == 3


def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    open_storage(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    db.close()
    before = path.read_bytes()
    with pytest.raises(MemoryVersionError, match="newer version"):
        open_storage(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(MemoryDamagedError, match="another program"):
        open_storage(path)


@pytest.mark.parametrize(
    "content", [b"not a database, but as long as one has to be " * 40, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "memory.db"
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match="damaged"):
        open_storage(path)
    assert path.read_bytes() == content


def test_a_damaged_file_is_an_error_and_never_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    storage = open_storage(path)
    for number in range(40):
        write(storage, f"message {number} " * 40)
    storage.purge()
    storage.close()
    whole = path.read_bytes()
    half = len(whole) // 2 // 4096 * 4096
    path.write_bytes(whole[:half] + b"\xa5" * (len(whole) - half))
    damaged = 0
    for attempt in (
        lambda one: one.state("ana"),
        lambda one: one.items("ana", Shelf.RECALL, list(range(1, 41))),
        lambda one: one.find("ana", Search(Shelf.RECALL, phrase="ssage 7")),
        lambda one: one.find("ana", Search(Shelf.RECALL, phrase=" ")),
    ):
        try:
            found = attempt(open_storage(path))
        except MemoryDamagedError:
            damaged += 1
        else:
            assert found, "damage must not look like nothing stored"
    assert damaged >= 2


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("here", encoding="utf-8")
    with pytest.raises(MemoryFileError, match="cannot be created"):
        open_storage(blocker / "memory.db")
    with pytest.raises(MemoryFileError, match=str(tmp_path)):
        open_storage(tmp_path)


_ON_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
from memory.errors import MemoryDiskError
from memory.records import Item, Kind, Turn
from memory.sqlite import open_storage
from memory_doubles import NOON
storage = open_storage(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
stored = 0
try:
    while True:
        text = f"message {stored} " + "filler " * 500
        storage.commit("ana", Turn(stored, 0, (Item(Kind.USER_MESSAGE, text, NOON),) * 2))
        stored += 2
except MemoryDiskError as error:
    assert "nothing was changed" in str(error), error
    assert storage.state("ana").last_message == stored
print(stored)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file sizes")
def test_a_full_disk_is_a_typed_error_and_the_state_before_it_intact(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    child = start_python(_ON_A_SMALL_DISK, str(path))
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    stored = int(output)
    assert stored > 10
    storage = open_storage(path)
    assert storage.state("ana").last_message == stored
    write(storage, "there is room again")
    assert storage.find("ana", Search(Shelf.RECALL, phrase="room again")) == [stored + 1]
    assert issubclass(MemoryDiskError, MemoryFileError)


def test_a_writer_that_never_ends_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    storage = open_storage(path, busy_timeout_seconds=0.1)
    write(storage, "before")
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(MemoryBusyError, match="Try again"):
        write(storage, "during")
    assert storage.state("ana").last_message == 1, "reading goes on"
    other.execute("ROLLBACK")
    write(storage, "after")
    assert [item.text for item in storage.state("ana").queue] == ["before", "after"]


def test_deletion_says_where_a_reader_keeps_the_old_bytes(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    storage = open_storage(path, busy_timeout_seconds=0.1)
    write(storage, "a secret", "more")
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN; SELECT * FROM items").fetchall()
    assert not storage.forget("ana", [1]).erased
    reader.execute("ROLLBACK")
    assert storage.purge()
    assert b"secret" not in b"".join(file.read_bytes() for file in tmp_path.glob("memory.db*"))


def test_closed_is_closed(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "memory.db")
    storage.close()
    with pytest.raises(MemoryFileError, match="closed"):
        storage.state("ana")


def test_bytes_on_disk_are_at_most_three_times_the_text(tmp_path: Path) -> None:
    """Of 10,000 turns, stored fifty at once to be quick; ``benchmarks.memory`` stores them one by one."""
    chance = random.Random(5)
    storage = open_storage(tmp_path / "memory.db")
    text_bytes = 0
    for batch in range(200):
        messages = []
        for number in range(batch * 50, batch * 50 + 50):
            question = f"{' '.join(chance.choices(WORDS, k=20))} {number}?"
            answer = f"{' '.join(chance.choices(WORDS, k=50))} {chance.random()}."
            text_bytes += len(question) + len(answer)
            messages += [Item(Kind.USER_MESSAGE, question, NOON), Item(Kind.REPLY, answer, NOON)]
        storage.commit("ana", Turn(batch * 100, 0, tuple(messages)))

    def times_the_text() -> float:
        return sum(file.stat().st_size for file in tmp_path.glob("memory.db*")) / text_bytes

    assert times_the_text() < 3
    vector = LetterEmbedder().embed(["vector"])[0] * 15  # as long as those of small sentence embedders, or longer
    for first in range(1, 20_001, 1000):
        storage.put_vectors("ana", "m", [((Shelf.RECALL, first + place), vector[:384]) for place in range(1000)])
    storage.close()
    assert times_the_text() < 3
