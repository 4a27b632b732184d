"""Settings: small frozen groups, one for each component.

Rising precedence: built-in defaults, ``graphreader.toml`` in the current folder, environment variables
(``GRAPHREADER_MODEL__NAME`` for ``[model] name``), then what the caller passes (command-line flags, keyword arguments).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from graphreader.errors import SettingsError

DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Group):
    """Which model answers, and how it is reached."""

    name: str = Field(default=DEFAULT_MODEL, description="Model name; for a local server also a folder or a hub id.")
    base_url: str | None = Field(default=None, description="OpenAI-compatible endpoint; none: a vLLM is run here.")
    api_key: SecretStr | None = Field(default=None, description="Key of the endpoint.")
    tokenizer: str | None = Field(
        default=None, description="Folder or hub id of the tokenizer, if the model's is not found."
    )
    context_tokens: int | None = Field(default=None, ge=512, description="Window; none: as the endpoint reports it.")
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    timeout_seconds: float = Field(default=600.0, gt=0, description="For one call; long prompts on a CPU take minutes.")
    retries: int = Field(default=2, ge=0, le=10, description="Further tries after a failed call.")
    least_probable: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="An answer is given where the model holds it at least so probable that the documents state it; "
        "none: 0.5, and 0.94 for the packaged model.",
    )
    concurrency: int = Field(default=8, ge=1, description="Calls under way at once.")
    cache_salt: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Sent as vLLM's cache_salt: only requests with the same one share cached prefixes. Other endpoints "
        "may refuse the field; it is sent only where this is set.",
    )


class ServeSettings(_Group):
    """The local vLLM. A change replaces the server that runs as soon as it has nothing to do."""

    context_tokens: int | None = Field(
        default=None, ge=256, description="Window that must be had, beyond the model's own by scaling its positions."
    )
    max_context_tokens: int = Field(default=16_384, ge=1024, description="Without it: the model's own, at most this.")
    rope: Literal["auto", "yarn", "linear", "ntk", "none"] = Field(
        default="auto", description="How positions are scaled beyond the native window."
    )
    kv_cache_gib: int = Field(
        default=2, ge=1, description="Memory for the KV cache, on CPU; more where a wished window needs it."
    )
    kv_cache_dtype: str = Field(default="auto", description="fp8 holds twice the tokens, a little less exactly.")
    block_size: int | None = Field(default=None, ge=1, description="Tokens in a block of the KV cache; on CPU 32.")
    max_concurrent_requests: int = Field(default=16, ge=1)
    max_batched_tokens: int | None = Field(default=None, ge=1, description="Tokens computed in one step.")
    long_prefill_tokens: int | None = Field(default=None, ge=1, description="Of those, at most these of one prompt.")
    tensor_parallel: int = Field(default=1, ge=1, description="Devices the model is split over.")
    data_parallel: int = Field(default=1, ge=1, description="Copies of the model.")
    attention_backend: str | None = Field(default=None, description="On a GPU; none: vLLM's choice.")
    quantization: Literal["none", "int8", "fp8"] = Field(
        default="none", description="Weights: int8 (converted once), or fp8 on a GPU."
    )
    lora_modules: dict[str, Path] = Field(default={}, description="Adapters served beside the model: name and folder.")
    adapter: str | None = Field(default=None, description="The one of them that answers; none: the model itself.")
    ngram_tokens: int = Field(default=0, ge=0, description="Tokens guessed from the prompt at each step.")
    compiled: bool | None = Field(default=None, description="Compile at the start; none: on a GPU only.")
    port: int | None = Field(default=None, ge=1, le=65_535, description="On this machine; none: any that is free.")
    idle_timeout_seconds: float = Field(
        default=1800.0, gt=0, description="The server ends after this long without a request."
    )
    start_timeout_seconds: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _adapter_is_served(self) -> Self:
        if self.adapter is not None and self.adapter not in self.lora_modules:
            raise ValueError(f"serve.adapter {self.adapter!r} is none of serve.lora_modules")
        return self


class IndexSettings(_Group):
    """How documents become chunks and facts."""

    max_chunk_tokens: int = Field(default=1000, ge=32, description="Upper bound of a chunk, in the model's tokens.")
    facts: Literal["lazy", "model", "phrases"] = Field(
        default="lazy",
        description="Facts without a model at once and by a model for chunks that were read; or only one kind.",
    )
    max_wait_seconds: float = Field(
        default=30.0, ge=0, description="A question to new documents waits so long for their graph and vectors."
    )
    normalise: bool = Field(
        default=True,
        description="Key elements under one name whatever their spelling; off, only case is folded (for measuring).",
    )
    max_fact_tokens: int = Field(default=1024, ge=64, description="Reserve for the reply that lists a chunk's facts.")


class SearchSettings(_Group):
    """How a question finds facts and chunks."""

    embedder: str = Field(
        default="all-MiniLM-L6-v2", description="Folder, hub id or packaged name; 'none' for text only."
    )
    reranker: str | None = Field(
        default=None,
        description="Folder or hub id of a cross-encoder that looks again at the best passages; none: off.",
    )
    decompose: bool = Field(
        default=False, description="Let the model split a question first, and search for the parts as well."
    )
    max_prompt_tokens: int | None = Field(
        default=None,
        ge=128,
        description="Evidence in the one prompt of mode 'search'; none: 1,800, and 600 for the packaged model, which "
        "more distracts.",
    )


class ExploreSettings(_Group):
    """Limits of the explorers in mode 'graph'."""

    max_explorers: int = Field(default=5, ge=1, le=5, description="Start nodes, each with an explorer of its own.")
    max_steps: int = Field(default=10, ge=1, description="Model calls of one explorer, as in the paper.")
    window_tokens: int = Field(
        default=2560,
        ge=1024,
        description="Window of every call: rules, notebook, what was read before, what is read, and the reply.",
    )
    max_earlier_tokens: int | None = Field(
        default=None,
        ge=0,
        description="Of the window, what an explorer read in earlier steps and is shown again; none: all that fits, "
        "and nothing for the packaged model, which its notes serve as well.",
    )
    max_view_tokens: int = Field(default=700, ge=64, description="Facts, neighbours or start nodes shown in one step.")
    max_fruitless_nodes: int = Field(
        default=2, ge=1, description="Nodes in a row that brought neither a note nor a chunk to read, then it stops."
    )
    max_chunk_reads: int = Field(default=3, ge=1, description="Chunks one explorer reads.")
    max_answer_tokens: int | None = Field(
        default=None,
        ge=64,
        description="Passages and notes in the prompt that writes the answer; none: 1,800, and 600 for the packaged "
        "model.",
    )
    max_total_tokens: int | None = Field(
        default=None, ge=1, description="Prompt and completion tokens of one question."
    )
    max_seconds: float | None = Field(
        default=75.0, gt=0, description="After this long explorers stop and the answer is written."
    )


class FullSettings(_Group):
    """Whole documents in the prompt: mode 'full', and when mode 'auto' chooses it."""

    allow_part: bool = Field(
        default=False, description="Read the largest part around what search finds where the whole does not fit."
    )
    max_auto_tokens: int = Field(
        default=4000, ge=0, description="Documents up to this size are read whole in mode 'auto', whatever is asked."
    )


class EvaluateSettings(_Group):
    """What a benchmark's modes take beside the reader's settings."""

    window_tokens: int = Field(
        default=4096, ge=1024, description="Window of the modes 'memory' and 'last-tokens', at most the model's own."
    )
    judge_api_key: SecretStr | None = Field(
        default=None, description="Key of --judge-url; the model's own goes to no other endpoint."
    )


class ChatSettings(_Group):
    """Conversations with a memory (`graphreader chat`)."""

    window_tokens: int | None = Field(
        default=None, ge=2048, description="Window of the conversation, at most the model's; none: the model's."
    )
    reply_tokens: int = Field(default=512, ge=64, description="Of the window, what is kept for one reply.")
    mode: Literal["auto", "search", "graph", "full"] = Field(
        default="auto", description="How questions that go to the documents are answered; see `ask --mode`."
    )
    guided: bool | None = Field(
        default=None,
        description="The program decides step by step what to do with a message, as small models need it; false: the "
        "model calls functions itself; none: guided for the packaged model alone.",
    )


class Settings(BaseSettings):
    """All groups. ``Settings.load`` reads file and environment; the plain constructor also does."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="GRAPHREADER_",
        env_nested_delimiter="__",
        toml_file="graphreader.toml",
    )

    library: Path = Field(default=Path(".graphreader/library.db"), description="The library file.")
    model: ModelSettings = ModelSettings()
    serve: ServeSettings = ServeSettings()
    index: IndexSettings = IndexSettings()
    search: SearchSettings = SearchSettings()
    explore: ExploreSettings = ExploreSettings()
    full: FullSettings = FullSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    chat: ChatSettings = ChatSettings()

    @classmethod
    def load(cls, **overrides: Any) -> Settings:  # noqa: ANN401 - pydantic validates them
        """Defaults, file, environment, then ``overrides`` (nested dictionaries). Raises ``SettingsError``."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
            )
            raise SettingsError(f"Settings: {problems}. See `graphreader doctor` for the values in force.") from error
        except ValueError as error:
            raise SettingsError(f"graphreader.toml cannot be read: {error}.") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller passes, then environment, then the file in the current folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
