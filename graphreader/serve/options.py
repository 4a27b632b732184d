"""How the local vLLM is to be run: what ``serve`` and the settings can say. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from graphreader.plan.records import RopeChoice

#: GiB of a KV cache on a CPU where nobody asks for more.
DEFAULT_KV_CACHE_GIB = 2

Quantization = Literal["none", "int8", "fp8"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Settings of one server. None: as fits the model and the machine.

    ``context_tokens`` is a window that must be had, by scaling positions as ``rope`` says where it is beyond the
    model's own; without it the window is the model's own, at most ``max_context_tokens``, and what fits the memory.
    ``kv_cache_gib`` is the least that the KV cache gets on a CPU. ``max_batched_tokens`` is the budget of one step,
    of which a prompt takes at most ``long_prefill_tokens`` while others wait. ``ngram_tokens`` are guessed from the
    prompt at each step; 0: none. ``compiled`` None: as vLLM has it on a GPU, not on a CPU. ``lora_modules`` are pairs
    of a name and a folder. ``extra_arguments`` go to vLLM as they are, last.
    """

    context_tokens: int | None = None
    max_context_tokens: int = 16_384
    rope: RopeChoice = "auto"
    kv_cache_gib: int = DEFAULT_KV_CACHE_GIB
    kv_cache_dtype: str = "auto"
    block_size: int | None = None
    max_concurrent_requests: int = 16
    max_batched_tokens: int | None = None
    long_prefill_tokens: int | None = None
    tensor_parallel: int = 1
    data_parallel: int = 1
    attention_backend: str | None = None
    ngram_tokens: int = 0
    compiled: bool | None = None
    quantization: Quantization = "none"
    lora_modules: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    extra_arguments: tuple[str, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """As JSON values, for the state file."""
        made: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return made


def differences(running: Mapping[str, Any], wished: ServeOptions) -> list[str]:
    """What a running server, by its record, has otherwise than wished: "context_tokens 8192, not 16384"."""
    return [
        f"{name.replace('_', ' ')} {_text(running.get(name))}, not {_text(value)}"
        for name, value in wished.recorded().items()
        if running.get(name) != value
    ]


def _text(value: object) -> str:
    return "unset" if value is None else "none" if value in ([], "") else str(value)
