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


async def summary_of(reply: Any, *, max_tokens: int = 100, window_tokens: int = 4000) -> str:
    model = ScriptedModel(lambda _prompt, _schema: reply)
    return await summariser(MemoryModel(model, window_tokens))("", [MESSAGE], max_tokens)


async def test_new_facts_are_put_behind_the_old_ones() -> None:
    model = ScriptedModel(lambda _prompt, _schema: {"noted": ["Mel ran on\n7 May 2023.", "Mel has a dog."]})
    memory_model = MemoryModel(model, 4000)
    summary = await summariser(memory_model)("Mel has a dog.\nAna has a cat.", [MESSAGE], 100)
    assert summary == "Mel has a dog.\nAna has a cat.\nMel ran on 7 May 2023."
    ((step, prompt),) = model.calls
    assert step == "summarise"
    assert MESSAGE in prompt
    assert memory_model.usage.llm_calls == 1


async def test_what_is_old_is_made_shorter_where_both_are_too_long() -> None:
    def script(prompt: str, schema: Any) -> Any:
        return {"noted": ["There are pets."] if "facts_so_far" in prompt else ["Mel ran on 7 May 2023."]}

    model = ScriptedModel(script)
    old = "\n".join(f"Ana has cat number {number}." for number in range(20))
    assert await summariser(MemoryModel(model, 4000))(old, [MESSAGE], 60) == "There are pets.\nMel ran on 7 May 2023."
    assert '"Ana has cat number 19."' in model.calls[1][1]
    assert MESSAGE not in model.calls[1][1]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ('{"noted": ["Mel ran on 7 May.", "She wo', "Mel ran on 7 May."),
        ('{"noted": ["Mel said \\"no\\".", "She \\', 'Mel said "no".'),
        ('{"noted": ["梅尔跑了比赛。", "她', "梅尔跑了比赛。"),
        (
            {"noted": ["Dr. May ran it in Leeds.", "Dr. Low ran.", "dr.  May ran it in Leeds!", " "]},
            "Dr. May ran it in Leeds.\nDr. Low ran.",
        ),
        ('{"noted": ["Mel ran the long ra', "Mel ran the long"),
        ({"noted": ["Mel ran.", 3]}, "Mel ran."),
        (
            {"noted": ["Mel has a dog, " + "she likes the sea, Mel is happy at home, " * 9]},
            "Mel has a dog, she likes the sea, Mel is happy at home,",
        ),
        ({"noted": ["梅尔喜欢跑步。" * 9]}, "梅尔喜欢跑步。"),
    ],
)
async def test_lines_that_are_whole_are_kept_once(reply: Any, kept: str) -> None:
    assert await summary_of(reply) == kept


@pytest.mark.parametrize("reply", ["", "{}", "[1]", '{"noted": 3}', '{"noted": [" "]}', "Mel ran.", '{"noted": ["Mel'])
async def test_a_reply_without_a_summary_is_an_error(reply: str) -> None:
    with pytest.raises(BadModelOutputError, match="no fact"):
        await summary_of(reply)


async def test_what_exceeds_the_window_is_not_sent() -> None:
    with pytest.raises(ContextTooLongError):
        await summary_of(json.dumps({"noted": ["x"]}), window_tokens=200)
