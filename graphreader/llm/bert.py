"""A BERT sentence encoder read straight from its files, because the general library takes seconds to import.

Measured on two cores: ``import sentence_transformers`` 5 s, ``import torch`` 1.3 s, while numpy alone embeds one
question 0.1 s after the start of the process. So few texts go through numpy, and only bulk work pays for torch.
"""

from __future__ import annotations

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
#: Padded tokens in one forward pass: bounds memory to some tens of megabytes and keeps the matrices in cache.
_MAX_BATCH_TOKENS: Final = 4096

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
        """Texts of like length share a batch, so that little is spent on padding."""
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


def _forward_torch(weights: dict[str, torch.Tensor], shape: BertShape, batch: Sequence[Sequence[int]]) -> _Floats:
    """The same as ``_forward_numpy`` for texts that are padded to the longest of the batch."""
    import torch
    from torch.nn import functional

    longest = max(len(ids) for ids in batch)
    ids = torch.tensor([[*ids, *([0] * (longest - len(ids)))] for ids in batch])
    lengths = torch.tensor([len(ids) for ids in batch])
    real = torch.arange(longest)[None, :] < lengths[:, None]
    visible = real[:, None, None, :]

    def linear(values: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(values: torch.Tensor, name: str) -> torch.Tensor:
        scale, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.layer_norm(values, (shape.dimensions,), scale, bias, shape.norm_epsilon)

    def split(values: torch.Tensor) -> torch.Tensor:
        return values.view(len(batch), longest, shape.heads, -1).transpose(1, 2)

    with torch.inference_mode():
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:longest]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = norm(hidden, "embeddings.LayerNorm")
        for layer in range(shape.layers):
            prefix = f"encoder.layer.{layer}"
            query, key, value = (
                split(linear(hidden, f"{prefix}.attention.self.{part}")) for part in ("query", "key", "value")
            )
            context = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
            context = context.transpose(1, 2).reshape(len(batch), longest, -1)
            hidden = norm(
                hidden + linear(context, f"{prefix}.attention.output.dense"), f"{prefix}.attention.output.LayerNorm"
            )
            inner = functional.gelu(linear(hidden, f"{prefix}.intermediate.dense"))
            hidden = norm(hidden + linear(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
        summed = (hidden.float() * real[:, :, None]).sum(dim=1)
        return np.asarray((summed / lengths[:, None]).numpy(), dtype=np.float32)
