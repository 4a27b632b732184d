"""From a config and a wish to a plan. Pure: reads nothing but the dictionary it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphreader.plan.architecture import read_architecture
from graphreader.plan.checks import check_request, check_window
from graphreader.plan.comparison import compare
from graphreader.plan.compute import prefill
from graphreader.plan.config import ModelConfig
from graphreader.plan.kv import Cache, CacheSettings, build_cache, layer_state_bytes, layer_token_bytes
from graphreader.plan.memory import resolve_memory
from graphreader.plan.positions import Extension, extend, read_positions
from graphreader.plan.records import (
    Architecture,
    Attention,
    CacheGroup,
    Heads,
    LayerKv,
    Memory,
    Plan,
    PlanRequest,
    PositionEncoding,
    Reach,
)
from graphreader.plan.sizes import GIB, bytes_text, tokens_text

#: What vLLM takes where a config names no length at all.
_UNNAMED_WINDOW_TOKENS = 2048
_STATE_CONFIG_KEYS = ("mamba_ssm_cache_dtype", "mamba_ssm_dtype")


def make_plan(config: Mapping[str, Any], request: PlanRequest) -> Plan:
    """What fits, and vLLM's settings for it. Raises ``PlanError`` where the wish is impossible for this model."""
    model = ModelConfig(config)
    architecture = read_architecture(model)
    positions = read_positions(model, architecture)
    check_request(architecture, request)
    settings = cache_settings(model, architecture, request)
    cache = build_cache(architecture, settings)
    memory = resolve_memory(model, architecture, request, settings.in_flight_tokens)
    max_model_len, bound = _window(architecture, positions, cache, memory, request)
    extension = extend(model, positions, max_model_len, request.rope)
    kv_bytes = memory.kv_bytes
    return Plan(
        model_type=architecture.model_type,
        device=request.device,
        tensor_parallel=request.tensor_parallel,
        attention=_attention(architecture, settings),
        position_encoding=positions,
        native_context=positions.native_tokens,
        max_model_len=max_model_len,
        bound=bound,
        kv_dtype=settings.kv_dtype,
        kv_bytes_per_token=_token_bytes(architecture, settings),
        kv_bytes_per_far_token=_token_bytes(architecture, settings, far=True),
        state_bytes_per_request=sum(layer_state_bytes(layer, settings) for layer in architecture.layers),
        # A model without attention keeps a request in one block, whatever its length.
        block_size=cache.block_size if architecture.heads is not Heads.NONE else max_model_len,
        bytes_per_block=cache.bytes_per_block,
        num_blocks=None if kv_bytes is None else cache.num_blocks(kv_bytes),
        groups=_groups(cache, max_model_len),
        capacity_tokens=None if kv_bytes is None else cache.capacity_tokens(kv_bytes, max_model_len),
        max_concurrency=None if kv_bytes is None else cache.concurrency(kv_bytes, max_model_len),
        memory=memory,
        mixture=architecture.mixture,
        comparison=compare(architecture, settings, kv_bytes),
        prefill=prefill(architecture, max_model_len, memory.active_parameters),
        hf_overrides=extension.hf_overrides,
        vllm_args=_vllm_args(architecture, request, settings, max_model_len, memory, extension),
        warnings=_warnings(architecture, positions, request, memory, settings, max_model_len) + extension.warnings,
    )


