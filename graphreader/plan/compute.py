"""What reading a prompt costs: floating-point operations, and memory for attention scores.

Two operations for a multiplication and an addition. A causal layer scores each token against those before it.
"""

from __future__ import annotations

from graphreader.plan.kv import DTYPE_BYTES
from graphreader.plan.records import Architecture, Layer, Prefill, Reach

#: Rows and columns of the block of scores that FlashAttention-2 keeps on the chip, in 32 bits.
_TILE_TOKENS = 128


def prefill(architecture: Architecture, tokens: int, active_parameters: int) -> Prefill:
    """The cost of reading ``tokens`` at once. Embeddings are looked up, not multiplied; one token gets its logits."""
    embedding = architecture.vocabulary_size * architecture.hidden_size
    outside = embedding if architecture.tied_embeddings else 2 * embedding
    matrices = active_parameters - outside - architecture.learned_positions * architecture.hidden_size
    linear = 2.0 * matrices * tokens + 2.0 * embedding
    attention = float(sum(_layer_flops(layer, tokens) for layer in architecture.layers))
    query_heads = max((layer.query_heads for layer in architecture.layers), default=0)
    return Prefill(
        tokens=tokens,
        flops=linear + attention,
        attention_flops=attention,
        attention_share=attention / (linear + attention),
        score_matrix_bytes=query_heads * tokens * tokens * DTYPE_BYTES.get(architecture.dtype, 2),
        flash_tile_bytes=_TILE_TOKENS * _TILE_TOKENS * 4,
        flash_statistics_bytes=query_heads * tokens * 2 * 4,
    )


def scored_pairs(tokens: int, reach: Reach, window_tokens: int | None) -> int:
    """Pairs of a token and one it looks at, itself included."""
    if reach is Reach.FULL or window_tokens is None or window_tokens >= tokens:
        return tokens * (tokens + 1) // 2
    if reach is Reach.SLIDING:
        return window_tokens * (window_tokens + 1) // 2 + (tokens - window_tokens) * window_tokens
    whole, rest = divmod(tokens, window_tokens)
    return whole * (window_tokens * (window_tokens + 1) // 2) + rest * (rest + 1) // 2


def _layer_flops(layer: Layer, tokens: int) -> int:
    if layer.state_elements:  # one update and one read of the state for each token
        return 4 * layer.state_elements[-1] * tokens
    pairs = scored_pairs(tokens, layer.reach, layer.window_tokens)
    return 2 * layer.query_heads * (layer.key_size + layer.value_size) * pairs
