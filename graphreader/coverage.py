"""How much of the documents a question can reach while they are still being indexed.

An index command says in the library how far it has read; questions asked meanwhile, by whatever process, say so too.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from graphreader.library.protocol import Library

_RUN, _NAMESPACE = "reading sources", "process"
#: A commit is durable and so costs milliseconds: thousands of small files must not pay one each.
_REPORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is not searched yet; all zero where everything is."""

    unread_sources: int = 0
    documents_without_graph: int = 0
    passages_without_vector: int = 0
    passages: int = 0
    embedder: str = ""

    def __str__(self) -> str:
        """A sentence for people; empty where everything is searched."""
        parts = []
        if self.unread_sources:
            parts.append(f"{_count(self.unread_sources, 'source')} not read")
        if self.documents_without_graph:
            parts.append(f"{_count(self.documents_without_graph, 'document')} searched without graph")
        if self.passages_without_vector:
            passages = f"{self.passages_without_vector:,} of {_count(self.passages, 'passage')}"
            parts.append(f"{passages} without vector of {self.embedder!r}")
        if not parts:
            return ""
        sentence = f"Not indexed completely yet: {', '.join(parts)}."
        if self.documents_without_graph or self.passages_without_vector:
            sentence += " If no command is at work on it, run `graphreader index` on the sources again."
        return sentence


def coverage_of(
    library: Library, documents: Sequence[str] | None, text_only_key: str, embedder_name: str | None
) -> Coverage:
    """What questions to ``documents`` (None: all) do not reach yet. Without embedder no vectors are missed."""
    text_only = library.documents_of_settings_key(text_only_key)
    missed = text_only if documents is None else set(text_only).intersection(documents)
    passages = library.passage_count(documents)
    vectors = library.vector_count(embedder_name, documents) if embedder_name is not None else passages
    return Coverage(
        unread_sources=sum(_unread(library)) if documents is None else 0,
        documents_without_graph=len(missed),
        passages_without_vector=max(0, passages - vectors),
        passages=passages,
        embedder=embedder_name or "",
    )


class Reading:
    """Says in the library how many sources this process has still to read. A context manager."""

    def __init__(self, library: Library, source_count: int) -> None:
        self._library = library
        self._source_count = source_count
        self._reported = 0.0

    def __enter__(self) -> Self:
        self._report(self._source_count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._report(0)
        if not any(_unread(self._library)):
            self._library.delete_run(_RUN)

    def done(self, count: int) -> None:
        """So many sources are read."""
        if time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._report(self._source_count - count)

    def _report(self, unread: int) -> None:
        self._reported = time.monotonic()
        self._library.put_run_record(_RUN, _NAMESPACE, str(os.getpid()), json.dumps(unread).encode())


def _unread(library: Library) -> Iterator[int]:
    """What each process that is still alive has to read; those that were killed no longer count."""
    for process, unread in library.run_records(_RUN, _NAMESPACE).items():
        if psutil.pid_exists(int(process)):
            yield int(json.loads(unread))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
