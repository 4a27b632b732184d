"""The replies of each step, and for each step the schema of just the actions and numbers that are legal in it.

Lists are bounded: a small model otherwise runs in circles until its token limit. Strings are bounded by that limit
alone: one ``maxLength`` of 200 costs xgrammar 8 s to compile for a vocabulary of 152,000 tokens, and the server stalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

Schema = dict[str, Any]

MAX_NOTES_PER_STEP = 3
MAX_CHUNKS_PER_STEP = 2
MAX_PLAN_STEPS = 4
_MIN_NODES = 3
_TEXT: Schema = {"type": "string"}


class PlanReply(BaseModel):
    """The rational plan."""

    steps: list[str]


class NodesReply(BaseModel):
    """Start nodes, by their number in the list shown."""

    nodes: list[int]


class FactsReply(BaseModel):
    """Facts worth noting, by number (0 for none); chunks worth reading, by letter."""

    notes: list[int]
    read_chunks: list[str]


class ChunkReply(BaseModel):
    """Sentences worth noting, by number (0 for none); what to do next."""

    notes: list[int]
    action: str


class NeighbourReply(BaseModel):
    """The neighbour to go to, by number; 0 is to stop."""

    neighbour: int


class AnswerReply(BaseModel):
    """The answer from numbered excerpts."""

    excerpts: list[int]
    answerable: Literal["yes", "no"]
    answer: str


def plan_schema() -> Schema:
    """One to four short phrases."""
    return _object(steps=_array(_TEXT, 1, MAX_PLAN_STEPS))


def nodes_schema(node_count: int, max_nodes: int) -> Schema:
    """Some of the numbers 1 to ``node_count``: at most ``max_nodes``, and at least three where there are as
    many, since a small model names just one and then everything hangs on it.
    """
    most = min(max_nodes, node_count)
    return _object(nodes=_array(_numbers(1, node_count), min(_MIN_NODES, most), most))


def facts_schema(fact_count: int, chunk_labels: Sequence[str]) -> Schema:
    """Notes among the facts shown; chunks among those that may still be read."""
    chunks: Schema = (
        _array({"type": "string", "enum": list(chunk_labels)}, 0, MAX_CHUNKS_PER_STEP)
        if chunk_labels
        else {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    )
    return _object(notes=_notes(fact_count), read_chunks=chunks)


def chunk_schema(sentence_count: int, actions: Sequence[str]) -> Schema:
    """Notes among the sentences shown; one of the legal actions."""
    return _object(
        notes=_notes(sentence_count),
        action={"type": "string", "enum": list(actions)},
    )


def neighbour_schema(neighbour_count: int) -> Schema:
    """One of the neighbours shown, or 0."""
    return _object(neighbour=_numbers(0, neighbour_count))


def answer_schema(excerpt_count: int) -> Schema:
    """The answer; what proves it is among the excerpts shown. Free text comes last: cut short, the rest is whole."""
    return _object(
        excerpts=_array(_numbers(1, excerpt_count), 0, 4),
        answerable={"type": "string", "enum": ["yes", "no"]},
        answer=_TEXT,
    )


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _notes(count: int) -> Schema:
    # Never empty but [0] for "none": offered an empty list, a small model takes it whatever it has read.
    return _array(_numbers(0, count), 1, MAX_NOTES_PER_STEP)


def _array(items: Schema, least: int, most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _numbers(first: int, last: int) -> Schema:
    # An enumeration, since engines differ in whether they honour "minimum" and "maximum".
    return {"type": "integer", "enum": list(range(first, last + 1))}
