"""A BERT sentence encoder read straight from its files, because the general library takes seconds to import.

Measured on two cores: ``import sentence_transformers`` 5 s, ``import torch`` 1.3 s, while numpy alone embeds one
question 0.1 s after the start of the process. So few texts go through numpy, and only bulk work pays for torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphreader.errors import MissingDependencyError, WeightsError
from graphreader.llm.bert_files import BertShape, max_tokens_of, prompts_of, shape_of
from graphreader.llm.prefixes import prefixes_of

#: From this many texts on, torch's start-up is worth its speed.
TORCH_FROM_TEXTS: Final = 8
#: Tokens in one forward pass: bounds memory to some tens of megabytes and keeps the matrices in cache.
_MAX_BATCH_TOKENS: Final = 2048

_Floats: TypeAlias = NDArray[np.float32]


class BertEmbedder:
    """Embeds with the files of one folder. Nothing is read before the first ``embed``, except two small JSON files.

    ``bfloat16`` says whether bulk work is done in that type; None: where the CPU multiplies it in hardware.
    Raises ``WeightsError`` where the folder's files are damaged, ``MissingDependencyError`` where a package is absent.
    """

    def __init__(self, folder: Path, name: str, *, english_only: bool, bfloat16: bool | None = None) -> None:
        self._folder = folder
        self._shape = shape_of(folder)
        self._prefixes = prefixes_of(name, prompts_of(folder))
        self._bfloat16 = bfloat16
        self.name = name
        self.english_only = english_only
        self.dimensions = self._shape.dimensions
        self.max_tokens = max_tokens_of(folder)

    def embed(self, texts: Sequence[str]) -> _Floats:
        """Unit vectors of passages, in their order. A text beyond ``max_tokens`` is read in parts, and all count."""
        return self._embed([self._prefixes.passage + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> _Floats:
        """Unit vectors of questions, in their order."""
        return self._embed([self._prefixes.query + text for text in texts])

    def _embed(self, texts: Sequence[str]) -> _Floats:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        parts: list[Sequence[int]] = []
        starts = []
        for encoding in self._tokenizer.encode_batch(list(texts)):
            starts.append(len(parts))
            parts += [encoding.ids, *(rest.ids for rest in encoding.overflowing)]
        if len(parts) < TORCH_FROM_TEXTS:
            means = np.stack([_forward_numpy(self._weights, self._shape, ids) for ids in parts])
        else:
            means = self._embed_bulk(parts)
        counts = np.array([len(ids) for ids in parts], dtype=np.float32)[:, None]
        # The sum over all tokens of a text: as a unit vector it is the same as the mean.
        pooled = np.add.reduceat(means * counts, starts, axis=0)
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

            from graphreader.llm import bert_torch
        except ImportError as error:
            raise MissingDependencyError(
                "torch", "Embedding many texts", "pip install torch --index-url https://download.pytorch.org/whl/cpu"
            ) from error
        bfloat16 = bert_torch.has_fast_bfloat16() if self._bfloat16 is None else self._bfloat16
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        weights = bert_torch.prepared(self._weights, self._shape, dtype)
        return lambda batch: bert_torch.forward(weights, self._shape, batch)


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
