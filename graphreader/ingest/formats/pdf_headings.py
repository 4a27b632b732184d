"""Headings of a PDF without a useful outline: by type size and weight, numbering and free-standing capitals."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from graphreader.ingest.formats.content import DEEPEST_LEVEL
from graphreader.ingest.formats.pdf_lines import HeadingLines, Line
from graphreader.ingest.formats.pdf_text import is_same_row, is_wide_gap

_MAX_CHARACTERS = 150
_MAX_ROWS = 3
_BIGGER = 1.12
_SMALLEST = 0.95
_TITLE_FACTOR = 1.3
_NAMED = re.compile(
    r"(part|chapter|appendix|annex|item|section|note|exhibit)\s+(?:\d{1,3}[A-Z]?|[IVXLC]{1,6}|[A-Z])(?=[\s.:—–-]|$)",
    re.I,
)
_NAMED_LEVEL = {"part": 1, "chapter": 1, "appendix": 1, "annex": 1, "item": 2}
_CJK_NAMED = re.compile(r"第[〇零一二三四五六七八九十百\d]{1,5}[部编編篇回章节節]")
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+(?=\w)")
_NUMBER_TOKEN = re.compile(r"[$€£(]*\d[\d,.]*[%)]*$|[—–-]$")
_LEADERS = re.compile(r"\.{3,}|(?:\. ){3,}|…")
_ENDS_IN_PAGE = re.compile(r"\S\s+\d{1,3}$")
_BULLET = re.compile(r"[•●▪◦‣·*>–—]|[-o]\s")
_ENDS_IN_NAMED_NUMBER = re.compile(
    r"\b(?:part|chapter|note|table|figure|item|section|unit|exhibit|step|phase)\s\d+$", re.I
)
_YEAR = re.compile(r"(?:19|20)\d\d\)?$")
_ENDS_OPEN = re.compile(r"\b(?:and|or|of|the|to|by|a|an|in|for|with|from|on|as|at)$")
_MAX_LEAD_IN_CHARACTERS = 60
_CONTENTS_LINES = 6
_COLUMN_HEADS_RUN = 3
# A line this much higher than the one before it, in font sizes, starts a column of text, not a cell of a table.
_COLUMN_JUMP_SIZES = 12


class _Style(NamedTuple):
    """What sets headings of one level apart; greater is higher."""

    size: float
    is_bold: bool
    is_capitals: bool
    is_upright: bool


class _Found(NamedTuple):
    first: int
    last: int
    style: _Style
    kind: str
    level: int | None


def find_headings(
    lines: Sequence[Line], furniture: Collection[int], leadings: dict[float, float]
) -> list[HeadingLines]:
    """Headings in the order of the text. Conservative: a missed heading costs less than a table row made one."""
    found = _without_column_heads(list(_found(lines, furniture, leadings)))
    levels = _style_levels(found)
    return [HeadingLines(one.level or levels[one.style], one.first, one.last) for one in found]


def find_title(lines: Sequence[Line], furniture: Collection[int], leadings: dict[float, float]) -> str:
    """What stands in the largest type on the first page that has text, if it is much larger than the body's."""
    first_page = [index for index, line in enumerate(lines) if line.page_index == lines[0].page_index]
    candidates = [index for index in first_page if index not in furniture and len(lines[index].text) > 2]
    first = max(candidates, key=lambda index: (lines[index].size, -index), default=None)
    if first is None or lines[first].size < _TITLE_FACTOR * body_size(lines):
        return ""
    last = _title_rows(lines, first, furniture, leadings) or first
    if lines[last].text.endswith(":") and last + 1 in candidates and lines[last + 1].size == lines[first].size:
        last += 1
    title = " ".join(line.text for line in lines[first : last + 1])
    return title if _reads_as_title(title, "") else ""


def _without_column_heads(found: Sequence[_Found]) -> list[_Found]:
    """Leave out runs of unnumbered titles in one style with nothing between: cells of a table, lines of a cover."""
    kept: list[_Found] = []
    run: list[_Found] = []
    for one in [*found, None]:
        if run and (one is None or one.first != run[-1].last + 1 or one.style != run[-1].style or one.kind):
            kept += run if len(run) < _COLUMN_HEADS_RUN else []
            run = []
        if one is not None:
            run.append(one)
    return kept


def body_size(lines: Sequence[Line]) -> float:
    """The type size in which most of the text is set, in points."""
    characters: Counter[float] = Counter()
    for line in lines:
        characters[line.size] += len(line.text)
    return characters.most_common(1)[0][0] if characters else 0.0


def _found(lines: Sequence[Line], furniture: Collection[int], leadings: dict[float, float]) -> Iterator[_Found]:
    body = body_size(lines)
    contents = _contents_pages(lines)
    index = 0
    while index < len(lines):
        line = lines[index]
        might = line.style.is_bold or line.size >= _BIGGER * body or _numbering(line.text)[0]
        last = _title_rows(lines, index, furniture, leadings) if might else None
        if last is None:
            index += 1
            continue
        rows = lines[index : last + 1]
        title = " ".join(row.text for row in rows)
        kind, level = _numbering(title)
        style = _style_of(rows[0], title)
        if _reads_as_title(title, kind) and _stands_out(lines, index, last, furniture, leadings, body, contents, kind):
            yield _Found(index, last, style, kind, level)
            index = last + 1
        else:
            index += 1


def _style_of(line: Line, title: str) -> _Style:
    return _Style(round(line.size * 2) / 2, line.style.is_bold, title.isupper(), not line.style.is_italic)


