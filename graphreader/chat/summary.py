"""The recursive summary, made by the chat model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from graphreader.llm.partial import partial_string
from graphreader.llm.protocol import ChatModel, Message
from graphreader.records import Usage
from memory.protocols import Summarise
from prompts import render

_SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
    "additionalProperties": False,
}


def summariser(model: ChatModel, spend: Callable[[Usage], None]) -> Summarise:
    """A way to summarise; ``spend`` is told what each call cost."""

    async def summarise(previous: str, messages: Sequence[str], max_tokens: int) -> str:
        prompt = render(
            "summarise", previous=json.dumps(previous, ensure_ascii=False) if previous else "", messages=messages
        )
        asked = [Message("system", prompt.system), Message("user", prompt.user)]
        reply = await model.complete(asked, schema=_SCHEMA, max_tokens=max_tokens)
        spend(Usage(1, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens))
        # One that was cut at its limit is used as far as it goes.
        return " ".join(partial_string(reply.text, "summary").split())

    return summarise
