"""What holds for every format: ids, names that lie, files that cannot be had, bytes that mean nothing."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import (
    DamagedSourceError,
    EncryptedSourceError,
    SourceError,
    SourceNotFoundError,
    UnsupportedSourceError,
)
from graphreader.ingest.load import load, load_bytes

SUFFIXES = (".pdf", ".docx", ".epub", ".html", ".md", ".txt", "", ".xyz")


def make_zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return buffer.getvalue()


def test_a_document_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "Field notes.txt"
    path.write_bytes(b"The tide turned at noon.\r\n")
    document = load(path)
    assert document.id == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert document.source == str(path)
    assert document.title == "Field notes"
    assert document.text == "The tide turned at noon.\n"
    assert load_bytes(path.read_bytes(), "-").id == document.id


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("report.pdf", b"<!DOCTYPE html><html><body><p>Not found</p></body></html>"),
        ("report.pdf", b"Just some words in a file."),
        ("report.pdf", make_zip("a.txt")),
        ("report.docx", b"%PDF-1.4 and so on"),
        ("report.epub", make_zip("[Content_Types].xml", "word/document.xml")),
        ("report.docx", make_zip("xl/workbook.xml", "[Content_Types].xml")),
        ("report.txt", make_zip("a.txt")),
        ("report.txt", b"%PDF-1.7\n%\xe2\xe3"),
        ("report", make_zip("a.txt")),
        ("report.txt", b"\x89PNG\r\n\x1a\n rest of a picture"),
        ("report.md", b"{\\rtf1 some text}"),
        ("report.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("report.txt", bytes(range(256)) * 8),
    ],
)
def test_content_that_is_not_what_the_name_says(name: str, data: bytes) -> None:
    with pytest.raises(UnsupportedSourceError, match=r"report") as caught:
        load_bytes(data, name)
    assert caught.value.source == name
    assert caught.value.mend


def test_a_word_document_with_a_password() -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(64)
    with pytest.raises(EncryptedSourceError, match=r"plan\.docx.*password"):
        load_bytes(data, "plan.docx")


def test_a_container_cut_off_is_damaged() -> None:
    with pytest.raises(DamagedSourceError, match=r"plan\.docx"):
        load_bytes(make_zip("[Content_Types].xml", "word/document.xml")[:60], "plan.docx")


def test_text_may_speak_of_pdf() -> None:
    assert load_bytes(b"A PDF starts with %PDF-1.7 and ends with %%EOF.", "notes.txt").media_type == "text/plain"


def test_files_that_are_not_there_or_no_files(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"gone\.txt"):
        load(tmp_path / "gone.txt")
    with pytest.raises(UnsupportedSourceError, match="folder"):
        load(tmp_path)
    with pytest.raises(SourceError, match="cannot be read"):
        load("a\x00b.txt")
    with pytest.raises(SourceError, match="cannot be read"):
        load(tmp_path / ("x" * 5000))


MAGIC = (
    b"",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"<html>",
    b"---\n",
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=400), st.sampled_from(SUFFIXES))
def test_any_bytes_load_or_are_a_source_error(magic: bytes, rest: bytes, suffix: str) -> None:
    try:
        document = load_bytes(magic + rest, f"noise{suffix}")
    except SourceError as error:
        if f"noise{suffix}" not in str(error):
            pytest.fail(f"the message does not name the file: {error}")
        return
    assert document.text.strip()
    assert document.title
    assert "".join(document.text[page.start : page.end] for page in document.pages) == document.text
    assert not set(document.text) & set(map(chr, [*range(9), *range(14, 32), 11, 127, 0xFFFE, 0xFFFF]))
    document.text.encode()
    for heading in document.headings:
        assert " ".join(document.text[heading.start : heading.end].split()) == heading.title
