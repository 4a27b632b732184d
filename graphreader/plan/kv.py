"""KV cache arithmetic as vLLM 0.32 does it: pages, groups, blocks, capacity.

Follows ``v1/kv_cache_interface.py``, ``v1/core/kv_cache_utils.py`` and ``platforms/interface.py``. A *page* is
one layer's share of a block; the layers of a *group* share a block table; all groups draw blocks from one pool, whose
blocks are as large as the largest group needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphreader.plan.records import Architecture, Heads, Layer, Reach

_STATES = (Reach.STATE, Reach.LINEAR, Reach.CONVOLUTION)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What shapes the cache besides the model.

    ``kv_dtype`` and ``model_dtype`` are resolved ("auto" no longer). ``kernel_tokens`` is what block sizes must be
    multiples of. ``in_flight_tokens`` may be scheduled and not settled at once. ``state_dtype`` is the recurrent
    state's. ``states_per_request`` is 2 where prefix caching keeps a checkpoint beside the running state.
    """

    kv_dtype: str
    model_dtype: str
    state_dtype: str
    tensor_parallel: int
    block_size: int
    kernel_tokens: int
    in_flight_tokens: int
    states_per_request: int


@dataclass(frozen=True, slots=True)
class LayerCache:
    """One layer's cache: tokens in a block, bytes of its page. Equal caches can share a block table."""

    reach: Reach
    block_size: int
    shape: tuple[int, ...]
    page_bytes: int
    window_tokens: int | None = None
    is_latent: bool = False

    def blocks_per_request(self, tokens: int, in_flight_tokens: int, states: int) -> int:
        """Most blocks that a request of so many tokens holds at once."""
        if self.reach in _STATES:
            return states
        if self.reach is Reach.FULL or self.window_tokens is None:
            return _ceil_div(tokens, self.block_size)
        if self.reach is Reach.CHUNKED:
            return _ceil_div(min(self.window_tokens + in_flight_tokens, tokens), self.block_size)
        # A window seldom begins where a block does: one block more.
        return _ceil_div(min(self.window_tokens - 1 + in_flight_tokens, tokens), self.block_size) + 1


@dataclass(frozen=True, slots=True)
class Cache:
    """The whole cache: its groups, the bytes of one block of the pool, and the block size of full attention."""

    groups: tuple[tuple[LayerCache, ...], ...]
    bytes_per_block: int
    block_size: int
    in_flight_tokens: int
    states_per_request: int

    def group_blocks(self, tokens: int) -> list[int]:
        """Blocks that a request of so many tokens needs in each group."""
        return [
            max(layer.blocks_per_request(tokens, self.in_flight_tokens, self.states_per_request) for layer in group)
            for group in self.groups
        ]

    def request_blocks(self, tokens: int) -> int:
        """Blocks that a request of so many tokens needs in all groups."""
        return sum(self.group_blocks(tokens))

    def needed_bytes(self, tokens: int) -> int:
        """Least memory with which vLLM starts for requests of so many tokens: one block is never given out."""
        return self.bytes_per_block * (self.request_blocks(tokens) + 1)

    def num_blocks(self, memory_bytes: int) -> int:
        """Blocks of the pool."""
        return memory_bytes // self.bytes_per_block if self.groups else 1

    def concurrency(self, memory_bytes: int, tokens: int) -> float:
        """How many requests of so many tokens fit at once, as vLLM reports it."""
        return self.num_blocks(memory_bytes) / self.request_blocks(tokens)

    def capacity_tokens(self, memory_bytes: int, tokens: int) -> int:
        """Tokens that fit in requests of so many tokens each, as vLLM reports it."""
        return int(self.concurrency(memory_bytes, tokens) * tokens)

    def longest_request(self, memory_bytes: int, limit_tokens: int) -> int:
        """The longest request up to ``limit_tokens`` with which vLLM starts; 0 where not even one token fits."""
        if not self.groups:
            return limit_tokens
        low, high = 0, limit_tokens
        while low < high:
            middle = (low + high + 1) // 2
            if self.needed_bytes(middle) <= memory_bytes:
                low = middle
            else:
                high = middle - 1
        return low


DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "half": 2, "float32": 4, "float": 4, "float64": 8}


def content_bytes(kv_dtype: str, key_size: int, value_size: int) -> int:
    """Bytes of one KV head's key and value of one token, scales included. Raises ``KeyError`` for an unknown dtype."""
    size = key_size + value_size
    if kv_dtype in DTYPE_BYTES:
        return size * DTYPE_BYTES[kv_dtype]
    return {
        "fp8": size,
        "fp8_e4m3": size,
        "fp8_e5m2": size,
        "fp8_per_token_head": size + 8,
        "int8_per_token_head": size + 8,
        "int4_per_token_head": size // 2 + 8,
        "nvfp4": size // 2 + size // 16,
    }[kv_dtype]


#: Multi-head latent formats that pack everything of a token into so many bytes (latent 512 + 64).
_PACKED_LATENT_BYTES = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
KV_DTYPES = (
    "auto bfloat16 float16 fp8 fp8_e4m3 fp8_e5m2 fp8_per_token_head int8_per_token_head int4_per_token_head nvfp4 "
    "fp8_ds_mla nvfp4_ds_mla".split()
)


