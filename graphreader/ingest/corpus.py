"""JSONL corpora: one document a line, ``{"id", "title", "text", "metadata"}``. Read line by line.

``text`` alone is required; ``_id`` is read as ``id`` (as in BEIR's corpora), and a line without either is named by its
number. Each document is called by the file and its id, ``corpus.jsonl#id``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from graphreader.errors import EmptySourceError, SourceError, UnsupportedSourceError
from graphreader.ingest.formats.content import clean, collapse
from graphreader.records import DOCUMENT_ID_DIGITS, Document, Page

MEDIA_TYPE = "application/jsonl"
#: Stands between the file and the id in a document's source.
ID_SEPARATOR = "#"
_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_MAX_ID_CHARACTERS = 500
_FIELDS = 'Each line is to be an object like {"id": "7", "title": "...", "text": "...", "metadata": {}}.'


def is_corpus(name: str) -> bool:
    """Whether a file of this name is read as a corpus."""
    return PurePath(name).suffix.lower() in _SUFFIXES


def read_corpus(path: Path, source: str) -> Iterator[Document | SourceError]:
    """The documents of the file, in its order, and an error in place of each line that is none.

    ``source`` is what the file is called. Raises ``UnsupportedSourceError`` where the first line shows that the file is
    no corpus, ``EmptySourceError`` where there is no line, ``OSError`` where the file cannot be read.
    """
    seen: dict[str, int] = {}
    number = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = _row(line, number, source)
                document = _document(row, number, source)
                if document.source in seen:
                    raise _malformed(source, number, "id", f"line {seen[document.source]} has the same")
            except SourceError as error:
                if not seen and number == 1 and not isinstance(error, EmptySourceError):
                    raise UnsupportedSourceError(source, f"it is no corpus: {error.problem}", _FIELDS) from error
                yield error
                continue
            seen[document.source] = number
            yield document
    if number == 0:
        raise EmptySourceError(source, "it is empty", "Nothing can be answered from it; leave it out.")


def _row(line: bytes, number: int, source: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SourceError(source, f"line {number} is not UTF-8 (byte {error.start})", "Convert the file.") from error
    except (ValueError, RecursionError) as error:
        reason = str(error).split(":")[0]
        raise SourceError(source, f"line {number} is not JSON ({reason})", _FIELDS) from error
    if not isinstance(row, dict):
        raise SourceError(source, f"line {number} is not an object", _FIELDS)
    return row


def _document(row: dict[str, Any], number: int, source: str) -> Document:
    name = row.get("id", row.get("_id", number))
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise _malformed(source, number, "id", "it is to be a text or a whole number")
    if clean(str(name)) != str(name) or len(str(name)) > _MAX_ID_CHARACTERS:
        problem = f"it holds controls or lone surrogates, or is longer than {_MAX_ID_CHARACTERS} characters"
        raise _malformed(source, number, "id", problem)
    title = row.get("title") or ""
    if not isinstance(title, str):
        raise _malformed(source, number, "title", "it is to be a text")
    text = row.get("text")
    if not isinstance(text, str):
        raise _malformed(source, number, "text", "it is missing" if text is None else "it is to be a text")
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _malformed(source, number, "metadata", "it is to be an object")
    cleaned = clean(text)
    if not cleaned.strip():
        raise EmptySourceError(source, f"line {number}, field 'text': it is empty", "Leave the line out.")
    identity = json.dumps([str(name), title, text, metadata], sort_keys=True)
    return Document(
        id=hashlib.sha256(identity.encode()).hexdigest()[:DOCUMENT_ID_DIGITS],
        source=f"{source}{ID_SEPARATOR}{name}",
        title=collapse(clean(title)) or str(name),
        media_type=MEDIA_TYPE,
        text=cleaned,
        pages=(Page(1, 0, len(cleaned)),),
        metadata=metadata,
    )


def _malformed(source: str, number: int, field: str, problem: str) -> SourceError:
    return SourceError(source, f"line {number}, field '{field}': {problem}", _FIELDS)
