"""Doubles behind the real protocols: a chat model that follows a script, an embedder without weights."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphreader.llm.protocol import JsonSchema, Message, Reply
from graphreader.text.terms import terms

Script = Callable[[str, JsonSchema], Any]


def step_of(schema: JsonSchema) -> str:
    """Which step of the program a schema belongs to, told by its fields."""
    if "anyOf" in schema or "function" in schema["properties"]:
        return "call"
    fields = set(schema["properties"])
    names = {
        frozenset({"steps"}): "plan",
        frozenset({"nodes"}): "nodes",
        frozenset({"notes", "read_chunks"}): "facts",
        frozenset({"notes", "action"}): "chunk",
        frozenset({"neighbour"}): "neighbour",
        frozenset({"answerable", "answer", "excerpts"}): "answer",
        frozenset({"facts"}): "extract",
        frozenset({"answerable", "answer"}): "closed_book",
        frozenset({"verdict"}): "rate",
        frozenset({"noted"}): "summarise",
        frozenset({"kind"}): "kind",
        frozenset({"question"}): "rewrite",
    }
    return names[frozenset(fields)]


def random_reply(schema: JsonSchema, rng: random.Random) -> Any:
    """Some value that a JSON schema (of the kind this program builds) allows."""
    if "anyOf" in schema:
        return random_reply(rng.choice(schema["anyOf"]), rng)
    if "enum" in schema:
        return rng.choice(list(schema["enum"]))
    if schema["type"] == "object":
        return {name: random_reply(inner, rng) for name, inner in schema["properties"].items()}
    if schema["type"] == "array":
        least = schema.get("minItems", 0)
        count = rng.randint(least, max(least, min(schema["maxItems"], 6)))
        return [random_reply(schema["items"], rng) for _ in range(count)]
    if schema["type"] in ("integer", "boolean"):
        return rng.randint(0, 9) if schema["type"] == "integer" else rng.random() < 0.5
    if schema["type"] == "string":
        length = rng.randint(schema.get("minLength", 0), min(schema.get("maxLength", 24), 24))
        return "".join(rng.choice("abc ö鲸\"'\\\n") for _ in range(length))
    raise AssertionError(f"no rule for {schema}")


class ScriptedModel:
    """A chat model whose replies come from ``script(prompt, schema)``; a word is a token.

    A script returns a value (sent as JSON), a string (sent as it is), or raises. ``weights`` come with each reply of
    which a field is to be weighed.
    """

    def __init__(
        self,
        script: Script,
        context_tokens: int = 16_384,
        *,
        name: str = "scripted",
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.script = script
        self.name = name
        self.weights = weights or {}
        self.context_tokens = context_tokens
        self.calls: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._at_once = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        return sum(self.count_tokens([message.content for message in messages])) + 4

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: JsonSchema,
        max_tokens: int,
        temperature: float | None = None,
        weigh: str | None = None,
    ) -> Reply:
        prompt = messages[-1].content
        self.calls.append((step_of(schema), prompt))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(0)
            value = self.script(prompt, schema)
        finally:
            self._at_once -= 1
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        tokens = text.split(" ")
        cut = " ".join(tokens[:max_tokens])
        truncated = len(tokens) > max_tokens
        weights = self.weights if weigh is not None else {}
        return Reply(cut, self.count_prompt_tokens(messages), 0, len(tokens[:max_tokens]), truncated, weights)

    def steps(self) -> list[str]:
        """The steps that were asked for, in order."""
        return [step for step, _ in self.calls]


def by_step(replies: Mapping[str, Any]) -> Script:
    """A script with one reply (or a function of prompt and schema) for each step; steps left out get a random one."""
    rng = random.Random(0)

    def script(prompt: str, schema: JsonSchema) -> Any:
        reply = replies.get(step_of(schema), random_reply)
        if reply is random_reply:
            return random_reply(schema, rng)
        return reply(prompt, schema) if callable(reply) else reply

    return script


class WordEmbedder:
    """Unit vectors from hashed words: texts with common words are near each other."""

    name = "words"
    dimensions = 64
    max_tokens = 256
    english_only = False

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        matrix = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for term in terms(text) or ["-"]:
                matrix[row, hashlib.sha256(term.encode()).digest()[0] % self.dimensions] += 1.0
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.embed(texts)