def cache_settings(model: ModelConfig, architecture: Architecture, request: PlanRequest) -> CacheSettings:
    """What shapes the cache: vLLM's defaults of the device where the request leaves them open."""
    on_cpu = request.device == "cpu"
    is_latent = architecture.heads is Heads.MULTI_HEAD_LATENT
    reference_latent = on_cpu and is_latent and "amx_tile" not in request.cpu_flags
    block_size = request.block_size or (128 if on_cpu else 16)
    has_states = any(layer.state_elements for layer in architecture.layers)
    # vLLM computes float32 models in bfloat16; the KV cache of a quantised model may be named in its config.
    model_dtype = "bfloat16" if architecture.dtype in ("float32", "float", "float64") else architecture.dtype
    kv_dtype = request.kv_dtype if request.kv_dtype != "auto" else _named_kv_dtype(model) or model_dtype
    state_dtype = str(model.first(*_STATE_CONFIG_KEYS) or model_dtype).removeprefix("torch.")
    if on_cpu and "avx512_bf16" in request.cpu_flags:
        state_dtype = "float32"
    steps_at_once = 1 if on_cpu else 2  # a GPU is given the next step before the last is settled
    return CacheSettings(
        kv_dtype=kv_dtype,
        model_dtype=model_dtype,
        state_dtype=state_dtype,
        tensor_parallel=request.tensor_parallel,
        block_size=16 if reference_latent else block_size,
        kernel_tokens=32 if on_cpu and not is_latent else 16,
        in_flight_tokens=steps_at_once * batched_tokens(request),
        states_per_request=2 if has_states and request.prefix_caching and architecture.query_heads else 1,
    )


def batched_tokens(request: PlanRequest) -> int:
    """The budget of a scheduler step: the request's, or that of vLLM's server on such a device."""
    if request.max_batched_tokens is not None:
        return request.max_batched_tokens
    if request.device == "cpu":
        return 2048 * request.tensor_parallel
    memory_bytes = request.memory_bytes or 0
    return 16_384 if memory_bytes >= 160 * GIB else 8192 if memory_bytes >= 70 * GIB else 2048


def _window(
    architecture: Architecture, positions: PositionEncoding, cache: Cache, memory: Memory, request: PlanRequest
) -> tuple[int, str]:
    """``max_model_len`` and what limits it."""
    wished = request.context_tokens
    if wished is not None:
        if memory.kv_bytes is not None:
            check_window(architecture, cache, memory, request, wished)
        return wished, "request"
    native = positions.native_tokens or _UNNAMED_WINDOW_TOKENS
    if positions.rope_type == "longrope" and positions.original_tokens:
        native = positions.original_tokens
    if memory.kv_bytes is None:
        return native, "native window"
    longest = cache.longest_request(memory.kv_bytes, native)
    if longest == 0:
        check_window(architecture, cache, memory, request, 1)
    return (longest, "memory") if longest < native else (native, "native window")


def _named_kv_dtype(model: ModelConfig) -> str | None:
    quantization = model.quantization
    inner = quantization.get("quantization")
    named = quantization.get("kv_cache_quant_algo") or (isinstance(inner, Mapping) and inner.get("kv_cache_quant_algo"))
    if named:
        return "nvfp4" if "NVFP4" in str(named).upper() else "fp8_e4m3" if "FP8" in str(named).upper() else None
    scheme = quantization.get("kv_cache_scheme")
    if isinstance(scheme, Mapping) and scheme.get("num_bits") == 8 and scheme.get("type") == "float":
        return "fp8_e4m3"
    return None


def _token_bytes(architecture: Architecture, settings: CacheSettings, *, far: bool = False) -> int:
    return sum(
        layer_token_bytes(layer, settings.kv_dtype, settings.tensor_parallel)
        for layer in architecture.layers
        if not far or layer.reach is Reach.FULL
    )


def _attention(architecture: Architecture, settings: CacheSettings) -> Attention:
    layers = tuple(
        LayerKv(
            index=layer.index,
            heads=layer.heads,
            reach=layer.reach,
            query_heads=layer.query_heads,
            kv_heads=layer.kv_heads,
            window_tokens=layer.window_tokens,
            bytes_per_token=layer_token_bytes(layer, settings.kv_dtype, settings.tensor_parallel),
            state_bytes=layer_state_bytes(layer, settings),
            has_rope=layer.has_rope,
        )
        for layer in architecture.layers
    )
    return Attention(
        architecture.heads, architecture.query_heads, architecture.kv_heads, _summary(architecture), layers
    )


