"""FairytaleQA (https://github.com/uci-soe/FairytaleQAData): whole stories in sections, gold by section.

Three forms: the repository's CSV files (``NAME-questions.csv`` under ``questions``, ``NAME-story.csv`` under
``section-stories``); rows of the hub's viewer, which bring only the sections that a question is about; and JSONL of
questions (``story``, ``gold_sections``) with ``sections.jsonl`` beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, Field

from graphreader.evaluate.cases import Case, Dataset, SourceText, Unit
from graphreader.evaluate.datasets.rows import Label, Row, parse, read_rows
from graphreader.evaluate.datasets.texts import of_paragraph, of_pieces, part_evidence

#: Stories of each file read so far, by name.
_Files = dict[Path, dict[str, SourceText]]


class _LinesRow(BaseModel):
    id: str
    story: str
    question: str = Field(min_length=1)
    answers: list[str] = Field(min_length=1)
    gold_sections: list[str]
    attribute: Label = ""
    kind: Label = ""
    scope: Label = ""


class _Section(BaseModel):
    story: str
    section: str
    text: str


class _CsvRow(BaseModel):
    question_id: str
    question: str = Field(min_length=1)
    answer1: str = Field(min_length=1)
    cor_section: str
    attribute: Label = Field("", validation_alias="attribute1")
    kind: Label = Field("", validation_alias="ex-or-im1")
    scope: Label = Field("", validation_alias="local-or-sum")


class _CsvSection(BaseModel):
    section: str
    text: str


class _HubRow(BaseModel):
    story_name: str
    story_section: str
    question: str = Field(min_length=1)
    answer1: str = Field(min_length=1)
    attribute: Label = ""
    kind: Label = Field("", validation_alias="ex-or-im")
    scope: Label = Field("", validation_alias="local-or-sum")


def recognises(row: Row) -> bool:
    """Whether a row is of one of the three forms."""
    return _form(row) is not None


def read(rows: list[Row]) -> Dataset:
    """The dataset; labels are what is asked for, whether the text says it, and of how much of the text."""
    stories: dict[str, SourceText] = {}
    files: _Files = {}
    cases = []
    for row in rows:
        form = _form(row)
        if form is None:
            raise row.error(("question",), "the row is not of the form of those before it")
        case, story = form(row, files)
        stories.setdefault(story.key, story)
        cases.append(case)
    return Dataset("fairytaleqa", tuple(cases), stories)


def _form(row: Row) -> Callable[[Row, _Files], tuple[Case, SourceText]] | None:
    names = row.value.keys()
    if {"story", "gold_sections", "question"} <= names:
        return _from_lines
    if {"question_id", "cor_section", "answer1"} <= names:
        return _from_csv
    if {"story_name", "story_section", "question", "answer1"} <= names:
        return _from_hub
    return None


def _from_lines(row: Row, files: _Files) -> tuple[Case, SourceText]:
    item = parse(row, _LinesRow)
    path = row.file.with_name("sections.jsonl")
    if path not in files:
        files[path] = _stories(path)
    story = files[path].get(item.story)
    if story is None:
        raise row.error(("story",), f"sections.jsonl beside it has no story {item.story!r}")
    answers = tuple(dict.fromkeys(item.answers))
    case = Case(item.id, item.question, answers, (story.key,), labels=_labels(item.attribute, item.kind, item.scope))
    return _with_sections(case, story, item.gold_sections, row, "gold_sections"), story


def _from_csv(row: Row, files: _Files) -> tuple[Case, SourceText]:
    item = parse(row, _CsvRow)
    name = row.file.name.removesuffix("-questions.csv")
    file = Path(*["section-stories" if part == "questions" else part for part in row.file.parts])
    path = file.with_name(f"{name}-story.csv")
    if path not in files:
        files[path] = {name: _csv_story(path, name)}
    story = files[path][name]
    answers = _answers(row)
    labels = _labels(item.attribute, item.kind, item.scope)
    case = Case(f"{name}#{item.question_id}", item.question, tuple(dict.fromkeys(answers)), (name,), labels=labels)
    sections = [part.strip() for part in item.cor_section.split(",") if part.strip()]
    return _with_sections(case, story, sections, row, "cor_section"), story


def _from_hub(row: Row, _: _Files) -> tuple[Case, SourceText]:
    item = parse(row, _HubRow)
    story = of_paragraph(title_of(item.story_name), item.story_section)
    answers = _answers(row)
    number = row.line if row.line is not None else (row.place or (0,))[0]
    labels = _labels(item.attribute, item.kind, item.scope)
    case = Case(
        f"{item.story_name}#{number}", item.question, tuple(dict.fromkeys(answers)), (story.key,), labels=labels
    )
    return case, story


def title_of(name: str) -> str:
    """The title of a story, from the name of its file."""
    return name.replace("-", " ").capitalize()


def _answers(row: Row) -> list[str]:
    """The texts of the columns ``answer1``, ``answer2`` and so on, as many as are filled in."""
    named = [(name, value) for name, value in row.value.items() if name.startswith("answer") and value]
    wrong = next((name for name, value in named if not isinstance(value, str)), None)
    if wrong is not None:
        raise row.error((wrong,), "it is not a text")
    return [value for _, value in named]


def _labels(attribute: str, kind: str, scope: str) -> dict[str, str]:
    named = (("type", attribute), ("kind", kind), ("scope", scope))
    return {name: value for name, value in named if value}


def _with_sections(case: Case, story: SourceText, sections: list[str], row: Row, field: str) -> Case:
    parts = {part.key: part for part in story.parts}
    missing = [section for section in sections if section not in parts]
    if missing:
        raise row.error((field,), f"the story has no section {missing[0]!r}")
    evidence = tuple(part_evidence(story, parts[section], Unit.PASSAGE) for section in sections)
    return Case(case.id, case.question, case.answers, case.documents, evidence=evidence, labels=case.labels)


def _stories(path: Path) -> dict[str, SourceText]:
    sections: dict[str, list[tuple[str, str]]] = {}
    for row in read_rows(path):
        item = parse(row, _Section)
        sections.setdefault(item.story, []).append((item.section, item.text))
    return {name: of_pieces(title_of(name), pieces, gap="\n\n", key=name) for name, pieces in sections.items()}


def _csv_story(path: Path, name: str) -> SourceText:
    pieces = [(item.section, item.text) for item in (parse(row, _CsvSection) for row in read_rows(path))]
    return of_pieces(title_of(name), pieces, gap="\n\n", key=name)
