"""The datasets as documents, questions and the units that hold their evidence, read as their publishers ship them."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphreader.ingest.load import load
from graphreader.records import Document, Heading, Page

#: Questions of our own on FinanceBench's filings: financial ratios and statements by name, gold are statement pages.
_STATEMENTS = Path(__file__).with_name("statements.jsonl")
_FAIRYTALEQA_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the units (paragraphs or pages) that hold its evidence, and the documents it is asked of."""

    text: str
    gold: frozenset[str]
    documents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Documents and questions. Units are documents, by their ids, or with ``pages`` "ID:NUMBER" of their pages."""

    documents: list[Document]
    questions: list[Question]
    pages: bool = False


def paragraph(title: str, text: str) -> Document:
    """A paragraph as a document of its own, its title as its heading."""
    whole = f"{title}\n\n{text}" if title else text
    headings = (Heading(1, title, 0, len(title)),) if title else ()
    return Document(
        id=hashlib.sha256(whole.encode()).hexdigest()[:32],
        source=f"{title}/{hashlib.sha256(whole.encode()).hexdigest()[:8]}",
        title=title,
        media_type="text/markdown",
        text=whole,
        pages=(Page(1, 0, len(whole)),),
        headings=headings,
    )


def whole_documents(documents: Iterable[Document], questions: list[Question]) -> DataSet:
    """A set whose units are documents; of equal ones only the first is kept."""
    return DataSet(list({item.id: item for item in documents}.values()), questions)


def hotpotqa(data: Path) -> DataSet:
    """HotpotQA: gold are the paragraphs of the supporting facts."""
    corpus = json.loads((data / "multihop/hotpotqa_train_corpus.json").read_text(encoding="utf-8"))
    documents = {title: paragraph(title, "".join(sentences)) for title, sentences in corpus.items()}
    questions = [
        Question(item["question"], frozenset(documents[title].id for title, _ in item["supporting_facts"]))
        for item in json.loads((data / "multihop/hotpotqa_train.json").read_text(encoding="utf-8"))
    ]
    return whole_documents(documents.values(), questions)


def musique(data: Path) -> DataSet:
    """MuSiQue: gold are the supporting paragraphs."""
    corpus = json.loads((data / "multihop/musique_train_corpus.json").read_text(encoding="utf-8"))
    documents = [paragraph(item["title"], item["text"]) for item in corpus]
    questions = [
        Question(
            item["question"],
            frozenset(
                paragraph(part["title"], part["paragraph_text"]).id
                for part in item["paragraphs"]
                if part["is_supporting"]
            ),
        )
        for item in json.loads((data / "multihop/musique_train.json").read_text(encoding="utf-8"))
    ]
    return whole_documents(documents, questions)


def cmrc(data: Path) -> DataSet:
    """CMRC 2018: gold is the paragraph that a question was written for."""
    articles = json.loads((data / "cmrc2018/cmrc2018_trial.json").read_text(encoding="utf-8"))["data"]
    documents, questions = [], []
    for item in (part for article in articles for part in article["paragraphs"]):
        document = paragraph("", item["context"])
        documents.append(document)
        questions += [Question(qa["question"], frozenset([document.id])) for qa in item["qas"]]
    return whole_documents(documents, questions)


def fairytaleqa(data: Path) -> DataSet:
    """FairytaleQA: sections of all stories pooled; the story's title leads sections and questions."""
    folder = data / "fairytaleqa"
    sections: dict[tuple[str, str], Document] = {}
    for row in _rows(folder / "sections.jsonl"):
        sections[row["story"], row["section"]] = paragraph(_story_title(row["story"]), row["text"])
    rows = _rows(folder / "questions.jsonl")
    step = max(1, len(rows) // _FAIRYTALEQA_QUESTIONS)
    questions = [
        Question(
            f"{_story_title(row['story'])}: {row['question']}",
            frozenset(sections[row["story"], section].id for section in row["gold_sections"]),
        )
        for row in rows[::step][:_FAIRYTALEQA_QUESTIONS]
    ]
    return whole_documents(sections.values(), questions)


def _story_title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def financebench(data: Path) -> DataSet:
    """FinanceBench: each question is asked of its own filing; gold are pages (given 0-based)."""
    folder = data / "financebench"
    return _paged(
        folder / "pdfs",
        [
            (f"{row['doc_name']}.pdf", row["question"], [part["evidence_page_num"] + 1 for part in row["evidence"]])
            for row in _rows(folder / "questions.jsonl")
        ],
    )


def statements(data: Path) -> DataSet:
    """Questions that name ratios and statements, of the filings of FinanceBench."""
    return _paged(
        data / "financebench/pdfs",
        [(f"{row['doc_name']}.pdf", row["question"], row["pages"]) for row in _rows(_STATEMENTS)],
    )


def mmlongbench(data: Path) -> DataSet:
    """MMLongBench-Doc: each question that can be answered is asked of its own PDF; gold are pages."""
    folder = data / "mmlongbench"
    rows = [
        (row["doc_id"], row["question"], ast.literal_eval(row["evidence_pages"]))
        for row in _rows(folder / "questions.jsonl")
    ]
    return _paged(folder / "documents", [row for row in rows if row[2]])


def _paged(folder: Path, rows: list[tuple[str, str, list[int]]]) -> DataSet:
    """A set whose units are pages, from rows of file name, question and gold pages."""
    documents = {name: load(folder / name) for name in sorted({name for name, _, _ in rows})}
    questions = [
        Question(text, frozenset(f"{documents[name].id}:{page}" for page in pages), (documents[name].id,))
        for name, text, pages in rows
    ]
    return DataSet(list(documents.values()), questions, pages=True)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


SETS: dict[str, Callable[[Path], DataSet]] = {
    "hotpotqa": hotpotqa,
    "musique": musique,
    "financebench": financebench,
    "statements": statements,
    "mmlongbench": mmlongbench,
    "fairytaleqa": fairytaleqa,
    "cmrc": cmrc,
}

#: Sets asked of the documents of another: they share its library.
CORPORA = {"statements": "financebench"}