def _summary(architecture: Architecture) -> str:
    counts: dict[str, int] = {}
    for layer in architecture.layers:
        window = f" {tokens_text(layer.window_tokens)}" if layer.window_tokens else ""
        counts[f"{layer.reach}{window}"] = counts.get(f"{layer.reach}{window}", 0) + 1
    reaches = " + ".join(f"{count} × {what}" for what, count in counts.items())
    if architecture.heads is Heads.NONE:
        return reaches
    shared = f"{architecture.query_heads} query heads on {architecture.kv_heads} KV heads"
    if architecture.heads is Heads.MULTI_HEAD_LATENT:
        latent = next(layer.latent_size for layer in architecture.layers if layer.latent_size)
        shared = f"{architecture.query_heads} heads on a latent of {latent}"
    return f"{architecture.heads}: {shared}; {reaches}"


def _groups(cache: Cache, tokens: int) -> tuple[CacheGroup, ...]:
    return tuple(
        CacheGroup(group[0].reach, len(group), group[0].block_size, blocks)
        for group, blocks in zip(cache.groups, cache.group_blocks(tokens), strict=True)
    )


def _vllm_args(
    architecture: Architecture,
    request: PlanRequest,
    settings: CacheSettings,
    max_model_len: int,
    memory: Memory,
    extension: Extension,
) -> tuple[str, ...]:
    arguments = ["--max-model-len", str(max_model_len), "--max-num-batched-tokens", str(batched_tokens(request))]
    if request.tensor_parallel > 1:
        arguments += ["--tensor-parallel-size", str(request.tensor_parallel)]
    if request.block_size is not None and settings.block_size == request.block_size:
        arguments += ["--block-size", str(request.block_size)]
    if request.kv_dtype != "auto":
        arguments += ["--kv-cache-dtype", request.kv_dtype]
    if memory.kv_bytes is not None and architecture.layers:
        arguments += ["--kv-cache-memory-bytes", str(memory.kv_bytes)]
    if not request.prefix_caching:
        arguments.append("--no-enable-prefix-caching")
    if extension.hf_overrides:
        arguments += ["--hf-overrides", json.dumps(extension.hf_overrides, separators=(",", ":"))]
    return tuple(arguments)


def _warnings(
    architecture: Architecture,
    positions: PositionEncoding,
    request: PlanRequest,
    memory: Memory,
    settings: CacheSettings,
    max_model_len: int,
) -> tuple[str, ...]:
    said: list[str] = []
    if not architecture.is_known:
        said.append(f"{architecture.model_type} is not known here: the plan reads it by the usual names of a config.")
    if request.memory_bytes is not None and request.kv_memory_bytes is None:
        counted = "weights are counted from the config, and " if memory.is_estimate else ""
        said.append(
            f"Of the memory, {counted}{bytes_text(memory.reserve_bytes)} for activations and the runtime are an "
            "estimate; the KV cache is then given exactly what is planned."
        )
    if request.block_size is not None and settings.block_size != request.block_size:
        said.append(f"vLLM's CPU kernel for latent attention has blocks of {settings.block_size} tokens only.")
    if request.device == "gpu" and request.block_size is None and _backend_chooses(architecture):
        said.append(
            "On a GPU the attention backend may choose larger blocks for this model: capacity can differ by them."
        )
    if positions.kind == "alibi" and request.device == "gpu":
        said.append("ALiBi runs on the FLASH_ATTN (version 2) and TRITON_ATTN backends only.")
    if positions.rope_type == "longrope" and positions.original_tokens and max_model_len > positions.original_tokens:
        said.append(
            f"LongRoPE: with a window beyond {positions.original_tokens:,} tokens vLLM uses the long factors for every "
            "prompt, at some cost for short ones."
        )
    return tuple(said)


def _backend_chooses(architecture: Architecture) -> bool:
    return architecture.heads is Heads.MULTI_HEAD_LATENT or any(layer.state_elements for layer in architecture.layers)
