"""JSONL corpora: documents, malformed lines, and what happens in a library when the file changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step
from hypothesis import given
from hypothesis import strategies as st

from graphreader import GraphReader
from graphreader.errors import EmptySourceError, SourceError, UnsupportedSourceError
from graphreader.ingest.corpus import is_corpus, read_corpus
from graphreader.records import Document

ROWS: list[dict[str, Any]] = [
    {
        "id": "a",
        "title": "Tides",
        "text": "The tide mill at Orrin was built by Ada Brandt.",
        "metadata": {"year": 1802},
    },
    {"_id": 7, "title": "Bees", "text": "The bee hall of Orrin has forty hives."},
    {"text": "没有标题的一行。"},
]


def written(path: Path, rows: list[Any]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def read(path: Path) -> list[Document | SourceError]:
    return list(read_corpus(path, "corpus.jsonl"))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GraphReader]:
    model = ScriptedModel(by_step({"answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"}}))
    with GraphReader(tmp_path / "library.db", model=model, embedder=WordEmbedder()) as opened:
        yield opened


def test_each_line_is_a_document(tmp_path: Path) -> None:
    documents = read(written(tmp_path / "corpus.jsonl", ROWS))
    assert all(isinstance(document, Document) for document in documents)
    named = [(document.source, document.title, document.text, document.metadata) for document in documents]  # type: ignore[union-attr]
    assert named == [
        ("corpus.jsonl#a", "Tides", ROWS[0]["text"], {"year": 1802}),
        ("corpus.jsonl#7", "Bees", ROWS[1]["text"], {}),
        ("corpus.jsonl#3", "3", ROWS[2]["text"], {}),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "line 2 is not JSON"),
        ("[1]", "line 2 is not an object"),
        ({"id": "b"}, "line 2, field 'text': it is missing"),
        ({"id": "b", "text": 3}, "line 2, field 'text': it is to be a text"),
        ({"id": "b", "text": "  "}, "line 2, field 'text': it is empty"),
        ({"id": ["b"], "text": "x"}, "line 2, field 'id'"),
        ({"id": True, "text": "x"}, "line 2, field 'id'"),
        ({"id": "b", "title": 3, "text": "x"}, "line 2, field 'title'"),
        ({"id": "b", "text": "x", "metadata": "y"}, "line 2, field 'metadata'"),
        ({"id": "a", "text": "x"}, "line 2, field 'id': line 1 has the same"),
        ("[" * 100_000, "line 2 is not JSON"),
    ],
)
def test_a_malformed_line_is_named_and_the_others_are_read(tmp_path: Path, line: Any, words: str) -> None:
    first, error, last = read(written(tmp_path / "corpus.jsonl", [ROWS[0], line, ROWS[2]]))
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(error, SourceError)
    assert words in str(error)
    assert "corpus.jsonl" in str(error)


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "corpus.jsonl", ROWS[:1])
    path.write_bytes(path.read_bytes() + b'\n{"text": "caf\xe9"}\n')
    _, error = read(path)
    assert "line 2 is not UTF-8" in str(error)


@pytest.mark.parametrize(
    "content", ["no json at all\nnor here", '{"question": "Who?", "answer": "Me"}\n{"question": "?"}']
)
def test_a_file_that_is_no_corpus_is_refused_at_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnsupportedSourceError, match="it is no corpus"):
        read(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptySourceError):
        read(written(tmp_path / "corpus.jsonl", []))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    entries = read(path)
    assert len(entries) == len(texts)
    for entry in entries:
        assert isinstance(entry, EmptySourceError) or (isinstance(entry, Document) and entry.text.strip())


def test_names() -> None:
    assert is_corpus("a/corpus.JSONL")
    assert is_corpus("corpus.ndjson")
    assert not is_corpus("corpus.json")


def test_a_corpus_is_asked_and_searched(reader: GraphReader, tmp_path: Path) -> None:
    path = written(tmp_path / "corpus.jsonl", ROWS)
    report = reader.index(str(path))
    assert (len(report.new_ids), report.failures) == (3, [])
    found = reader.search("Who built the tide mill?").found[0]
    assert (found.title, found.document, found.source) == ("Tides", "corpus.jsonl#a", f"{path}#a")
    assert ROWS[0]["text"][found.start : found.end] == found.text
    answer = reader.ask("Who built the tide mill?", str(path), mode="search")
    assert answer.citations[0].document == "Tides"
    assert reader.library.document(reader.library.find("corpus.jsonl#a")).metadata == {"year": 1802}


def test_a_changed_corpus_replaces_what_changed(reader: GraphReader, tmp_path: Path) -> None:
    path = written(tmp_path / "corpus.jsonl", ROWS)
    reader.index(str(path))
    unchanged = reader.library.find("Tides")
    changed = ROWS[1] | {"text": "The bee hall of Orrin burnt down."}
    report = reader.index(str(written(path, [changed, ROWS[0], "broken"])))
    assert len(report.new_ids) == 1
    assert len(report.failures) == 1
    assert {document.title for document in reader.documents()} == {"Tides", "Bees"}
    assert reader.library.find("Tides") == unchanged
    assert "burnt" in reader.search("bee hall").found[0].text


def test_a_corpus_that_became_unreadable_takes_nothing_away(reader: GraphReader, tmp_path: Path) -> None:
    path = written(tmp_path / "corpus.jsonl", ROWS)
    reader.index(str(path))
    path.write_text("garbage", encoding="utf-8")
    assert len(reader.index(str(path)).failures) == 1
    assert len(reader.documents()) == 3
