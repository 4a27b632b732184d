"""What the steps of one run work with: the library, the model's gate, the question, and what search found for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from graphreader.agent.evidence import Excerpt
from graphreader.agent.relevance import Relevance
from graphreader.library.protocol import Library
from graphreader.llm.gate import Gate
from graphreader.records import Chunk, Document, TraceStep
from graphreader.settings import ExploreSettings

#: Called with each step as it happens, to show it live.
OnStep = Callable[[TraceStep], None]


@dataclass(frozen=True, slots=True)
class StartNode:
    """A key element that search offers as a start node, with the fact that shows best why."""

    name: str
    spelling: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything a step may use. Built once for a question; holds no state of the run."""

    question: str
    documents: Mapping[str, Document]
    library: Library
    gate: Gate
    limits: ExploreSettings
    relevance: Relevance
    start_nodes: tuple[StartNode, ...]
    found: tuple[Excerpt, ...]
    on_step: OnStep
    #: What is to be found out, where search has asked the model already; else the run's first step asks.
    plan: tuple[str, ...] = ()

    @property
    def document_ids(self) -> Sequence[str]:
        """The documents the question is asked of."""
        return tuple(self.documents)

    def chunk(self, chunk_id: str) -> Chunk:
        """A chunk by its id."""
        return self.library.chunks_by_id([chunk_id])[0]

    def text(self, document_id: str, start: int, end: int) -> str:
        """A span's text on one line."""
        return " ".join(self.documents[document_id].text[start:end].split())

    def neighbour_chunks(self, chunk: Chunk) -> tuple[str | None, str | None]:
        """Ids of the chunks before and after, where there are such."""
        around = [f"{chunk.document_id}-{chunk.index + offset}" for offset in (-1, 1)]
        known = {found.id for found in self.library.chunks_by_id(around)}
        before, after = (chunk_id if chunk_id in known else None for chunk_id in around)
        return before, after

    def count_tokens(self) -> Callable[[Sequence[str]], list[int]]:
        """The model's token counter."""
        return partial(self.gate.model.count_tokens)
