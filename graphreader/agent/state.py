"""What a run remembers between steps: plain JSON values and ids, never texts, so that a checkpoint stays small."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from graphreader.records import Note


class Phase(StrEnum):
    """What an explorer does next."""

    FACTS = "facts"
    CHUNK = "chunk"
    NEIGHBOURS = "neighbours"
    DONE = "done"


class NoteState(TypedDict):
    """A ``Note`` as plain values."""

    document_id: str
    chunk_id: str
    start: int
    end: int
    explorer: int


class ExplorerState(TypedDict):
    """One explorer: where it is, what it has seen, what it has noted."""

    explorer: int
    plan: list[str]
    node: str
    phase: str
    visited: list[str]
    queue: list[str]
    read: list[str]
    notes: list[NoteState]
    steps: int
    fruitless: int
    stopped_by: str
    trace: list[dict[str, Any]]


class RunState(TypedDict):
    """The whole run. Explorers that have finished are appended to ``explorers`` in any order."""

    plan: list[str]
    nodes: list[str]
    explorers: Annotated[list[ExplorerState], operator.add]
    trace: Annotated[list[dict[str, Any]], operator.add]
    result: dict[str, Any]


def new_explorer(explorer: int, node: str, plan: list[str]) -> ExplorerState:
    """An explorer at its start node."""
    return ExplorerState(
        explorer=explorer,
        plan=plan,
        node=node,
        phase=Phase.FACTS,
        visited=[node],
        queue=[],
        read=[],
        notes=[],
        steps=0,
        fruitless=0,
        stopped_by="",
        trace=[],
    )


def note_state(note: Note) -> NoteState:
    """A note as it is kept in a state."""
    return NoteState(
        document_id=note.document_id,
        chunk_id=note.chunk_id,
        start=note.start,
        end=note.end,
        explorer=note.explorer,
    )


def trace_step(actor: str, action: str, **detail: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A trace step as it is kept in a state."""
    return {"actor": actor, "action": action, "detail": detail}
