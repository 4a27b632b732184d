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
    model = ScriptedModel(lambda _prompt, _schema: {"summary": "Mel has a dog\nand ran on 7 May 2023."})
    memory_model = MemoryModel(model, 4000)
    assert await summariser(memory_model)("Mel has a dog.", [MESSAGE], 100) == "Mel has a dog and ran on 7 May 2023."
    ((step, prompt),) = model.calls
    assert step == "summarise"
    assert "Mel has a dog." in prompt
    assert MESSAGE in prompt
    assert memory_model.usage.llm_calls == 1


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ('{"summary": "Mel ran a race on 7 Ma', "Mel ran a race on 7"),
        ('{"summary": "Mel said \\"no\\" to the ra', 'Mel said "no" to the'),
        ('{"summary": "Mel ran on 7 May \\u20', "Mel ran on 7 May"),
        ('{"summary": "梅尔跑了比赛', "梅尔跑了比赛"),
    ],
)
async def test_of_a_reply_that_was_cut_the_whole_words_are_kept(reply: str, kept: str) -> None:
    assert await summary_of(reply) == kept


@pytest.mark.parametrize("reply", ["", "{}", "[1]", '{"summary": 3}', '{"summary": "  "}', "Mel ran."])
async def test_a_reply_without_a_summary_is_an_error(reply: str) -> None:
    with pytest.raises(BadModelOutputError, match="no summary"):
        await summary_of(reply)


async def test_what_exceeds_the_window_is_not_sent() -> None:
    with pytest.raises(ContextTooLongError):
        await summary_of(json.dumps({"summary": "x"}), window_tokens=200)
