"""The forward pass of a BERT encoder in torch, for many texts at once. Importing it imports torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from graphreader.llm.bert_files import BertShape

#: Attention scores computed at once, 4 bytes each: beyond some megabytes new pages cost more than the arithmetic.
_MAX_SCORES: Final = 1_000_000

_Floats: TypeAlias = NDArray[np.float32]


def has_fast_bfloat16() -> bool:
    """bf16 keeps the ranking and is more than twice as fast, but only where the CPU multiplies it in hardware."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def prepared(weights: dict[str, _Floats], shape: BertShape, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """``weights`` for ``forward``; query, key and value are one matrix: one large product instead of three."""
    fused = {name: torch.from_numpy(array).to(dtype) for name, array in weights.items()}
    for layer in range(shape.layers):
        own = f"encoder.layer.{layer}.attention.self"
        for kind in ("weight", "bias"):
            parts = [fused.pop(f"{own}.{part}.{kind}") for part in ("query", "key", "value")]
            fused[f"{own}.{kind}"] = torch.cat(parts)
    return fused


def forward(weights: dict[str, torch.Tensor], shape: BertShape, batch: Sequence[Sequence[int]]) -> _Floats:
    """The mean over the tokens of the last hidden states of each text; texts of equal length stand side by side.

    The tokens of all texts stand one after the other, so that nothing is padded and nothing needs a mask; only
    attention goes through the texts, one run of equal lengths at a time.
    """
    runs = _runs([len(ids) for ids in batch], shape.heads)
    ids = torch.tensor([token for ids in batch for token in ids])
    positions = torch.cat([torch.arange(length).repeat(count) for length, count in runs])
    sizes = [length * count for length, count in runs]

    def linear(values: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(values: torch.Tensor, name: str) -> torch.Tensor:
        scale, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.layer_norm(values, (shape.dimensions,), scale, bias, shape.norm_epsilon)

    with torch.inference_mode():
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][positions]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = norm(hidden, "embeddings.LayerNorm")
        for layer in range(shape.layers):
            prefix = f"encoder.layer.{layer}"
            projected = linear(hidden, f"{prefix}.attention.self").split(sizes)
            context = torch.cat(
                [_attend(part, count, shape.heads) for part, (_, count) in zip(projected, runs, strict=True)]
            )
            hidden = norm(
                hidden + linear(context, f"{prefix}.attention.output.dense"), f"{prefix}.attention.output.LayerNorm"
            )
            inner = functional.gelu(linear(hidden, f"{prefix}.intermediate.dense"))
            hidden = norm(hidden + linear(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
        means = [
            part.view(count, length, -1).float().mean(dim=1)
            for part, (length, count) in zip(hidden.split(sizes), runs, strict=True)
        ]
        return np.asarray(torch.cat(means).numpy(), dtype=np.float32)


def _runs(lengths: Sequence[int], heads: int) -> list[tuple[int, int]]:
    """Equal lengths in a row, as (length, how many); such as would need too many scores at once are parted."""
    runs = []
    for length, group in itertools.groupby(lengths):
        remaining = len(list(group))
        most = max(1, _MAX_SCORES // (heads * length**2))
        while remaining:
            runs.append((length, min(most, remaining)))
            remaining -= runs[-1][1]
    return runs


def _attend(projected: torch.Tensor, count: int, heads: int) -> torch.Tensor:
    """Self-attention of ``count`` texts of one length, given queries, keys and values side by side.

    Written out, because torch's fused attention takes almost twice as long for texts as short as these.
    """
    length = len(projected) // count
    query, key, value = projected.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4).flatten(1, 2)
    scores = torch.bmm(query / math.sqrt(query.shape[-1]), key.transpose(1, 2))
    attention = scores.float().softmax(dim=-1).to(scores.dtype)
    return torch.bmm(attention, value).unflatten(0, (count, heads)).transpose(1, 2).reshape(len(projected), -1)
