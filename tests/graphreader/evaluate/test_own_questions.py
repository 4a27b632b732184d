"""Questions of one's own: the documented format, the shipped example, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dataset_rows import gold, pdf, write

from graphreader.errors import DatasetError
from graphreader.evaluate.cases import GoldEvidence, Unit
from graphreader.evaluate.datasets import load_dataset

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def test_questions_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The lamp was lit\nat dusk. The lamp was green.", encoding="utf-8")
    (tmp_path / "more.md").write_text("# More\n\nNothing here.", encoding="utf-8")
    rows = [
        {
            "question": "When was the lamp lit?",
            "answer": "dusk",
            "aliases": ["at dusk"],
            "documents": ["notes.txt", "more.md"],
            "evidence": ["The lamp was lit at dusk."],
            "type": "single",
            "hops": 1,
        },
        {"id": "b", "question": "Who lit it?", "answer": None, "document": "notes.txt"},
        {
            "id": 3,
            "question": "Its colour?",
            "answer": "B",
            "options": {"A": "red", "B": "green"},
            "document": "notes.txt",
        },
    ]
    dataset = load_dataset(write(tmp_path / "lamp.jsonl", rows))
    first, unanswerable, choice = dataset.cases
    assert (dataset.name, first.id, first.answers) == ("lamp", "1", ("dusk", "at dusk"))
    assert first.documents == ("notes.txt", "more.md")
    assert first.labels == {"type": "single", "hops": "1"}
    assert first.evidence == (GoldEvidence("notes.txt", Unit.SENTENCE, 0, 25),)
    assert (unanswerable.answerable, unanswerable.answers) == (False, ())
    assert (choice.id, choice.answers) == ("3", ("B",))


def test_a_question_may_bring_its_text(tmp_path: Path) -> None:
    row = {
        "question": "Its colour?",
        "answer": "green",
        "context": "The lamp\nwas green.",
        "evidence": ["lamp was green"],
    }
    dataset = load_dataset(write(tmp_path / "lamp.jsonl", [row, {**row, "question": "What was green?", "hops": None}]))
    (document,) = dataset.documents.values()
    assert document.text == row["context"]
    assert gold(dataset, dataset.cases[0], Unit.SENTENCE) == ["lamp\nwas green"]


def test_a_question_without_a_document_is_about_the_one_pdf_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "asked.jsonl", [{"question": "Its colour?", "answer": "green", "pages": [2]}])
    with pytest.raises(DatasetError, match=r"line 1, field documents: it is missing, .* there are 0 PDF files"):
        load_dataset(path)
    pdf(tmp_path / "lamp.pdf", ["Cover", "The lamp was green."])
    assert load_dataset(path).cases[0].evidence == (GoldEvidence("lamp.pdf", Unit.PAGE, page=2),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"evidence": ["The lamp was blue"]}, r"field evidence\[0\]: 'The lamp was blue' is not in the document"),
        ({"document": "absent.txt"}, r"field document: there is no file absent.txt"),
        ({"documents": ["notes.txt", "absent.txt"]}, r"field documents\[1\]: there is no file absent.txt"),
        ({"pages": [0]}, r"field pages\[0\]: 0 is not a number of a page"),
        ({"context": "More."}, r"field context: there are documents too"),
        ({"question": ""}, r"field question: string should have at least 1 character"),
        ({"answerable": True, "answer": None}, r"field answer: it is missing"),
        ({"options": {"A": "red"}, "answer": "B"}, r"field answer: it is not among the letters"),
    ],
)
def test_a_malformed_question_names_line_and_field(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    (tmp_path / "notes.txt").write_text("The lamp was green.", encoding="utf-8")
    good = {"question": "Its colour?", "answer": "green", "document": "notes.txt"}
    path = write(tmp_path / "lamp.jsonl", [good, {**good, "id": "bad", **row}])
    with pytest.raises(DatasetError, match=rf"lamp\.jsonl, line 2, {message}"):
        load_dataset(path)


def test_the_shipped_questions_have_their_evidence(tmp_path: Path) -> None:
    dataset = load_dataset(EXAMPLES)
    assert (dataset.name, len(dataset.cases), list(dataset.documents)) == ("examples", 30, ["haddle-sound-inquiry.pdf"])
    assert sum(not case.answerable for case in dataset.cases) == 5
    units = Counter(evidence.unit for case in dataset.cases for evidence in case.evidence)
    rows = [json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text().splitlines()]
    assert units == {
        Unit.PAGE: sum(len(row["pages"]) for row in rows),
        Unit.SENTENCE: sum(len(row["evidence"]) for row in rows),
    }


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "evaluate.md").read_text(encoding="utf-8")
    (tmp_path / "own.jsonl").write_text(page.split("```json\n")[1].split("```")[0], encoding="utf-8")
    pdf(tmp_path / "report.pdf", [*["Another page"] * 27, "The ledger was found by Morwenna Tolley"])
    dataset = load_dataset(tmp_path / "own.jsonl")
    assert [(case.id, case.answers) for case in dataset.cases] == [
        ("q1", ("Morwenna Tolley", "Tolley")),
        ("q2", ()),
        ("q3", ("B",)),
    ]
    assert [evidence.unit for evidence in dataset.cases[0].evidence] == [Unit.PAGE, Unit.SENTENCE]
