"""The setting of the example report: marked-up prose to reportlab flowables, and the pages they are put on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from report_tables import ReportTable
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY, TA_RIGHT
from reportlab.lib.pagesizes import B5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

TITLE = "Report of the Inquiry into the Haddle Sound Tidal Scheme"
MARGIN = 21 * mm
TEXT_WIDTH = B5[0] - 2 * MARGIN
RULE = colors.HexColor("#7a8794")

_SERIF, _BOLD, _ITALIC = "Times-Roman", "Times-Bold", "Times-Italic"
_CELL_SIZE = 8.2

STYLES: dict[str, ParagraphStyle] = {
    "body": ParagraphStyle(
        "body", fontName=_SERIF, fontSize=10.6, leading=14.7, spaceAfter=7.5, alignment=TA_JUSTIFY, allowWidows=0
    ),
    "plain": ParagraphStyle("plain", fontName=_SERIF, fontSize=10.6, leading=14.7, spaceAfter=7.5),
    "quote": ParagraphStyle(
        "quote", fontName=_SERIF, fontSize=10.2, leading=14, spaceAfter=6, leftIndent=14, rightIndent=10
    ),
    "item": ParagraphStyle(
        "item",
        fontName=_SERIF,
        fontSize=10.6,
        leading=14.6,
        spaceAfter=4.5,
        leftIndent=22,
        bulletIndent=4,
        bulletFontName=_SERIF,
        bulletFontSize=10.6,
    ),
    "h1": ParagraphStyle("h1", fontName=_BOLD, fontSize=18, leading=23, spaceBefore=16, spaceAfter=15, keepWithNext=1),
    "h2": ParagraphStyle("h2", fontName=_BOLD, fontSize=12, leading=16, spaceBefore=9, spaceAfter=5, keepWithNext=1),
    "caption": ParagraphStyle(
        "caption", fontName=_BOLD, fontSize=9.3, leading=12, spaceBefore=5, spaceAfter=4, keepWithNext=1
    ),
    "longcaption": ParagraphStyle("longcaption", fontName=_BOLD, fontSize=9.3, leading=12, spaceBefore=5, spaceAfter=4),
    "cell": ParagraphStyle("cell", fontName=_SERIF, fontSize=_CELL_SIZE, leading=10.4),
    "number": ParagraphStyle("number", fontName=_SERIF, fontSize=_CELL_SIZE, leading=10.4, alignment=TA_RIGHT),
    "head": ParagraphStyle("head", fontName=_BOLD, fontSize=_CELL_SIZE, leading=10.4),
    "headnumber": ParagraphStyle("headnumber", fontName=_BOLD, fontSize=_CELL_SIZE, leading=10.4, alignment=TA_RIGHT),
    "title": ParagraphStyle("title", fontName=_BOLD, fontSize=25, leading=32, alignment=TA_CENTER, spaceAfter=18),
    "subtitle": ParagraphStyle("subtitle", fontName=_ITALIC, fontSize=12.5, leading=18, alignment=TA_CENTER),
}


class ReportTemplate(BaseDocTemplate):  # type: ignore[misc]  # reportlab ships no types
    """Pages with running head and foot; headings go to the outline and to the table of contents."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            pagesize=B5,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=24 * mm,
            bottomMargin=22 * mm,
            title=TITLE,
            author="The Inquiry",
            invariant=1,
            # Uncompressed, so that the bytes do not hang on the zlib of the machine.
            pageCompression=0,
        )
        frame = Frame(MARGIN, 22 * mm, TEXT_WIDTH, B5[1] - 46 * mm, leftPadding=0, rightPadding=0)
        plain = PageTemplate(id="title", frames=[frame], autoNextPageTemplate="text")
        # The head is drawn when the page is full, for only then is it known which chapter begins on it.
        text = PageTemplate(id="text", frames=[frame], onPageEnd=self._furniture)
        self.addPageTemplates([plain, text])
        self.chapter = ""

    def beforeDocument(self) -> None:
        """Start each pass of the multi-pass build without a chapter."""
        self.chapter = ""

    def afterFlowable(self, flowable: Flowable) -> None:
        """Record a heading that has just been set."""
        style = getattr(getattr(flowable, "style", None), "name", "")
        if style not in ("h1", "h2"):
            return
        text = flowable.getPlainText()
        level = 0 if style == "h1" else 1
        if level == 0:
            self.chapter = text
        key = f"heading-{self.seq.nextf('heading')}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(text, key, level=level, closed=level == 0)
        if text != "Contents":
            self.notify("TOCEntry", (level, text, self.page, key))

    def _furniture(self, canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont(_ITALIC, 8.8)
        top, bottom = B5[1] - 16 * mm, 13 * mm
        if document.page % 2:
            canvas.drawRightString(B5[0] - MARGIN, top, self.chapter)
        else:
            canvas.drawString(MARGIN, top, TITLE)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.4)
        canvas.line(MARGIN, top - 4, B5[0] - MARGIN, top - 4)
        canvas.setFont(_SERIF, 9)
        canvas.drawCentredString(B5[0] / 2, bottom, f"Page {document.page}")
        canvas.restoreState()


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each ``{{name}}`` replaced; raises KeyError for a name that is not in ``values``."""
    return re.sub(r"\{\{([^}]+)\}\}", lambda match: values[match.group(1)], text)


def set_prose(text: str, values: Mapping[str, str], tables: Mapping[str, ReportTable]) -> Iterator[Flowable]:
    """The flowables of one source file: blocks parted by blank lines, marked as in Markdown."""
    for block in re.split(r"\n\s*\n", fill(text, values).strip()):
        called = re.fullmatch(r"\[\[table:(\w+)\]\]", block)
        if called:
            yield from set_table(tables[called.group(1)])
        elif re.match(r"- |\d+\. ", block):
            yield from (_item(line) for line in block.splitlines())
        else:
            yield from _paragraph(block)


def _paragraph(block: str) -> Iterator[Flowable]:
    for mark, style in (("# ", "h1"), ("## ", "h2"), ("> ", "quote")):
        if block.startswith(mark):
            if style == "h1":
                yield PageBreak()
            yield Paragraph(_inline(block[len(mark) :]), STYLES[style])
            return
    yield Paragraph(_inline(block), STYLES["body" if len(block) > 90 else "plain"])


def _item(line: str) -> Flowable:
    bullet, text = line.split(" ", 1)
    return Paragraph(_inline(text), STYLES["item"], bulletText="–" if bullet == "-" else bullet)


def _inline(text: str) -> str:
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", escape(text))


def set_table(table: ReportTable) -> Iterator[Flowable]:
    """The caption and the table; the header row is repeated on every page the table runs over."""
    body = [[_head(cell, i in table.numeric) for i, cell in enumerate(table.header)]]
    first_total = len(table.rows) - table.total_rows
    for index, row in enumerate(table.rows):
        make = _head if index >= first_total else _cell
        body.append([make(cell, i in table.numeric) for i, cell in enumerate(row)])
    commands: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEABOVE", (0, 0), (-1, 0), 0.8, colors.black),
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.black),
        ("LINEBELOW", (0, 1), (-1, -2), 0.2, RULE),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, colors.black),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]
    # Kept with a table longer than a page, the caption would push the whole of it to the next one.
    yield Paragraph(escape(table.caption), STYLES["caption" if len(table.rows) < 24 else "longcaption"])
    yield Table(body, [w * TEXT_WIDTH for w in table.widths], repeatRows=1, style=commands)
    yield Spacer(1, 9)


def _cell(text: str, numeric: bool) -> Paragraph:
    return Paragraph(escape(text), STYLES["number" if numeric else "cell"])


def _head(text: str, numeric: bool) -> Paragraph:
    return Paragraph(escape(text), STYLES["headnumber" if numeric else "head"])


def contents() -> list[Flowable]:
    """The heading and the table of contents, filled in by the second pass."""
    table = TableOfContents(
        dotsMinLevel=9,
        tableStyle=TableStyle([("TOPPADDING", (0, 0), (-1, -1), 0.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5)]),
        levelStyles=[
            ParagraphStyle("toc1", fontName=_BOLD, fontSize=10, leading=13, spaceBefore=4, rightIndent=16),
            ParagraphStyle("toc2", fontName=_SERIF, fontSize=9.4, leading=11.8, leftIndent=14, rightIndent=16),
        ],
    )
    return [PageBreak(), Paragraph("Contents", STYLES["h1"]), table]


def title_page() -> list[Flowable]:
    """The first page."""
    return [
        Spacer(1, 45 * mm),
        Paragraph(TITLE, STYLES["title"]),
        Paragraph(
            "made to the Convener of the Tarrowey Council<br/>under section 9 of the Public Works Act 1974",
            STYLES["subtitle"],
        ),
        Spacer(1, 20 * mm),
        Paragraph("Marguerite Dallow, Chair<br/>Professor Emeric Stroud<br/>Anneliese Coward", STYLES["subtitle"]),
        Spacer(1, 42 * mm),
        Paragraph("Kelmouth<br/>15 January 2021", STYLES["subtitle"]),
    ]
