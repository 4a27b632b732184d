"""How large a model is, from its config, and what its weights leave for the KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphreader.plan.config import ModelConfig
from graphreader.plan.kv import DTYPE_BYTES
from graphreader.plan.records import Architecture, Heads, Layer, Memory, PlanRequest
from graphreader.plan.sizes import GIB

#: Share of a GPU that vLLM takes by default.
GPU_SHARE = 0.92
#: CUDA context, graphs and communication buffers on a GPU; Python, vLLM and torch on a CPU. Estimates.
_FIXED_RESERVE_BYTES = {"gpu": 2 * GIB, "cpu": 2 * GIB}


def count_parameters(architecture: Architecture, *, active_only: bool = False) -> int:
    """Parameters of the text model, or those that one token passes. Biases and rarer parts are left out (under 1%)."""
    hidden = architecture.hidden_size
    embeddings = architecture.vocabulary_size * hidden * (1 if architecture.tied_embeddings else 2)
    attention = sum(_attention_parameters(layer, architecture) for layer in architecture.layers)
    norms = (2 * architecture.layer_count + 1) * hidden
    return (
        embeddings
        + architecture.learned_positions * hidden
        + attention
        + norms
        + _feed_forward_parameters(architecture, active_only=active_only)
    )


def weight_bits(config: ModelConfig) -> float:
    """Bits of a quantised weight, or of the dtype; scales are counted where they weigh."""
    quantization = config.quantization
    method = str(quantization.get("quant_method") or quantization.get("quant_algo") or "").lower()
    if not quantization:
        return 16.0 if config.dtype == "float32" else 8.0 * DTYPE_BYTES.get(config.dtype, 2)
    if quantization.get("load_in_4bit") or "fp4" in method:
        return 4.5
    bits = quantization.get("bits") or quantization.get("w_bit") or _group_bits(quantization)
    if isinstance(bits, int | float):
        return float(bits) + 16.0 / float(quantization.get("group_size") or 128) if bits < 8 else float(bits)
    return 8.0 if "8" in method else 16.0


def resolve_memory(
    config: ModelConfig, architecture: Architecture, request: PlanRequest, batched_tokens: int
) -> Memory:
    """Where a device's memory goes. ``kv_bytes`` is None where the request names no memory."""
    parameters = count_parameters(architecture)
    bits = weight_bits(config)
    whole_bytes = request.weights_bytes
    if whole_bytes is None:
        # Quantisers leave embeddings and the output layer alone.
        kept = architecture.vocabulary_size * architecture.hidden_size * (1 if architecture.tied_embeddings else 2)
        whole_bytes = int((parameters - kept) * bits / 8 + kept * max(bits, 16.0) / 8)
    weights_bytes = whole_bytes // request.tensor_parallel
    activations = batched_tokens * 2 * (4 * architecture.hidden_size + 3 * architecture.intermediate_size)
    reserve = _FIXED_RESERVE_BYTES[request.device] + activations // request.tensor_parallel
    kv_bytes = request.kv_memory_bytes
    if kv_bytes is None and request.memory_bytes is not None:
        share = GPU_SHARE if request.device == "gpu" else 1.0
        kv_bytes = int(request.memory_bytes * share) - weights_bytes - reserve
    return Memory(
        parameters=parameters,
        active_parameters=count_parameters(architecture, active_only=True),
        weight_bits=bits,
        weights_bytes=weights_bytes,
        reserve_bytes=reserve,
        kv_bytes=kv_bytes,
        is_estimate=request.weights_bytes is None,
    )


def _attention_parameters(layer: Layer, architecture: Architecture) -> int:
    hidden = architecture.hidden_size
    if layer.heads is Heads.NONE:  # in and out projections of about twice the width
        return 6 * hidden * hidden
    out = layer.query_heads * layer.value_size * hidden
    if layer.heads is Heads.MULTI_HEAD_LATENT:
        wide = layer.query_heads * layer.key_size
        query = (
            hidden * architecture.query_rank + architecture.query_rank * wide
            if architecture.query_rank
            else hidden * wide
        )
        rank = layer.latent_size - (layer.key_size - architecture.nope_size)
        keys_and_values = rank * layer.query_heads * (architecture.nope_size + layer.value_size)
        return query + hidden * layer.latent_size + keys_and_values + out
    shared = 0 if layer.shares_kv else hidden * layer.kv_heads * (layer.key_size + layer.value_size)
    return hidden * layer.query_heads * layer.key_size + shared + out


def _feed_forward_parameters(architecture: Architecture, *, active_only: bool) -> int:
    matrices = 3 if architecture.gated else 2
    hidden, mixture = architecture.hidden_size, architecture.mixture
    dense_layers = architecture.layer_count - (mixture.layers if mixture else 0)
    dense = dense_layers * matrices * hidden * architecture.intermediate_size
    if mixture is None:
        return dense
    experts = mixture.experts_per_token if active_only else mixture.experts
    one_layer = matrices * hidden * (experts * mixture.expert_size + mixture.shared_size) + hidden * mixture.experts
    return dense + mixture.layers * one_layer


def _group_bits(quantization: Mapping[str, Any]) -> int | None:
    """Of compressed-tensors: the narrowest of its groups."""
    groups = quantization.get("config_groups")
    if not isinstance(groups, Mapping):
        return None
    bits = [
        group["weights"].get("num_bits")
        for group in groups.values()
        if isinstance(group, Mapping) and isinstance(group.get("weights"), Mapping)
    ]
    return min((bit for bit in bits if isinstance(bit, int)), default=None)
