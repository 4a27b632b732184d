"""The datasets as documents, questions and the units that hold their evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from graphreader.evaluate.cases import Dataset, Unit
from graphreader.evaluate.datasets import load_dataset
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
    return _document(title, f"{title}\n\n{text}" if title else text)


def _document(title: str, whole: str) -> Document:
    """A text as a document; a title that does not lead it (as in CMRC 2018) is not given to the search."""
    headings = (Heading(1, title, 0, len(title)),) if title and whole.startswith(f"{title}\n") else ()
    title = title if headings else ""
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
    return _of_passages(load_dataset(data / "multihop/hotpotqa_train.json", pooled=True))


def musique(data: Path) -> DataSet:
    """MuSiQue: gold are the supporting paragraphs."""
    return _of_passages(load_dataset(data / "multihop/musique_train.json", pooled=True))


def cmrc(data: Path) -> DataSet:
    """CMRC 2018: gold is the paragraph that a question was written for."""
    return _of_passages(load_dataset(data / "cmrc2018/cmrc2018_trial.json", pooled=True))


def _of_passages(dataset: Dataset) -> DataSet:
    """A set whose units are the paragraphs of a dataset."""
    documents = {key: _document(source.title, source.text) for key, source in dataset.documents.items()}
    questions = [
        Question(
            case.question,
            frozenset(documents[piece.document].id for piece in case.evidence if piece.unit is Unit.PASSAGE),
        )
        for case in dataset.cases
    ]
    return whole_documents(documents.values(), questions)


def fairytaleqa(data: Path) -> DataSet:
    """FairytaleQA: sections of all stories pooled; the story's title leads sections and questions."""
    dataset = load_dataset(data / "fairytaleqa")
    sections = {
        (story.key, part.start): paragraph(story.title, story.text[part.start : part.end])
        for story in dataset.documents.values()
        for part in story.parts
    }
    step = max(1, len(dataset.cases) // _FAIRYTALEQA_QUESTIONS)
    questions = [
        Question(
            f"{dataset.documents[case.documents[0]].title}: {case.question}",
            frozenset(sections[piece.document, piece.start].id for piece in case.evidence if piece.start is not None),
        )
        for case in dataset.cases[::step][:_FAIRYTALEQA_QUESTIONS]
    ]
    return whole_documents(sections.values(), questions)


def financebench(data: Path) -> DataSet:
    """FinanceBench: each question is asked of its own filing; gold are pages."""
    return _of_pages(load_dataset(data / "financebench"))


def mmlongbench(data: Path) -> DataSet:
    """MMLongBench-Doc: each question that can be answered is asked of its own PDF; gold are pages."""
    return _of_pages(load_dataset(data / "mmlongbench"))


def _of_pages(dataset: Dataset) -> DataSet:
    """A set whose units are the pages of a dataset's files, of the questions that have gold pages."""
    files = {key: source.file for key, source in dataset.documents.items() if source.file is not None}
    rows = [
        (files[case.documents[0]], case.question, [piece.page for piece in case.evidence if piece.page is not None])
        for case in dataset.cases
    ]
    return _paged([row for row in rows if row[2]])


def statements(data: Path) -> DataSet:
    """Questions that name ratios and statements, of the filings of FinanceBench."""
    rows = [json.loads(line) for line in _STATEMENTS.read_text(encoding="utf-8").splitlines()]
    folder = data / "financebench/pdfs"
    return _paged([(folder / f"{row['doc_name']}.pdf", row["question"], row["pages"]) for row in rows])


def _paged(rows: list[tuple[Path, str, list[int]]]) -> DataSet:
    """A set whose units are pages, from rows of file, question and gold pages."""
    documents = {path: load(path) for path in sorted({path for path, _, _ in rows})}
    questions = [
        Question(text, frozenset(f"{documents[path].id}:{page}" for page in pages), (documents[path].id,))
        for path, text, pages in rows
    ]
    return DataSet(list(documents.values()), questions, pages=True)


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
