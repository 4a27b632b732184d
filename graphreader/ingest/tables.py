"""Tables in running text: what stands above each row (caption, unit, column titles, group), and a row as a statement.

A loader gives a table as lines; which of them name the table, its columns or a group of its rows is told by their looks
and their order. Knows nothing about passages or facts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from graphreader.ingest.chunk import is_furniture, sentences_of
from graphreader.records import Document
from graphreader.text.sentences import is_table_row

_MAX_LINE_CHARACTERS: Final = 320
_MAX_ROW_CHARACTERS: Final = 600
_MAX_CAPTION_CHARACTERS: Final = 160
_MAX_LABEL_CHARACTERS: Final = 100
_MAX_COLUMNS_CHARACTERS: Final = 160
#: Lines of labels directly above a table that name it; those further up name something larger.
_CAPTION_LINES: Final = 3
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(rf"\b{_MONTH} \d{{1,2}},? (?:19|20)\d\d\b|\b{_MONTH} (?:19|20)\d\d\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d,.$])(?:FY ?|Q[1-4] )?(?:19|20)\d\d(?![\d,%]|\.\d)")
_DATES_AND_YEARS = re.compile(f"{_DATE.pattern}|{_YEAR.pattern}", re.IGNORECASE)
_PERIOD = re.compile(
    r"\b(?:months?|weeks?|quarters?|years?|periods?) ended\b|^as (?:of|at)\b"
    rf"|^{_MONTH} \d{{1,2}},?(?: (?:19|20)\d\d)?\b"
    r"|^\(?(?:un)?audited\)?$|^(?:19|20)\d\d\b",
    re.IGNORECASE,
)
_UNIT_WORDS = r"(?:millions?|thousands?|billions?|except|percent|per cent|%)"
_UNIT = re.compile(rf"\([^()]*\b{_UNIT_WORDS}[^()]*\)(?:\s*\(unaudited\))?", re.IGNORECASE)
_BARE_UNIT = re.compile(rf"[$€£¥](?: and \w+)? in \b{_UNIT_WORDS}\b.*|in {_UNIT_WORDS}\b.*", re.IGNORECASE)
_PART_OF_DATE = re.compile(
    rf"{_DATE.pattern}|{_YEAR.pattern}|\b{_MONTH} \d{{1,2}}\b|\b\d{{1,2}} (?=weeks|months)", re.IGNORECASE
)
_ANNOUNCES = re.compile(
    r"\b(?:is|are|was|were|follow(?:s|ing)|below|consists?|includes?|presents?|shows?|summari[sz]\w+|sets? forth"
    r"|provides?)\b",
    re.IGNORECASE,
)
_CELLS = re.compile(r"(?:\s(?:\(?[$€£¥]?\s?\(?\d[\d,]*(?:\.\d+)?\s?%?\s?\)?%?|[—–-])(?=\s|$))++$")
_CELL = re.compile(r"[$€£¥]?\s?\(?[$€£¥]?\s?\(?\d[\d,]*(?:\.\d+)?\s?%?\s?\)?%?|(?<=\s)[—–-](?=\s|$)")


@dataclass(frozen=True, slots=True)
class Table:
    """What is above a row, each part empty where there is none. ``heading`` is the document's own above the caption."""

    caption: str = ""
    unit: str = ""
    columns: str = ""
    group: str = ""
    heading: str = ""
    #: The caption opens a page: headings of earlier pages are none of this table's.
    opens_page: bool = False


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a document: what is above each row, by the row's start, and where a page begins with a caption."""

    rows: Mapping[int, Table] = field(default_factory=dict)
    #: By the caption's start, with the end of its page.
    page_captions: Mapping[int, tuple[str, int]] = field(default_factory=dict)


class _Kind(Enum):
    ROW = "row"
    COLUMNS = "columns"
    UNIT = "unit"
    PERIOD = "period"
    LABEL = "label"
    LEAD_IN = "lead_in"
    PROSE = "prose"


def tables_of(document: Document) -> Tables:
    """Read the document's sentences once, in order; linear in its text."""
    reader = _Reader(document)
    for start, end in sentences_of(document):
        if not is_furniture(document, start, end):
            reader.pass_by(start, end)
    return Tables(reader.rows, reader.page_captions)


def row_statement(row: str, table: Table) -> str:
    """A row with its columns' dates before its figures: "Net sales, 2023: $ 14,694; 2022: $ 14,544 (in millions)".

    Empty where the columns' dates and the figures are not equally many, or the row has no label.
    """
    cells = _CELLS.search(row) if len(row) <= _MAX_ROW_CHARACTERS else None
    if cells is None:
        return ""
    label = row[: cells.start()].strip(" :|")
    figures = [figure.strip() for figure in _CELL.findall(row[cells.start() :])]
    dates = [found.group() for found in _DATES_AND_YEARS.finditer(table.columns)]
    if not label or not figures or len(dates) != len(figures):
        return ""
    stated = "; ".join(f"{date}: {figure}" for date, figure in zip(dates, figures, strict=True))
    return f"{label}, {stated} {_stated_unit(table.unit)}".rstrip()


