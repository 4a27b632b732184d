"""From the lines of a PDF to one text with offsets."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise

from graphreader.ingest.formats.content import PAGE_SEPARATOR, Extracted, clean, collapse
from graphreader.ingest.formats.pdf_lines import HeadingLines, Line, drop_in_rows
from graphreader.records import Heading, Page

# pdfium's marks for a hyphen at the end of a row; it has joined the next row to it.
_HYPHEN_MARK = re.compile("[\ufffe\x02]")
_BROKEN_WORD = re.compile("(\\w*)[\ufffe\x02](\\w*)")
_WORD = re.compile(r"\w+(?:-\w+)*")
# Where more rows than this end in a hyphen the document hyphenates its words; else hyphens are the author's own.
_HYPHENATING_SHARE = 0.02
# Bullets of symbol fonts have codes that mean nothing elsewhere.
_ODD_BULLET = re.compile("^[\x80-\x9f\uf020-\uf0ff](?=\\s)")
_NEEDS_CARE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\uf020-\uf0ff\ufffe\uffff]")
# A gap this much above the usual one between rows ends a paragraph.
_PARAGRAPH_FACTOR = 1.3
# The distance of rows in font sizes that typesetting programs use where nothing is known.
_USUAL_LEADING = 1.2
_SAME_ROW_SIZES = 0.5


def rejoin_words(lines: Sequence[Line]) -> list[Line]:
    """The lines with broken words joined, controls gone and odd bullets made ``•``; lines left empty are dropped.

    A hyphen stays where it is the word's own: before a capital or digit, where the document writes it so elsewhere,
    or where the document does not hyphenate at all.
    """
    broken = sum(len(_HYPHEN_MARK.findall(line.text)) for line in lines)
    words = set(_WORD.findall("\n".join(line.text for line in lines).casefold())) if broken else set()
    hyphenates = broken > _HYPHENATING_SHARE * len(lines)

    def join(match: re.Match[str]) -> str:
        left, right = match[1], match[2]
        joined, hyphened = left + right, f"{left}-{right}"
        if not left or not right:
            return hyphened
        if not right[0].islower() or not left[-1].isalpha():
            return hyphened
        if joined.casefold() in words:
            return joined
        if hyphened.casefold() in words or not hyphenates:
            return hyphened
        return joined

    rejoined = []
    for line in lines:
        if _NEEDS_CARE.search(line.text):
            marks = len(_HYPHEN_MARK.findall(line.text))
            text = collapse(clean(_BROKEN_WORD.sub(join, _ODD_BULLET.sub("•", line.text))))
            if text:
                rejoined.append(line._replace(text=text, row_count=1 + marks))
        else:
            rejoined.append(line)
    return rejoined


def usual_leadings(lines: Sequence[Line]) -> dict[float, float]:
    """For each font size the commonest distance from row to row, in font sizes."""
    drops: dict[float, Counter[float]] = defaultdict(Counter)
    for above, below in pairwise(lines):
        drop = drop_in_rows(above, below)
        if drop is not None and above.size == below.size and 0.8 < drop < 3:
            drops[below.size][round(drop, 1)] += 1
    return {size: min(counts, key=lambda drop: (-counts[drop], drop)) for size, counts in drops.items()}


def is_wide_gap(above: Line, below: Line, leadings: dict[float, float]) -> bool:
    """Whether ``below`` stands clearly apart from ``above``, as a new paragraph does."""
    drop = drop_in_rows(above, below)
    if drop is None:
        return False
    return drop > _PARAGRAPH_FACTOR * leadings.get(max(above.size, below.size), _USUAL_LEADING)


def is_same_row(left: Line, right: Line) -> bool:
    """Whether ``right`` goes on in the row of ``left``: a raised sign or a distant cell makes pdfium break there."""
    if left.page_index != right.page_index or right.x <= left.x or left.row_count > 1:
        return False
    return abs(left.y - right.y) < _SAME_ROW_SIZES * min(left.size, right.size)


def compose(
    lines: Sequence[Line],
    page_count: int,
    furniture: Collection[int],
    headings: Sequence[HeadingLines],
    leadings: dict[float, float],
) -> Extracted:
    """Join the lines: a row a line, a blank line between paragraphs and around headings, every page its span.

    Running headers and footers get no blank lines, so that a sentence over a page's end is not cut in two.
    """
    opens = {heading.first for heading in headings}
    closes = {heading.last for heading in headings}
    inside = {index for heading in headings for index in range(heading.first + 1, heading.last + 1)}
    parts: list[str] = []
    starts: list[int] = []
    page_starts: list[int] = []
    offset = 0
    for index, line in enumerate(lines):
        separator = ""
        while len(page_starts) <= line.page_index:
            if page_starts:
                parts.append(PAGE_SEPARATOR)
                offset += len(PAGE_SEPARATOR)
            page_starts.append(offset)
        if index and lines[index - 1].page_index == line.page_index:
            above = lines[index - 1]
            if index - 1 in furniture or index in furniture or index in inside:
                separator = "\n"
            elif index in opens or index - 1 in closes or is_wide_gap(above, line, leadings):
                separator = "\n\n"
            else:
                separator = " " if is_same_row(above, line) else "\n"
        starts.append(offset + len(separator))
        parts += (separator, line.text)
        offset += len(separator) + len(line.text)
    while len(page_starts) < page_count:
        parts.append(PAGE_SEPARATOR)
        offset += len(PAGE_SEPARATOR)
        page_starts.append(offset)
    text = "".join(parts)
    ends = [start + len(line.text) for start, line in zip(starts, lines, strict=True)]
    return Extracted(
        text,
        tuple(Page(n + 1, start, end) for n, (start, end) in enumerate(_spans(page_starts, offset))),
        tuple(
            Heading(h.level, collapse(text[starts[h.first] : ends[h.last]]), starts[h.first], ends[h.last])
            for h in headings
        ),
        tuple((starts[index], ends[index]) for index in sorted(furniture)),
    )


def _spans(starts: Sequence[int], end: int) -> list[tuple[int, int]]:
    return list(zip(starts, [*starts[1:], end], strict=True))
