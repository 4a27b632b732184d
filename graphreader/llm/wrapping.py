"""A choice of schemas (``anyOf`` at the root) within an object, for endpoints that take nothing but an object there."""

from __future__ import annotations

import json
from typing import Any

from graphreader.llm.protocol import JsonSchema

_FIELD = "reply"


def is_choice(schema: JsonSchema) -> bool:
    """Whether a schema is a choice of several."""
    return "anyOf" in schema


def wrapped(schema: JsonSchema) -> dict[str, Any]:
    """The schema of an object that holds what ``schema`` describes."""
    return {
        "type": "object",
        "properties": {_FIELD: dict(schema)},
        "required": [_FIELD],
        "additionalProperties": False,
    }


def unwrapped(text: str) -> str:
    """What such an object holds; the text itself where it is none, e.g. because it was cut."""
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return text
    is_wrapped = isinstance(value, dict) and value.keys() == {_FIELD}
    return json.dumps(value[_FIELD], ensure_ascii=False) if is_wrapped else text