def _stated_unit(unit: str) -> str:
    """The unit without its exceptions, which name themselves: "($ in millions, except share data)" is in millions."""
    return f"({unit.strip('() ').split(', except')[0]})" if unit else ""


class _Reader:
    """What was last seen above the rows of a table, while sentences pass by in order."""

    def __init__(self, document: Document) -> None:
        self.rows: dict[int, Table] = {}
        self.page_captions: dict[int, tuple[str, int]] = {}
        self._document = document
        self._headings = {heading.start: heading.title for heading in document.headings}
        self._page_starts = [page.start for page in document.pages]
        self._page = -1
        #: Labels that may turn out to be a caption, and where the first of them begins if it opens a page.
        self._labels: list[str] = []
        self._opening: int | None = None
        self._table = Table()
        self._row_count = 0

    def pass_by(self, start: int, end: int) -> None:
        """Take note of a sentence."""
        raw = self._document.text[start:end]
        line = " ".join(raw.split()) if len(raw) <= _MAX_LINE_CHARACTERS else ""
        page = bisect_right(self._page_starts, start)
        opens_page = page != self._page and self._page >= 0
        self._page = page
        kind = _kind(raw, line, self._row_count + bool(self._table.columns))
        if start in self._headings:
            self._begin(heading=self._headings[start])
        elif kind is _Kind.ROW:
            self._row(start)
        elif opens_page and kind in (_Kind.LABEL, _Kind.LEAD_IN):
            self._begin(labels=[line])
            self._opening = start if kind is _Kind.LABEL else None
        else:
            self._name(kind, line)

    def _begin(self, heading: str = "", labels: list[str] | None = None) -> None:
        self._table, self._row_count = Table(heading=" ".join(heading.split())), 0
        self._labels, self._opening = labels or [], None

    def _name(self, kind: _Kind, line: str) -> None:
        """A line that is no row of figures: the name of something, or the end of the table."""
        if kind is _Kind.PROSE:
            self._begin()
        elif kind is _Kind.LEAD_IN:
            self._begin(labels=[line])
        elif kind is _Kind.LABEL:
            self._labels.append(line)
        else:
            self._settle_caption()
            if kind is _Kind.UNIT:
                self._table = replace(self._table, unit=line)
            else:
                self._column(line)

    def _column(self, line: str) -> None:
        """Titles of columns: the first after rows replace those above, further ones join them."""
        if unit := _UNIT.search(line):
            self._table = replace(self._table, unit=unit.group())
            line = " ".join(_UNIT.sub(" ", line).split())
        before = "" if self._row_count else self._table.columns
        self._row_count = 0
        columns = f"{before} {line}".strip()
        self._table = replace(self._table, columns=columns if len(columns) <= _MAX_COLUMNS_CHARACTERS else line)

    def _row(self, start: int) -> None:
        if self._labels and (self._row_count or self._table.caption or self._table.columns):
            self._table = replace(self._table, group=self._labels[-1])
            self._labels, self._opening = [], None
        self._settle_caption()
        self._row_count += 1
        self.rows[start] = self._table

    def _settle_caption(self) -> None:
        """What follows shows that the labels before it name a table."""
        if not self._labels:
            return
        opens_page = self._opening is not None
        labels = self._labels[:_CAPTION_LINES] if opens_page else self._labels[-_CAPTION_LINES:]
        caption = " ".join(labels)[:_MAX_CAPTION_CHARACTERS]
        if self._opening is not None:
            self.page_captions[self._opening] = (caption, self._document.pages[self._page - 1].end)
        self._table = Table(caption, heading=self._table.heading, opens_page=opens_page)
        self._labels, self._opening, self._row_count = [], None, 0


def _kind(raw: str, line: str, within: int) -> _Kind:
    """What a sentence is to a table; ``within`` is above 0 where rows or titles of columns were seen."""
    if not line:
        return _Kind.ROW if is_table_row(raw) else _Kind.PROSE
    if _UNIT.fullmatch(line) or _BARE_UNIT.fullmatch(line):
        return _Kind.UNIT
    if is_table_row(raw):
        return _Kind.COLUMNS if _is_column_row(line, within) else _Kind.ROW
    if len(line) <= _MAX_LABEL_CHARACTERS and _PERIOD.search(line) and _is_column_row(line, 1):
        return _Kind.PERIOD
    if not any(character.isalpha() for character in line):
        return _Kind.ROW if within else _Kind.PROSE
    if line[-1] == ":" and _ANNOUNCES.search(line):
        return _Kind.LEAD_IN
    is_label = len(line) <= _MAX_LABEL_CHARACTERS and line[-1] not in ".;!?,"
    return _Kind.LABEL if is_label else _Kind.PROSE


def _is_column_row(line: str, within: int) -> bool:
    """Whether the only figures of a line are dates, or it is a table's first line and has no figures."""
    rest = _PART_OF_DATE.sub("", _UNIT.sub("", line))
    if any(character.isdigit() or character in "$€£¥%" for character in rest):
        return False
    return len(rest) < len(line) or not within
