"""What a dataset is once read, whatever format it was published in: documents, and questions with their gold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Unit(StrEnum):
    """What a piece of gold evidence is."""

    SENTENCE = "sentence"
    PASSAGE = "passage"
    PAGE = "page"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class SourceText:
    """A document of a dataset: its text, or the file it is in (a PDF). ``key`` is unique in the dataset.

    ``parts`` are the pieces that gold evidence may name, in the order of the text: sections, paragraphs, turns. A file
    has none; its pages are the parts.
    """

    key: str
    title: str
    text: str = ""
    file: Path | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A named piece of a document's text, characters ``[start, end)``. ``time``: when it was said, of a turn."""

    key: str
    start: int
    end: int
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class GoldEvidence:
    """Where an answer stands: characters ``[start, end)`` of a document's text, or a page of its file (from 1)."""

    document: str
    unit: Unit
    start: int | None = None
    end: int | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its gold. ``answers``: any of them is right; none where the documents do not say.

    ``documents`` are the keys of those that belong to the question; ``options`` the choices of a multiple-choice
    question, whose answer is then one of their letters, or several ("AC"). ``labels`` are what a report groups by
    ("hops", "type", ...). ``keywords`` are what an answer must hold to be scored at all (LV-Eval).
    """

    id: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[str, ...]
    answerable: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[GoldEvidence, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    keywords: tuple[str, ...] = ()


def asked(case: Case) -> str:
    """The question as it is put to a reader: with its choices, a line each, where it has any."""
    return "\n".join([case.question, *(f"{letter}. {text}" for letter, text in case.options.items())])


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions and the documents they are about, by key. In ``language`` "zh" characters are compared, not words."""

    name: str
    cases: tuple[Case, ...]
    documents: Mapping[str, SourceText]
    language: str = "en"