def layer_token_bytes(layer: Layer, kv_dtype: str, tensor_parallel: int = 1) -> int:
    """Bytes one token takes in one layer on one device: ``2 · kv_heads · head_size · bytes``, or the latent.

    KV heads are split over devices, each of which keeps at least one; a latent is kept whole by every device.
    """
    if layer.shares_kv or layer.heads is Heads.NONE:
        return 0
    if layer.heads is Heads.MULTI_HEAD_LATENT:
        # The indexer of sparse attention keeps a key in 8 bits, with a scale of 4 bytes for each 128 elements.
        index_bytes = layer.index_size + layer.index_size // 128 * 4
        packed = _PACKED_LATENT_BYTES.get(kv_dtype)
        return index_bytes + (packed if packed is not None else content_bytes(kv_dtype, layer.latent_size, 0))
    per_device = max(1, layer.kv_heads // tensor_parallel)
    return per_device * content_bytes(kv_dtype, layer.key_size, layer.value_size)


def layer_state_bytes(layer: Layer, settings: CacheSettings) -> int:
    """Bytes one layer keeps of a request whatever its length, on one device, before padding."""
    if not layer.state_elements:
        return 0
    first, *rest = (elements // settings.tensor_parallel for elements in layer.state_elements)
    return first * DTYPE_BYTES[settings.model_dtype] + sum(rest) * DTYPE_BYTES[settings.state_dtype]


def build_cache(architecture: Architecture, settings: CacheSettings) -> Cache:
    """The cache vLLM makes for a model."""
    block_size, state_page = _aligned(architecture, settings)
    own = replace(settings, block_size=block_size)
    layers = [_layer_cache(layer, own, state_page) for layer in architecture.layers if not layer.shares_kv]
    groups = _groups(layers)
    return Cache(
        groups=tuple(tuple(group) for group in groups),
        bytes_per_block=max((sum(layer.page_bytes for layer in group) for group in groups), default=0),
        block_size=block_size,
        in_flight_tokens=settings.in_flight_tokens,
        states_per_request=settings.states_per_request,
    )


def _aligned(architecture: Architecture, settings: CacheSettings) -> tuple[int, int | None]:
    """Block size and padded state page: a block of attention is made as large as a state, and a state as that block."""
    attending = [layer for layer in architecture.layers if layer.heads is not Heads.NONE]
    states = [layer_state_bytes(layer, settings) for layer in architecture.layers if layer.state_elements]
    if not attending or not states:
        return settings.block_size, None
    token_bytes = layer_token_bytes(attending[0], settings.kv_dtype, settings.tensor_parallel)
    unit = max(settings.kernel_tokens, settings.block_size)
    if attending[0].heads is Heads.MULTI_HEAD_LATENT:
        unit = max(unit, 128)
    wanted = unit * _ceil_div(max(states), unit * token_bytes)
    wanted = settings.kernel_tokens * _ceil_div(wanted, settings.kernel_tokens)
    block_size = max(settings.block_size, wanted)
    return block_size, block_size * token_bytes


def _layer_cache(layer: Layer, settings: CacheSettings, state_page: int | None) -> LayerCache:
    if layer.state_elements:
        page = state_page or layer_state_bytes(layer, settings)
        return LayerCache(layer.reach, 0, layer.state_elements, page)
    token_bytes = layer_token_bytes(layer, settings.kv_dtype, settings.tensor_parallel)
    block_size = settings.block_size
    if layer.reach is Reach.SLIDING:  # whole kernel blocks, whatever block size full attention has
        block_size = max(settings.kernel_tokens, block_size // settings.kernel_tokens * settings.kernel_tokens)
    kv_heads = 1 if layer.latent_size else max(1, layer.kv_heads // settings.tensor_parallel)
    shape = (kv_heads, layer.latent_size or layer.key_size, layer.value_size, layer.index_size)
    return LayerCache(
        layer.reach, block_size, shape, block_size * token_bytes, layer.window_tokens, bool(layer.latent_size)
    )


def _groups(layers: Sequence[LayerCache]) -> list[list[LayerCache]]:
    if not layers:
        return []
    if _need_the_same_slots(layers):
        return [list(layers)]
    alike: dict[LayerCache, list[LayerCache]] = {}
    for layer in _with_one_page_size(layers):
        alike.setdefault(layer, []).append(layer)
    fewest, most = min(map(len, alike.values())), max(map(len, alike.values()))
    size = most if most < fewest * 1.5 else fewest
    return [
        kind[start :: _ceil_div(len(kind), size)]
        for kind in alike.values()
        for start in range(_ceil_div(len(kind), size))
    ]


def _need_the_same_slots(layers: Sequence[LayerCache]) -> bool:
    """Whether every token needs a slot in all layers or in none: then they form one group, whatever their sizes."""
    first = layers[0]
    return all(
        layer.reach is first.reach
        and layer.block_size == first.block_size
        and layer.window_tokens == first.window_tokens
        and (layer.reach not in _STATES or layer.page_bytes == first.page_bytes)
        for layer in layers
    )


def _with_one_page_size(layers: Sequence[LayerCache]) -> list[LayerCache]:
    """Smaller pages take more tokens where that fits exactly, and are padded where it does not."""
    largest = max(layer.page_bytes for layer in layers)
    return [
        replace(layer, page_bytes=largest, block_size=layer.block_size * (largest // layer.page_bytes))
        if layer.reach not in _STATES and largest % layer.page_bytes == 0
        else replace(layer, page_bytes=largest)
        for layer in layers
    ]


def _ceil_div(number: int, divisor: int) -> int:
    return -(-number // divisor)
