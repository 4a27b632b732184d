"""What memory is given from outside: a model, a way to summarise, vectors, an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from memory.records import PromptMessage, Schema


class Model(Protocol):
    """A chat model whose reply is constrained to a JSON schema."""

    @property
    def window_tokens(self) -> int:
        """The window: request and reply together."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text by the model's own tokenizer, without any template around it."""

    def count_prompt_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Tokens of a whole request as the server will see it, chat template included."""

    async def complete(self, messages: Sequence[PromptMessage], *, schema: Schema, max_tokens: int) -> str:
        """One reply. Whatever it raises ends the turn, and nothing of the turn is stored."""


class Summarise(Protocol):
    """Makes the recursive summary."""

    async def __call__(self, previous: str, messages: Sequence[str], max_tokens: int) -> str:
        """A summary of the ``previous`` one (empty at first) and of ``messages``, which are data in JSON."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Called in a thread."""

    @property
    def name(self) -> str:
        """Vectors of different names are not comparable."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Vectors of texts to be found; an array with a row for each will do."""

    def embed_queries(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Vectors of what is looked for."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Text of a document in an archive. ``source`` names the document, and where in it."""

    text: str
    source: str


class Archive(Protocol):
    """Documents that archival search covers beside the agent's own entries. Only ever read."""

    def count(self) -> int:
        """How many excerpts there are."""

    async def rank(self, query: str) -> Sequence[str]:
        """The keys of all excerpts found, best first."""

    async def fetch(self, keys: Sequence[str]) -> Sequence[Excerpt]:
        """The excerpts of these keys, in their order. Raises what it likes for one that is gone."""
