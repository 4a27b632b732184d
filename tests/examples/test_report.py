"""The shipped example: the PDF is what its sources build, and its questions are true of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PDF = EXAMPLES / "haddle-sound-inquiry.pdf"
Question = dict[str, Any]


def _questions() -> list[Question]:
    lines = (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _sources() -> dict[str, Question]:
    source = tomllib.loads((EXAMPLES / "report" / "questions.toml").read_text(encoding="utf-8"))
    return {question["id"]: question for question in source["questions"]}


def _named(questions: Iterable[Question]) -> list[Any]:
    return [pytest.param(question, id=question["id"]) for question in questions]


ALL = _questions()
ANSWERABLE = [question for question in ALL if question["answerable"]]
UNANSWERABLE = [question for question in ALL if not question["answerable"]]


@pytest.fixture(scope="module")
def pages() -> list[str]:
    document = pypdfium2.PdfDocument(PDF)
    try:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def test_building_again_gives_the_shipped_files(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "build_report.py"), "--output-folder", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    for name in (PDF.name, "questions.jsonl"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes(), f"{name} is not what its sources build"


def test_the_report_is_long_and_small_and_every_page_has_text(pages: list[str]) -> None:
    assert len(pages) >= 60
    assert PDF.stat().st_size < 1_000_000
    # The title page, the shortest, has its title.
    assert all(len(text) > 100 for text in pages)


def test_no_placeholder_is_left(pages: list[str]) -> None:
    assert not [text for text in pages if re.search(r"\{\{|\}\}|\[\[|\]\]", text)]


def test_the_outline_names_every_chapter_and_leads_to_its_page(pages: list[str]) -> None:
    document = pypdfium2.PdfDocument(PDF)
    try:
        marks = [(mark.level, mark.get_title(), mark.get_dest()) for mark in document.get_toc()]
        chapters = [(title, dest.get_index()) for level, title, dest in marks if level == 0 and dest is not None]
    finally:
        document.close()
    titles = [title for title, _ in chapters]
    assert [title.split()[0] for title in titles if title[0].isdigit()] == [str(n) for n in range(1, 21)]
    assert sum(title.startswith("Appendix") for title in titles) == 13
    for title, index in chapters:
        assert title in pages[index]


def test_pages_carry_their_number(pages: list[str]) -> None:
    for number, text in enumerate(pages[1:], start=2):
        assert f"Page {number}" in text


def test_there_are_enough_questions_of_each_type() -> None:
    counts = Counter(question["type"] for question in ALL)
    assert len(ALL) == 30
    assert counts["single"] >= 8
    assert counts["multi_hop"] >= 9
    assert counts["table"] >= 6
    assert counts["unanswerable"] == 5
    assert len({question["id"] for question in ALL}) == len(ALL)
    assert len({question["question"] for question in ALL}) == len(ALL)


@pytest.mark.parametrize("question", _named(ANSWERABLE))
def test_evidence_is_on_the_gold_pages_and_nowhere_else(question: Question, pages: list[str]) -> None:
    found: set[int] = set()
    for evidence in question["evidence"]:
        on = [number for number, text in enumerate(pages, start=1) if evidence in text]
        assert len(on) == 1, evidence
        found.update(on)
    assert sorted(found) == question["pages"]
    assert found


@pytest.mark.parametrize("question", _named(ANSWERABLE))
def test_the_answer_is_in_the_evidence_unless_computed(question: Question) -> None:
    forms = [question["answer"], *question["aliases"]]
    evidence = " ".join(question["evidence"]).lower()
    stated = any(re.search(rf"(?<!\w){re.escape(form.lower())}(?!\w)", evidence) for form in forms)
    assert stated is not _sources()[question["id"]].get("computed", False)


def test_the_computed_answer_is_the_difference_of_its_evidence() -> None:
    computed = [question for question in ALL if _sources()[question["id"]].get("computed", False)]
    assert computed
    for question in computed:
        amounts = [int(text.rsplit(" ", 1)[1].replace(",", "")) for text in question["evidence"]]
        assert question["answer"] == f"{amounts[0] - amounts[1]:,} crowns"


@pytest.mark.parametrize("question", _named(q for q in ALL if q["type"] == "multi_hop"))
def test_hops_rest_on_different_pages(question: Question) -> None:
    assert 2 <= question["hops"] <= 4
    assert len(question["pages"]) >= 2


@pytest.mark.parametrize("question", _named(UNANSWERABLE))
def test_what_an_unanswerable_question_asks_is_nowhere_said(question: Question, pages: list[str]) -> None:
    assert question["answer"] is None
    assert question["pages"] == question["evidence"] == question["aliases"] == []
    patterns = _sources()[question["id"]]["absent"]
    assert patterns
    whole = " ".join(pages)
    assert not [pattern for pattern in patterns if re.search(pattern, whole)]


def test_what_the_prose_says_of_the_figures_holds() -> None:
    data = tomllib.loads((EXAMPLES / "report" / "data.toml").read_text(encoding="utf-8"))
    largest = sorted(data["contracts"], key=lambda row: row["award"])[-3:]
    assert {row["signatory"] for row in largest} == {"Lydia Marchbanks"}
    assert Counter(row["signatory"] for row in data["contracts"])["Ewan Tregarth"] == 4
    generation = data["generation"]
    exceeded = [d > f for d, f in zip(generation["delivered"], generation["forecast"], strict=True)]
    assert sum(exceeded) == 1
    # Before the storm only the caisson that failed was beyond the action level.
    third = [row[2] > data["scheme"]["scour_action_level_metres"] for row in data["scour"]["depths"]]
    assert [number for number, beyond in enumerate(third, start=1) if beyond] == [4]
    placed = [row["placed"] for row in data["caissons"]]
    assert placed == sorted(placed, reverse=True)


def test_no_load_of_rock_was_as_heavy_as_the_tender_promised(pages: list[str]) -> None:
    register = " ".join(text for text in pages if "Load Date Tipped by" in text)
    means = [float(mean) for mean in re.findall(r"(?:Patient Margaret|hopper) \d+ \d+ (\d\.\d)", register)]
    assert len(means) > 50
    assert max(means) < 3.0
