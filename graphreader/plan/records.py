"""What is asked of a plan, and what it says. Records only: no arithmetic, no I/O.

Bytes and tokens are of one device (one rank) unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

RopeChoice = Literal["auto", "yarn", "linear", "ntk", "none"]
Device = Literal["cpu", "gpu"]


class Heads(StrEnum):
    """How query heads share keys and values."""

    MULTI_HEAD = "multi-head"
    MULTI_QUERY = "multi-query"
    GROUPED_QUERY = "grouped-query"
    MULTI_HEAD_LATENT = "multi-head latent"
    NONE = "none"


class Reach(StrEnum):
    """What a layer looks back at: every earlier token, some of them, or a state that stands for them."""

    FULL = "full"
    SLIDING = "sliding-window"
    CHUNKED = "chunked"
    STATE = "state-space"
    LINEAR = "linear"
    CONVOLUTION = "short-convolution"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's attention, or the state it keeps in place of attention.

    ``key_size`` and ``value_size`` are per head, as computed; ``latent_size`` is what multi-head latent attention keeps
    of a token in place of all its keys and values. ``state_shapes`` are whole, before tensor parallelism.
    """

    index: int
    heads: Heads
    reach: Reach
    query_heads: int = 0
    kv_heads: int = 0
    key_size: int = 0
    value_size: int = 0
    latent_size: int = 0
    index_size: int = 0
    window_tokens: int | None = None
    has_rope: bool = False
    shares_kv: bool = False
    state_elements: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mixture:
    """Mixture of experts. ``layers`` have experts; the others are dense. Sizes are those of the hidden layer."""

    experts: int
    experts_per_token: int
    expert_size: int
    shared_size: int
    layers: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a config.json says of a model, in one vocabulary. ``dtype`` is that of the weights before quantisation."""

    model_type: str
    layers: tuple[Layer, ...]
    layer_count: int
    hidden_size: int
    query_heads: int
    kv_heads: int
    heads: Heads
    intermediate_size: int
    gated: bool
    vocabulary_size: int
    tied_embeddings: bool
    learned_positions: int
    query_rank: int
    nope_size: int
    mixture: Mixture | None
    dtype: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class PositionEncoding:
    """How a model knows where a token stands.

    ``kind`` is rope, alibi, learned, sinusoidal or none. ``native_tokens`` is the window it was trained for and vLLM
    grants without an override; ``original_tokens`` the one before the scaling that its config carries. ``nope_layers``
    of its attention layers use no positions at all.
    """

    kind: str
    native_tokens: int | None
    rope_type: str | None = None
    rope_theta: float | None = None
    factor: float | None = None
    original_tokens: int | None = None
    nope_layers: int = 0


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a user wishes.

    ``memory_bytes`` is all that one device has, ``kv_memory_bytes`` what the KV cache gets of it (it wins).
    ``weights_bytes`` is the size of the weights on all devices together, where it is known better than from the config.
    ``max_batched_tokens`` is the budget of one scheduler step, which bounds what sliding windows hold meanwhile;
    None: as vLLM's server would choose. ``cpu_flags`` are the processor's that matter to vLLM: "amx_tile",
    "avx512_bf16".
    """

    context_tokens: int | None = None
    memory_bytes: int | None = None
    kv_memory_bytes: int | None = None
    kv_dtype: str = "auto"
    tensor_parallel: int = 1
    block_size: int | None = None
    rope: RopeChoice = "auto"
    device: Device = "gpu"
    max_batched_tokens: int | None = None
    prefix_caching: bool = True
    weights_bytes: int | None = None
    cpu_flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LayerKv:
    """What one layer keeps: bytes for a token while it is in reach, and bytes for a request whatever its length."""

    index: int
    heads: Heads
    reach: Reach
    query_heads: int
    kv_heads: int
    window_tokens: int | None
    bytes_per_token: int
    state_bytes: int
    has_rope: bool


@dataclass(frozen=True, slots=True)
class Attention:
    """The model's attention: ``heads`` is the kind of most of its layers, ``layers`` has every one."""

    heads: Heads
    query_heads: int
    kv_heads: int
    summary: str
    layers: tuple[LayerKv, ...]


@dataclass(frozen=True, slots=True)
class CacheGroup:
    """Layers that share a block table in vLLM. ``blocks_per_request`` is for a request of ``max_model_len`` tokens."""

    reach: Reach
    layers: int
    block_size: int
    blocks_per_request: int


@dataclass(frozen=True, slots=True)
class ComparedAttention:
    """The same model with another sharing of keys and values, on one device. ``tokens_that_fit`` knows no blocks."""

    heads: Heads
    kv_heads: int
    bytes_per_token: int
    tokens_that_fit: int | None
    is_this_model: bool
    note: str


@dataclass(frozen=True, slots=True)
class Prefill:
    """Reading ``tokens`` once: floating-point operations, and memory for the scores of one layer, all heads.

    ``score_matrix_bytes`` is what writing the whole matrix would take in the model's dtype; flash attention keeps
    ``flash_tile_bytes`` for each head on the chip and ``flash_statistics_bytes`` (a maximum and a sum per row) in all.
    """

    tokens: int
    flops: float
    attention_flops: float
    attention_share: float
    score_matrix_bytes: int
    flash_tile_bytes: int
    flash_statistics_bytes: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Where one device's memory goes. ``is_estimate`` says that weights were counted from the config."""

    parameters: int
    active_parameters: int
    weight_bits: float
    weights_bytes: int
    reserve_bytes: int
    kv_bytes: int | None
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What fits and how to run it.

    ``kv_bytes_per_token`` is for a token in reach of all layers; ``kv_bytes_per_far_token`` for one that windows have
    left behind. ``capacity_tokens`` and ``max_concurrency`` are those vLLM reports at its start; they and
    ``num_blocks`` are None where no memory was named. ``bound`` says what limits ``max_model_len``: "memory",
    "native window" or "request".
    """

    model_type: str
    device: Device
    tensor_parallel: int
    attention: Attention
    position_encoding: PositionEncoding
    native_context: int | None
    max_model_len: int
    bound: str
    kv_dtype: str
    kv_bytes_per_token: int
    kv_bytes_per_far_token: int
    state_bytes_per_request: int
    block_size: int
    bytes_per_block: int
    num_blocks: int | None
    groups: tuple[CacheGroup, ...]
    capacity_tokens: int | None
    max_concurrency: float | None
    memory: Memory
    mixture: Mixture | None
    comparison: tuple[ComparedAttention, ...]
    prefill: Prefill
    hf_overrides: dict[str, Any]
    vllm_args: tuple[str, ...]
    warnings: tuple[str, ...]
