"""A small dataset with a text that answers and one that does not, and a model that follows a script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel, WordEmbedder, by_step

from graphreader import GraphReader, Settings
from graphreader.evaluate.cases import Case, Dataset, GoldEvidence, SourceText, Unit

TIDES = "Tides of Orrin\n\nThe tide mill at Orrin was built by Ada Brandt in 1802. Ada Brandt was born in Lowick."
BEES = "Bees of Sedge\n\nThe bee hall of Sedge was built by Osric Penhall. Its keeper is Tomas Vell."
SCRIPT: dict[str, Any] = {
    "plan": {"steps": ["builder of the tide mill"]},
    "facts": {"notes": [1], "read_chunks": []},
    "chunk": {"notes": [1], "action": "termination"},
    "neighbour": {"neighbour": 0},
    "answer": {"excerpts": [1], "answerable": "yes", "answer": "Ada Brandt"},
    "closed_book": {"answerable": "no", "answer": ""},
}


def piece(text: str, part: str, key: str) -> GoldEvidence:
    start = text.index(part)
    return GoldEvidence(key, Unit.SENTENCE, start, start + len(part))


def mill_dataset(questions: int = 3) -> Dataset:
    """Questions about the mill, every third one about what no text says."""
    documents = {"tides": SourceText("tides", "Tides of Orrin", TIDES), "bees": SourceText("bees", "Bees", BEES)}
    evidence = piece(TIDES, "The tide mill at Orrin was built by Ada Brandt in 1802.", "tides")
    cases = []
    for number in range(questions):
        if number % 3 == 2:
            cases.append(
                Case(f"q{number}", f"Who sold lamp {number}?", (), ("tides", "bees"), False, labels={"hops": "0"})
            )
        else:
            question = f"Who built tide mill number {number}?"
            cases.append(
                Case(
                    f"q{number}",
                    question,
                    ("Ada Brandt",),
                    ("tides", "bees"),
                    evidence=(evidence,),
                    labels={"hops": "1"},
                )
            )
    return Dataset("mills", tuple(cases), documents)


OpenReader = Callable[..., GraphReader]


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(by_step(SCRIPT))


@pytest.fixture
def open_reader(tmp_path: Path, model: ScriptedModel) -> OpenReader:
    """Opens a reader on a library of the test, with the scripted model unless another one is given."""

    def opened(given: Any = None, settings: Settings | None = None) -> GraphReader:
        return GraphReader(tmp_path / "library.db", settings=settings, model=given or model, embedder=WordEmbedder())

    return opened
