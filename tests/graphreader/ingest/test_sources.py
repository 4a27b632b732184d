"""From names to files: folders, patterns, standard input, and what cannot be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphreader.errors import SourceError, SourceNotFoundError
from graphreader.ingest.sources import STDIN, SourceFile, expand


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.txt",
        "a.pdf",
        "sub/c.md",
        "sub/deep/d.html",
        "notes",
        ".hidden.txt",
        ".git/e.txt",
        "pic.PNG",
        "odd.doc",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path


def names(files: list[SourceFile], root: Path) -> list[str]:
    return [str(file.path.relative_to(root)) for file in files if file.path is not None]


def test_a_folder_gives_its_documents_sorted_and_no_hidden_ones(folder: Path) -> None:
    files, errors = expand([str(folder)])
    assert names(files, folder) == ["a.pdf", "b.txt", "notes", "odd.doc", "sub/c.md", "sub/deep/d.html"]
    assert errors == []


def test_order_is_that_given_and_nothing_comes_twice(folder: Path) -> None:
    given = [str(folder / "sub" / "c.md"), str(folder), STDIN, str(folder / "sub" / ".." / "b.txt"), STDIN]
    files, errors = expand(given)
    assert names(files[:2], folder) == ["sub/c.md", "a.pdf"]
    assert len(files) == 7
    assert files[-1] == SourceFile(STDIN, None)
    assert errors == []


def test_a_named_file_is_kept_whatever_it_is(folder: Path) -> None:
    files, errors = expand([str(folder / "pic.PNG"), str(folder / ".hidden.txt")])
    assert names(files, folder) == ["pic.PNG", ".hidden.txt"]
    assert errors == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["b.txt"]),
        ("**/*.md", ["sub/c.md"]),
        ("[ab].*", ["a.pdf", "b.txt"]),
        ("su?", ["sub/c.md", "sub/deep/d.html"]),
        ("**/*", ["a.pdf", "b.txt", "notes", "odd.doc", "sub/c.md", "sub/deep/d.html"]),
        (".h*", [".hidden.txt"]),
    ],
)
def test_patterns(folder: Path, pattern: str, expected: list[str]) -> None:
    files, errors = expand([str(folder / pattern)])
    assert (names(files, folder), errors) == (expected, [])


def test_relative_patterns_start_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    files, _ = expand(["*.txt", "sub"])
    assert [file.source for file in files] == [
        "b.txt",
        str(Path("sub", "c.md")),
        str(Path("sub", "deep", "d.html")),
    ]


def test_a_name_with_pattern_characters_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "notes [1].txt").write_text("x")
    files, errors = expand([str(tmp_path / "notes [1].txt")])
    assert (names(files, tmp_path), errors) == (["notes [1].txt"], [])


@pytest.mark.parametrize("missing", ["gone.txt", "*.epub", "no/such/*.txt", "https://example.org/a.pdf"])
def test_what_is_not_there_is_listed_and_the_rest_still_comes(folder: Path, missing: str) -> None:
    source = missing if "://" in missing else str(folder / missing)
    files, errors = expand([source, str(folder / "b.txt")])
    assert names(files, folder) == ["b.txt"]
    assert [type(error) for error in errors] == [SourceNotFoundError]
    assert source in str(errors[0])


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pic.png").write_text("x")
    files, errors = expand([str(tmp_path)])
    assert files == []
    assert isinstance(errors[0], SourceNotFoundError)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    files, _ = expand([str(tmp_path), str(tmp_path / "self")])
    assert names(files, tmp_path) == ["a.txt"]


@pytest.mark.parametrize("bad", ["a\x00b", "x" * 5000, "~nobody-of-that-name/x.txt", ""])
def test_impossible_names_are_source_errors(bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files, errors = expand([bad])
    assert files == []
    assert len(errors) == 1
    assert isinstance(errors[0], SourceError)
