"""What the benchmark of scale measures on, and the picture it draws."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.scale_parts import RandomEmbedder
from benchmarks.scale_plot import Series, plot
from benchmarks.varied_books import questions_of, write_books
from graphreader.ingest.passages import estimated_word_pieces

_ENGLISH = "\n\n".join(f"Ahab spoke to Starbuck of day {number}, and Queequeg heard the sea." for number in range(60))
_CHINESE = "\n\n".join(f"却说曹操引兵追赶，刘备奔走樊城，此乃第{number}日。" for number in range(60))


@pytest.fixture
def books(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "english.txt", tmp_path / "chinese.txt"]
    for path, text in zip(paths, (_ENGLISH, _CHINESE), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_books_are_varied_until_there_is_enough(books: list[Path], tmp_path: Path) -> None:
    written = write_books(books, tmp_path / "texts", 8000)
    files = sorted((tmp_path / "texts").iterdir())
    assert written == sum(file.stat().st_size for file in files)
    pieces = sum(estimated_word_pieces(file.read_text(encoding="utf-8")) for file in files)
    assert 8000 <= pieces < 8200
    english = [file.read_text(encoding="utf-8") for file in files if file.name.startswith("english")]
    names = [set(re.findall(r"[A-Z]\w+", text)) for text in english]
    assert len(set().union(*names)) > len(names[0])
    write_books(books, tmp_path / "again", 8000)
    assert [file.read_text(encoding="utf-8") for file in sorted((tmp_path / "again").iterdir())] == [
        file.read_text(encoding="utf-8") for file in files
    ]


def test_questions_are_of_the_texts(books: list[Path], tmp_path: Path) -> None:
    write_books(books, tmp_path / "texts", 4000)
    questions = questions_of(tmp_path / "texts")
    text = " ".join(file.read_text(encoding="utf-8") for file in (tmp_path / "texts").iterdir())
    assert all(phrase in " ".join(text.split()) for phrase in questions.by_kind["phrases"])
    assert sorted(questions.mixed()) == sorted(question for kind in questions.by_kind.values() for question in kind)


def test_random_vectors_repeat_and_are_unit_vectors() -> None:
    vectors = RandomEmbedder().embed(["one", "two", "one"])
    assert (vectors[0] == vectors[2]).all()
    assert abs(float(vectors[0] @ vectors[1])) < 0.5
    assert (abs((vectors**2).sum(axis=1) - 1) < 1e-5).all()


def test_the_plot_draws_every_point() -> None:
    drawn = plot([("Time & cost", [Series("a", [(10, 1.0), (1000, 250.0)]), Series("b", [(10, 3.0)])])], "tokens")
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f".//{space}circle")) == 3
    assert "Time & cost" in "".join(root.itertext())
