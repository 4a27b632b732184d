"""A chat model behind the OpenAI protocol: vLLM here or elsewhere, or any hosted endpoint.

Knows the wire and its failures; knows nothing of prompts, budgets or documents. Replies are constrained through
``response_format`` (vLLM ignores the older ``guided_json`` without a word).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import httpx2

from graphreader.errors import (
    ContextTooLongError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnreachableError,
)
from graphreader.llm.choices import field_probabilities
from graphreader.llm.protocol import JsonSchema, Message, OnText, Reply
from graphreader.llm.tokens import TokenCounter
from graphreader.llm.wrapping import is_choice, unwrapped, wrapped
from graphreader.settings import ModelSettings

if TYPE_CHECKING:
    import openai
    from openai import AsyncStream
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

#: The likeliest tokens asked for where a choice is to be weighed: endpoints allow from 5 to 20.
_LIKELIEST_TOKENS = 5
#: Assumed where neither the settings nor the endpoint name a window.
_FALLBACK_CONTEXT_TOKENS = 8192


class OpenAIChatModel:
    """A ``ChatModel`` at an OpenAI-compatible endpoint. Use one instance on one event loop."""

    def __init__(
        self,
        settings: ModelSettings,
        counter: TokenCounter,
        *,
        name: str,
        base_url: str,
        api_key: str,
        context_tokens: int,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        import openai

        self._settings = settings
        self._name = name
        self._counter = counter
        self._base_url = base_url
        self._context_tokens = context_tokens
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._tells_probabilities = True
        self._takes_choices = True
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            max_retries=settings.retries,
            timeout=httpx2.Timeout(settings.timeout_seconds, connect=10.0),
            http_client=httpx2.AsyncClient(transport=transport) if transport is not None else None,
        )

    @property
    def name(self) -> str:
        """The name under which the endpoint serves it."""
        return self._name

    @property
    def base_url(self) -> str:
        """Where the endpoint is."""
        return self._base_url

    @property
    def context_tokens(self) -> int:
        """The window: prompt and reply together."""
        return self._context_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return self._counter.count(texts)

    def count_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt."""
        return self._counter.count_prompt(messages)

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: JsonSchema,
        max_tokens: int,
        temperature: float | None = None,
        weigh: str | None = None,
    ) -> Reply:
        """One call; connection failures, 408, 409, 429 and 5xx are tried again with back-off by the client library."""
        request = self._request(messages, schema, max_tokens, temperature)
        async with self._calling(messages, max_tokens):
            completion = await self._create(request, weighed=weigh is not None)
        reply = _reply(completion, schema, weigh)
        return self._unwrapped(reply, schema)

    async def stream(
        self, messages: Sequence[Message], *, schema: JsonSchema, max_tokens: int, on_text: OnText
    ) -> Reply:
        """As ``complete``, told of piece by piece. Of an endpoint that takes no choice of schemas, the pieces are those
        of the object it was wrapped in.
        """
        request = self._request(messages, schema, max_tokens, None)
        request |= {"stream": True, "stream_options": {"include_usage": True}}
        async with self._calling(messages, max_tokens):
            reply = await _streamed(await self._create(request, weighed=False), on_text)
        return self._unwrapped(reply, schema)

    def _request(
        self, messages: Sequence[Message], schema: JsonSchema, max_tokens: int, temperature: float | None
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "max_tokens": max_tokens,
            "temperature": self._settings.temperature if temperature is None else temperature,
            "response_format": _response_format(
                schema if self._takes_choices or not is_choice(schema) else wrapped(schema)
            ),
        }
        if self._settings.cache_salt is not None:
            request["extra_body"] = {"cache_salt": self._settings.cache_salt.get_secret_value()}
        return request

    def _unwrapped(self, reply: Reply, schema: JsonSchema) -> Reply:
        if self._takes_choices or not is_choice(schema):
            return reply
        return replace(reply, text=unwrapped(reply.text))

    @asynccontextmanager
    async def _calling(self, messages: Sequence[Message], max_tokens: int) -> AsyncIterator[None]:
        """A slot for one call; what the client library raises as our errors."""
        import openai

        async with self._slots:
            try:
                yield
            except openai.APIConnectionError as error:
                raise self._unreachable(error) from error
            except openai.APIStatusError as error:
                raise self._refused(error, messages, max_tokens) from error
            except (openai.APIError, httpx2.HTTPError) as error:
                # Only while a reply streams in: before that the client library wraps whatever goes wrong.
                raise ModelUnreachableError(
                    f"{self._base_url} broke off its reply ({type(error).__name__}: {error}). Send it again; the "
                    "endpoint's own log may say more."
                ) from error

    async def _create(self, request: dict[str, Any], weighed: bool) -> Any:  # noqa: ANN401 - a completion or a stream
        """The call itself. An endpoint that refuses a choice of schemas (OpenAI's strict ones want an object) gets it
        within an object, now and from then on.
        """
        import openai

        schema = request["response_format"]["json_schema"]["schema"]
        try:
            return await self._tried(request, weighed)
        except openai.APIStatusError as error:
            if (
                error.status_code not in (400, 422)
                or not is_choice(schema)
                or "schema" not in str(error.message).lower()
            ):
                raise
        created = await self._tried(request | {"response_format": _response_format(wrapped(schema))}, weighed)
        self._takes_choices = False
        return created

    async def _tried(self, request: dict[str, Any], weighed: bool) -> Any:  # noqa: ANN401
        """An endpoint that refuses to tell probabilities is asked without, now and from then on."""
        import openai

        create = cast(Any, self._client.chat.completions.create)
        if weighed and self._tells_probabilities:
            try:
                return await create(**request, logprobs=True, top_logprobs=_LIKELIEST_TOKENS)
            except openai.APIStatusError as error:
                if error.status_code not in (400, 403, 422) or "logprob" not in str(error.message).lower():
                    raise
                self._tells_probabilities = False
        return await create(**request)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _unreachable(self, error: openai.APIConnectionError) -> ModelError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return ModelTimeoutError(
                f"No reply from {self._base_url} within {self._settings.timeout_seconds:g} s. "
                "Raise the setting model.timeout_seconds, or send shorter prompts."
            )
        return ModelUnreachableError(
            f"Nobody answers at {self._base_url} ({error.__cause__ or error}). Is the server running? "
            "`graphreader doctor` shows which endpoint is used."
        )

    def _refused(self, error: openai.APIStatusError, messages: Sequence[Message], max_tokens: int) -> ModelError:
        text = str(error.message)
        lowered = text.lower()
        if error.status_code == 400 and ("context length" in lowered or "context_length" in lowered):
            return ContextTooLongError(self.count_prompt_tokens(messages), max_tokens, self._context_tokens)
        mend = {
            401: "Check the key (setting model.api_key).",
            403: "Check the key (setting model.api_key) and what it may use.",
            404: f"Does the endpoint serve a model called {self._name!r}? Set model.name.",
            429: "The endpoint limits the rate: lower model.concurrency or try later.",
        }.get(error.status_code, "The endpoint's own log says more.")
        return ModelRefusedError(f"{self._base_url} refused with status {error.status_code}: {text[:300]}. {mend}")


