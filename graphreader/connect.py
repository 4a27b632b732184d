"""From settings to what they name: the model (an endpoint, or a vLLM run here), its tokenizer, the embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from graphreader.errors import MissingDependencyError, ServeError
from graphreader.llm.tokens import ByteTokenCounter, ModelTokenCounter, TokenCounter
from graphreader.settings import ServeSettings, Settings

if TYPE_CHECKING:
    from graphreader.indexing import OnProgress
    from graphreader.llm.client import OpenAIChatModel
    from graphreader.llm.embed import Embedder
    from graphreader.llm.protocol import ChatModel
    from graphreader.search.rerank import Reranker
    from graphreader.serve.command import ServeOptions
    from graphreader.serve.launch import Endpoint


class Connection:
    """Model, tokenizer and embedder of one reader, each made when first needed."""

    def __init__(
        self, settings: Settings, model: ChatModel | None, embedder: Embedder | None, on_progress: OnProgress
    ) -> None:
        self._settings = settings
        self._given_model = model
        self._opened: OpenAIChatModel | None = None
        self._embedder = embedder
        self._on_progress = on_progress
        self._counter: TokenCounter | None = None

    @property
    def embedder(self) -> Embedder | None:
        """The embedder, or None where the setting ``search.embedder`` is "none"."""
        if self._embedder is None:
            from graphreader.llm.embed import open_embedder

            self._embedder = open_embedder(self._settings.search.embedder)
        return self._embedder

    @cached_property
    def reranker(self) -> Reranker | None:
        """The cross-encoder of the setting ``search.reranker``, if any."""
        from graphreader.search.rerank import open_reranker

        return open_reranker(self._settings.search.reranker)

    @property
    def counter(self) -> TokenCounter:
        """The token counter of the model."""
        if self._counter is None:
            self._counter = GivenModelCounter(self._given_model) if self._given_model else self._own_counter()
        return self._counter

    async def model(self) -> ChatModel:
        """The model; a local one is started first if it is not running. Raises ``ModelError`` or ``ServeError``."""
        if self._given_model is not None:
            return self._given_model
        if self._opened is None:
            self._opened = await self._open()
        return self._opened

    def _own_counter(self) -> TokenCounter:
        from graphreader.serve import weights

        settings = self._settings.model
        file = weights.tokenizer_file(settings.tokenizer or settings.name)
        if file is None and settings.base_url is None:
            try:
                file = weights.resolve(settings.name, on_progress=self._on_progress) / "tokenizer.json"
            except (ServeError, MissingDependencyError) as error:
                self._on_progress("note", 0, 0, f"Token counts are estimates, since the tokenizer is missing. {error}")
        elif file is None:
            mend = "set model.tokenizer to a folder or hub id"
            self._on_progress("note", 0, 0, f"Token counts for {settings.name!r} are estimates: {mend} for exact ones.")
        return ModelTokenCounter(file) if file is not None else ByteTokenCounter()

    async def _open(self) -> OpenAIChatModel:
        from graphreader.llm.client import OpenAIChatModel, served_context_tokens

        settings = self._settings.model
        if settings.base_url is not None:
            name, base_url = settings.name, settings.base_url
            key = settings.api_key.get_secret_value() if settings.api_key else ""
            context_tokens = settings.context_tokens or await served_context_tokens(base_url, key, name)
        else:
            endpoint = await asyncio.to_thread(self._local_endpoint)
            name, base_url, key = endpoint.model, endpoint.base_url, endpoint.api_key
            context_tokens = endpoint.max_model_len
        return OpenAIChatModel(
            settings, self.counter, name=name, base_url=base_url, api_key=key, context_tokens=context_tokens
        )

    def _local_endpoint(self) -> Endpoint:
        from graphreader.serve import server

        serve = self._settings.serve
        return server.ensure_running(
            self._settings.model.name,
            _options(serve),
            idle_timeout_seconds=serve.idle_timeout_seconds,
            start_timeout_seconds=serve.start_timeout_seconds,
            on_progress=self._on_progress,
        )

    async def close(self) -> None:
        """Close the connections of the model opened here."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def model_is_running(self) -> bool:
        """Whether the model can be asked without starting anything."""
        from graphreader.serve import server

        return (
            self._given_model is not None or self._settings.model.base_url is not None or server.running() is not None
        )


def serve_in_foreground(settings: Settings, model: str | None, say: Callable[[str], None]) -> None:
    """Run the local server until Ctrl-C, its log on the way. Raises ``ServeError`` or ``MissingDependencyError``."""
    from graphreader.serve import server

    server.serve_foreground(
        model or settings.model.name,
        _options(settings.serve),
        on_ready=lambda endpoint: say(
            f"Ready: {endpoint.model} at {endpoint.base_url}, {endpoint.max_model_len} tokens."
        ),
        on_line=say,
        on_progress=lambda _, done, total, detail: say(f"{done * 100 // max(total, 1)}% {detail}"),
    )


def stop_server() -> bool:
    """End the local server; False where none runs."""
    from graphreader.serve import server

    return server.stop()


def diagnose(settings: Settings) -> list[dict[str, str]]:
    """What is installed, and which model, endpoint and library would be used."""
    from graphreader.serve import diagnose

    model = settings.model
    endpoint = model.base_url or "a vLLM on this machine, started when needed"
    used = [
        diagnose.Check("Model", "ok", model.name),
        diagnose.Check("Endpoint", "ok", endpoint),
        diagnose.Check(
            "Library", "ok", f"{settings.library} ({'there' if settings.library.exists() else 'not there yet'})"
        ),
    ]
    return [asdict(check) for check in [*used, *diagnose.checks(model.name, local_server=model.base_url is None)]]


def _options(settings: ServeSettings) -> ServeOptions:
    from graphreader.serve.command import ServeOptions

    return ServeOptions(
        max_context_tokens=settings.max_context_tokens,
        kv_cache_gib=settings.kv_cache_gib,
        max_concurrent_requests=settings.max_concurrent_requests,
    )


class GivenModelCounter:
    """The counts of a model that the caller gave."""

    exact = True

    def __init__(self, model: ChatModel) -> None:
        self.count = model.count_tokens
        self.count_prompt = model.count_prompt_tokens
