"""What the library's contract tests share: the backends that join, and builders of small indexed documents.

A backend joins by one more kind of place in ``open_place`` and in ``conftest.place``.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphreader.library import Library, open_library
from graphreader.records import AtomicFact, Chunk, Document, FactOrigin, Heading, KeyElement, Page, Passage


def open_place(place: str) -> Library:
    """Open the library at ``place``, a backend's name and whatever it needs: ``sqlite:`` and a path."""
    backend, _, where = place.partition(":")
    return {"sqlite": lambda: open_library(Path(where))}[backend]()


def start_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process that runs ``code`` and can import what this one can."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@dataclass(frozen=True)
class Indexed:
    """A document with all that was made of it."""

    document: Document
    chunks: list[Chunk]
    passages: list[Passage]
    facts: list[AtomicFact]

    @property
    def id(self) -> str:
        return self.document.id

    def put_into(self, library: Library, settings_key: str = "settings") -> Indexed:
        library.put(self.document, self.chunks, self.passages, self.facts, settings_key)
        return self


def indexed(text: str, source: str = "a.txt", title: str = "A title") -> Indexed:
    """Paragraphs become chunks, lines passages, sentences facts, and capitalised words their key elements."""
    document = Document(
        id=hashlib.sha256(text.encode()).hexdigest()[:16],
        source=source,
        title=title,
        media_type="text/plain",
        text=text,
        pages=(Page(1, 0, len(text) // 2), Page(2, len(text) // 2, len(text))),
        headings=(Heading(1, "A heading", 0, min(9, len(text))),),
        furniture=((0, 1),),
    )
    chunks, passages, facts = [], [], []
    for index, (start, end) in enumerate(_parts(r"(?:[^\n]|\n(?!\n))*\n*", text, 0, len(text))):
        chunk = Chunk(f"{document.id}-{index}", document.id, index, start, end, end - start, ("A heading", "Below"))
        chunks.append(chunk)
        for number, (line, line_end) in enumerate(_parts(r"[^\n]+", text, start, end)):
            words = f"A heading: {' '.join(text[line:line_end].split())}"
            passages.append(Passage(f"{chunk.id}-p{number}", document.id, chunk.id, line, line_end, words))
        for number, (sentence, sentence_end) in enumerate(_parts(r"[^.\n]*[^.\s][^.\n]*\.?", text, start, end)):
            facts.append(fact(chunk, f"s{number}", sentence, sentence_end, text[sentence:sentence_end]))
    return Indexed(document, chunks, passages, facts)


def fact(
    chunk: Chunk,
    suffix: str,
    start: int,
    end: int,
    text: str,
    origin: FactOrigin = FactOrigin.PHRASES,
    keys: Sequence[str] | None = None,
) -> AtomicFact:
    """A fact whose key elements are the capitalised words of ``text``, or ``keys``."""
    spellings = re.findall(r"\b[A-Z]\w*", text) if keys is None else keys
    elements = {spelling.lower(): KeyElement(spelling.lower(), spelling) for spelling in reversed(spellings)}
    return AtomicFact(
        id=f"{chunk.id}-{suffix}",
        document_id=chunk.document_id,
        chunk_id=chunk.id,
        start=start,
        end=end,
        text=" ".join(text.split()),
        key_elements=tuple(elements.values()),
        origin=origin,
    )


def _parts(pattern: str, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in re.compile(pattern).finditer(text, start, end):
        if match.end() > match.start():
            yield match.span()


WHALE = """Ahab hunts the Whale. Starbuck warns Ahab.
Ishmael tells of the sea.

Queequeg carves a coffin. The Whale sinks the Pequod.
Ishmael floats on the coffin of Queequeg."""

HARBOUR = """The Pequod left Nantucket. Nantucket is an island of Ahab.

Bildad owns shares in the harbour."""

THREE_KINGDOMS = """天下大势，分久必合，合久必分。
却说曹操引兵追赶，刘备奔走樊城。

孔明借东风，周瑜火烧赤壁。"""
