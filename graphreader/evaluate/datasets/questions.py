"""Questions of one's own, as JSONL: a question a line, about files beside it (see docs/evaluate.md).

Fields: ``question``; ``answer`` and ``aliases``, or ``answers``; optional ``id``, ``answerable``, ``documents`` (paths
relative to the file) or ``context`` (the text itself), ``options``, ``pages`` (from 1), ``evidence`` (passages,
verbatim), ``type``, ``hops`` and ``labels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText, Unit
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import document_key, language_of, whole_text
from graphreader.ingest.load import load
from graphreader.records import Document

_Scalar = str | int | float


class _Row(BaseModel):
    id: Label = ""
    question: str = Field(min_length=1)
    answer: _Scalar | None = None
    answers: list[_Scalar] = []
    aliases: list[_Scalar] = []
    answerable: bool | None = None
    documents: list[str] | str = Field([], validation_alias=AliasChoices("documents", "document"))
    options: dict[str, str] = {}
    pages: list[int] = []
    evidence: list[str] = []
    context: str = ""
    type: Label = ""
    hops: Label = ""
    labels: dict[str, Label] = {}


@dataclass(frozen=True, slots=True)
class _Files:
    """The documents named so far, and the texts of those in which evidence was looked for."""

    sources: dict[str, SourceText] = field(default_factory=dict)
    texts: dict[str, _Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Text:
    """A document's text without white space, where each of those characters stands, and its pages if it is a file."""

    document: Document | None
    squeezed: str
    places: Sequence[int]


def recognises(row: Row) -> bool:
    """Whether a row is of this format: the plainest, so it is asked last."""
    return "question" in row.value and bool({"answer", "answers", "answerable"} & row.value.keys())


def read(rows: list[Row]) -> Dataset:
    """The dataset; its documents are files, its name is that of the file."""
    files = _Files()
    cases = tuple(_case(row, number, files) for number, row in enumerate(rows, start=1))
    path = rows[0].file
    name = path.resolve().parent.name if path.stem == "questions" else path.stem
    return Dataset(name, cases, files.sources, language_of(case.question for case in cases))


def _case(row: Row, number: int, files: _Files) -> Case:
    item = parse(row, _Row)
    listed = [item.answer, *item.answers] if item.answer is not None else item.answers
    answers = tuple(dict.fromkeys(str(answer) for answer in [*listed, *item.aliases]))
    answerable = bool(answers) if item.answerable is None else item.answerable
    if answerable and not answers:
        raise row.error(("answer",), "it is missing, and the question is said to be answerable")
    if item.options and answerable and not set("".join(answers)) <= item.options.keys():
        raise row.error(("answer",), "it is not among the letters of the options")
    named = [item.documents] if isinstance(item.documents, str) else item.documents
    documents = _inline(row, item, files) or (_named(row, named, files) if named else [_only(row, files)])
    evidence = _pages(row, item.pages, documents)
    evidence += [_quoted(row, index, quote, documents, item.pages, files) for index, quote in enumerate(item.evidence)]
    labels = {name: value for name, value in (("type", item.type), ("hops", item.hops)) if value}
    return Case(
        item.id or str(number),
        item.question,
        answers if answerable else (),
        tuple(dict.fromkeys(document.key for document in documents)),
        answerable=answerable,
        options=item.options,
        evidence=tuple(evidence) if answerable else (),
        labels=labels | item.labels,
    )


def _named(row: Row, names: list[str], files: _Files) -> list[SourceText]:
    found = []
    for index, name in enumerate(names):
        path = row.file.parent / name
        if not path.is_file():
            where = ("documents", index) if isinstance(row.value.get("documents"), list) else ("document",)
            raise row.error(where, f"there is no file {name}", "Paths are relative to the file of the questions.")
        found.append(files.sources.setdefault(name, SourceText(name, Path(name).stem, file=path)))
    return found


def _inline(row: Row, item: _Row, files: _Files) -> list[SourceText]:
    """The text that a row brings with it."""
    if not item.context:
        return []
    if item.documents:
        raise row.error(("context",), "there are documents too", "Give a row the one or the other.")
    key = document_key("context", item.context)
    return [files.sources.setdefault(key, whole_text(key, "", item.context))]


def _only(row: Row, files: _Files) -> SourceText:
    """The document of a row that names none: the one PDF beside the questions."""
    pdfs = sorted(row.file.parent.glob("*.pdf"))
    if len(pdfs) != 1:
        problem = f"it is missing, and beside the questions there are {len(pdfs)} PDF files, not one"
        raise row.error(("documents",), problem, 'Name the files, as in "documents": ["report.pdf"].')
    path = pdfs[0]
    return files.sources.setdefault(path.name, SourceText(path.name, path.stem, file=path))


def _pages(row: Row, pages: list[int], documents: list[SourceText]) -> list[GoldEvidence]:
    if pages and len(documents) != 1:
        raise row.error(("pages",), "pages are of one document, and there are several", "Give evidence instead.")
    wrong = next((index for index, page in enumerate(pages) if page < 1), None)
    if wrong is not None:
        raise row.error(("pages", wrong), f"{pages[wrong]} is not a number of a page, counted from 1")
    return [GoldEvidence(documents[0].key, Unit.PAGE, page=page) for page in dict.fromkeys(pages)]


def _quoted(
    row: Row, index: int, quote: str, documents: list[SourceText], pages: list[int], files: _Files
) -> GoldEvidence:
    """Where a passage stands, white space apart; where it stands several times, on one of the pages that are named."""
    wanted = "".join(quote.split())
    places: list[tuple[bool, GoldEvidence]] = []
    for document in documents:
        if document.key not in files.texts:
            files.texts[document.key] = _loaded(document)
        text = files.texts[document.key]
        at = text.squeezed.find(wanted) if wanted else -1
        while at >= 0:
            start, end = text.places[at], text.places[at + len(wanted) - 1] + 1
            elsewhere = bool(pages) and text.document is not None and text.document.page_at(start) not in pages
            places.append((elsewhere, GoldEvidence(document.key, Unit.SENTENCE, start, end)))
            at = text.squeezed.find(wanted, at + 1)
    if not places:
        mend = "Copy it from the document; white space does not matter."
        raise row.error(("evidence", index), f"{quote[:60]!r} is not in the document", mend)
    return min(places, key=lambda place: place[0])[1]


def _loaded(source: SourceText) -> _Text:
    document = load(source.file) if source.file is not None else None
    text = document.text if document is not None else source.text
    places = [place for place, character in enumerate(text) if not character.isspace()]
    return _Text(document, "".join(text.split()), places)
