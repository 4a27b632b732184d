"""The records that travel from a source file to a cited answer. Frozen, and free of I/O.

Offsets: every ``start`` and ``end`` is a character offset into ``Document.text`` (half-open, Python string indices), so
``document.text[start:end]`` is always the verbatim source. Pages are numbered from 1, as a reader would count them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: Hexadecimal digits of a document's id, which is a hash of its content.
DOCUMENT_ID_DIGITS = 16


class FactOrigin(StrEnum):
    """Who wrote a fact: the rules that need no model, or a model that read the chunk."""

    PHRASES = "phrases"
    MODEL = "model"


class Mode(StrEnum):
    """How a question is answered. ``AUTO`` chooses one of the others."""

    GRAPH = "graph"
    SEARCH = "search"
    FULL = "full"
    AUTO = "auto"


class FoundKind(StrEnum):
    """The units that a search lists."""

    FACTS = "facts"
    CHUNKS = "chunks"
    PAGES = "pages"


class StoppedBy(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"
    STEP_LIMIT = "step_limit"
    TOKEN_LIMIT = "token_limit"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document; formats without pages have exactly one."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; ``level`` 1 is the highest. ``start``/``end`` cover the heading's own characters."""

    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded source. ``pages`` cover ``text`` exactly and in order; ``id`` is derived from the file's bytes."""

    id: str
    source: str
    title: str
    media_type: str
    text: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...] = ()
    #: Spans of text that repeats from page to page (running headers and footers): text, but not evidence.
    furniture: tuple[tuple[int, int], ...] = ()
    #: What the source says of the document beside its text, as JSON values by name.
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def page_at(self, offset: int) -> int:
        """The number of the page that holds the character at ``offset`` (the last page for the end of the text)."""
        low, high = 0, len(self.pages) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.pages[middle].start <= offset:
                low = middle
            else:
                high = middle - 1
        return self.pages[low].number


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous span of a document. Chunks of one document join to its whole text, in ``index`` order.

    ``headings`` is the path of headings in force at the chunk's start, outermost first.
    """

    id: str
    document_id: str
    index: int
    start: int
    end: int
    token_count: int
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit of search: a few consecutive sentences of one chunk, small enough for an embedder's window.

    ``text`` is what is indexed: the span's text, led by what names it (title, headings, a table's caption).
    """

    id: str
    document_id: str
    chunk_id: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class KeyElement:
    """A key element as found in a fact: ``name`` is normalised (the graph's node), ``spelling`` is the original."""

    name: str
    spelling: str


@dataclass(frozen=True, slots=True)
class AtomicFact:
    """The smallest statement worth finding, resting on the span ``start``..``end``; ``text`` may resolve pronouns."""

    id: str
    document_id: str
    chunk_id: str
    start: int
    end: int
    text: str
    key_elements: tuple[KeyElement, ...]
    origin: FactOrigin


@dataclass(frozen=True, slots=True)
class Note:
    """What an explorer kept: a verbatim span of a chunk, selected and never rewritten."""

    document_id: str
    chunk_id: str
    start: int
    end: int
    explorer: int = 0


@dataclass(frozen=True, slots=True)
class Citation:
    """A verified quote: ``quote`` stands verbatim at ``start``..``end`` of the document called ``document``."""

    document: str
    document_id: str
    source: str
    page: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What work cost. ``cached_tokens`` are the part of ``prompt_tokens`` the server had in its prefix cache."""

    llm_calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.llm_calls + other.llm_calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step of a run, for people and for evaluation: who did what, with what result."""

    actor: str
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to one question. Not ``answerable`` means: the documents do not say."""

    question: str
    answer: str
    answerable: bool
    citations: tuple[Citation, ...]
    usage: Usage
    mode: Mode
    model: str
    stopped_by: StoppedBy
    trace: tuple[TraceStep, ...] = ()
    warnings: tuple[str, ...] = ()
