"""From settings to what they name: the model (an endpoint, or a vLLM run here), its tokenizer, the embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
    from graphreader.serve.launch import Endpoint
    from graphreader.serve.options import ServeOptions


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
            name = self._settings.serve.adapter or endpoint.model
            base_url, key = endpoint.base_url, endpoint.api_key
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


@dataclass(frozen=True, slots=True)
class PlannedServer:
    """What ``serve --dry-run`` prints: the command for a shell, and ``notes`` on what it would hold."""

    command: str
    notes: tuple[str, ...]


def serve_in_foreground(
    settings: Settings, model: str | None, say: Callable[[str], None], on_progress: OnProgress
) -> None:
    """Run the local server until Ctrl-C, its log on the way.

    Raises ``ServeError``, ``PlanError`` or ``MissingDependencyError``.
    """
    from graphreader.serve import foreground

    foreground.serve_foreground(
        model or settings.model.name,
        _options(settings.serve),
        on_ready=lambda endpoint: say(_ready(endpoint)),
        on_line=say,
        on_progress=on_progress,
    )


def dry_run(settings: Settings, model: str | None) -> PlannedServer:
    """What ``serve_in_foreground`` would run; nothing is started, and vLLM need not be there. Raises alike."""
    from graphreader.serve import launch

    name = model or settings.model.name
    made = launch.dry_run(name, _options(settings.serve))
    plan = made.plan
    summary = f"{name}: a window of {plan.max_model_len:,} tokens"
    if plan.capacity_tokens is not None and plan.max_concurrency is not None:
        about = "about " if plan.device == "gpu" else ""
        summary += (
            f"; the KV cache holds {about}{plan.capacity_tokens:,} tokens, {plan.max_concurrency:.2f} requests of a "
            "full window at once"
        )
    return PlannedServer(made.command, (f"{summary}.", *(f"Note: {warning}" for warning in made.warnings)))


def lora_modules(texts: Sequence[str]) -> dict[str, str]:
    """``NAME=FOLDER`` each, as the setting ``serve.lora_modules`` has it. Raises ``WeightsError``."""
    from graphreader.serve import adapters

    return dict(adapters.parse_modules(texts))


def _ready(endpoint: Endpoint) -> str:
    from graphreader.serve import state

    holds = ""
    if endpoint.capacity_tokens is not None and endpoint.max_concurrency is not None:
        holds = (
            f"; the KV cache holds {endpoint.capacity_tokens:,} tokens, {endpoint.max_concurrency:.2f} requests of a "
            "full window at once"
        )
    paths = state.default_paths()
    return (
        f"Ready: {endpoint.model} at {endpoint.base_url}, window {endpoint.max_model_len:,} tokens{holds}. Its key is "
        f"in {paths.state}, its log in {paths.log}."
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
    from graphreader.serve.options import ServeOptions

    not_the_servers = {"idle_timeout_seconds", "start_timeout_seconds", "adapter", "lora_modules"}
    modules = tuple((name, str(path.expanduser().resolve())) for name, path in settings.lora_modules.items())
    return ServeOptions(**settings.model_dump(exclude=not_the_servers), lora_modules=modules)


class GivenModelCounter:
    """The counts of a model that the caller gave."""

    exact = True

    def __init__(self, model: ChatModel) -> None:
        self.count = model.count_tokens
        self.count_prompt = model.count_prompt_tokens
