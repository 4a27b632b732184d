"""A BERT sentence encoder read straight from its files, because the general library takes seconds to import.

Measured on two cores: ``import sentence_transformers`` 5 s, ``import torch`` 1.3 s, while numpy alone embeds one
question 0.1 s after the start of the process. So few texts go through numpy, and only bulk work pays for torch.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphreader.errors import MissingDependencyError, WeightsError

if TYPE_CHECKING:
    import torch

#: From this many texts on, torch's start-up is worth its speed.
TORCH_FROM_TEXTS: Final = 8
#: Tokens in one forward pass: bounds memory to some tens of megabytes and keeps the matrices in cache.
_MAX_BATCH_TOKENS: Final = 2048
#: Attention scores computed at once, 4 bytes each: beyond some megabytes new pages cost more than the arithmetic.
_MAX_SCORES: Final = 1_000_000

_Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BertShape:
    """What of ``config.json`` the forward pass needs."""

    layers: int
    heads: int
    dimensions: int
    norm_epsilon: float


def is_plain_bert(folder: Path) -> bool:
    """Whether ``folder`` holds a sentence encoder of the kind read here: BERT, mean pooling, exact GELU."""
    config = _read_json(folder / "config.json")
    pooling = _read_json(folder / "1_Pooling" / "config.json")
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and pooling.get("pooling_mode_mean_tokens") is True
        and not any(
            value is True
            for key, value in pooling.items()
            if key.startswith("pooling_mode_") and key != "pooling_mode_mean_tokens"
        )
        and (folder / "model.safetensors").is_file()
        and (folder / "tokenizer.json").is_file()
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class BertEmbedder:
    """Embeds with the files of one folder. Nothing is read before the first ``embed``, except two small JSON files.

    Raises ``WeightsError`` where the folder's files are damaged, ``MissingDependencyError`` where a package is absent.
    """

    def __init__(self, folder: Path, name: str, *, english_only: bool) -> None:
        config = _read_json(folder / "config.json")
        self._folder = folder
        self._shape = BertShape(
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            dimensions=int(config["hidden_size"]),
            norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
        limit = _read_json(folder / "sentence_bert_config.json").get("max_seq_length")
        self.name = name
        self.english_only = english_only
        self.dimensions = self._shape.dimensions
        self.max_tokens = int(limit or config["max_position_embeddings"])

    def embed(self, texts: Sequence[str]) -> _Floats:
        """Unit vectors of ``texts``, in their order; what is beyond ``max_tokens`` of a text is not seen."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        if len(texts) < TORCH_FROM_TEXTS:
            pooled = np.stack([_forward_numpy(self._weights, self._shape, ids) for ids in token_ids])
        else:
            pooled = self._embed_bulk(token_ids)
        norms = np.linalg.norm(pooled, axis=1, keepdims=True)
        return np.asarray(pooled / np.maximum(norms, 1e-12), dtype=np.float32)

    def _embed_bulk(self, token_ids: Sequence[Sequence[int]]) -> _Floats:
        """Texts of one length stand together in a batch, so that attention goes through many at once."""
        forward = self._forward_torch
        result = np.empty((len(token_ids), self.dimensions), dtype=np.float32)
        order = sorted(range(len(token_ids)), key=lambda position: len(token_ids[position]), reverse=True)
        start = 0
        while start < len(order):
            longest = len(token_ids[order[start]])
            batch = order[start : start + max(1, _MAX_BATCH_TOKENS // longest)]
            result[batch] = forward([token_ids[position] for position in batch])
            start += len(batch)
        return result

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - tokenizers ships no types
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingDependencyError("tokenizers", "Embedding", "pip install tokenizers") from error
        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    @cached_property
    def _weights(self) -> dict[str, _Floats]:
        try:
            from safetensors.numpy import load_file
        except ImportError as error:
            raise MissingDependencyError("safetensors", "Embedding", "pip install safetensors") from error
        path = self._folder / "model.safetensors"
        try:
            tensors = load_file(str(path))
        except Exception as error:
            raise WeightsError(f"{path}: cannot be read ({error}). Install or download the embedder again.") from error
        return {
            name.removeprefix("bert."): np.asarray(tensor, dtype=np.float32)
            for name, tensor in tensors.items()
            if tensor.dtype.kind == "f"
        }

    @cached_property
    def _forward_torch(self) -> Callable[[Sequence[Sequence[int]]], _Floats]:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                "torch", "Embedding many texts", "pip install torch --index-url https://download.pytorch.org/whl/cpu"
            ) from error
        dtype = torch.bfloat16 if _has_fast_bfloat16() else torch.float32
        weights = {name: torch.from_numpy(array).to(dtype) for name, array in self._weights.items()}
        weights = _fused(weights, self._shape)
        return lambda batch: _forward_torch(weights, self._shape, batch)


def _has_fast_bfloat16() -> bool:
    """bf16 keeps the ranking and is three times as fast, but only where the CPU multiplies it in hardware."""
    import torch

    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def _forward_numpy(weights: dict[str, _Floats], shape: BertShape, token_ids: Sequence[int]) -> _Floats:
    """The mean over the tokens of the last hidden states of one text (Devlin et al. 2019; Reimers, Gurevych 2019)."""
    count = len(token_ids)

    def linear(values: _Floats, name: str) -> _Floats:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(values: _Floats, name: str) -> _Floats:
        centred = values - values.mean(axis=-1, keepdims=True)
        variance = np.mean(centred**2, axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + shape.norm_epsilon)
        return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])

    def split(values: _Floats) -> _Floats:
        return values.reshape(count, shape.heads, -1).transpose(1, 0, 2)

    hidden = (
        weights["embeddings.word_embeddings.weight"][list(token_ids)]
        + weights["embeddings.position_embeddings.weight"][:count]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    hidden = norm(hidden, "embeddings.LayerNorm")
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}"
        query, key, value = (
            split(linear(hidden, f"{prefix}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(shape.dimensions // shape.heads)
        exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
        attention = exponentials / exponentials.sum(axis=-1, keepdims=True)
        context = (attention @ value).transpose(1, 0, 2).reshape(count, -1)
        hidden = norm(
            hidden + linear(context, f"{prefix}.attention.output.dense"), f"{prefix}.attention.output.LayerNorm"
        )
        inner = _gelu(linear(hidden, f"{prefix}.intermediate.dense"))
        hidden = norm(hidden + linear(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
    return np.asarray(hidden.mean(axis=0), dtype=np.float32)


def _gelu(values: _Floats) -> _Floats:
    """Exact GELU; numpy has no erf, so Abramowitz and Stegun's 7.1.26, which errs by less than 1.5e-7."""
    scaled = np.abs(values) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * scaled)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.copysign(1 - series * np.exp(-(scaled**2)), values)
    return np.asarray(0.5 * values * (1 + erf), dtype=np.float32)


def _fused(weights: dict[str, torch.Tensor], shape: BertShape) -> dict[str, torch.Tensor]:
    """``weights`` with query, key and value of each layer as one matrix: one large product instead of three."""
    import torch

    fused = dict(weights)
    for layer in range(shape.layers):
        own = f"encoder.layer.{layer}.attention.self"
        for kind in ("weight", "bias"):
            fused[f"{own}.{kind}"] = torch.cat(
                [fused.pop(f"{own}.{part}.{kind}") for part in ("query", "key", "value")]
            )
    return fused


def _forward_torch(weights: dict[str, torch.Tensor], shape: BertShape, batch: Sequence[Sequence[int]]) -> _Floats:
    """The same as ``_forward_numpy`` for several texts, those of equal length side by side.

    The tokens of all texts stand one after the other, so that nothing is padded and nothing needs a mask; only
    attention goes through the texts, one run of equal lengths at a time.
    """
    import torch
    from torch.nn import functional

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
    import torch

    length = len(projected) // count
    query, key, value = projected.view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4).flatten(1, 2)
    scores = torch.bmm(query / math.sqrt(query.shape[-1]), key.transpose(1, 2))
    attention = scores.float().softmax(dim=-1).to(scores.dtype)
    return torch.bmm(attention, value).unflatten(0, (count, heads)).transpose(1, 2).reshape(len(projected), -1)
