"""Kept replies: what counts as the same request, and that the first reply stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedModel

from graphreader.errors import GraphReaderError
from graphreader.evaluate.replies import CachedModel, ReplyCache
from graphreader.llm.protocol import Message, Reply

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"steps": {"type": "array"}}}
REQUEST: dict[str, Any] = {"schema": SCHEMA, "max_tokens": 10, "temperature": None, "weigh": None}
MESSAGES = [Message("system", "s"), Message("user", "u")]


def counting() -> ScriptedModel:
    model = ScriptedModel(lambda *_: f"reply {len(model.calls)}", weights={"yes": 0.75, "no": 0.25})
    return model


async def test_a_reply_is_kept_whole_and_across_openings(tmp_path: Path) -> None:
    model = counting()
    with ReplyCache(tmp_path / "r.db") as cache:
        first = await CachedModel(model, cache).complete(MESSAGES, **REQUEST | {"weigh": "answerable"})
    with ReplyCache(tmp_path / "r.db") as cache:
        asked = CachedModel(model, cache)
        again = await asked.complete(MESSAGES, **REQUEST | {"weigh": "answerable"})
    assert again == first
    assert again.weights == {"yes": 0.75, "no": 0.25}
    assert (len(model.calls), asked.replayed, asked.spent.llm_calls) == (1, 1, 1)
    assert asked.spent.prompt_tokens == first.prompt_tokens


@pytest.mark.parametrize(
    ("messages", "change"),
    [
        ([Message("system", "s"), Message("user", "other")], {}),
        ([Message("user", "s"), Message("user", "u")], {}),
        (MESSAGES, {"max_tokens": 11}),
        (MESSAGES, {"temperature": 0.4}),
        (MESSAGES, {"weigh": "answerable"}),
        (MESSAGES, {"schema": SCHEMA | {"required": ["steps"]}}),
    ],
    ids=["text", "role", "max_tokens", "temperature", "weigh", "schema"],
)
async def test_another_request_is_asked_anew(tmp_path: Path, messages: list[Message], change: dict[str, Any]) -> None:
    model = counting()
    with ReplyCache(tmp_path / "r.db") as cache:
        asked = CachedModel(model, cache)
        await asked.complete(MESSAGES, **REQUEST)
        await asked.complete(messages, **REQUEST | change)
    assert len(model.calls) == 2


async def test_the_same_model_with_other_weights_is_asked_anew(tmp_path: Path) -> None:
    model = counting()
    with ReplyCache(tmp_path / "r.db") as cache:
        for served_as in ({}, None, {"quantization": "int8"}):
            await CachedModel(model, cache, served_as).complete(MESSAGES, **REQUEST)
    assert len(model.calls) == 2


async def test_another_model_is_asked_anew(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "r.db") as cache:
        one, other = (ScriptedModel(lambda *_: "x", name=name) for name in ("one", "other"))
        for model in (one, other):
            await CachedModel(model, cache).complete(MESSAGES, **REQUEST)
    assert len(other.calls) == 1


def test_the_first_reply_stays(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "r.db") as cache:
        first, second = Reply("one", 1, 0, 1), Reply("two", 1, 0, 1)
        assert cache.put(b"k", first) == first
        assert cache.put(b"k", second) == first
        assert cache.get(b"k") == first


def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_text("something else entirely, and long enough to be looked at", encoding="utf-8")
    with pytest.raises(GraphReaderError, match=r"r\.db"):
        ReplyCache(tmp_path / "r.db")
