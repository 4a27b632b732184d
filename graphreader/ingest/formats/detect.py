"""Which format bytes are in, by their content, checked against the file's name."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePath

from graphreader.errors import EncryptedSourceError, UnsupportedSourceError
from graphreader.ingest.formats.archive import Archive


class Format(StrEnum):
    """The formats we read; the value is the media type."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    EPUB = "application/epub+zip"
    HTML = "text/html"
    MARKDOWN = "text/markdown"
    TEXT = "text/plain"


#: Suffixes that promise a format. Any other suffix promises nothing and the content decides.
FORMAT_OF_SUFFIX = {
    ".pdf": Format.PDF,
    ".docx": Format.DOCX,
    ".docm": Format.DOCX,
    ".epub": Format.EPUB,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".xhtml": Format.HTML,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".txt": Format.TEXT,
    ".text": Format.TEXT,
}

_WORD_OF_FORMAT = {
    Format.PDF: "a PDF",
    Format.DOCX: "a Word document (.docx)",
    Format.EPUB: "an EPUB",
    Format.HTML: "HTML",
    Format.MARKDOWN: "Markdown",
    Format.TEXT: "plain text",
}
_TEXT_FORMATS = frozenset({Format.HTML, Format.MARKDOWN, Format.TEXT})

_OTHER_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%!PS", "a PostScript file"),
    (b"AT&TFORM", "a DjVu document"),
    (b"ITSF", "a CHM help file"),
)
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_MAGIC_WITHIN_BYTES = 1024
_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S
)
_FORMATS_WE_READ = "PDF, DOCX, EPUB, HTML, Markdown and plain text can be read"


def detect(data: bytes, source: str) -> Format:
    """The format of ``data``, which was found under the name ``source``.

    Raises ``UnsupportedSourceError`` for other formats and for content that is not what the name says,
    ``EncryptedSourceError`` for a Word document with a password, ``DamagedSourceError`` for a broken container.
    """
    promised = FORMAT_OF_SUFFIX.get(PurePath(source).suffix.lower())
    found = _by_magic(data, source, promised)
    if found is None:
        found = _text_kind(data, promised)
    if promised is None or promised == found:
        return found
    looks = "neither that nor another format we know" if found is Format.TEXT else _WORD_OF_FORMAT[found]
    if found is Format.TEXT:
        looks = "text or unknown data"
    raise UnsupportedSourceError(
        source,
        f"its name says {_WORD_OF_FORMAT[promised]}, its content is {looks}",
        "Give the file the name of what it is, or get the right file.",
    )


def _text_kind(data: bytes, promised: Format | None) -> Format:
    if promised in _TEXT_FORMATS:
        return promised
    start = data[:8192].removeprefix(b"\xef\xbb\xbf")
    return Format.HTML if _HTML_START.match(start) else Format.TEXT


def _by_magic(data: bytes, source: str, promised: Format | None) -> Format | None:
    """The format told by the first bytes; None where nothing is told and text is to be tried."""
    head = data[:_PDF_MAGIC_WITHIN_BYTES]
    # Junk before the mark is common in PDFs, but a text may well speak of it: only its very start counts then.
    if head.startswith(b"%PDF-") or (b"%PDF-" in head and promised not in _TEXT_FORMATS):
        return Format.PDF
    if data.startswith(b"PK\x03\x04") or data.startswith(b"PK\x05\x06"):
        return _by_members(data, source, promised)
    if data.startswith(_OLE_MAGIC):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise EncryptedSourceError(source, "it needs a password", "Save a copy without a password.")
        raise UnsupportedSourceError(source, "it is in an old Office format (such as .doc)", "Save it as .docx or PDF.")
    for magic, kind in _OTHER_KINDS:
        if data.startswith(magic):
            raise UnsupportedSourceError(source, f"it is {kind}", f"Convert it first: {_FORMATS_WE_READ}.")
    return None


def _by_members(data: bytes, source: str, promised: Format | None) -> Format:
    if promised is not None and promised not in (Format.DOCX, Format.EPUB):
        raise UnsupportedSourceError(
            source,
            f"its name says {_WORD_OF_FORMAT[promised]}, its content is a zip archive",
            "Give the file the name of what it is, or get the right file.",
        )
    archive = Archive(data, source)
    if "META-INF/container.xml" in archive.names:
        return Format.EPUB
    if "[Content_Types].xml" in archive.names and any(name.startswith("word/") for name in archive.names):
        return Format.DOCX
    raise UnsupportedSourceError(
        source,
        "it is a zip archive, but neither a Word document nor an EPUB",
        f"Unpack it and index the files in it: {_FORMATS_WE_READ}.",
    )
