"""PDF through pdfium: reading pages into lines; the neighbouring ``pdf_*`` modules make a text of them."""

from __future__ import annotations

import ctypes
import math
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pypdfium2
import pypdfium2.raw as pdfium

from graphreader.errors import DamagedSourceError, EmptySourceError, EncryptedSourceError
from graphreader.ingest.formats.content import Extracted, collapse
from graphreader.ingest.formats.pdf_furniture import find_furniture
from graphreader.ingest.formats.pdf_headings import find_headings, find_title
from graphreader.ingest.formats.pdf_lines import FontStyle, Line, OutlineEntry
from graphreader.ingest.formats.pdf_outline import locate_outline
from graphreader.ingest.formats.pdf_text import compose, rejoin_words, usual_leadings

# pdfium keeps global state and may be entered by one thread at a time.
_PDFIUM = threading.Lock()

_MEND = "Get a fresh copy; if this is all there is, `qpdf in.pdf out.pdf` may repair it."
_OCR = "Its pages are pictures: run OCR on it first, for one with `ocrmypdf in.pdf out.pdf`."
_OBJECT = re.compile(rb"\b\d+\s+\d+\s+obj\b")
_MAX_OUTLINE_ENTRIES = 5_000
_BOLD = re.compile(r"bold|black|heavy|demi|-medi$|-medi[^u]|cmbx|cmssbx|sfbx", re.I)
_ITALIC = re.compile(r"ital|oblique|slanted|cmti", re.I)
_LINE = re.compile(r"[^\r\n]+")
# pdfium hands out only 16 bits of each character, so that one from a higher plane comes as another, wrong one: these,
# for rare Chinese characters, mathematical letters and emoji. (Bullets of symbol fonts lie between.)
_MAYBE_CUT = re.compile("[\u3000-\udfff\uf300-\ufaff]")


def extract(data: bytes, source: str) -> Extracted:
    """The text of a PDF, its pages, headings and running headers and footers.

    Raises ``EncryptedSourceError``, ``DamagedSourceError`` (with the page, where one is to blame) and
    ``EmptySourceError`` where no page has any text. Threads wait for each other: pdfium is not thread-safe.
    """
    with _PDFIUM:
        document = _open(data, source)
        try:
            lines, page_count = _read_pages(document, source)
            outline = _read_outline(document)
            title = _metadata_title(document)
        except pypdfium2.PdfiumError as error:
            raise DamagedSourceError(source, f"the PDF is malformed ({error})", _MEND) from error
        finally:
            document.close()
    _refuse_truncated(data, source)
    if not lines:
        raise EmptySourceError(source, "no page has a text layer", _OCR, page=1)
    lines = rejoin_words(lines)
    furniture = find_furniture(lines, page_count)
    leadings = usual_leadings(lines)
    headings = locate_outline(outline, lines, furniture, page_count) or find_headings(lines, furniture, leadings)
    extracted = compose(lines, page_count, furniture, headings, leadings)
    return replace(extracted, metadata_title=title, visible_title=find_title(lines, furniture, leadings))


def _open(data: bytes, source: str) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            mend = "Save a copy without it, for one with `qpdf --decrypt --password=PASSWORD in.pdf out.pdf`."
            raise EncryptedSourceError(source, "it needs a password", mend) from error
        raise DamagedSourceError(source, f"the PDF is truncated or malformed ({error})", _MEND) from error
    if len(document) == 0:
        document.close()
        raise DamagedSourceError(source, "the PDF has no pages", _MEND)
    return document


def _refuse_truncated(data: bytes, source: str) -> None:
    """Refuse a file that was cut off: pdfium repairs it and silently leaves the lost pages out.

    The end mark may be missing or followed by junk in files that work, but no object follows the last one.
    """
    end = data.rfind(b"%%EOF")
    if end < 0:
        end = data.rfind(b"startxref")
    if end < 0 or _OBJECT.search(data, end):
        raise DamagedSourceError(source, "the PDF is cut off before its end", _MEND)


def _metadata_title(document: pypdfium2.PdfDocument) -> str:
    read = document.get_metadata_value
    values = {key: _decoded(partial(read, key)) for key in ("Title", "Producer", "Creator")}
    return "" if values["Title"] in (values["Producer"], values["Creator"]) else values["Title"]


