"""Whole questions on a real vLLM with a small real model: what it answers is its own affair, how is ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphreader import GraphReader, Settings
from graphreader.connect import Connection
from graphreader.llm.protocol import Message
from graphreader.serve.launch import Endpoint

pytestmark = pytest.mark.live

STORY = """# The Light at Harrow Point

Harrow Point Lighthouse was built in 1871 by the engineer Edda Vance. She came from Port Selby.

## The keepers

Jonas Pell was the first keeper of Harrow Point Lighthouse. His daughter Mina Pell followed him in 1890. Mina Pell was
born in Tarn Bridge.
"""


@pytest.fixture
def settings(endpoint: Endpoint) -> Settings:
    return Settings.load(
        model={"name": endpoint.model, "base_url": endpoint.base_url, "api_key": endpoint.api_key},
        search={"embedder": "none"},
        index={"facts": "phrases"},
        explore={"max_explorers": 2, "max_steps": 4},
    )


@pytest.mark.parametrize("mode", ["search", "graph"])
def test_a_question_gets_an_answer_with_verbatim_citations(settings: Settings, tmp_path: Path, mode: str) -> None:
    source = tmp_path / "harrow.md"
    source.write_text(STORY, encoding="utf-8")
    with GraphReader(tmp_path / "library.db", settings=settings) as reader:
        answer = reader.ask("Who was the first keeper of Harrow Point Lighthouse?", str(source), mode=mode)
        text = reader.library.document(reader.documents()[0].id).text
    assert answer.answer
    assert answer.usage.prompt_tokens > 50
    assert answer.usage.llm_calls == 1 if mode == "search" else answer.usage.llm_calls >= 3
    for citation in answer.citations:
        assert text[citation.start : citation.end] == citation.quote


async def test_the_counted_prompt_is_the_servers_own_count(settings: Settings) -> None:
    connection = Connection(settings, None, None, lambda *_: None)
    model = await connection.model()
    messages = [Message("system", "Be brief."), Message("user", STORY + "鲸鱼 4f0c-11ee | 1,577 | (1,373)")]
    schema = {"type": "object", "properties": {"x": {"type": "integer", "enum": [1]}}, "required": ["x"]}
    reply = await model.complete(messages, schema=schema, max_tokens=20)
    await connection.close()
    assert reply.prompt_tokens == model.count_prompt_tokens(messages)
    assert model.context_tokens == 4096


def test_a_model_writes_facts_that_rest_on_their_chunk(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "harrow.md"
    source.write_text(STORY, encoding="utf-8")
    with GraphReader(tmp_path / "library.db", settings=settings) as reader:
        report = reader.index(str(source), facts="model")
        document = reader.library.document(report.document_ids[0])
        chunks = reader.library.chunks(document.id)
        facts = reader.library.facts_of_chunks([chunk.id for chunk in chunks])
    written = [fact for fact in facts if fact.origin == "model"]
    assert report.usage.llm_calls >= 1
    assert written or report.failed_chunks
    for fact in written:
        assert document.text[fact.start : fact.end].strip()
        assert fact.key_elements
