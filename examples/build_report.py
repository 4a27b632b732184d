"""Build the example report and its questions: ``python examples/build_report.py [--output-folder FOLDER]``.

The same sources give the same PDF, byte for byte, with the same version of reportlab. The gold pages of the questions
are found in the finished PDF: each piece of evidence must stand on exactly one page.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pypdfium2
from report_data import load_data, values
from report_layout import ReportTemplate, contents, set_prose, title_page
from report_tables import tables
from reportlab.platypus import Flowable, PageBreak

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "report"
PDF_NAME = "haddle-sound-inquiry.pdf"
QUESTIONS_NAME = "questions.jsonl"


def build_pdf(path: Path) -> None:
    """Set the whole report to ``path``."""
    data = load_data(SOURCES)
    known, set_tables = values(data), tables(data)
    story: list[Flowable] = [*title_page(), PageBreak()]
    story += set_prose((SOURCES / "front.md").read_text(encoding="utf-8"), known, set_tables)
    story += contents()
    chapters = sorted(SOURCES.glob("[0-9][0-9]-*.md")) + sorted(SOURCES.glob("[a-m]-*.md"))
    for chapter in chapters:
        story += set_prose(chapter.read_text(encoding="utf-8"), known, set_tables)
    ReportTemplate(path).multiBuild(story)


def page_texts(path: Path) -> list[str]:
    """The text of each page, every run of white space made one space."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def build_questions(pdf: Path, path: Path) -> None:
    """Write the questions with their gold pages; raises ValueError for evidence that is not on exactly one page."""
    pages = page_texts(pdf)
    questions = tomllib.loads((SOURCES / "questions.toml").read_text(encoding="utf-8"))["questions"]
    lines = [json.dumps(_with_pages(question, pages), ensure_ascii=False) for question in questions]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with_pages(question: dict[str, Any], pages: list[str]) -> dict[str, Any]:
    evidence: list[str] = question.get("evidence", [])
    found = {_page_of(text, pages, question["id"]) for text in evidence}
    return {
        "id": question["id"],
        "question": question["question"],
        "answer": question.get("answer"),
        "aliases": question.get("aliases", []),
        "answerable": question["type"] != "unanswerable",
        "type": question["type"],
        "hops": question["hops"],
        "pages": sorted(found),
        "evidence": evidence,
    }


def _page_of(evidence: str, pages: list[str], question_id: str) -> int:
    pattern = re.compile(re.escape(evidence))
    found = [number for number, text in enumerate(pages, start=1) if pattern.search(text)]
    if len(found) != 1:
        where = f"on pages {found}" if found else "on no page"
        raise ValueError(f"question {question_id}: the evidence {evidence!r} is {where}; choose words of one page")
    return found[0]


def main() -> None:
    """Build the PDF, then the questions from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-folder", type=Path, default=HERE, help="where both files go (default: %(default)s)")
    folder: Path = parser.parse_args().output_folder
    folder.mkdir(parents=True, exist_ok=True)
    build_pdf(folder / PDF_NAME)
    build_questions(folder / PDF_NAME, folder / QUESTIONS_NAME)


if __name__ == "__main__":
    main()
