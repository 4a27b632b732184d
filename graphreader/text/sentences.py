"""Where sentences are, in prose and in the text of PDFs, where lines are wrapped and table rows look like sentences.

Two steps, both linear in the text: lines are joined to runs (a paragraph, a heading, a row), then each run of prose is
split at its sentence ends. Only what is near a possible end is looked at, so hostile input costs no more than a book.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_CLOSERS = "\"'”’»)\\]）」』》】〉"
_WIDE_STOPS = "。！？；｡"
# Every character of a match is consumed whatever follows, so no character is looked at twice.
_STOP = re.compile(
    rf"[{_WIDE_STOPS}.!?…।؟۔](?:[{_WIDE_STOPS}.!?…]|[ \t]{{1,2}}(?=\.))*+"
    rf"(?P<closers>[{_CLOSERS}]*+)(?P<note>\d{{0,2}}+(?=\s))?+(?P<gap>\s*+)"
)
_LEADER = re.compile(r"\.{4}|(?:\.[ \t]{1,2}){3}")
_WIDE_STOP = re.compile(f"[{_WIDE_STOPS}]")
_NEVER_LAST = frozenset(
    "mr mrs ms messrs mme mlle dr prof rev hon st capt lieut gen col maj sgt gov sen rep vs viz cf e.g i.e".split()
)
_BEFORE_NUMBER = frozenset("no nos fig figs eq eqs sec vol vols p pp ch art par ref tab item note".split())
_SELDOM_LAST = frozenset(
    "inc co corp ltd llc plc jr sr etc al dept est approx ave blvd bros univ assn jan feb mar apr jun jul aug sept sep "
    "oct nov dec mt ft".split()
)
_STARTERS = frozenset(
    "a after all although an and as at because before both but by during each every few finally first for from he her "
    "here his how however i if in it its many more moreover most my no not on one or other our she since so some such "
    "that the their then there these they this those through thus to under until upon we what when where which while "
    "who why with without yes you your".split()
)
_CONNECTORS = frozenset(
    "a an and as at be by for from has have in into is its may not of on or our such that the their this to under upon "
    "was were which who will with would mr mrs dr no".split()
)
_BULLETS = frozenset("•▪●◦‣∙■□◆➢✓")
_DASH_BULLETS = frozenset("-–—*>+·")
_NUMBERED_ITEM = re.compile(r"(?:\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})\)|\d{1,3}\.)\s")
_CELL = re.compile(r"[($€£¥~<>+−–—-]*\d[\d,.:/]*[%)xXbp*]*|[—–-]+|n/?a|N/A|n/?m|NM")
_SYMBOL_CELL = frozenset(("$", "%", ")", "€", "£", ")%", "(", "*"))
_CELL_ENDS = frozenset("0123456789)%—–-*mMaAx$€£")
_GAPPED = re.compile(r"\S[^\S\n]{3,}\S.*?\S[^\S\n]{3,}\S|\t\s*\S.*\t\s*\S")
_TEXT_LINE = re.compile(r"[^\n\f]+")
#: A log of a million lines without a blank one is taken in parts, and so are pages of a table.
_MAX_BLOCK_LINES = 10_000
_TAIL_CHARACTERS = 80
_LABEL_CHARACTERS = 60
_INNER_END = re.compile(r"[a-z)][.!?] [A-Z]")


class _Kind(IntEnum):
    TEXT = 0
    ROW = 1
    NUMBERS = 2
    ITEM = 3
    NUMBERED_ITEM = 4
    HEADING = 5


class _Line(NamedTuple):
    start: int
    end: int
    text: str
    kind: _Kind


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Spans of the sentences, headings, list items and table rows of ``text[start:end]``, as offsets into ``text``.

    In order, without overlap or outer whitespace, and together they hold every character that is no whitespace. A span
    may be of any length: text without sentence ends is one sentence.
    """
    spans: list[tuple[int, int]] = []
    for block in _blocks(text, start, len(text) if end is None else min(end, len(text))):
        run_start, previous = block[0].start, block[0]
        for index in range(1, len(block)):
            if _parts(block, index):
                _split_run(text, run_start, previous.end, spans)
                run_start = block[index].start
            previous = block[index]
        _split_run(text, run_start, previous.end, spans)
    return spans


def is_table_row(sentence: str) -> bool:
    """Whether a sentence, as cut by ``sentence_spans``, looks like a row of a table: cells at its end, or bars."""
    line = sentence[sentence.rfind("\n") + 1 :].strip()
    return bool(line) and _kind(line) is _Kind.ROW


def _blocks(text: str, start: int, end: int) -> Iterator[list[_Line]]:
    """Groups of lines without a blank line between them."""
    block: list[_Line] = []
    line_end = start
    for match in _TEXT_LINE.finditer(text, start, end):
        raw = match.group()
        line = raw.strip()
        if block and (not line or match.start() > line_end + 1 or len(block) == _MAX_BLOCK_LINES):
            yield block
            block = []
        line_end = match.end()
        if line:
            begin = match.start() if line[0] == raw[0] else line_end - len(raw.lstrip())
            block.append(_Line(begin, begin + len(line), line, _kind(line)))
    if block:
        yield block


