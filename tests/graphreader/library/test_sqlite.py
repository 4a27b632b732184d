"""What is SQLite's alone: the file, its versions, damage, and what it costs."""

from __future__ import annotations

import random
import stat
from collections.abc import Iterator
from pathlib import Path

import apsw
import numpy as np
import pytest
from contract.library_contract import WHALE, fact, indexed, start_python

from graphreader.errors import LibraryError, LibraryVersionError
from graphreader.library import Library, open_library
from graphreader.library.sqlite_connections import transaction
from graphreader.library.sqlite_schema import MIGRATIONS
from graphreader.records import FactOrigin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library.db"


@pytest.fixture
def library(path: Path) -> Iterator[Library]:
    opened = open_library(path)
    yield opened
    opened.close()


@pytest.fixture
def raw(path: Path, library: Library) -> Iterator[apsw.Connection]:
    db = apsw.Connection(str(path))
    yield db
    db.close()


def rows_by_table(db: apsw.Connection) -> dict[str, int]:
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    own = [name for name in tables if not name.startswith("sqlite_")]
    return {name: db.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in own}


def fill_every_table(library: Library) -> str:
    whale = indexed(WHALE).put_into(library)
    library.put_vectors("model", [whale.passages[0].id], np.ones((1, 4), dtype=np.float32))
    library.put_extraction("key", whale.id, "reply")
    library.record_failure(whale.chunks[0].id, "why")
    library.put_answer({"answer": "yes"}, [whale.id])
    library.put_run_record("run", "", "key", b"value")
    chunk = whale.chunks[1]
    library.add_model_facts(chunk.id, [fact(chunk, "m0", chunk.start, chunk.end, "Zanzibar is far.", FactOrigin.MODEL)])
    return whale.id


def test_after_removal_all_tables_are_empty(library: Library, raw: apsw.Connection) -> None:
    nothing = rows_by_table(raw)
    document_id = fill_every_table(library)
    assert [
        name
        for name, rows in rows_by_table(raw).items()
        if rows <= nothing[name] and name not in ("full_text_config", "counters")
    ] == []
    library.remove(document_id)
    library.delete_run("run")
    assert rows_by_table(raw) == nothing


def test_removed_words_leave_the_file(library: Library, path: Path) -> None:
    indexed("Someone else stays here.", source="b.txt").put_into(library)
    document_id = fill_every_table(library)
    library.remove(document_id)
    library.close()
    content = path.read_bytes().lower()
    assert b"someon" in content
    for word in (b"queequeg", b"zanzibar", b"nantucket", b"coffin"):
        assert word not in content


def test_removal_gives_the_disk_its_space_back(library: Library, path: Path) -> None:
    empty = path.stat().st_size
    document_id = indexed("Ahab waits for nobody.\n\n" * 5000).put_into(library).id
    library.remove(document_id)
    assert path.stat().st_size <= empty + 65536


