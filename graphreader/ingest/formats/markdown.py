"""Markdown: the text stays the source text; the parser is asked only where headings are."""

from __future__ import annotations

import itertools
import re

from markdown_it import MarkdownIt

from graphreader.ingest.formats.content import Extracted, clean, collapse
from graphreader.ingest.formats.plain import split_pages
from graphreader.records import Heading

_FRONT_MATTER = re.compile(r"---\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|$)", re.S)
_FRONT_MATTER_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.M | re.I)


def extract(text: str) -> Extracted:
    """``text`` unchanged but for line ends, with its ATX and setext headings (none inside code)."""
    # A form feed is a line end to the parser's eyes nowhere; it stays and ends a page as in plain text.
    text = clean(text)
    front_matter = _FRONT_MATTER.match(text)
    parsed, title = text, ""
    if front_matter:
        # Its closing rule would make a heading of the line above: blank lines keep the numbering.
        parsed = "\n" * front_matter[0].count("\n") + text[front_matter.end() :]
        named = _FRONT_MATTER_TITLE.search(front_matter[1] or "")
        title = named[1].strip("\"'") if named else ""
    return Extracted(text, split_pages(text), tuple(_headings(text, parsed)), (), title)


def _headings(text: str, parsed: str) -> list[Heading]:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    lines = text.split("\n")
    starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=0))
    headings: list[Heading] = []
    tokens = parser.parse(parsed)
    for opening, content in itertools.pairwise(tokens):
        if opening.type != "heading_open" or opening.level != 0 or opening.map is None or not content.content:
            continue
        first_line, after_line = opening.map
        pieces = content.content.split("\n")
        start = text.find(pieces[0], starts[first_line], starts[after_line])
        last = text.find(pieces[-1], max(start, starts[first_line + len(pieces) - 1]), starts[after_line])
        if start < 0 or last < 0:
            continue
        end = last + len(pieces[-1])
        headings.append(Heading(int(opening.tag[1:]), collapse(text[start:end]), start, end))
    return headings
