"""The recursive summary of tiered memory, written by a chat model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from graphreader.errors import BadModelOutputError, ContextTooLongError
from memory.protocols import Model, Summarise
from memory.records import PromptMessage, Schema
from prompts import render

_SCHEMA: Schema = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
    "additionalProperties": False,
}
#: Names, dates and other languages take more tokens a word than prose; what comes out too long is cut at its end, where
#: the newest is told.
_WORDS_PER_TOKEN = 0.5
_LEAST_WORDS = 20
#: What the JSON around the summary takes.
_ENVELOPE_TOKENS = 16
_CUT_REPLY = re.compile(r'\s*\{\s*"summary"\s*:\s*"(?P<text>(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)')


def summariser(model: Model) -> Summarise:
    """A ``memory.protocols.Summarise`` that asks ``model``, within the model's window.

    Raises ``ContextTooLongError`` before anything is sent, ``BadModelOutputError`` for a reply without a summary, and
    what ``Model.complete`` raises.
    """

    async def summarise(previous: str, messages: Sequence[str], max_tokens: int) -> str:
        max_words = max(_LEAST_WORDS, int(max_tokens * _WORDS_PER_TOKEN))
        prompt = render("summarise", previous=previous, messages=messages, max_words=max_words)
        request = [PromptMessage("system", prompt.system), PromptMessage("user", prompt.user)]
        prompt_tokens, reply_tokens = model.count_prompt_tokens(request), max_tokens + _ENVELOPE_TOKENS
        if prompt_tokens + reply_tokens > model.window_tokens:
            raise ContextTooLongError(prompt_tokens, reply_tokens, model.window_tokens)
        return _summary_in(await model.complete(request, schema=_SCHEMA, max_tokens=reply_tokens))

    return summarise


def _summary_in(reply: str) -> str:
    """The summary; of a reply that ran into its limit, what there is of it up to the last whole word."""
    try:
        value = json.loads(reply)
    except json.JSONDecodeError:
        found = _CUT_REPLY.match(reply)
        beginning = json.loads(f'"{found["text"]}"', strict=False) if found else ""
        value = {"summary": beginning.rpartition(" ")[0] or beginning}
    summary = value.get("summary") if isinstance(value, dict) else None
    if not isinstance(summary, str) or not summary.strip():
        raise BadModelOutputError("The model's reply holds no summary. Use a larger model, or one that fits schemas.")
    return " ".join(summary.split())
