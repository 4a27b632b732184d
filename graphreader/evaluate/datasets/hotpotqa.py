"""HotpotQA and 2WikiMultiHopQA, which share a format: ten paragraphs a question, gold by title and sentence.

Published as a JSON list (https://hotpotqa.github.io, https://github.com/Alab-NII/2wikimultihop) with ``context`` as
``[[title, [sentence, ...]], ...]`` and ``supporting_facts`` as ``[[title, number], ...]``, or as rows of the hub's
viewer, which turn both into columns. A supporting fact beyond the last sentence of its paragraph, of which HotpotQA has
a few, is no gold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText, Unit
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import body_evidence, of_pieces, part_evidence


def _pairs(*columns: str) -> BeforeValidator:
    """Columns ``{"title": [...], "sentences": [...]}`` as the pairs of the published file."""

    def paired(value: object) -> object:
        if isinstance(value, dict) and all(isinstance(value.get(name), list) for name in columns):
            return list(zip(*(value[name] for name in columns), strict=False))
        return value

    return BeforeValidator(paired)


class _Row(BaseModel):
    id: str = Field(validation_alias=AliasChoices("_id", "id"))
    question: str = Field(min_length=1)
    answer: str
    type: Label = ""
    level: Label = ""
    context: Annotated[list[tuple[str, list[str]]], _pairs("title", "sentences")]
    supporting_facts: Annotated[list[tuple[str, int]], _pairs("title", "sent_id")]


def recognises(row: Row) -> bool:
    """Whether a row is of this format."""
    return {"question", "answer", "context", "supporting_facts"} <= row.value.keys()


def read(rows: list[Row]) -> Dataset:
    """The dataset; ``labels`` are its type and, in HotpotQA, its level."""
    documents: dict[str, SourceText] = {}
    cases = []
    for row in rows:
        item = parse(row, _Row)
        paragraphs = [_paragraph(title, sentences) for title, sentences in item.context]
        documents |= {paragraph.key: paragraph for paragraph in paragraphs}
        cases.append(
            Case(
                item.id,
                item.question,
                (item.answer,),
                tuple(dict.fromkeys(paragraph.key for paragraph in paragraphs)),
                evidence=tuple(_evidence(paragraphs, item.supporting_facts)),
                labels={name: value for name, value in (("type", item.type), ("level", item.level)) if value},
            )
        )
    wiki = any("evidences" in row.value for row in rows)
    return Dataset("2wikimultihopqa" if wiki else "hotpotqa", tuple(cases), documents)


def _paragraph(title: str, sentences: list[str]) -> SourceText:
    return of_pieces(title, [(str(number), text) for number, text in enumerate(sentences)], gap=" ")


def _evidence(paragraphs: list[SourceText], facts: list[tuple[str, int]]) -> Iterable[GoldEvidence]:
    by_title = {paragraph.title: paragraph for paragraph in reversed(paragraphs)}
    known = [(by_title[title], number) for title, number in facts if title in by_title]
    for paragraph, number in dict.fromkeys((paragraph.key, number) for paragraph, number in known):
        document = next(item for item in paragraphs if item.key == paragraph)
        if 0 <= number < len(document.parts):
            yield part_evidence(document, document.parts[number], Unit.SENTENCE)
    for document in {paragraph.key: paragraph for paragraph, _ in known}.values():
        if document.parts:
            yield body_evidence(document)