def _kind(line: str) -> _Kind:
    first = line[0]
    if first in _BULLETS or (first in _DASH_BULLETS and line[1:2].isspace()):
        return _Kind.ITEM
    if first == "#" and line.lstrip("#")[:1].isspace():
        return _Kind.HEADING
    if first == "|" or line.count(" | ") >= 2:
        return _Kind.ROW
    if line[-1].isdigit() and _LEADER.search(line):
        return _Kind.ROW
    if line[-1] in _CELL_ENDS:
        cells = _tail_cells(line)
        if cells:
            return cells
    if "   " in line or "\t" in line:
        if _GAPPED.search(line, 0, 400):
            return _Kind.ROW
    if (first in "(0123456789" or line[1:2] == ")") and _NUMBERED_ITEM.match(line):
        return _Kind.NUMBERED_ITEM
    return _Kind.TEXT


def _tail_cells(line: str) -> _Kind:
    """ROW where a line ends in two or more table cells, NUMBERS where it has nothing else, TEXT otherwise."""
    tokens = line[-_TAIL_CHARACTERS:].split()
    cells = 0
    for token in reversed(tokens):
        if token in _SYMBOL_CELL:
            continue
        if not _CELL.fullmatch(token):
            return _Kind.ROW if cells >= 2 else _Kind.TEXT
        cells += 1
    return _Kind.NUMBERS if len(line) <= _TAIL_CHARACTERS else _Kind.ROW


def _parts(block: list[_Line], index: int) -> bool:
    """Whether the newline before ``block[index]`` parts two sentences, rather than wrapping one."""
    before, after = block[index - 1], block[index]
    if after.kind is _Kind.ITEM or _Kind.HEADING in (before.kind, after.kind):
        return True
    if before.kind is _Kind.ROW:
        return True
    last = before.text[-1]
    wraps = last in ",-" or before.text[-8:].rsplit(None, 1)[-1].lower() in _CONNECTORS
    if after.kind is _Kind.ROW:
        return not (wraps or (after.text[0].islower() and last not in ".:;"))
    if after.kind is _Kind.NUMBERS:
        # Cells on lines of their own belong to their label; below a full line they are page numbers and footnote marks.
        return not wraps and (last in ".:;!?" or (before.kind is _Kind.TEXT and len(before.text) > _LABEL_CHARACTERS))
    if after.kind is _Kind.NUMBERED_ITEM:
        return last in ".:;,!?)" or (not wraps and _is_short(block, index))
    if after.text[0].islower():
        return False
    return not wraps and _starts_anew(block, index)


def _starts_anew(block: list[_Line], index: int) -> bool:
    """Whether a line that begins with a capital, digit or mark begins something new, by the look of its neighbours."""
    before, after = block[index - 1], block[index]
    last = before.text[-1]
    if last == ":" or before.kind is _Kind.NUMBERS:
        return True
    if before.text.isupper() != after.text.isupper():
        # Capitals alone are a heading only where they fill the line: prose may end its line with "IBM".
        return len(before.text) > 3
    return _is_short(block, index) or _is_list(block, index)


def _is_short(block: list[_Line], index: int) -> bool:
    """Whether the next line's first word would have fitted on the line before, so that it was ended on purpose."""
    before, after = block[index - 1].text, block[index].text
    width = max(len(line.text) for line in block[max(0, index - 3) : index + 3])
    word = after.find(" ", 0, 40)
    return len(before) + 1 + (word if word > 0 else min(len(after), 40)) < 0.8 * width


def _is_list(block: list[_Line], index: int) -> bool:
    """Whether three neighbouring lines all begin with a capital and hold no sentence end, as in a list or a table."""
    third = index + 1 if index + 1 < len(block) else index - 2
    lines = [block[i].text for i in (index - 1, index, third) if i >= 0]
    return len(lines) == 3 and all(
        line[0].isupper() and len(line) < 200 and line[-1] not in ".!?;" and not _INNER_END.search(line)
        for line in lines
    )


def _split_run(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    begin = start
    for stop in _STOP.finditer(text, start, end):
        if stop.end() < end and _ends_sentence(text, begin, stop):
            spans.append((begin, stop.start("gap")))
            begin = stop.end()
    spans.append((begin, end))


def _ends_sentence(text: str, begin: int, stop: re.Match[str]) -> bool:
    follower = text[stop.end()]
    mark = stop.group()
    if _WIDE_STOP.search(mark):
        return True
    if not stop.group("gap"):
        return mark[0] in "!?" and "\u2e80" <= follower <= "\uff00"
    if follower.islower() or follower in ",;:-–—":
        return False
    if stop.group("note") and not text[max(begin, stop.start() - 3) : stop.start()].islower():
        return False
    if _LEADER.match(mark):
        return not follower.isdigit()
    if mark[0] != "." or mark[1:2] == "." or stop.group("closers")[:1] in ('"', "”"):
        return True
    return not _is_abbreviation(text, begin, stop)


def _is_abbreviation(text: str, begin: int, stop: re.Match[str]) -> bool:
    """Whether the word before a full stop is one that is written with it, and goes on here."""
    at = stop.start()
    word = re.split(r"[\s(\[\"“‘/—-]", text[max(begin, at - 16) : at])[-1]
    lowered = word.lower()
    if lowered in _NEVER_LAST:
        return True
    if lowered in _BEFORE_NUMBER:
        return text[stop.end()].isdigit()
    opens = at - len(word) == begin
    if opens and ((word.isdigit() and len(word) <= 3) or word.strip("IVX") == ""):
        return True
    initials = word[:1].isalpha() and all(len(part) <= 2 and part.isalpha() for part in word.split("."))
    if lowered in _SELDOM_LAST or (initials and ("." in word or (len(word) == 1 and word.isupper()))):
        follower = re.match(r"\W*(\w+)", text[stop.end() : stop.end() + 24])
        return follower is None or follower.group(1).lower() not in _STARTERS
    return False
