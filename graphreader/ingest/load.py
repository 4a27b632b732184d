"""Loading: one file's bytes become a ``Document`` with pages, headings and character offsets."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from graphreader.errors import (
    EmptySourceError,
    SourceError,
    SourceNotFoundError,
    UnsupportedSourceError,
    printable,
)
from graphreader.ingest.corpus import is_corpus, read_corpus
from graphreader.ingest.formats import docx, epub, html, markdown, pdf, plain
from graphreader.ingest.formats.content import Extracted, clean, collapse
from graphreader.ingest.formats.detect import Format, detect
from graphreader.ingest.formats.encodings import decode
from graphreader.ingest.sources import SourceFile, name_of
from graphreader.records import DOCUMENT_ID_DIGITS, Document

#: Larger files are no documents; reading one whole would only exhaust the memory.
MAX_SOURCE_BYTES = 1_000_000_000

_MAX_TITLE_CHARACTERS = 200
_MAX_HEADING_CHARACTERS = 500
_PROGRAM_PREFIX = re.compile(r"^(?:Microsoft (?:Word|PowerPoint|Excel|Publisher)|Word|PowerPoint)\s+-\s+", re.I)
_FILE_NAME = re.compile(
    r"\.(?:docx?|docm|dotx?|pdf|pptx?|xlsx?|rtf|odt|tex|dvi|ps|indd|qxd|html?|txt|pages|wpd)$", re.I
)
_NO_TITLE = re.compile(
    r"(?:untitled|title|document|no title|unknown|none|null|default|print|slide|powerpoint presentation|layout)\s*\d*",
    re.I,
)
# Headings that half of all documents share, so they name none.
_GENERIC_HEADING = re.compile(
    r"(?:table of )?contents|abstract|introduction|preface|foreword|index|summary|executive summary|cover|copyright"
    r"|united states|securities and exchange commission|united states securities and exchange commission|form \d+-?\w*"
    r"|(?:chapter|part|book|item|section|volume|act|letter) .*|第.{1,8}[回章部卷節节].*|[\d.\W]+|\w{1,3}"
    r"|prologue|etymology|dedication|glossary|references|appendix.*|序言?|前言|目录|目錄",
    re.I,
)


def document_id(data: bytes) -> str:
    """The id of the document that these bytes are: the same file anywhere is the same document."""
    return hashlib.sha256(data).hexdigest()[:DOCUMENT_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class Loadable:
    """A document whose id is known before it is loaded, so that one that is known need not be."""

    document_id: str
    source: str
    load: Callable[[], Document]


def loadables(file: SourceFile) -> Iterator[Loadable | SourceError]:
    """The documents of a file or of standard input: of a JSONL corpus many, else one. Errors stand in their place."""
    try:
        if file.path is not None and is_corpus(file.source):
            yield from map(_loaded, read_corpus(file.path, _absolute(file)))
            return
        source = _absolute(file)
        # Handed over on loading, so that the bytes of a long file do not stay beside its text.
        held = [sys.stdin.buffer.read() if file.path is None else _read(file.path, file.source)]
        yield Loadable(document_id(held[0]), source, lambda: load_bytes(held.pop(), source))
    except SourceError as error:
        yield error
    except OSError as error:
        yield _unreadable(file.source, error)


def _loaded(entry: Document | SourceError) -> Loadable | SourceError:
    return entry if isinstance(entry, SourceError) else Loadable(entry.id, entry.source, lambda: entry)


def _absolute(file: SourceFile) -> str:
    """The same file named from another folder is the same source."""
    return file.source if file.path is None else name_of(file.path.resolve())


def load(path: Path | str) -> Document:
    """Load one file. ``Document.source`` is the path as given.

    Raises ``SourceNotFoundError``, ``UnsupportedSourceError`` (also where the content is not what the name says),
    ``EmptySourceError``, ``EncryptedSourceError``, ``DamagedSourceError``, or a plain ``SourceError`` where the system
    will not hand out the bytes.
    """
    source = str(path)
    return load_bytes(_read(Path(path), source), source)


def load_bytes(data: bytes, source: str) -> Document:
    """Load what was read elsewhere, standard input for one.

    ``source`` names it; its suffix is held to the content as a file's name is. Raises as ``load`` does.
    """
    if not data.strip():
        raise EmptySourceError(source, "it is empty", "Nothing can be answered from it; leave it out.")
    kind = detect(data, source)
    extracted = _extract(kind, data, source)
    if not extracted.text.strip():
        raise EmptySourceError(source, "it holds no text", "If its pages are pictures, run OCR on them first.")
    return Document(
        id=document_id(data),
        source=source,
        title=_title(extracted, source, kind),
        media_type=kind.value,
        text=extracted.text,
        pages=extracted.pages,
        # Chunks and passages bear the headings above them: one of a megabyte would be there a thousand times.
        headings=tuple(heading for heading in extracted.headings if len(heading.title) <= _MAX_HEADING_CHARACTERS),
        furniture=extracted.furniture,
    )


def _read(path: Path, source: str) -> bytes:
    try:
        if path.is_dir():
            raise UnsupportedSourceError(source, "it is a folder", "Name the files in it, or expand it first.")
        if path.stat().st_size > MAX_SOURCE_BYTES:
            raise UnsupportedSourceError(source, f"it is larger than {MAX_SOURCE_BYTES:,} bytes", "Split it first.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceNotFoundError(source, "no such file", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def _unreadable(source: str, error: Exception) -> SourceError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SourceError(source, f"it cannot be read ({reason})", "Check its name and its permissions.")


def _extract(kind: Format, data: bytes, source: str) -> Extracted:
    match kind:
        case Format.PDF:
            return pdf.extract(data, source)
        case Format.DOCX:
            return docx.extract(data, source)
        case Format.EPUB:
            return epub.extract(data, source)
        case Format.HTML:
            return html.extract(data, source)
        case Format.MARKDOWN:
            return markdown.extract(decode(data, source))
        case Format.TEXT:
            return plain.extract(decode(data, source))


def _title(extracted: Extracted, source: str, kind: Format) -> str:
    """The title its author gave it, else the heading that opens it, else the name of the file."""
    stem = printable(PurePath(source).stem or source)
    named = _sensible(extracted.metadata_title)
    if named:
        return named
    for title in _visible_titles(extracted, kind):
        shown = _sensible(title)
        if shown and not _GENERIC_HEADING.fullmatch(shown.rstrip(".:")):
            return shown
    return stem


def _visible_titles(extracted: Extracted, kind: Format) -> list[str]:
    """What the text itself may call the document: a PDF's largest line, else the first of the highest headings.

    Headings of plain text are only guesses, so there nothing but its very first words counts.
    """
    if kind is Format.PDF:
        return [extracted.visible_title]
    highest = min((heading.level for heading in extracted.headings), default=0)
    first = next((heading for heading in extracted.headings if heading.level == highest), None)
    if first is None or (kind is Format.TEXT and extracted.text[: first.start].strip()):
        return []
    return [first.title]


def _sensible(title: str) -> str:
    """``title`` if a person wrote it for people; empty where a program left the name of a file or a number."""
    title = _PROGRAM_PREFIX.sub("", collapse(clean(title)))[:_MAX_TITLE_CHARACTERS].strip()
    letters = sum(map(str.isalpha, title))
    if letters < 2 or letters < 0.4 * len(title.replace(" ", "")):
        return ""
    if _FILE_NAME.search(title) or _NO_TITLE.fullmatch(title) or (" " not in title and "_" in title):
        return ""
    return title
