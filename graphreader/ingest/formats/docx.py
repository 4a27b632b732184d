"""Word documents, read from the zip's XML: paragraphs, headings and tables in the order of the document."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from lxml import etree

from graphreader.ingest.formats.archive import Archive
from graphreader.ingest.formats.content import DEEPEST_LEVEL, Block, Extracted, assemble, clean, collapse
from graphreader.ingest.formats.html import join_cells

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"

_CONTAINERS = frozenset({f"{_W}sdt", f"{_W}sdtContent", f"{_W}customXml", f"{_W}smartTag", f"{_W}ins", f"{_W}moveTo"})
# Text that Word shows once or not at all: old renderings of shapes, deleted and moved-away text, field codes.
_NOT_SHOWN = (_FALLBACK, f"{_W}del", f"{_W}moveFrom", f"{_W}instrText")
_CHARACTERS = {
    f"{_W}tab": "\t",
    f"{_W}br": "\n",
    f"{_W}cr": "\n",
    f"{_W}noBreakHyphen": "-",
    f"{_W}ptab": "\t",
}


def extract(data: bytes, source: str) -> Extracted:
    """The text of a .docx. Raises ``DamagedSourceError`` and ``EncryptedSourceError``."""
    archive = Archive(data, source)
    main_name = _main_part(archive)
    root = archive.read_xml(main_name)
    folder = posixpath.dirname(main_name)
    levels = _heading_levels(archive, f"{folder}/styles.xml")
    blocks = list(_body_blocks(root.find(f"{_W}body"), levels))
    for notes in ("footnotes", "endnotes"):
        if f"{folder}/{notes}.xml" in archive.names:
            blocks += _note_blocks(archive.read_xml(f"{folder}/{notes}.xml"))
    return assemble([blocks], _title(archive))


def _main_part(archive: Archive) -> str:
    if "_rels/.rels" in archive.names:
        for relation in archive.read_xml("_rels/.rels").iter(_RELATIONSHIP):
            if relation.get("Type", "").endswith("/officeDocument"):
                return relation.get("Target", "").lstrip("/")
    return "word/document.xml"


def _title(archive: Archive) -> str:
    if "docProps/core.xml" not in archive.names:
        return ""
    return collapse(archive.read_xml("docProps/core.xml").findtext(f".//{_DC_TITLE}") or "")


def _heading_levels(archive: Archive, styles_name: str) -> dict[str, int]:
    """Heading level by style id: by the style's own outline level or name, else by the style it is based on."""
    if styles_name not in archive.names:
        return {}
    parents: dict[str, str] = {}
    levels: dict[str, int] = {}
    for style in archive.read_xml(styles_name).iter(f"{_W}style"):
        style_id = style.get(f"{_W}styleId", "")
        parents[style_id] = _value(style.find(f"{_W}basedOn"))
        level = _outline_level(style) or _level_of_name(_value(style.find(f"{_W}name")))
        if level is not None:
            levels[style_id] = level
    for style_id in parents:
        seen, ancestor = {style_id}, style_id
        while ancestor not in levels and parents.get(ancestor, "") not in seen | {""}:
            ancestor = parents[ancestor]
            seen.add(ancestor)
        if ancestor in levels:
            levels[style_id] = levels[ancestor]
    return levels


def _value(element: etree._Element | None) -> str:
    return "" if element is None else element.get(f"{_W}val", "")


def _outline_level(element: etree._Element) -> int | None:
    """From ``w:outlineLvl``, which counts from 0 and has 9 for body text."""
    value = _value(element.find(f"{_W}pPr/{_W}outlineLvl"))
    return int(value) + 1 if value.isascii() and value.isdigit() and int(value) < 9 else None


def _level_of_name(name: str) -> int | None:
    words = name.lower().split()
    if words[:1] == ["title"]:
        return 1
    if len(words) == 2 and words[0] == "heading" and words[1].isascii() and words[1].isdigit():
        return max(1, min(int(words[1]), DEEPEST_LEVEL))
    return None


def _body_blocks(body: etree._Element | None, levels: dict[str, int]) -> Iterator[Block]:
    if body is None:
        return
    for element in list(body.iter(*_NOT_SHOWN)):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
    for element in _flattened(body):
        if element.tag == f"{_W}p":
            text = _text(element, "\n").strip()
            style = _value(element.find(f"{_W}pPr/{_W}pStyle"))
            level = _outline_level(element) or levels.get(style)
            yield Block(text, level if text else None)
        elif element.tag == f"{_W}tbl":
            yield from _table_blocks(element)


def _flattened(parent: etree._Element) -> Iterator[etree._Element]:
    """The children of ``parent``, with those of containers (controls, tracked insertions) in their place."""
    stack = [iter(parent)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif child.tag in _CONTAINERS:
            stack.append(iter(child))
        else:
            yield child


def _table_blocks(table: etree._Element) -> Iterator[Block]:
    is_first = True
    for row in _flattened(table):
        cells = [collapse(_text(cell, " ")) for cell in _flattened(row) if cell.tag == f"{_W}tc"]
        line = join_cells(cells)
        if line:
            yield Block(line, None, tight=not is_first)
            is_first = False


def _text(element: etree._Element, between_paragraphs: str) -> str:
    parts: list[str] = []
    for part in element.iter(f"{_W}t", f"{_W}p", *_CHARACTERS):
        if part.tag == f"{_W}t":
            parts.append(part.text or "")
        elif part.tag == f"{_W}p":
            parts.append(between_paragraphs)
        elif (parent := part.getparent()) is not None and parent.tag == f"{_W}r":
            # Tab stops of a paragraph's properties have the tag of a tab character.
            parts.append(_CHARACTERS[str(part.tag)])
    return clean("".join(parts))


def _note_blocks(notes: etree._Element) -> list[Block]:
    """Footnotes stand at the end: their place in the text is no place of a page."""
    return [Block(_text(note, "\n").strip()) for note in notes]
