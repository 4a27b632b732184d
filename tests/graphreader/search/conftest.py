"""Small real libraries: paragraphs with titles, indexed the way documents are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from graphreader.ingest.chunk import chunk_document
from graphreader.ingest.passages import passages_of
from graphreader.ingest.phrases import phrase_facts, vocabulary_of
from graphreader.library import open_library
from graphreader.library.protocol import Library
from graphreader.records import Document, Heading, Page

#: Titles and texts; the harbour's buyer is named in one, and where she was born only in another.
PARAGRAPHS: tuple[tuple[str, str], ...] = (
    ("Veldmoor Harbour", "Veldmoor Harbour was bought in 1987 by Ilse Marrow. The harbour has two piers and a crane."),
    ("Ilse Marrow", "Ilse Marrow grew up in the village of Tarnholt. She kept bees until late in life."),
    ("Osric Penhall", "Osric Penhall painted the lighthouse of Gullness. He was paid in salted fish."),
    ("Gullness", "Gullness is known for its lighthouse and a market on Thursdays."),
    ("Bramley Works", "The Bramley Works made rope and sails. A fire closed the rope walk for a winter."),
    ("Sedge Valley", "Sedge Valley lies inland. Its mills ground barley for the whole coast."),
)

Index = Callable[[Sequence[tuple[str, str]]], list[str]]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = open_library(tmp_path / "library.db")
    yield opened
    opened.close()


@pytest.fixture
def index(library: Library) -> Index:
    """Index (title, text) pairs, each as a document; returns their ids."""

    def add(paragraphs: Sequence[tuple[str, str]]) -> list[str]:
        ids = []
        for title, text in paragraphs:
            whole = f"{title}\n\n{text}"
            document = Document(
                id=sha256(whole.encode()).hexdigest()[:32],
                source=f"{title}.md",
                title=title,
                media_type="text/markdown",
                text=whole,
                pages=(Page(1, 0, len(whole)),),
                headings=(Heading(1, title, 0, len(title)),) if title else (),
            )
            chunks = chunk_document(document, lambda texts: [len(item.split()) for item in texts], 200)
            vocabulary = vocabulary_of(document)
            facts = [fact for chunk in chunks for fact in phrase_facts(document, chunk, vocabulary)]
            library.put(document, chunks, passages_of(document, chunks), facts, "test")
            ids.append(document.id)
        return ids

    return add


@pytest.fixture
def paragraphs(index: Index) -> dict[str, str]:
    """``PARAGRAPHS``, indexed: document id by title."""
    return dict(zip((title for title, _ in PARAGRAPHS), index(PARAGRAPHS), strict=True))