def _contents_pages(lines: Sequence[Line]) -> frozenset[int]:
    """Pages on which many lines end in a page number: tables of contents."""
    counts: Counter[int] = Counter()
    for line in lines:
        if _LEADERS.search(line.text) or (_ENDS_IN_PAGE.search(line.text) and _numbering(line.text)[0]):
            counts[line.page_index] += 1
    return frozenset(page for page, count in counts.items() if count >= _CONTENTS_LINES)


def _title_rows(
    lines: Sequence[Line], first: int, furniture: Collection[int], leadings: dict[float, float]
) -> int | None:
    """The last of up to three rows in one style that could be one title from ``first`` on."""
    line = lines[first]
    if first in furniture or len(line.text) > _MAX_CHARACTERS:
        return None
    last = first
    while last + 1 < len(lines) and last + 1 not in furniture and last - first + 1 < _MAX_ROWS:
        following = lines[last + 1]
        goes_on = (
            following.page_index == line.page_index
            and following.size == line.size
            and following.style == line.style
            and following.text.isupper() == line.text.isupper()
            and 0 < lines[last].y - following.y
            and not is_wide_gap(lines[last], following, leadings)
            and not _numbering(following.text)[0]
            and lines[last].text[-1] not in ".:;?!"
        )
        if not goes_on:
            break
        last += 1
    return last


def _numbering(title: str) -> tuple[str, int | None]:
    """What kind of number a title starts with, and the level that it tells."""
    named = _NAMED.match(title)
    if named and (title[0].isupper()):
        word = named[1].lower()
        return word, _NAMED_LEVEL.get(word)
    if _CJK_NAMED.match(title):
        return "cjk", None
    decimal = _DECIMAL.match(title)
    if decimal and decimal[1].count(".") and not decimal[1].startswith("0"):
        return "decimal", min(decimal[1].count(".") + 1, DEEPEST_LEVEL)
    return "", None


def _reads_as_title(title: str, kind: str) -> bool:
    letters = sum(map(str.isalpha, title))
    if len(title) > _MAX_CHARACTERS or letters < 3 or letters < 0.5 * len(title.replace(" ", "")):
        return letters >= 2 and _CJK_NAMED.match(title) is not None
    if _BULLET.match(title) or not (title[0].isalnum() or title[0] in "“\"'‘(") or title[0].islower():
        return False
    if _LEADERS.search(title) or "@" in title or "___" in title:
        return False
    if title[-1] in ",;" or (title[-1] == "." and not kind and not title.endswith("Inc.")):
        return False
    if _ENDS_IN_PAGE.search(title) and not _ENDS_IN_NAMED_NUMBER.search(title):
        return False
    if _ENDS_OPEN.search(title) or (title[-1] == ":" and len(title) > _MAX_LEAD_IN_CHARACTERS and not title.isupper()):
        return False
    return bool(kind) or not _holds_amounts(title)


def _holds_amounts(title: str) -> bool:
    """Whether numbers other than years make it the row of a table."""
    tokens = title.split()
    numbers = [token for token in tokens if _NUMBER_TOKEN.match(token)]
    if "$" in tokens or "%" in tokens or len(numbers) > 2:
        return True
    return tokens[-1] in numbers and not _YEAR.match(tokens[-1]) and not _ENDS_IN_NAMED_NUMBER.search(title)


def _stands_out(
    lines: Sequence[Line],
    first: int,
    last: int,
    furniture: Collection[int],
    leadings: dict[float, float],
    body: float,
    contents: Collection[int],
    kind: str,
) -> bool:
    line = lines[first]
    if line.size >= _BIGGER * body:
        return line.page_index not in contents or line.style.is_bold
    if line.page_index in contents or line.size < _SMALLEST * body:
        return False
    above = next((lines[i] for i in range(first - 1, -1, -1) if i not in furniture), None)
    below = lines[last + 1] if last + 1 < len(lines) and lines[last + 1].page_index == line.page_index else None
    is_apart = above is None or above.page_index != line.page_index or is_wide_gap(above, line, leadings)
    if (above is not None and is_same_row(above, line)) or (below is not None and is_same_row(lines[last], below)):
        return False
    if (above is not None and _is_cell_beside(above, line)) or (below is not None and _is_cell_beside(line, below)):
        return False
    if not is_apart and above is not None and above.y >= line.y:
        return False
    if below is not None and _is_table_row(below.text) and not kind:
        return False
    if line.style.is_bold:
        return True
    is_followed_by_gap = below is None or is_wide_gap(lines[last], below, leadings)
    return bool(kind) and is_followed_by_gap


def _is_cell_beside(left: Line, right: Line) -> bool:
    if left.page_index != right.page_index:
        return False
    return 0 < right.y - left.y < _COLUMN_JUMP_SIZES * right.size


def _is_table_row(text: str) -> bool:
    numbers = [bool(_NUMBER_TOKEN.match(token)) for token in text.split()]
    return sum(numbers) >= 2 and numbers[-1]


def _style_levels(found: Sequence[_Found]) -> dict[_Style, int]:
    """A level for each style: by its numbered headings where it has some, else one below the next higher style.

    Styles that occur once (a cover's) open no level of their own.
    """
    told: dict[_Style, Counter[tuple[int, str]]] = defaultdict(Counter)
    counts: Counter[_Style] = Counter(one.style for one in found)
    for one in found:
        if one.level is not None:
            told[one.style][(one.level, one.kind)] += 1
    levels: dict[_Style, int] = {}
    above = 0
    for style in sorted(counts, reverse=True):
        if told[style]:
            (level, kind), _ = told[style].most_common(1)[0]
            # An unnumbered heading in the type of "Item 7" stands under the item, one in that of "3.2" beside it.
            level += kind != "decimal"
        else:
            level = above + (counts[style] > 1 or above == 0)
        levels[style] = above = max(1, min(level, DEEPEST_LEVEL))
    return levels
