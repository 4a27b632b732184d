"""Functions a model may call: what they take, the schema a reply must fit, and what is wrong with a call."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from memory.errors import FunctionError
from memory.records import Json, Schema, storable

#: The argument by which a call asks to be followed by another, where that is not the rule.
HEARTBEAT = "request_heartbeat"

Value: TypeAlias = "str | int | bool"
Arguments: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument. All are required: small models leave out what they may. ``choices`` narrow a string."""

    name: str
    description: str
    type: Literal["string", "integer", "boolean"] = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a function gives back. ``source`` names the document whose text is in it, ``quotes`` messages it repeats.

    ``shown_again``: all of it is stored elsewhere already, so that recall search need not find it. ``says``: what is
    said to the user as it stands, in place of ``body``; that ends the turn.
    """

    body: Json
    source: str | None = None
    quotes: frozenset[int] = frozenset()
    shown_again: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function. ``run`` raises ``FunctionError`` with what the model should be told; anything else ends the turn."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    run: Callable[[Arguments], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Call:
    """A valid call. ``heartbeat``: another is to follow."""

    function: Function
    arguments: Arguments
    heartbeat: bool

    def as_json(self) -> str:
        """The call as the model wrote it, in one normal form."""
        asked: dict[str, Json] = {HEARTBEAT: True} if self.heartbeat else {}
        return json.dumps({"function": self.function.name, **self.arguments, **asked}, ensure_ascii=False)


def describe(functions: Sequence[Function]) -> str:
    """The functions as the model's instructions list them."""
    lines = []
    for function in functions:
        arguments = ", ".join(f'"{one.name}": {_type_name(one)}' for one in function.parameters)
        lines.append(f'- {{"function": "{function.name}", {arguments}}}: {function.description}')
        lines.extend(f"    {one.name}: {one.description}" for one in function.parameters if one.description)
    return "\n".join(lines)


def _type_name(parameter: Parameter) -> str:
    return " | ".join(f'"{choice}"' for choice in parameter.choices) if parameter.choices else parameter.type


def reply_schema(functions: Sequence[Function], *, ask_heartbeat: bool) -> Schema:
    """The schema of one call: one of the functions, with its arguments."""
    shapes = [_call_schema(function, ask_heartbeat=ask_heartbeat) for function in functions]
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _call_schema(function: Function, *, ask_heartbeat: bool) -> dict[str, object]:
    properties: dict[str, object] = {"function": {"type": "string", "enum": [function.name]}}
    for one in function.parameters:
        properties[one.name] = {"type": one.type, **({"enum": list(one.choices)} if one.choices else {})}
    if ask_heartbeat:
        properties[HEARTBEAT] = {"type": "boolean"}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_call(reply: str, functions: Sequence[Function], *, ask_heartbeat: bool) -> Call:
    """The call in a model's reply. Raises ``FunctionError`` with what is wrong and what would be right."""
    given = _json_object(reply)
    name = given.pop("function", None)
    by_name = {function.name: function for function in functions}
    if not isinstance(name, str) or name not in by_name:
        raise FunctionError(f"There is no function {name!r}. Call one of: {', '.join(by_name)}.")
    function = by_name[name]
    heartbeat = given.pop(HEARTBEAT, False)
    if not isinstance(heartbeat, bool):
        raise FunctionError(f"{name}: {HEARTBEAT} must be true or false.")
    expected = [one.name for one in function.parameters]
    if missing := [one for one in expected if one not in given]:
        raise FunctionError(f"{name}: the arguments {', '.join(missing)} are missing.")
    if unknown := [one for one in given if one not in expected]:
        raise FunctionError(f"{name} takes {', '.join(expected) or 'no arguments'}, not {', '.join(unknown)}.")
    arguments = {one.name: _checked(function, one, given[one.name]) for one in function.parameters}
    return Call(function, arguments, heartbeat and ask_heartbeat)


_FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL)


def _json_object(reply: str) -> dict[str, object]:
    fenced = _FENCE.match(reply)
    try:
        given = json.loads(fenced[1] if fenced else reply)
    except (json.JSONDecodeError, RecursionError):
        raise FunctionError("The reply is not one whole JSON object. Reply with one, and keep it short.") from None
    if not isinstance(given, dict):
        raise FunctionError('The reply is not a JSON object. Reply {"function": ..., and its arguments}.')
    return given


def _checked(function: Function, parameter: Parameter, value: object) -> Value:
    accepted = {"string": str, "integer": int, "boolean": bool}[parameter.type]
    if not isinstance(value, accepted) or (accepted is int and isinstance(value, bool)):
        raise FunctionError(f"{function.name}: {parameter.name} must be of type {parameter.type}, not {value!r:.80}.")
    if parameter.choices and value not in parameter.choices:
        raise FunctionError(f"{function.name}: {parameter.name} must be one of {', '.join(parameter.choices)}.")
    assert isinstance(value, str | int)
    return storable(value) if isinstance(value, str) else value
