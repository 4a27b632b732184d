"""What a mode is given for one question, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphreader.agent.answer import Conclusion
from graphreader.agent.context import OnStep
from graphreader.evaluate.memories import Memories
from graphreader.evaluate.names_index import NamesIndex
from graphreader.library.protocol import Library
from graphreader.llm.embed import Embedder
from graphreader.llm.gate import Gate, question_gate
from graphreader.llm.protocol import ChatModel
from graphreader.records import TraceStep, Usage
from graphreader.search.rerank import Reranker
from graphreader.settings import Settings


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """Gold evidence where it stands in the library: characters ``[start, end)`` of a document."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Asking:
    """A question with the documents it is asked of and all that a mode may use. ``key`` names it among all."""

    key: str
    question: str
    document_ids: Sequence[str]
    gold: Sequence[GoldSpan]
    library: Library
    model: ChatModel
    embedder: Embedder | None
    reranker: Reranker | None
    settings: Settings
    names: NamesIndex
    memories: Memories
    on_step: OnStep

    def gate(self) -> Gate:
        """Access to the model within the limits of the settings."""
        return question_gate(self.model, self.settings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question. The trace's steps tell stages of evidence by ``found``, ``shown``, ``notes`` and
    ``evidence`` in their details: lists of [document id, start, end, ...].
    """

    conclusion: Conclusion
    usage: Usage
    trace: Sequence[TraceStep]
    stopped_by: str
