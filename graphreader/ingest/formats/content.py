"""What every format hands back, and how blocks of text become a text with pages and headings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from graphreader.records import Heading, Page

#: Stands between pages that a format keeps apart, and belongs to the page before it.
PAGE_SEPARATOR = "\n\f"

DEEPEST_LEVEL = 6

# Everything that is no text: C0 and C1 controls but tab, newline and form feed, lone surrogates, noncharacters.
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_LINE_END = re.compile("\r\n|\r|\x0b|\x85")


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of one file. ``pages`` cover ``text`` exactly and in order; other spans are offsets into it."""

    text: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...] = ()
    furniture: tuple[tuple[int, int], ...] = ()
    #: What the file's own data call it, and what stands in the largest type on its first page.
    metadata_title: str = ""
    visible_title: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading (``level`` set) or table row; ``tight`` ones follow the one before without a blank line."""

    text: str
    level: int | None = None
    tight: bool = False


def clean(text: str) -> str:
    """``text`` with newlines for all line ends and without characters that are no text (tab and form feed stay)."""
    return _NOT_TEXT.sub("", _LINE_END.sub("\n", text))


def collapse(text: str) -> str:
    """``text`` on one line: each run of white space becomes one space, none at the ends."""
    return " ".join(text.split())


def assemble(pages: Iterable[Iterable[Block]], metadata_title: str = "") -> Extracted:
    """Join blocks to a text: a blank line between paragraphs, a newline before tight blocks, one span for each page."""
    parts: list[str] = []
    spans: list[Page] = []
    headings: list[Heading] = []
    offset = 0
    all_pages = [[block for block in page if block.text] for page in pages]
    for number, blocks in enumerate(all_pages, 1):
        page_start = offset
        for index, block in enumerate(blocks):
            separator = "" if index == 0 else "\n" if block.tight else "\n\n"
            start = offset + len(separator)
            offset = start + len(block.text)
            parts += (separator, block.text)
            title = collapse(block.text)
            if block.level is not None and title:
                headings.append(Heading(min(block.level, DEEPEST_LEVEL), title, start, offset))
        if number < len(all_pages):
            parts.append(PAGE_SEPARATOR)
            offset += len(PAGE_SEPARATOR)
        spans.append(Page(number, page_start, offset))
    return Extracted("".join(parts), tuple(spans), tuple(headings), (), metadata_title)
