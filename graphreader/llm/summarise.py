"""The recursive summary of tiered memory, written by a chat model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from graphreader.errors import BadModelOutputError, ContextTooLongError
from memory.protocols import Model, Summarise
from memory.records import PromptMessage, Schema
from prompts import render

#: Of a summary's tokens, what is new may have this part; the summary so far is made to fit the rest.
_NEW_SHARE = 0.6
#: A short sentence with names and a date takes about this many tokens.
_TOKENS_PER_FACT = 25
_LEAST_FACTS = 3
#: What the JSON around the facts takes.
_ENVELOPE_TOKENS = 16
_STRING = re.compile(r'"((?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"')
_STRING_CUT = re.compile(_STRING.pattern.removesuffix('"').replace('"', '"?', 1))
#: A clause with the space after it, which Chinese has not.
_CLAUSE = re.compile(r".+?(?:[.!?,;] +|[。！？，；]|$)")
#: What is shorter may be a name or an abbreviation; a Chinese character says as much as three letters.
_LEAST_CLAUSE_BYTES = 16


def summariser(model: Model) -> Summarise:
    """A ``memory.protocols.Summarise`` that asks ``model``, within the model's window: facts, a line each.

    Facts of the new messages are put behind those there are; where both are too long, the model makes fewer of the old
    ones. A model asked for old and new in one text copies the old and runs in circles, if it is small.

    Raises ``ContextTooLongError`` before anything is sent, ``BadModelOutputError`` for a reply without a fact, and what
    ``Model.complete`` raises.
    """

    async def summarise(previous: str, messages: Sequence[str], max_tokens: int) -> str:
        old = previous.splitlines()
        new = await _facts(model, messages, int(max_tokens * _NEW_SHARE) if old else max_tokens)
        both = "\n".join(_without_repeats([*old, *new]))
        if not old or model.count_tokens([both])[0] <= max_tokens:
            return both
        told = json.dumps({"type": "facts_so_far", "facts": old}, ensure_ascii=False)
        room = max_tokens - model.count_tokens(["\n".join(new)])[0]
        fewer = await _facts(model, [told], max(room, _TOKENS_PER_FACT))
        return "\n".join(_without_repeats([*fewer, *new]))

    return summarise


async def _facts(model: Model, messages: Sequence[str], max_tokens: int) -> list[str]:
    """At most ``max_tokens`` of facts, at least one."""
    most = max(1, max_tokens // _TOKENS_PER_FACT)
    prompt = render("summarise", messages=messages, max_facts=most)
    request = [PromptMessage("system", prompt.system), PromptMessage("user", prompt.user)]
    prompt_tokens, reply_tokens = model.count_prompt_tokens(request), max_tokens + _ENVELOPE_TOKENS
    if prompt_tokens + reply_tokens > model.window_tokens:
        raise ContextTooLongError(prompt_tokens, reply_tokens, model.window_tokens)
    schema = _schema(min(most, len(messages), _LEAST_FACTS), most)
    return _facts_in(await model.complete(request, schema=schema, max_tokens=reply_tokens))


def _schema(least: int, most: int) -> Schema:
    # No maxLength: see ``graphreader.agent.schemas``.
    facts = {"type": "array", "items": {"type": "string"}, "minItems": least, "maxItems": most}
    return {"type": "object", "properties": {"noted": facts}, "required": ["noted"], "additionalProperties": False}


def _facts_in(reply: str) -> list[str]:
    """The facts of a reply; of one that ran into its limit those that are whole, else the beginning of the first."""
    try:
        value = json.loads(reply)
        listed = value.get("noted") if isinstance(value, dict) else None
    except json.JSONDecodeError:
        _, _, rest = reply.partition("[")
        whole = [found[1] for found in _STRING.finditer(rest)] or [_STRING_CUT.match(rest)[1].rpartition(" ")[0]]  # type: ignore[index]
        listed = [json.loads(f'"{text}"', strict=False) for text in whole]
    texts = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    facts = _without_repeats(texts)
    if not facts:
        raise BadModelOutputError("The model's reply holds no fact to remember. Use one that fits JSON schemas.")
    return facts


def _without_repeats(lines: Sequence[str]) -> list[str]:
    """Lines without the clauses that came before, and without those that then tell nothing."""
    told: set[str] = set()
    kept = []
    for line in dict.fromkeys(" ".join(line.split()) for line in lines):
        clauses = _CLAUSE.findall(line)
        new = []
        for clause in clauses:
            key = clause.strip(" .!?,;。！？，；").casefold()
            if len(key.encode()) < _LEAST_CLAUSE_BYTES or key not in told:
                new.append(clause)
            told.add(key)
        text = "".join(new).strip()
        if text and (len(new) == len(clauses) or len(text.encode()) >= _LEAST_CLAUSE_BYTES):
            kept.append(text)
    return kept