def test_the_file_is_safe_against_power_cuts(library: Library, raw: apsw.Connection) -> None:
    assert raw.pragma("journal_mode") == "wal"
    assert raw.pragma("integrity_check") == "ok"
    strict = dict(raw.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"))
    assert {name for name, is_strict in strict.items() if not is_strict} <= {
        "sqlite_schema",
        "sqlite_stat1",
        "sqlite_stat4",
    }


def test_the_index_of_full_text_stays_sound(library: Library, raw: apsw.Connection) -> None:
    fill_every_table(library)
    indexed("More words.", source="b.txt").put_into(library)
    raw.execute("INSERT INTO full_text (full_text, rank) VALUES ('integrity-check', 0)")
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_newer_version_is_refused(path: Path) -> None:
    open_library(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", len(MIGRATIONS) + 1)
    db.close()
    with pytest.raises(LibraryVersionError, match="newer"):
        open_library(path)


def test_a_migration_that_fails_leaves_the_old_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_library(path).close()
    broken = (*MIGRATIONS, "CREATE TABLE added (id INTEGER PRIMARY KEY) STRICT; SELECT no_such_function();")
    monkeypatch.setattr("graphreader.library.sqlite_connections.MIGRATIONS", broken)
    with pytest.raises(LibraryError):
        open_library(path)
    monkeypatch.undo()
    library = open_library(path)
    assert library.summaries() == []
    library.close()


def test_an_older_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_library(path)
    whale = indexed(WHALE).put_into(first)
    first.close()
    monkeypatch.setattr(
        "graphreader.library.sqlite_connections.MIGRATIONS",
        (*MIGRATIONS, "ALTER TABLE documents ADD COLUMN more TEXT;"),
    )
    second = open_library(path)
    assert second.document(whale.id) == whale.document
    second.close()
    third = open_library(path)
    assert third.document(whale.id) == whale.document
    third.close()


def test_what_is_no_library(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"%PDF-1.7 certainly not a database" * 100)
    with pytest.raises(LibraryError, match=r"library\.db.*not a library"):
        open_library(path)
    assert path.read_bytes().startswith(b"%PDF")
    other = tmp_path / "other.db"
    db = apsw.Connection(str(other))
    db.execute("CREATE TABLE people (name TEXT)")
    db.close()
    with pytest.raises(LibraryError, match="another program"):
        open_library(other)
    with pytest.raises(LibraryError, match="cannot be opened"):
        open_library(tmp_path)
    with pytest.raises(LibraryError, match="folder cannot be created"):
        open_library(path / "below" / "library.db")


def test_a_damaged_file_is_named(path: Path) -> None:
    library = open_library(path)
    whale = indexed("Ahab waits for nobody.\n\n" * 2000).put_into(library)
    library.close()
    content = bytearray(path.read_bytes())
    content[8192:] = random.Random(0).randbytes(len(content) - 8192)
    path.write_bytes(content)
    damaged = open_library(path)
    with pytest.raises(LibraryError, match=r"library\.db.*damaged"):
        damaged.chunks(whale.id)
    damaged.close()


def test_a_folder_nobody_may_write_to(tmp_path: Path) -> None:
    """Of those that exist everywhere it runs, /proc refuses even root; elsewhere the folder's mode has to do."""
    folder = Path("/proc/self") if Path("/proc/self").exists() else tmp_path / "closed"
    if not folder.exists():
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(LibraryError, match="--library"):
        open_library(folder / "library.db")


FILLS_THE_DISK = """
import resource, sys
from pathlib import Path
from contract.library_contract import indexed
from graphreader.errors import LibraryError
from graphreader.library import open_library
library = open_library(Path(sys.argv[1]))
kept = indexed("Ahab stays.", source="b.txt").put_into(library)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    indexed("Ahab waits for nobody, number by number.\\n\\n" * 6000).put_into(library)
except LibraryError as error:
    print(error)
assert library.document(kept.id) == kept.document
assert len(library.search_passages(["ahab"])) == 1
"""


def test_a_full_disk_is_an_error_that_changes_nothing(path: Path) -> None:
    process = start_python(FILLS_THE_DISK, str(path))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "library.db" in output
    assert "disk" in output


STOPS_BEFORE_THE_COMMIT = """
import sys, time
import apsw
from pathlib import Path
from contract.library_contract import indexed
from graphreader.library import open_library
library = open_library(Path(sys.argv[1]))
indexed("Old words.").put_into(library)
library.close()
def wait():
    print("all written", flush=True)
    time.sleep(600)
apsw.connection_hooks.append(lambda db: db.set_commit_hook(wait))
library = open_library(Path(sys.argv[1]))
indexed("New words.\\n\\n" * 20000).put_into(library)
"""


def test_killed_just_before_the_commit_it_holds_the_old_state(path: Path) -> None:
    with start_python(STOPS_BEFORE_THE_COMMIT, str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "all written\n"
        process.kill()
    library = open_library(path)
    (summary,) = library.summaries()
    assert library.document(summary.id).text == "Old words."
    assert len(library.search_passages(["word"])) == 1
    library.close()


def test_readers_do_not_wait_for_a_writer(library: Library, raw: apsw.Connection) -> None:
    whale = indexed(WHALE).put_into(library)
    with transaction(raw):
        raw.execute("DELETE FROM sources")
        assert library.document(whale.id) == whale.document
        raw.execute("ROLLBACK")
        raw.execute("BEGIN")


def test_a_lock_that_is_never_released_is_an_error(
    path: Path, raw: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphreader.library.sqlite_connections.BUSY_TIMEOUT_SECONDS", 0.05)
    library = open_library(path)
    with transaction(raw):
        with pytest.raises(LibraryError, match="locked"):
            library.put_run_record("run", "", "key", b"value")
    library.put_run_record("run", "", "key", b"value")
    library.close()


def test_text_is_stored_once(library: Library, path: Path) -> None:
    words = [f"word{number}" for number in range(20000)]
    random.Random(0).shuffle(words)
    text = "\n\n".join(" ".join(words[at : at + 40]) + "." for at in range(0, len(words), 40))
    indexed(text).put_into(library)
    library.close()
    assert path.read_bytes().count(f" {words[50]} {words[51]} ".encode()) == 0
    db = apsw.Connection(str(path))
    kept = db.execute(
        "SELECT (SELECT sum(length(phrases)) FROM fact_groups), (SELECT sum(length(text)) FROM passages)"
    ).fetchall()[0]
    db.close()
    assert kept[0] < 10 * 500
    assert kept[1] == len("A heading: ") * 500
