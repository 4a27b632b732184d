"""Hostile sources in small: each is read or refused with a reason, and the library stays consistent."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from benchmarks.consistency import problems_of
from benchmarks.hostile_inputs import INPUTS, sentences
from graphreader import GraphReader
from graphreader.errors import EmptySourceError, SourceError, printable
from graphreader.indexing import IndexReport
from graphreader.terminal import Terminal

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes, sockets and FIFOs as on Linux")


class PoisonedModel(ScriptedModel):
    """A model whose tokenizer fails on one word."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if any("poison" in text for text in texts):
            raise ZeroDivisionError("poison")
        return super().count_tokens(texts)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GraphReader]:
    with GraphReader(tmp_path / "library.db", model=PoisonedModel(by_step({})), embedder=WordEmbedder()) as opened:
        yield opened


def sources_in(folder: Path, **files: bytes) -> str:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content)
    return str(folder)


@LINUX
@pytest.mark.parametrize("name", INPUTS)
def test_each_is_read_or_refused(reader: GraphReader, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    report = reader.index(INPUTS[name](tmp_path / "in", random.Random(7), 0.0002), facts="phrases")
    assert report.document_ids or report.failures
    assert all(isinstance(failure, SourceError) and failure.mend for failure in report.failures)
    assert not any("mistake of the program" in failure.mend for failure in report.failures)
    assert list(problems_of(tmp_path / "library.db")) == []


def test_a_mistake_of_the_program_on_one_file_stops_no_other(reader: GraphReader, tmp_path: Path) -> None:
    folder = sources_in(tmp_path / "in", a=b"The mill stands.", b=b"A poison in it.", c=b"The pier stands.")
    report = reader.index(folder)
    assert len(report.document_ids) == 2
    (failure,) = report.failures
    assert "b.txt: reading it failed (ZeroDivisionError: poison)" in str(failure)


@LINUX
def test_a_name_that_is_no_utf8_is_stored_with_escapes(reader: GraphReader, tmp_path: Path) -> None:
    path = os.fsencode(sources_in(tmp_path / "in")) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_bytes(b"The mill was built in 1802.")
    for _ in range(2):
        report = reader.index(str(tmp_path / "in"))
        assert not report.failures
    (summary,) = reader.documents()
    assert summary.sources == (f"{tmp_path}/in/caf\\xe9.txt",)
    assert reader.remove("caf\\xe9.txt") == summary.id


def test_lines_with_lone_surrogates_are_named_and_the_others_read(reader: GraphReader, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "The mill stands."},
        {"id": "\ud800", "text": "Nobody can be called that."},
        {
            "id": "c",
            "title": "A \udc00 title",
            "text": "A lone \ud83d in a sentence.",
            "metadata": {"\ud800": "\udfff"},
        },
    ]
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = reader.index(str(path))
    assert [Path(summary.sources[0]).name for summary in reader.documents()] == ["corpus.jsonl#a", "corpus.jsonl#c"]
    (failure,) = report.failures
    assert "line 2, field 'id'" in str(failure)
    assert list(problems_of(tmp_path / "library.db")) == []


def test_running_headers_and_footers_are_no_key_elements(reader: GraphReader, tmp_path: Path) -> None:
    source = sentences(random.Random(7))
    canvas = Canvas(str(tmp_path / "register.pdf"), invariant=1)
    for number in range(40):
        canvas.drawString(72, 800, "Annual Register of the Harbour Light Company")
        canvas.drawString(72, 30, f"Confidential draft of Orrin Marsh - page {number + 1}")
        for row in range(12):
            canvas.drawString(72, 740 - 28 * row, "A note on Ada Brandt." if row == 6 else next(source)[:90])
        canvas.showPage()
    canvas.save()
    reader.index(str(tmp_path / "register.pdf"))
    names = {element.name for element in reader.library.top_key_elements(None, 10_000)}
    assert "ada brandt" in names
    assert not [name for name in names if "harbour" in name or "orrin" in name or "confidential" in name]


def test_headings_as_long_as_pages_are_none(reader: GraphReader, tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("# Mills\n\n" + "A word. " * 400 + "\n---\n\nThe end.\n", encoding="utf-8")
    report = reader.index(str(tmp_path / "long.md"))
    headings = reader.library.document(report.document_ids[0]).headings
    assert [heading.title for heading in headings] == ["Mills"]


def report_of(failures: int) -> IndexReport:
    return IndexReport(failures=[EmptySourceError(f"{n}.txt", "it is empty", "Leave it out.") for n in range(failures)])


def test_a_terminal_lists_some_failures_and_counts_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Terminal() as terminal:
        terminal.show_index_report(report_of(1000), [])
    said = capsys.readouterr().err
    assert said.count("Leave it out.") == 20
    assert "1,000 sources could not be read" in said
    assert "and 980 more (980 × it is empty)" in said


def test_a_file_gets_all_failures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with Terminal() as terminal:
        terminal.show_index_report(report_of(1000), [])
    assert capsys.readouterr().err.count("Leave it out.") == 1000


@given(st.text())
def test_printable_names_hold_nothing_that_moves_a_cursor(name: str) -> None:
    shown = printable(name)
    assert all(character.isprintable() or character in "\u200c\u200d\u3000" for character in shown)
    shown.encode("utf-8")
    if name.isprintable():
        assert shown == name
