"""A small library about a lighthouse, and a run context over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import ScriptedModel, WordEmbedder

from graphreader.agent.context import RunContext
from graphreader.answering import Documents, run_context
from graphreader.indexing import complete_index, index_text
from graphreader.library import Library, open_library
from graphreader.llm.gate import question_gate
from graphreader.search import search
from graphreader.settings import ExploreSettings, IndexSettings, ModelSettings, Settings

STORY = """# The Light at Harrow Point

Harrow Point Lighthouse was built in 1871 by the engineer Edda Vance. She came from Port Selby.

## The keepers

Jonas Pell was the first keeper of Harrow Point Lighthouse. He kept the light for nineteen years. His daughter Mina Pell
followed him in 1890. Mina Pell was born in Tarn Bridge.

## The storm

In the storm of 1903 the ship Albatross was lost off Harrow Point. The Albatross carried salt from Port Selby. Captain
Ro Hale of the Albatross was saved by Mina Pell.

## Tarn Bridge

Tarn Bridge is a town on the river Eske. The bridge of Tarn Bridge was paid for by the salt merchants of Port Selby.
"""


class WordCounter:
    exact = True

    def count(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def count_prompt(self, messages: object) -> int:
        return 0


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    source = tmp_path / "harrow.md"
    source.write_text(STORY, encoding="utf-8")
    opened = open_library(tmp_path / "library.db")
    settings = IndexSettings(max_chunk_tokens=40)
    report = index_text(opened, [str(source)], WordCounter(), settings, lambda *_: None)
    for _ in complete_index(opened, WordEmbedder(), report.document_ids, settings, lambda *_: None):
        pass
    yield opened
    opened.close()


MakeContext = Callable[..., RunContext]


@pytest.fixture
def make_context(library: Library) -> MakeContext:
    def make(
        model: ScriptedModel,
        question: str = "Where was the keeper who saved Captain Hale born?",
        least_probable: float | None = None,
        **limits: object,
    ) -> RunContext:
        documents = [summary.id for summary in library.summaries()]
        found = search(library, question, documents=documents, embedder=WordEmbedder())
        settings = Settings(explore=ExploreSettings(**limits), model=ModelSettings(least_probable=least_probable))
        gate = question_gate(model, settings)
        return run_context(library, gate, question, Documents(library, documents), found, settings, lambda _: None)

    return make