async def served_context_tokens(base_url: str, api_key: str, model: str, timeout_seconds: float = 10.0) -> int:
    """The window that an endpoint reports for a model (vLLM's ``max_model_len``), or a careful default.

    Raises ``ModelUnreachableError`` or ``ModelRefusedError``.
    """
    url = f"{base_url.rstrip('/')}/models"
    try:
        async with httpx2.AsyncClient(timeout=timeout_seconds) as client:
            response = await client.get(url, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
    except httpx2.HTTPError as error:
        raise ModelUnreachableError(
            f"Nobody answers at {url} ({type(error).__name__}). Is the server running, and the setting "
            "model.base_url right?"
        ) from error
    if response.status_code in (401, 403):
        raise ModelRefusedError(f"{url} refused the key with status {response.status_code}. Set model.api_key.")
    if response.status_code != 200:
        return _FALLBACK_CONTEXT_TOKENS
    try:
        served = {entry.get("id"): entry for entry in response.json().get("data", [])}
    except (ValueError, AttributeError) as error:
        raise ModelRefusedError(
            f"{url} answered with something that is no list of models: is the setting model.base_url right? It mostly "
            "ends with /v1."
        ) from error
    if served and model not in served:
        raise ModelRefusedError(f"{base_url} does not serve {model!r} but {', '.join(sorted(served))}: set model.name.")
    return int(served.get(model, {}).get("max_model_len") or _FALLBACK_CONTEXT_TOKENS)


def _reply(completion: ChatCompletion, schema: JsonSchema, weigh: str | None) -> Reply:
    choice = completion.choices[0]
    weights: dict[str, float] = {}
    if weigh is not None and choice.logprobs is not None:
        tokens = (
            (token.token, {other.token: other.logprob for other in token.top_logprobs})
            for token in choice.logprobs.content or ()
        )
        weights = field_probabilities(tokens, weigh, schema["properties"][weigh]["enum"])
    cut = choice.finish_reason == "length"
    return Reply(choice.message.content or "", *_tokens(completion.usage), truncated=cut, weights=weights)


async def _streamed(chunks: AsyncStream[ChatCompletionChunk], on_text: OnText) -> Reply:
    pieces: list[str] = []
    usage: CompletionUsage | None = None
    reason: str | None = None
    async for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices[:1]:
            reason = choice.finish_reason or reason
            if choice.delta.content:
                pieces.append(choice.delta.content)
                on_text(choice.delta.content)
    return Reply("".join(pieces), *_tokens(usage), truncated=reason == "length")


def _tokens(usage: CompletionUsage | None) -> tuple[int, int, int]:
    """Tokens of the prompt, of that from the cache, of the completion."""
    if usage is None:
        return 0, 0, 0
    details = usage.prompt_tokens_details
    return usage.prompt_tokens, (details.cached_tokens or 0) if details else 0, usage.completion_tokens


def _response_format(schema: JsonSchema) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
