"""The recursive summary by a chat model: what it is asked, and what becomes of replies that are not whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import ScriptedModel

from graphreader.errors import BadModelOutputError, ContextTooLongError
from graphreader.llm.memory_model import MemoryModel
from graphreader.llm.summarise import summariser

MESSAGE = '{"type": "user_message", "time": "2023-05-08 13:56", "text": "I ran a race yesterday."}'


async def summary_of(
    reply: Any, *, max_tokens: int = 100, window_tokens: int = 4000, previous: str = "Mel has a dog."
) -> str:
    model = ScriptedModel(lambda _prompt, _schema: reply)
    return await summariser(MemoryModel(model, window_tokens))(previous, [MESSAGE], max_tokens)


async def test_the_old_summary_and_the_messages_are_asked_for_together() -> None:
    model = ScriptedModel(lambda _prompt, _schema: {"summary": ["Mel has a\ndog.", "Mel ran on 7 May 2023."]})
    memory_model = MemoryModel(model, 4000)
    assert await summariser(memory_model)("Mel has a dog.", [MESSAGE], 100) == "Mel has a dog.\nMel ran on 7 May 2023."
    ((step, prompt),) = model.calls
    assert step == "summarise"
    assert "Mel has a dog." in prompt
    assert MESSAGE in prompt
    assert memory_model.usage.llm_calls == 1


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ('{"summary": ["Mel ran on 7 May.", "She wo', "Mel ran on 7 May."),
        ('{"summary": ["Mel said \\"no\\".", "She \\', 'Mel said "no".'),
        ('{"summary": ["梅尔跑了比赛。", "她', "梅尔跑了比赛。"),
        (
            {"summary": ["Dr. May ran. She won it.", "Dr. Low ran. She won it.", "dr. may ran. She  won it.", " "]},
            "Dr. May ran. She won it.\nDr. Low ran.",
        ),
        ({"summary": ["Mel ran.", 3]}, "Mel ran."),
    ],
)
async def test_lines_that_are_whole_are_kept_once(reply: Any, kept: str) -> None:
    assert await summary_of(reply) == kept


@pytest.mark.parametrize(
    "reply", ["", "{}", "[1]", '{"summary": 3}', '{"summary": [" "]}', "Mel ran.", '{"summary": ["Mel']
)
async def test_a_reply_without_a_summary_is_an_error(reply: str) -> None:
    with pytest.raises(BadModelOutputError, match="no summary"):
        await summary_of(reply)


async def test_what_exceeds_the_window_is_not_sent() -> None:
    with pytest.raises(ContextTooLongError):
        await summary_of(json.dumps({"summary": ["x"]}), window_tokens=200)
