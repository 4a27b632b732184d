"""Requests to a vLLM, timed as their tokens arrive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from graphreader.serve.launch import Endpoint

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Timed:
    """One reply. Times are seconds on one clock: when it was asked, when its first and its last token came."""

    asked: float
    first: float
    last: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    text: str

    @property
    def first_seconds(self) -> float:
        """Time to the first token."""
        return self.first - self.asked


async def complete(
    endpoint: Endpoint, prompts: Sequence[Sequence[int]], max_tokens: int, *, ignore_eos: bool = True
) -> list[Timed]:
    """All prompts (as tokens) at once. Raises ``httpx2.HTTPError``."""
    async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        asked = (_complete(client, endpoint, prompt, max_tokens, ignore_eos) for prompt in prompts)
        return list(await asyncio.gather(*asked))


def complete_now(
    endpoint: Endpoint, prompts: Sequence[Sequence[int]], max_tokens: int, *, ignore_eos: bool = True
) -> list[Timed]:
    """The same for callers without an event loop."""
    return asyncio.run(complete(endpoint, prompts, max_tokens, ignore_eos=ignore_eos))


def decode_rate(replies: Sequence[Timed]) -> float:
    """Tokens a second of replies that were written together, each one's first token apart: that is the prefill's."""
    seconds = max(reply.last for reply in replies) - min(reply.first for reply in replies)
    return sum(reply.completion_tokens - 1 for reply in replies) / seconds if seconds > 0 else 0.0


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder, without limits of its own."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of a text, without special ones."""
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


async def _complete(
    client: httpx2.AsyncClient, endpoint: Endpoint, prompt: Sequence[int], max_tokens: int, ignore_eos: bool
) -> Timed:
    body = {
        "model": endpoint.model,
        "prompt": list(prompt),
        "max_tokens": max_tokens,
        "temperature": 0,
        "ignore_eos": ignore_eos,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    asked = time.monotonic()
    first = last = 0.0
    usage: dict[str, Any] = {}
    text: list[str] = []
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with client.stream("POST", f"{endpoint.base_url}/completions", json=body, headers=headers) as response:
        if response.status_code != 200:
            raise httpx2.HTTPError(f"status {response.status_code}: {(await response.aread()).decode()[:300]}")
        async for line in response.aiter_lines():
            event = _event(line)
            if event is None:
                continue
            if event.get("choices"):
                last = time.monotonic()
                first = first or last
                text.append(event["choices"][0]["text"])
            usage = event.get("usage") or usage
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return Timed(asked, first, last, usage["prompt_tokens"], cached, usage["completion_tokens"], "".join(text))


def _event(line: str) -> dict[str, Any] | None:
    data = line.removeprefix("data: ")
    if data == line or data == "[DONE]":
        return None
    return dict(json.loads(data))
