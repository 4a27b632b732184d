"""The config of a model from the header of its GGUF file, so that a plan needs no conversion.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Only what stands before
the tensors is read.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from graphreader.errors import WeightsError

_MAGIC = b"GGUF"
#: struct codes by the number of a type; 8 is a string, 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_OUTPUT_TENSOR = "output.weight"
_TENSOR_NAMES = "tensor names"
_SUPPORTED = ("llama", "qwen2")


def config_of(file: Path) -> dict[str, Any]:
    """What a config.json would say. ``file`` may be the first part only. Raises ``WeightsError``."""
    try:
        with file.open("rb") as stream:
            values = _header(stream)
    except (OSError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise WeightsError(f"The header of {file} cannot be read ({error}): install its package anew.") from error
    return _config(file, values)


def _config(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    kind = str(values.get("general.architecture"))
    if kind not in _SUPPORTED:
        raise WeightsError(
            f"{file} holds a model of type {kind!r}; a plan reads {' and '.join(_SUPPORTED)} headers only."
        )
    heads = int(values[f"{kind}.attention.head_count"])
    return {
        "model_type": kind,
        "hidden_size": int(values[f"{kind}.embedding_length"]),
        "intermediate_size": int(values[f"{kind}.feed_forward_length"]),
        "num_hidden_layers": int(values[f"{kind}.block_count"]),
        "num_attention_heads": heads,
        "num_key_value_heads": int(values.get(f"{kind}.attention.head_count_kv", heads)),
        "max_position_embeddings": int(values[f"{kind}.context_length"]),
        "rope_theta": float(values.get(f"{kind}.rope.freq_base", 10_000.0)),
        "vocab_size": int(values["tokenizer.ggml.tokens"]),
        "tie_word_embeddings": _OUTPUT_TENSOR not in values[_TENSOR_NAMES],
        "torch_dtype": "bfloat16",  # what it is converted to
    }


def _header(stream: BinaryIO) -> dict[str, Any]:
    """Scalars and strings; of an array, how many elements it has; the names of the tensors."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise WeightsError("The file is no GGUF file.")
    _, tensors, pairs = struct.unpack("<IQQ", stream.read(20))
    values: dict[str, Any] = {}
    for _ in range(pairs):
        name = _string(stream)
        values[name] = _value(stream, _number(stream, "I"))
    names = []
    for _ in range(tensors):
        names.append(_string(stream))
        stream.seek(_number(stream, "I") * 8 + 12, 1)  # its dimensions, type and offset
    values[_TENSOR_NAMES] = names
    return values


def _value(stream: BinaryIO, kind: int) -> Any:  # noqa: ANN401 - any scalar
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _number(stream, _SCALARS[kind])
    inner, count = _number(stream, "I"), _number(stream, "Q")
    if inner in _SCALARS:
        stream.seek(count * struct.calcsize("<" + _SCALARS[inner]), 1)
    else:
        for _ in range(count):
            _value(stream, inner)
    return count


def _number(stream: BinaryIO, code: str) -> Any:  # noqa: ANN401 - as the code says
    return struct.unpack("<" + code, stream.read(struct.calcsize("<" + code)))[0]


def _string(stream: BinaryIO) -> str:
    return stream.read(_number(stream, "Q")).decode("utf-8", errors="replace")
