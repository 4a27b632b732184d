"""HTML: the text a reader sees, block by block."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from graphreader.ingest.formats.content import Block, Extracted, assemble, clean, collapse
from graphreader.ingest.formats.encodings import decode

_INVISIBLE = frozenset(
    "script style noscript template nav svg iframe object embed audio video canvas map select option textarea button "
    "input datalist dialog title ix:header ix:hidden".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu ol p pre section summary table tbody tfoot thead tr td th "
    "caption ul".split()
)
_TIGHT = frozenset({"li", "dd"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.I)
_WHITE_SPACE = re.compile(r"[ \t\n\r\f]+")
# Stands for a line break of the source inside a block; no such character is left after ``clean``.
_BREAK = "\x0b"
# A cell longer than this is a page laid out by a table, not data.
_MAX_CELL_CHARACTERS = 600
_CELL_PREFIXES = frozenset({"$", "€", "£", "¥", "(", "$(", "US$"})
_CELL_SUFFIXES = frozenset({")", "%", ")%", "%)"})


def extract(data: bytes, source: str) -> Extracted:
    """The visible text of a page. Raises ``UnsupportedSourceError`` for bytes that are no text."""
    root = parse(data, source)
    if root is None:
        return assemble([[]])
    title = root.find(".//title")
    return assemble([blocks(root)], collapse("".join(map(str, title.itertext()))) if title is not None else "")


def parse(data: bytes, source: str) -> etree._Element | None:
    """The tree of an HTML file; None where there is nothing in it."""
    declared = _CHARSET.search(data[:4096])
    text = clean(decode(data, source, declared[1].decode("ascii") if declared else None))
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_pis=True, remove_comments=True, no_network=True)
    if not text.strip():
        return None
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.ParserError:
        return None
    except etree.XMLSyntaxError:
        # Nothing but comments or markup declarations.
        return None


def blocks(root: etree._Element) -> list[Block]:
    """The visible blocks under ``root`` in reading order. Nothing here recurses: pages nest as deep as they like."""
    writer = _Writer()
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if _is_invisible(element, tag):
                walk.skip_subtree()
                continue
            writer.open(element, tag)
            writer.write(element.text)
        else:
            if not _is_invisible(element, tag):
                writer.close(element, tag)
            if element is not root:
                writer.write(element.tail)
    writer.flush()
    return writer.blocks


def _is_invisible(element: etree._Element, tag: str) -> bool:
    return (
        tag in _INVISIBLE
        or tag == ""
        or "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or element.get("role") == "navigation"
        or _HIDDEN_STYLE.search(element.get("style", "")) is not None
    )


class _Writer:
    """Gathers inline text and cuts it into blocks as elements open and close."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._preformatted = 0
        self._level: int | None = None
        self._tight = False
        self._bullet = ""
        self._data_table: etree._Element | None = None
        self._cells: list[str] = []
        self._first_row = True

    def write(self, text: str | None) -> None:
        if text:
            self._parts.append(text.replace("\n", _BREAK) if self._preformatted else _WHITE_SPACE.sub(" ", text))

    def open(self, element: etree._Element, tag: str) -> None:
        if tag == "br":
            self._parts.append(" " if self._data_table is not None else _BREAK)
        elif self._data_table is not None:
            self._open_in_table(tag)
        elif tag in _BLOCKS:
            self.flush()
            self._level = _HEADINGS.get(tag, self._level)
            self._tight = tag in _TIGHT and element.getprevious() is not None
            if tag == "li":
                self._bullet = "- "
            self._preformatted += tag == "pre"
            if tag == "table" and _is_data_table(element):
                self._data_table, self._cells, self._first_row = element, [], True

    def close(self, element: etree._Element, tag: str) -> None:
        if self._data_table is not None:
            self._close_in_table(element, tag)
        elif tag in _BLOCKS:
            self.flush()
            self._bullet = ""
            if tag in _HEADINGS:
                self._level = None
            self._preformatted -= tag == "pre"

    def _open_in_table(self, tag: str) -> None:
        if tag == "tr":
            self._end_row()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _BLOCKS:
            self._parts.append(" ")

    def _close_in_table(self, element: etree._Element, tag: str) -> None:
        if tag in ("td", "th"):
            self._cells.append(collapse("".join(self._parts)))
            self._parts = []
        elif tag in ("tr", "caption"):
            self._end_row()
        elif tag in _BLOCKS:
            self._parts.append(" ")
        if element is self._data_table:
            self._end_row()
            self._data_table = None

    def _end_cell(self) -> None:
        text = collapse("".join(self._parts))
        self._parts = []
        if text:
            self._cells.append(text)

    def _end_row(self) -> None:
        self._end_cell()
        row = join_cells(self._cells)
        self._cells = []
        if row:
            self.blocks.append(Block(row, None, tight=not self._first_row))
            self._first_row = False

    def flush(self) -> None:
        """End the block that is being gathered."""
        text = "".join(self._parts)
        self._parts = []
        if self._preformatted:
            text = text.replace(_BREAK, "\n").strip("\n").rstrip()
        else:
            text = "\n".join(line.strip(" ") for line in text.split(_BREAK)).strip(" \n")
        if text.strip():
            self.blocks.append(Block(self._bullet + text, self._level, self._tight and self._level is None))
            self._bullet, self._tight = "", False


def _is_data_table(table: etree._Element) -> bool:
    if table.find(".//table") is not None or any(table.find(f".//{tag}") is not None for tag in (*_HEADINGS, "pre")):
        return False
    cells = table.iter("td", "th")
    return all(sum(map(len, cell.itertext())) <= _MAX_CELL_CHARACTERS for cell in cells)


def join_cells(cells: Iterable[str]) -> str:
    """A table row as one line. Empty cells after the first only pad; signs in cells of their own go to their number."""
    joined: list[str] = []
    prefix = ""
    for index, cell in enumerate(cells):
        if cell in _CELL_PREFIXES:
            prefix += cell
        elif cell in _CELL_SUFFIXES and joined:
            joined[-1] += cell
        elif cell or index == 0:
            joined.append(prefix + cell)
            prefix = ""
    if prefix:
        joined.append(prefix)
    return " | ".join(joined).strip() if any(joined) else ""
