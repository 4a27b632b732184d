from __future__ import annotations

from typing import Any

import pytest
from fakes import ScriptedModel
from pydantic import BaseModel

from graphreader.errors import BadModelOutputError, ContextTooLongError
from graphreader.llm.gate import Gate, Limits
from graphreader.records import StoppedBy
from prompts import Prompt

SCHEMA = {"type": "object", "properties": {"steps": {"type": "array", "items": {"type": "string"}, "maxItems": 3}}}
PROMPT = Prompt("some rules", "a question")


class Steps(BaseModel):
    steps: list[str]


async def test_a_valid_reply_is_parsed_and_paid_for() -> None:
    gate = Gate(ScriptedModel(lambda *_: {"steps": ["one"]}))
    reply = await gate.ask(PROMPT, Steps, SCHEMA, max_tokens=20)
    assert reply.steps == ["one"]
    usage = gate.usage
    assert usage.llm_calls == 1
    assert usage.prompt_tokens == 8
    assert usage.completion_tokens > 0
    assert usage.seconds > 0


async def test_what_does_not_fit_is_never_sent() -> None:
    model = ScriptedModel(lambda *_: {"steps": []}, context_tokens=100)
    with pytest.raises(ContextTooLongError, match="100"):
        await Gate(model).ask(Prompt("rules", "word " * 90), Steps, SCHEMA, max_tokens=20)
    assert model.calls == []


async def test_a_broken_reply_is_asked_for_once_more_then_refused() -> None:
    replies = iter(["not json", '{"steps": ["good"]}', "[]", '{"steps": 3}'])
    model = ScriptedModel(lambda *_: next(replies))
    gate = Gate(model)
    assert (await gate.ask(PROMPT, Steps, SCHEMA, max_tokens=20)).steps == ["good"]
    with pytest.raises(BadModelOutputError, match="scripted"):
        await gate.ask(PROMPT, Steps, SCHEMA, max_tokens=20)
    assert len(model.calls) == 4
    assert gate.usage.llm_calls == 4


async def test_limits_are_seen_between_calls() -> None:
    gate = Gate(ScriptedModel(lambda *_: {"steps": []}), Limits(max_total_tokens=15))
    assert gate.exhausted() is None
    await gate.ask(PROMPT, Steps, SCHEMA, max_tokens=5)
    await gate.ask(PROMPT, Steps, SCHEMA, max_tokens=5)
    assert gate.exhausted() is StoppedBy.TOKEN_LIMIT
    assert Gate(ScriptedModel(lambda *_: {}), Limits(max_seconds=1e-9)).exhausted() is StoppedBy.TIME_LIMIT


async def test_examples_are_sent_as_earlier_messages() -> None:
    seen: list[str] = []

    class Listening(ScriptedModel):
        async def complete(self, messages: Any, **more: Any) -> Any:
            seen.extend(f"{message.role}: {message.content}" for message in messages)
            return await super().complete(messages, **more)

    prompt = Prompt("rules", "now", (("before", '{"steps": []}'),))
    model = Listening(lambda *_: {"steps": ["a"]})
    await Gate(model).ask(prompt, Steps, SCHEMA, max_tokens=9)
    assert seen == ["system: rules", "user: before", 'assistant: {"steps": []}', "user: now"]
