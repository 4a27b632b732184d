"""FinanceBench and MMLongBench-Doc: questions of PDF files, gold by page.

FinanceBench (https://github.com/patronus-ai/financebench) counts pages from 0, MMLongBench-Doc
(https://github.com/mayubo2333/MMLongBench-Doc) from 1; here they count from 1. The PDFs are looked for beside the
questions, in a folder there (``pdfs``, ``documents``) and beside the folder of the questions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from pydantic import AliasChoices, BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText, Unit
from graphreader.evaluate.datasets.rows import Label, Row, parse
from graphreader.evaluate.datasets.texts import find_file

_NOT_ANSWERABLE = "not answerable"


class _Evidence(BaseModel):
    evidence_page_num: int
    doc_name: Label = Field("", validation_alias=AliasChoices("doc_name", "evidence_doc_name"))


class _FinanceRow(BaseModel):
    financebench_id: str
    doc_name: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answer: str
    question_type: Label = ""
    evidence: list[_Evidence]


class _LongDocRow(BaseModel):
    doc_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    answer: str | int | float
    answer_format: Label = ""
    doc_type: Label = ""


def recognises_financebench(row: Row) -> bool:
    """Whether a row is of FinanceBench."""
    return {"financebench_id", "doc_name", "question", "evidence"} <= row.value.keys()


def recognises_mmlongbench(row: Row) -> bool:
    """Whether a row is of MMLongBench-Doc."""
    return {"doc_id", "question", "answer", "evidence_pages"} <= row.value.keys()


def read_financebench(rows: list[Row]) -> Dataset:
    """FinanceBench: the label is the type of the question."""
    files: dict[str, SourceText] = {}
    cases = []
    for row in rows:
        item = parse(row, _FinanceRow)
        document = _document(row, "doc_name", f"{item.doc_name}.pdf", files)
        evidence = []
        for part in item.evidence:
            named = part.doc_name.removesuffix(".pdf")
            other = _document(row, "evidence", f"{named}.pdf", files) if named else document
            evidence.append(GoldEvidence(other.key, Unit.PAGE, page=part.evidence_page_num + 1))
        cases.append(
            Case(
                item.financebench_id,
                item.question,
                (item.answer,),
                tuple(dict.fromkeys([document.key, *(part.document for part in evidence)])),
                evidence=tuple(dict.fromkeys(evidence)),
                labels={"type": item.question_type} if item.question_type else {},
            )
        )
    return Dataset("financebench", tuple(cases), files)


def read_mmlongbench(rows: list[Row]) -> Dataset:
    """MMLongBench-Doc: labels are the type of the document, the form of the answer and where it stands.

    An answer that is a list is given as its items, joined by commas.
    """
    files: dict[str, SourceText] = {}
    cases = []
    for number, row in enumerate(rows):
        item = parse(row, _LongDocRow)
        document = _document(row, "doc_id", item.doc_id, files)
        answer = str(item.answer).strip()
        answerable = answer.lower() != _NOT_ANSWERABLE
        pages = [_page(row, page) for page in _listed(row, "evidence_pages")]
        sources = ", ".join(str(source) for source in _listed(row, "evidence_sources"))
        named = (("type", item.answer_format), ("document", item.doc_type), ("source", sources))
        cases.append(
            Case(
                f"{item.doc_id}#{number}",
                item.question,
                tuple(_answers(answer)) if answerable else (),
                (document.key,),
                answerable=answerable,
                evidence=tuple(GoldEvidence(document.key, Unit.PAGE, page=page) for page in pages),
                labels={name: value for name, value in named if value},
            )
        )
    return Dataset("mmlongbench", tuple(cases), files)


def _document(row: Row, field: str, name: str, files: dict[str, SourceText]) -> SourceText:
    if name not in files:
        folder = row.file.parent
        path = find_file(name, folder, folder.parent)
        if path is None:
            mend = f"Put it beside {row.file.name}, or in a folder there, such as pdfs or documents."
            raise row.error((field,), f"there is no file {name}", mend)
        files[name] = SourceText(name, name.removesuffix(".pdf"), file=path)
    return files[name]


def _listed(row: Row, field: str) -> list[Any]:
    """A list, or one written as a string of Python, as MMLongBench-Doc publishes it."""
    value = row.value.get(field, [])
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise row.error((field,), f"{value!r} is not a list") from error
    if not isinstance(value, list):
        raise row.error((field,), f"{value!r} is not a list")
    return value


def _page(row: Row, page: object) -> int:
    if not isinstance(page, int) or page < 1:
        raise row.error(("evidence_pages",), f"{page!r} is not a number of a page, counted from 1")
    return page


def _answers(answer: str) -> Iterable[str]:
    if answer.startswith("["):
        try:
            items = ast.literal_eval(answer)
        except (ValueError, SyntaxError):
            items = None
        if isinstance(items, list):
            return [", ".join(str(item) for item in items)]
    return [answer]
