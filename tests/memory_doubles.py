"""Doubles that memory's tests are given: a tokenizer, models, a summariser, an embedder, an archive, failpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from memory.agent import Agent
from memory.protocols import Excerpt
from memory.records import Block, PromptMessage, Schema
from memory.sqlite import open_storage
from memory.storage import Storage

NOON = datetime(2024, 1, 20, 12, tzinfo=UTC)
#: As tokenizers that part digits do: a token for up to four letters, each digit, each sign; Chinese costs more.
_TOKEN = re.compile(r"[A-Za-z]{1,4}|[\u3000-\uffff]|\s+|.", re.DOTALL)
_TEMPLATE_TOKENS = 7

#: What a model does: the request, and how often it was asked before, to its reply.
Script = Callable[[Sequence[PromptMessage], int], Any]


@lru_cache(maxsize=20_000)
def tokens(text: str) -> int:
    return len(_TOKEN.findall(text)) + sum(0x2FFF < ord(character) for character in text)


@dataclass
class ScriptedModel:
    """Replies as its script says: a text, or an object that becomes JSON. Notes what it was asked."""

    script: Script
    window_tokens: int = 8000
    requests: list[list[PromptMessage]] = field(default_factory=list)
    schemas: list[Schema] = field(default_factory=list)
    on_call: Callable[[], None] = lambda: None

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [tokens(text) for text in texts]

    def count_prompt_tokens(self, messages: Sequence[PromptMessage]) -> int:
        return 3 + sum(tokens(message.content) + _TEMPLATE_TOKENS for message in messages)

    async def complete(self, messages: Sequence[PromptMessage], *, schema: Schema, max_tokens: int) -> str:
        self.on_call()
        used = self.count_prompt_tokens(messages)
        assert used + max_tokens <= self.window_tokens, f"{used} + {max_tokens} tokens sent into {self.window_tokens}"
        roles = [message.role for message in messages]
        assert roles[0] == "system"
        assert all(role == ("user", "assistant")[place % 2] for place, role in enumerate(roles[1:])), roles
        self.requests.append(list(messages))
        self.schemas.append(schema)
        reply = self.script(messages, len(self.requests) - 1)
        return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)

    @property
    def last_shown(self) -> str:
        return "\n".join(message.content for message in self.requests[-1])


def say(message: str) -> dict[str, Any]:
    return {"function": "send_message", "message": message}


def replies(*calls: Any) -> Script:
    """One after the other, the last one again and again."""
    return lambda _messages, asked: calls[min(asked, len(calls) - 1)]


@dataclass
class Summariser:
    """Strings beginnings together, so that what went in can be seen."""

    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    failure: Exception | None = None
    result: str | None = None
    on_call: Callable[[], None] = lambda: None

    async def __call__(self, previous: str, messages: Sequence[str], max_tokens: int) -> str:
        self.on_call()
        self.calls.append((previous, list(messages)))
        if self.failure is not None:
            raise self.failure
        return f"{previous[:60]} + {len(messages)}" if self.result is None else self.result


class LetterEmbedder:
    """Vectors of letter counts: texts of the same letters mean the same."""

    name = "letters"

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.on_call: Callable[[], None] = lambda: None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.on_call()
        if self.failure is not None:
            raise self.failure
        return [_letters(text) for text in texts]

    embed_queries = embed


def _letters(text: str) -> list[float]:
    counts = [float(text.casefold().count(chr(ord("a") + place))) for place in range(26)]
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return [count / length for count in counts]


@dataclass
class ListArchive:
    """Excerpts in memory; those that hold any word of the query are found, in their order."""

    excerpts: list[Excerpt]

    def count(self) -> int:
        return len(self.excerpts)

    async def rank(self, query: str) -> list[str]:
        words = query.casefold().split()
        return [
            str(place)
            for place, excerpt in enumerate(self.excerpts)
            if any(word in excerpt.text.casefold() for word in words)
        ]

    async def fetch(self, keys: Sequence[str]) -> list[Excerpt]:
        return [self.excerpts[int(key)] for key in keys]


def agent_in(folder: Path | Storage, model: ScriptedModel, **more: Any) -> Agent:
    """An agent called ana with a block about the user, in ``folder``/memory.db or a storage."""
    storage = open_storage(folder / "memory.db") if isinstance(folder, Path) else folder
    settings: dict[str, Any] = {
        "summarise": Summariser(),
        "instructions": "You talk with a user.",
        "blocks": (Block("human", "", 60, "what the user said of themselves"),),
        "reply_tokens": 200,
        "clock": lambda: NOON,
    }
    return Agent("ana", storage, model, **{**settings, **more})
