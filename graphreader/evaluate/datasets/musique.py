"""MuSiQue (https://github.com/StonyBrookNLP/musique): twenty paragraphs a question, some of them supporting.

Published as JSONL; a JSON list of the same rows is read too. In the full set every id stands on two rows: a question,
and its twin, which lacks paragraphs that it needs and has ``answerable`` false. The number of hops is what the id
begins with ("3hop1__...").
"""

from __future__ import annotations

import re

from pydantic import BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, SourceText
from graphreader.evaluate.datasets.rows import Row, parse
from graphreader.evaluate.datasets.texts import body_evidence, of_paragraph

_HOPS = re.compile(r"(\d)hop")
#: Ends the id of a question that its paragraphs do not answer, which is published under the id of its twin.
_UNANSWERABLE = "#unanswerable"


class _Paragraph(BaseModel):
    title: str
    paragraph_text: str
    is_supporting: bool = False


class _Row(BaseModel):
    id: str
    question: str = Field(min_length=1)
    answer: str
    answer_aliases: list[str] = []
    answerable: bool = True
    paragraphs: list[_Paragraph]


def recognises(row: Row) -> bool:
    """Whether a row is of this format."""
    return {"id", "question", "answer", "paragraphs"} <= row.value.keys()


def read(rows: list[Row]) -> Dataset:
    """The dataset; gold are the supporting paragraphs, the label is the number of hops.

    A question that cannot be answered has no gold, whichever of its paragraphs still support a part of it.
    """
    documents: dict[str, SourceText] = {}
    cases = []
    for row in rows:
        item = parse(row, _Row)
        paragraphs = [of_paragraph(part.title, part.paragraph_text) for part in item.paragraphs]
        documents |= {paragraph.key: paragraph for paragraph in paragraphs}
        hops = _HOPS.match(item.id)
        supporting = [of for of, part in zip(paragraphs, item.paragraphs, strict=True) if part.is_supporting]
        cases.append(
            Case(
                item.id if item.answerable else f"{item.id}{_UNANSWERABLE}",
                item.question,
                tuple(dict.fromkeys([item.answer, *item.answer_aliases])) if item.answerable else (),
                tuple(dict.fromkeys(paragraph.key for paragraph in paragraphs)),
                answerable=item.answerable,
                evidence=tuple(body_evidence(paragraph) for paragraph in supporting) if item.answerable else (),
                labels={"hops": hops[1]} if hops else {},
            )
        )
    return Dataset("musique", tuple(cases), documents)
