"""SQuAD and what shares its format: SQuAD 2.0, CMRC 2018, XQuAD, DRCD.

Published as a JSON document ``{"data": [{"title", "paragraphs": [{"context", "qas": [...]}]}]}``, or as rows of the
hub's viewer with ``answers`` as columns. An article's title is no part of the text, as in the published task. Gold are
the paragraph and the sentences that hold the answer. An answer that does not stand at its offset (CMRC 2018 has a few)
counts where it stands nearest to it; a question without a text, of which CMRC 2018 has two, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import (
    body_evidence,
    language_of,
    sentence_evidence,
    whole_paragraph,
)


class _Answer(BaseModel):
    text: str
    answer_start: int = -1


class _Question(BaseModel):
    id: str | int
    question: str
    answers: list[_Answer] = []
    is_impossible: bool = False


class _Paragraph(BaseModel):
    context: str = Field(min_length=1)
    qas: list[_Question]


class _Article(BaseModel):
    title: Label = ""
    paragraphs: list[_Paragraph]


class _Document(BaseModel):
    data: list[_Article]


class _Columns(BaseModel):
    text: list[str]
    answer_start: list[int]


class _FlatRow(BaseModel):
    id: str | int
    title: Label = ""
    context: str = Field(min_length=1)
    question: str
    answers: _Columns


def recognises(row: Row) -> bool:
    """Whether a row is a whole document of this format, or a row of its flat form."""
    articles = row.value.get("data")
    if isinstance(articles, list):
        return bool(articles) and isinstance(articles[0], dict) and "paragraphs" in articles[0]
    answers = row.value.get("answers")
    return {"context", "question"} <= row.value.keys() and isinstance(answers, dict) and "answer_start" in answers


def read(rows: list[Row]) -> Dataset:
    """The dataset: a document for each paragraph. Its name is that of the file, since many sets share the format."""
    documents: dict[str, SourceText] = {}
    cases = []
    for title, context, questions in _paragraphs(rows):
        document = whole_paragraph(title, context)
        documents[document.key] = document
        for item in questions:
            if not item.question.strip():
                continue
            answerable = bool(item.answers) and not item.is_impossible
            cases.append(
                Case(
                    str(item.id),
                    item.question,
                    tuple(dict.fromkeys(answer.text for answer in item.answers)) if answerable else (),
                    (document.key,),
                    answerable=answerable,
                    evidence=tuple(_evidence(document, item.answers)) if answerable else (),
                )
            )
    language = language_of(document.text for document in documents.values())
    return Dataset(rows[0].file.stem, tuple(cases), documents, language)


def _paragraphs(rows: list[Row]) -> Iterator[tuple[str, str, list[_Question]]]:
    for row in rows:
        if "data" in row.value:
            for article in parse(row, _Document).data:
                for paragraph in article.paragraphs:
                    yield article.title, paragraph.context, paragraph.qas
            continue
        item = parse(row, _FlatRow)
        pairs = zip(item.answers.text, item.answers.answer_start, strict=False)
        answers = [_Answer(text=text, answer_start=start) for text, start in pairs]
        yield item.title, item.context, [_Question(id=item.id, question=item.question, answers=answers)]


def _evidence(document: SourceText, answers: list[_Answer]) -> Iterable[GoldEvidence]:
    body = document.parts[0].start
    found = {}
    for answer in answers:
        start = _nearest(document.text, answer.text, body + answer.answer_start)
        if start is not None:
            evidence = sentence_evidence(document, start, start + len(answer.text))
            found[evidence.start, evidence.end] = evidence
    # Several annotators marked the same answer: one place is enough, and the first is the one it was written for.
    return [*list(found.values())[:1], body_evidence(document)]


def _nearest(text: str, answer: str, expected: int) -> int | None:
    before, after = text.rfind(answer, 0, max(expected, 0) + len(answer)), text.find(answer, max(expected, 0))
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - expected)) if places and answer else None
