"""Plain text: verbatim but for line ends; headings where a line plainly is one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from graphreader.ingest.formats.content import Extracted, clean, collapse
from graphreader.records import Heading, Page

_MAX_HEADING_CHARACTERS = 100
_NUMBER = (
    r"(?:\d{1,3}|[IVXLC]{1,8}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen"
    r"|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|the \w+)"
)
# (pattern, rank): a smaller rank stands above a larger one.
_PATTERNS = (
    (re.compile(rf"(?:part|book|volume|act)\s+{_NUMBER}\b[.:—-]?(?:\s+\S.*)?$", re.I), 1),
    (
        re.compile(rf"(?:chapter|canto|letter|stave|appendix|annex)\s+(?:{_NUMBER}|[A-Z])\b[.:—-]?(?:\s*\S.*)?$", re.I),
        2,
    ),
    (re.compile(rf"(?:section|scene)\s+{_NUMBER}\b[.:—-]?(?:\s+\S.*)?$", re.I), 3),
    (
        re.compile(
            r"(?:prologue|epilogue|preface|foreword|introduction|contents|table of contents|acknowledge?ments|abstract"
            r"|conclusions?|references|bibliography|glossary|afterword|index|appendix)\.?$",
            re.I,
        ),
        2,
    ),
)
_CJK_NUMBER = r"[〇零一二三四五六七八九十百千两兩\d０-９]{1,7}"
_CJK_PATTERNS = (
    (re.compile(rf"第{_CJK_NUMBER}[部卷編编篇](?:[\s　:：].{{0,40}})?$"), 1),
    (re.compile(rf"(?:第{_CJK_NUMBER}[回章集幕話话]|제\s?\d{{1,3}}\s?장)(?:[\s　:：].{{0,40}})?$"), 2),
    (re.compile(rf"第{_CJK_NUMBER}[節节](?:[\s　:：].{{0,40}})?$"), 3),
    (re.compile(r"(?:序言?|前言|楔子|引子|尾声|後記|后记|附录|附錄|目录|目錄|まえがき|あとがき)$"), 2),
)
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,4})\.?\s+[A-Z][^.?!]{1,78}$")
_LINE = re.compile(r"[^\n]+")
_NEXT_LINE = re.compile(rf"[^\n]{{0,{_MAX_HEADING_CHARACTERS}}}")
_ROMAN_ALONE = re.compile(r"[IVXLC]{1,8}\.?$")
_CAPITALS = re.compile(r"[A-Z][A-Z0-9 ,'’&:()\-]{3,59}\.?$")
_SENTENCE_END = "。！？；，,;"
# This many headings in a row with nothing between them are a table of contents.
_CONTENTS_RUN = 4
_MIN_ROMAN_ALONE = 3


@dataclass(frozen=True, slots=True)
class _Candidate:
    start: int
    end: int
    title: str
    rank: int
    kind: str


def extract(text: str) -> Extracted:
    """``text`` as it is; form feeds end pages."""
    text = clean(text)
    return Extracted(text, split_pages(text), tuple(find_headings(text)))


def split_pages(text: str) -> tuple[Page, ...]:
    """One page, or as many as form feeds part; a form feed belongs to the page that it ends."""
    pages: list[Page] = []
    start = 0
    while start < len(text) or not pages:
        end = text.find("\f", start) + 1 or len(text)
        pages.append(Page(len(pages) + 1, start, end))
        start = end
    return tuple(pages)


def find_headings(text: str) -> Iterator[Heading]:
    """Headings by patterns that prose seldom meets: chapter lines, numbered titles, lone lines in capitals."""
    candidates = _without_contents(list(_candidates(text)), text)
    counts = Counter(candidate.kind for candidate in candidates)
    kept = [c for c in candidates if c.kind != "roman" or counts["roman"] >= _MIN_ROMAN_ALONE]
    ranks = sorted({candidate.rank for candidate in kept})
    for candidate in kept:
        yield Heading(ranks.index(candidate.rank) + 1, candidate.title, candidate.start, candidate.end)


def _candidates(text: str) -> Iterator[_Candidate]:
    blank_before = True
    for match in _LINE.finditer(text):
        line = match.group()
        title = line.strip()
        if title and blank_before and len(title) <= _MAX_HEADING_CHARACTERS:
            following = _NEXT_LINE.match(text, match.end() + 1)
            alone = following is None or not following.group().strip()
            found = _classify(title, indented=line[0].isspace(), alone=alone)
            if found is not None:
                start = match.start() + line.index(title)
                yield _Candidate(start, start + len(title), collapse(title), *found)
        blank_before = not title or text.startswith("\n", match.end() + 1)


def _classify(title: str, *, indented: bool, alone: bool) -> tuple[int, str] | None:
    """The rank and kind of a line that can be a heading."""
    if title[0] in "第제序前楔引尾後后附目まあ":
        for pattern, rank in _CJK_PATTERNS:
            if title[-1] not in _SENTENCE_END and pattern.match(title):
                return rank, "named"
        return None
    for pattern, rank in _PATTERNS:
        if alone and pattern.match(title):
            return rank, "named"
    if not alone or indented:
        return None
    decimal = _DECIMAL.match(title)
    if decimal:
        return 3 + decimal[1].count("."), "decimal"
    if _ROMAN_ALONE.match(title):
        return 2, "roman"
    if _CAPITALS.match(title) and sum(map(str.isalpha, title)) >= max(4, 0.6 * len(title)):
        return 2, "capitals"
    return None


def _without_contents(candidates: list[_Candidate], text: str) -> list[_Candidate]:
    kept: list[_Candidate] = []
    run: list[_Candidate] = []
    for candidate in candidates:
        if run and text[run[-1].end : candidate.start].strip():
            kept += run if len(run) < _CONTENTS_RUN else run[-1:]
            run = []
        run.append(candidate)
    # The last of a run is followed by text: it is a heading even where those before it are a list of them.
    return kept + (run if len(run) < _CONTENTS_RUN else run[-1:])
