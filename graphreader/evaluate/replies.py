"""Replies of a model kept on disk, so that the same run again is the same run, and costs nothing.

A reply is kept by all that decides it: the model's name, the messages, the schema and the parameters. The first reply
to a request is the one that stays: an engine that batches requests may answer the same prompt differently twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import apsw

from graphreader.errors import GraphReaderError
from graphreader.llm.protocol import ChatModel, JsonSchema, Message, Reply
from graphreader.records import Usage

_TABLE = "CREATE TABLE IF NOT EXISTS reply (key BLOB PRIMARY KEY, reply TEXT NOT NULL) STRICT, WITHOUT ROWID"
_BUSY_MILLISECONDS = 10_000


class ReplyCache:
    """Replies by key in one SQLite file, which several processes may share. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises ``GraphReaderError`` where that cannot be."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(_BUSY_MILLISECONDS)
            # A reply lost with the machine costs one call, so nothing waits for the disk.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_TABLE)
        except (apsw.Error, OSError) as error:
            problem = f"{path} cannot be used as a cache of replies ({error}). Remove it, or name another file."
            raise GraphReaderError(problem) from error
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: bytes) -> Reply | None:
        """The reply kept under ``key``, if any."""
        with self._lock:
            row = self._connection.execute("SELECT reply FROM reply WHERE key = ?", (key,)).fetchone()
        return Reply(**json.loads(row[0])) if row else None

    def put(self, key: bytes, reply: Reply) -> Reply:
        """Keep ``reply`` unless there is one already; the one that is kept."""
        value = json.dumps(asdict(reply))
        with self._lock:
            self._connection.execute("INSERT INTO reply VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
            kept = self._connection.changes() == 1
        return reply if kept else self.get(key) or reply

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


class CachedModel:
    """A ``ChatModel`` whose replies are kept; ``cache`` None keeps nothing. One instance for one question.

    ``served_as`` is what makes it another model than its name says, as weights in int8; replies are kept apart by it.
    ``spent`` is what all its replies cost when they were made, ``replayed`` how many of them were kept from before.
    """

    def __init__(
        self, model: ChatModel, cache: ReplyCache | None, served_as: Mapping[str, object] | None = None
    ) -> None:
        self._model = model
        self._cache = cache
        self._served_as = dict(served_as or {})
        self.spent = Usage()
        self.replayed = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def context_tokens(self) -> int:
        """The model's window."""
        return self._model.context_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return self._model.count_tokens(texts)

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt."""
        return self._model.count_prompt_tokens(messages)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: JsonSchema,
        max_tokens: int,
        temperature: float | None = None,
        weigh: str | None = None,
    ) -> Reply:
        """The reply that was kept for this request, or else the model's. Raises what the model raises."""
        parameters: list[object] = [max_tokens, temperature, weigh]
        key = _key(self.name, messages, schema, parameters + ([self._served_as] if self._served_as else []))
        reply = self._cache.get(key) if self._cache is not None else None
        if reply is not None:
            self.replayed += 1
        else:
            reply = await self._model.complete(
                messages, schema=schema, max_tokens=max_tokens, temperature=temperature, weigh=weigh
            )
            if self._cache is not None:
                reply = self._cache.put(key, reply)
        self.spent += Usage(1, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens)
        return reply


@contextmanager
def opened_cache(path: Path | None) -> Iterator[ReplyCache | None]:
    """The cache at ``path``; None without one."""
    if path is None:
        yield None
        return
    with ReplyCache(path) as cache:
        yield cache


def _key(model: str, messages: Sequence[Message], schema: JsonSchema, parameters: list[object]) -> bytes:
    request = [model, [[message.role, message.content] for message in messages], schema, parameters]
    return hashlib.sha256(json.dumps(request, ensure_ascii=True).encode()).digest()
