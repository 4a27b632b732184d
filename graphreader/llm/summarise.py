"""The recursive summary of tiered memory, written by a chat model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from graphreader.errors import BadModelOutputError, ContextTooLongError
from memory.protocols import Model, Summarise
from memory.records import PromptMessage, Schema
from prompts import render

#: A short sentence with names and a date takes about this many tokens; what comes out too long is cut at its end.
_TOKENS_PER_LINE = 25
_LEAST_LINES = 3
#: What the JSON around the lines takes.
_ENVELOPE_TOKENS = 16
#: With the space after it, which Chinese has not.
_SENTENCE = re.compile(r".+?(?:[.!?] +|[。！？]|$)")
#: What is shorter may be an abbreviation.
_LEAST_SENTENCE_CHARACTERS = 8
_STRING = re.compile(r'"((?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"')


def summariser(model: Model) -> Summarise:
    """A ``memory.protocols.Summarise`` that asks ``model``, within the model's window.

    It is written in lines because small models run in circles in a long text; a sentence that came before is
    left out.
    Raises ``ContextTooLongError`` before anything is sent, ``BadModelOutputError`` for a reply without a
    summary, and what ``Model.complete`` raises.
    """

    async def summarise(previous: str, messages: Sequence[str], max_tokens: int) -> str:
        max_lines = max(_LEAST_LINES, max_tokens // _TOKENS_PER_LINE)
        prompt = render("summarise", previous=previous, messages=messages, max_lines=max_lines)
        request = [PromptMessage("system", prompt.system), PromptMessage("user", prompt.user)]
        prompt_tokens, reply_tokens = model.count_prompt_tokens(request), max_tokens + _ENVELOPE_TOKENS
        if prompt_tokens + reply_tokens > model.window_tokens:
            raise ContextTooLongError(prompt_tokens, reply_tokens, model.window_tokens)
        return _summary_in(await model.complete(request, schema=_schema(max_lines), max_tokens=reply_tokens))

    return summarise


def _schema(max_lines: int) -> Schema:
    # No maxLength: see ``graphreader.agent.schemas``.
    lines = {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": max_lines,
    }
    return {
        "type": "object",
        "properties": {"summary": lines},
        "required": ["summary"],
        "additionalProperties": False,
    }


def _summary_in(reply: str) -> str:
    """The summary, a line after the other; of a reply that ran into its limit the lines that are whole."""
    try:
        value = json.loads(reply)
        lines = value.get("summary") if isinstance(value, dict) else None
    except json.JSONDecodeError:
        _, _, listed = reply.partition("[")
        lines = [json.loads(found[0], strict=False) for found in _STRING.finditer(listed)]
    if not isinstance(lines, list):
        lines = []
    told: set[str] = set()
    kept = [new for line in lines if isinstance(line, str) and (new := _news(line, told))]
    if not kept:
        raise BadModelOutputError("The model's reply holds no summary. Use a larger model, or one that fits schemas.")
    return "\n".join(kept)


def _news(line: str, told: set[str]) -> str:
    """The sentences of a line that were not told yet; they are then."""
    sentences = _SENTENCE.findall(" ".join(line.split()))
    telling = {key for one in sentences if len(key := one.strip().casefold()) >= _LEAST_SENTENCE_CHARACTERS}
    repeated = telling & told
    told |= telling
    if repeated and repeated == telling:
        return ""
    return "".join(one for one in sentences if one.strip().casefold() not in repeated).strip()
