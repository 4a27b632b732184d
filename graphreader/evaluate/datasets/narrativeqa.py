"""NarrativeQA (https://github.com/google-deepmind/narrativeqa): questions of whole books and film scripts.

Two forms: the repository (``qaps.csv`` beside ``documents.csv``; the stories that its script downloads as
``tmp/ID.content``, or, where none was downloaded, the summaries), and rows of the hub's viewer, which hold the text.
``qaps.csv`` has the questions of all three sets; results are published on the test set.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import Case, Dataset, SourceText
from graphreader.evaluate.datasets.rows import Label, Row, parse, read_rows
from graphreader.evaluate.datasets.texts import whole_text
from graphreader.ingest.load import load_bytes

_SUMMARIES = Path("third_party/wikipedia/summaries.csv")
_TEST = "test"


class _CsvRow(BaseModel):
    document_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answer1: str = Field(min_length=1)
    answer2: str = ""
    set: str = ""


class _About(BaseModel):
    """A row of ``documents.csv``, or of the summaries."""

    document_id: str = Field(min_length=1)
    kind: str = ""
    wiki_title: str = ""
    summary: str = ""


class _Summary(BaseModel):
    title: Label = ""


class _Document(BaseModel):
    id: str
    kind: Label = ""
    text: str = Field(min_length=1)
    summary: _Summary = _Summary()


class _Text(BaseModel):
    text: str = Field(min_length=1)


class _HubRow(BaseModel):
    document: _Document
    question: _Text
    answers: list[_Text] = Field(min_length=1)


def recognises(row: Row) -> bool:
    """Whether a row is of one of the two forms."""
    if {"document_id", "question", "answer1", "answer2"} <= row.value.keys():
        return True
    document = row.value.get("document")
    return {"question", "answers"} <= row.value.keys() and isinstance(document, dict) and "text" in document


def read(rows: list[Row]) -> Dataset:
    """The dataset; labels are the kind of text (book or film script) and, in the repository's form, the set.

    Of rows of several sets only those of the test set count, if there are any.
    """
    documents: dict[str, SourceText] = {}
    cases = []
    known: dict[str, _About] | None = None
    for number, row in _reported(rows):
        if "document_id" not in row.value:
            item = parse(row, _HubRow)
            key, labels = item.document.id, {"type": item.document.kind}
            if key not in documents:
                text = _plain(item.document.text.encode(), key)
                documents[key] = whole_text(key, item.document.summary.title, text)
            question, answers = item.question.text, [answer.text for answer in item.answers]
        else:
            line = parse(row, _CsvRow)
            key, question, answers = line.document_id, line.question, [line.answer1, line.answer2]
            known = _listed(row.file.parent) if known is None else known
            about = known.get(key, _About(document_id=key))
            labels = {"type": about.kind, "set": line.set}
            if key not in documents:
                documents[key] = whole_text(key, about.wiki_title, _story(row, key, about))
        gold = tuple(dict.fromkeys(answer for answer in answers if answer))
        labels = {name: value for name, value in labels.items() if value}
        cases.append(Case(f"{key}#{number}", question, gold, (key,), labels=labels))
    return Dataset("narrativeqa", tuple(cases), documents)


def _reported(rows: list[Row]) -> list[tuple[int, Row]]:
    """The rows of the test set, or all where there is none of it, with their numbers in the file."""
    numbered = list(enumerate(rows))
    return [(number, row) for number, row in numbered if row.value.get("set") == _TEST] or numbered


def _listed(folder: Path) -> dict[str, _About]:
    """What ``documents.csv`` and the summaries say of each document."""
    path = folder / _SUMMARIES
    summaries = [parse(row, _About) for row in (read_rows(path) if path.exists() else [])]
    in_short = {item.document_id: item.summary for item in summaries}
    listed = [parse(row, _About) for row in read_rows(folder / "documents.csv")]
    return {
        item.document_id: item.model_copy(update={"summary": in_short.get(item.document_id, "")}) for item in listed
    }


def _story(row: Row, key: str, about: _About) -> str:
    path = row.file.parent / "tmp" / f"{key}.content"
    if path.exists():
        return _plain(path.read_bytes(), key)
    if any(path.parent.glob("*.content")) or not about.summary:
        mend = "Run download_stories.sh of the repository, or keep its summaries beside it."
        raise DatasetError(str(row.file), f"there is no story {path.name}", mend, line=row.line, field="document_id")
    return about.summary


def _plain(data: bytes, name: str) -> str:
    """The text of a story; scripts are published as pages of HTML, books as text in several encodings."""
    return load_bytes(data, name).text