def _decoded(read: Callable[[], str]) -> str:
    """A text string of the PDF on one line; empty where it is no UTF-16, on which pypdfium2 gives up."""
    try:
        return collapse(read())
    except UnicodeDecodeError:
        return ""


def _read_outline(document: pypdfium2.PdfDocument) -> list[OutlineEntry]:
    entries: list[OutlineEntry] = []
    for bookmark in document.get_toc(max_depth=8):
        destination = bookmark.get_dest()
        page_index = destination.get_index() if destination is not None else None
        if page_index is not None:
            entries.append(OutlineEntry(bookmark.level + 1, _decoded(bookmark.get_title), page_index))
        if len(entries) == _MAX_OUTLINE_ENTRIES:
            break
    return entries


def _read_pages(document: pypdfium2.PdfDocument, source: str) -> tuple[list[Line], int]:
    lines: list[Line] = []
    reader = _LineReader()
    page_count = len(document)
    for index in range(page_count):
        try:
            page = document[index]
            try:
                text_page = page.get_textpage()
                try:
                    lines += reader.read(text_page, index)
                finally:
                    text_page.close()
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            problem = f"the page is damaged ({error})"
            raise DamagedSourceError(source, problem, _MEND, page=index + 1) from error
    return lines, page_count


class _LineReader:
    """Reads lines with the place and font of their first character.

    That is a few cheap calls a line, where boxes of all characters would cost more than the text.
    """

    def __init__(self) -> None:
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._matrix = pdfium.FS_MATRIX()
        self._font_name = ctypes.create_string_buffer(128)
        self._font_flags = ctypes.c_int()
        self._styles: dict[bytes, FontStyle] = {}

    def read(self, text_page: pypdfium2.PdfTextPage, page_index: int) -> list[Line]:
        text, is_indexed_by_character = _page_text(text_page)
        handle = text_page.raw
        lines: list[Line] = []
        for match in _LINE.finditer(text):
            stripped = match[0].strip()
            if not stripped:
                continue
            first = match.start() + len(match[0]) - len(match[0].lstrip())
            last = first + len(stripped) - 1
            if not is_indexed_by_character:
                first = pdfium.FPDFText_GetCharIndexFromTextIndex(handle, first)
                last = pdfium.FPDFText_GetCharIndexFromTextIndex(handle, last)
            pdfium.FPDFText_GetCharOrigin(handle, first, self._x, self._y)
            style = self._style(handle, first)
            if style.is_bold and not self._style(handle, last).is_bold:
                style = FontStyle(False, style.is_italic)
            size = self._size(handle, first)
            lines.append(Line(page_index, stripped, self._x.value, self._y.value, size, style))
        return lines

    def _size(self, handle: object, index: int) -> float:
        """The size in points as shown: many programs write size 1 and scale it."""
        size = float(pdfium.FPDFText_GetFontSize(handle, index))
        if not pdfium.FPDFText_GetMatrix(handle, index, self._matrix):
            return round(size, 1)
        matrix = self._matrix
        scale = math.sqrt(abs(matrix.a * matrix.d - matrix.b * matrix.c))
        return round(size * scale, 1)

    def _style(self, handle: object, index: int) -> FontStyle:
        length = pdfium.FPDFText_GetFontInfo(handle, index, self._font_name, 128, self._font_flags)
        name = self._font_name.value if 0 < length <= 128 else b""
        style = self._styles.get(name)
        if style is None:
            readable = name.decode("utf-8", "replace")
            style = FontStyle(_BOLD.search(readable) is not None, _ITALIC.search(readable) is not None)
            self._styles[name] = style
        return style


def _page_text(text_page: pypdfium2.PdfTextPage) -> tuple[str, bool]:
    """The page's text, and whether its indices are those of pdfium's characters."""
    text = text_page.get_text_range()
    if _MAYBE_CUT.search(text) and max(text_page.get_text_bounded(), default="") > "\uffff":
        codes = (pdfium.FPDFText_GetUnicode(text_page.raw, i) for i in range(text_page.count_chars()))
        return "".join(chr(code) if code <= 0x10FFFF else " " for code in codes), True
    return text, False
