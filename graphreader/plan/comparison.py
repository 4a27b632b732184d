"""The same model with its keys and values shared in another way, to see what its design saves."""

from __future__ import annotations

from dataclasses import replace

from graphreader.plan.kv import CacheSettings, layer_token_bytes
from graphreader.plan.records import Architecture, ComparedAttention, Heads, Layer

_USUAL_KV_HEADS = 8


def compare(architecture: Architecture, settings: CacheSettings, kv_bytes: int | None) -> tuple[ComparedAttention, ...]:
    """One row for each kind, on one device; empty for a model without attention.

    A latent that is not the model's own is sized as in DeepSeek-V2 (arXiv:2405.04434): 4 heads' worth and half a head
    for positions. Tokens that fit are counted without block rounding, as if all layers looked back at everything.
    """
    if architecture.heads is Heads.NONE:
        return ()
    rows = []
    for heads, kv_heads, note in _kinds(architecture):
        is_own = heads is architecture.heads
        total = sum(
            _bytes(layer if is_own else _as(layer, heads, kv_heads), settings)
            for layer in architecture.layers
            if layer.heads is not Heads.NONE
        )
        fits = kv_bytes // total if kv_bytes is not None and total else None
        rows.append(ComparedAttention(heads, kv_heads, total, fits, is_own, note))
    return tuple(rows)


def _kinds(architecture: Architecture) -> list[tuple[Heads, int, str]]:
    own, query_heads = architecture.heads, architecture.query_heads
    grouped = architecture.kv_heads if own is Heads.GROUPED_QUERY else _usual_groups(query_heads)
    kinds = [(Heads.MULTI_HEAD, query_heads, "every query head has its own keys and values")]
    if grouped > 1:
        kinds.append((Heads.GROUPED_QUERY, grouped, f"{query_heads // grouped} query heads share one"))
    kinds.append((Heads.MULTI_QUERY, 1, "all query heads share one"))
    latent = "the model's own latent" if own is Heads.MULTI_HEAD_LATENT else "a latent sized as in DeepSeek-V2"
    kinds.append((Heads.MULTI_HEAD_LATENT, 1, latent))
    return kinds


def _usual_groups(query_heads: int) -> int:
    """The largest number of KV heads up to the usual 8 that divides the query heads, and is fewer."""
    return max(n for n in range(1, _USUAL_KV_HEADS + 1) if query_heads % n == 0 and (n < query_heads or n == 1))


def _as(layer: Layer, heads: Heads, kv_heads: int) -> Layer:
    if heads is Heads.MULTI_HEAD_LATENT:
        return replace(layer, heads=heads, kv_heads=1, latent_size=4 * layer.value_size + layer.value_size // 2)
    return replace(layer, heads=heads, kv_heads=kv_heads, latent_size=0, index_size=0)


def _bytes(layer: Layer, settings: CacheSettings) -> int:
    is_packed = settings.kv_dtype.endswith("_ds_mla") and layer.heads is not Heads.MULTI_HEAD_LATENT
    return layer_token_bytes(layer, "fp8" if is_packed else settings.kv_dtype, settings.tensor_parallel)
