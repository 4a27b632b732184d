"""The documents of a dataset in a library: which is which, and where gold evidence stands in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from graphreader.errors import GraphReaderError, SourceError
from graphreader.evaluate.asking import GoldSpan
from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, Part, SourceText
from graphreader.evaluate.metrics import Span
from graphreader.ingest.corpus import ID_SEPARATOR
from graphreader.ingest.formats.content import clean
from graphreader.ingest.sources import name_of
from graphreader.library.protocol import Library

if TYPE_CHECKING:
    from graphreader.indexing import IndexReport
    from graphreader.reader import GraphReader

_CORPUS = "corpus.jsonl"
_MAX_ID_CHARACTERS = 400
#: Documents that are kept at hand: their layout is small, their text may not be.
_HELD_LAYOUTS, _HELD_TEXTS = 4096, 32


@dataclass
class Corpus:
    """A dataset's documents in ``library``: their ids by key. ``failures`` are those that could not be read, by key."""

    library: Library
    documents: Mapping[str, SourceText]
    ids: dict[str, str]
    failures: dict[str, SourceError] = field(default_factory=dict)
    _tokens: dict[str, int] = field(default_factory=dict)
    _plain: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keys: dict[str, list[str]] = {}
        for key, document_id in self.ids.items():
            self._keys.setdefault(document_id, []).append(key)
        self._layout = lru_cache(maxsize=_HELD_LAYOUTS)(self.library.layout)
        self._text = lru_cache(maxsize=_HELD_TEXTS)(lambda document_id: self.library.document(document_id).text)

    def scope(self, case: Case) -> list[str]:
        """The ids of the documents a question is asked of.

        Raises what made one of them unreadable: a question without one of its documents is another question.
        """
        for key in case.documents:
            if key in self.failures:
                raise self.failures[key]
        return [self.ids[key] for key in case.documents]

    def tokens(self, case: Case) -> int:
        """How long the documents of a question are together, in the model's tokens as counted when indexing."""
        for key in case.documents:
            if key in self.ids and key not in self._tokens:
                self._tokens[key] = sum(chunk.token_count for chunk in self.library.chunks(self.ids[key]))
        return sum(self._tokens.get(key, 0) for key in case.documents)

    def evidence(self, case: Case) -> list[GoldEvidence]:
        """The gold evidence of a question with its characters where they stand in the library.

        The library folds line ends and drops controls, so they may have moved. Of unreadable documents there is none.
        """
        return [self._moved(piece) for piece in case.evidence if piece.document in self.ids]

    def gold(self, case: Case) -> list[GoldSpan]:
        """The characters of the gold evidence of a question: of a page all of it, unless a finer piece stands on it."""
        spans = [span for piece in self.evidence(case) if (span := self._span(piece)) is not None]
        return [span for span in dict.fromkeys(spans) if not any(_lies_in(other, span) for other in spans)]

    def spans(self, document_id: str, start: int, end: int) -> list[Span]:
        """Characters of the library as the dataset names them: a span for each page that they stand on."""
        pages = [page for page in self._layout(document_id).pages if page.start < end and start < page.end]
        return [
            Span(key, max(start, page.start), min(end, page.end), page.number)
            for key in self._keys.get(document_id, ())
            for page in pages
        ]

    def parts(self, document_id: str) -> list[Part]:
        """The named pieces of a document where they stand in the library; none of a file."""
        key = self._keys[document_id][0]
        parts, text = self.documents[key].parts, self.documents[key].text
        if self._is_plain(key):
            return list(parts)
        return [replace(part, start=len(clean(text[: part.start])), end=len(clean(text[: part.end]))) for part in parts]

    def text(self, key: str) -> str:
        """The text of a document in the library."""
        return self._text(self.ids[key])

    def _moved(self, piece: GoldEvidence) -> GoldEvidence:
        text = self.documents[piece.document].text
        if piece.start is None or piece.end is None or self._is_plain(piece.document):
            return piece
        return replace(piece, start=len(clean(text[: piece.start])), end=len(clean(text[: piece.end])))

    def _is_plain(self, key: str) -> bool:
        if key not in self._plain:
            text = self.documents[key].text
            self._plain[key] = clean(text) == text
        return self._plain[key]

    def _span(self, piece: GoldEvidence) -> GoldSpan | None:
        document_id = self.ids[piece.document]
        if piece.start is not None and piece.end is not None:
            return GoldSpan(document_id, piece.start, piece.end)
        pages = self._layout(document_id).pages
        return next((GoldSpan(document_id, page.start, page.end) for page in pages if page.number == piece.page), None)


def _lies_in(inner: GoldSpan, outer: GoldSpan) -> bool:
    """Whether one span is a part of another and not the whole of it."""
    same = inner.document_id == outer.document_id and inner != outer
    return same and outer.start <= inner.start and inner.end <= outer.end


def index_documents(reader: GraphReader, dataset: Dataset, folder: Path) -> tuple[Corpus, IndexReport]:
    """Index the documents of a dataset that the reader's library lacks: texts by a corpus file in ``folder``. Their
    facts are phrases; the report is what ``GraphReader.write_facts`` takes. Raises ``LibraryError``.
    """
    path = folder / _CORPUS
    texts = [document for document in dataset.documents.values() if document.file is None]
    files = {document.key: document.file for document in dataset.documents.values() if document.file is not None}
    if texts:
        _write_corpus(path, texts)
    sources = [*([str(path)] if texts else []), *(str(file) for file in files.values())]
    report = reader.index(sources, facts="phrases")
    corpus = f"{name_of(path.resolve())}{ID_SEPARATOR}"
    found = reader.library.sources_under(corpus)
    known = {document.key: found[name] for document in texts if (name := corpus + _line_id(document.key)) in found}
    for key, file in files.items():
        source = name_of(file.resolve())
        document_id = reader.library.sources_under(source).get(source)
        if document_id is not None:
            known[key] = document_id
    failures = _failures(dataset, known, report.failures)
    ids = {key: known[key] for key in dataset.documents if key in known}
    return Corpus(reader.library, dataset.documents, ids, failures), report


def _write_corpus(path: Path, texts: Sequence[SourceText]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for document in texts:
                row = {"id": _line_id(document.key), "title": document.title, "text": document.text}
                file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise GraphReaderError(f"Cannot write {path} ({error.strerror}). Name another folder.") from error


def _line_id(key: str) -> str:
    """A key as the id of a line, which holds no controls and is not long."""
    plain = clean(key) == key and len(key) <= _MAX_ID_CHARACTERS and key.strip()
    return key if plain else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _failures(dataset: Dataset, known: Mapping[str, str], failures: Sequence[SourceError]) -> dict[str, SourceError]:
    """Why each document that is not in the library is not."""
    found: dict[str, SourceError] = {}
    for key, document in dataset.documents.items():
        if key in known:
            continue
        names = {str(document.file), name_of(document.file.resolve())} if document.file is not None else set()
        own = next((failure for failure in failures if failure.source in names), None)
        found[key] = own or SourceError(key, "this document of the dataset could not be indexed", "Leave it out.")
    return found
