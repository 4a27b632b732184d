"""LoRA adapters: what vLLM 0.32 can serve of them is told from their files, before any weights load."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphreader.errors import WeightsError

#: What vLLM's ``--max-lora-rank`` may be.
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
_WEIGHTS_FILE = "adapter_model.safetensors"
#: Whole layers that an adapter may bring along.
_SAVED_MODULES = frozenset({"classifier", "score"})
#: First weights that are only a start of the training; others change the model's own weights.
_HARMLESS_STARTS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
_UNSUPPORTED = ("use_dora", "lora_bias", "alora_invocation_tokens", "layer_replication", "use_bdlora", "use_qalora")
_MERGE = "Merge it into the model (peft's `merge_and_unload`, then `save_pretrained`) and serve the merged folder."


def max_rank(modules: Sequence[tuple[str, str]]) -> int:
    """The ``--max-lora-rank`` for these adapters, pairs of a name and a folder.

    Raises ``WeightsError`` for a folder that is no adapter, or one that vLLM cannot serve beside its model.
    """
    return max(_check(name, Path(folder).expanduser()) for name, folder in modules)


def parse_modules(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``NAME=FOLDER`` each. Raises ``WeightsError``."""
    pairs = [text.partition("=") for text in texts]
    for name, _, folder in pairs:
        if not name or not folder:
            raise WeightsError(f"{name}{folder!r} names no adapter: write NAME=FOLDER, e.g. law=adapters/law.")
    return tuple((name, str(Path(folder).expanduser().resolve())) for name, _, folder in pairs)


def _check(name: str, folder: Path) -> int:
    config = _read_config(name, folder)
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise WeightsError(f"The adapter {name} is a {kind}; vLLM serves LORA only. {_MERGE}")
    unsupported = [key for key in _UNSUPPORTED if config.get(key)]
    if config.get("bias", "none") != "none":
        unsupported.append("bias")
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower() not in _HARMLESS_STARTS:
        unsupported.append(f"init_lora_weights={start}")
    if unsupported:
        raise WeightsError(f"The adapter {name} has {', '.join(unsupported)}, which vLLM does not serve. {_MERGE}")
    if saved := sorted(set(config.get("modules_to_save") or ()) - _SAVED_MODULES):
        raise WeightsError(
            f"The adapter {name} brings whole layers along ({', '.join(saved)}), as LongLoRA does; vLLM serves only "
            f"low-rank ones. {_MERGE}"
        )
    _check_weights(name, folder)
    return _served_rank(name, config)


def _read_config(name: str, folder: Path) -> Mapping[str, Any]:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(
            f"The adapter {name}: {folder} is no adapter, for it has no readable adapter_config.json. Name a folder "
            "that peft's save_pretrained wrote."
        ) from error
    except ValueError as error:
        raise WeightsError(f"{path} is no JSON ({error}): restore the adapter's folder.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} holds no JSON object: restore the adapter's folder.")
    return config


def _check_weights(name: str, folder: Path) -> None:
    path = folder / _WEIGHTS_FILE
    if not path.is_file():
        if any((folder / other).is_file() for other in ("adapter_model.bin", "adapter_model.pt")):
            return  # torch's own format, which is not opened here
        raise WeightsError(f"The adapter {name} has no {_WEIGHTS_FILE} in {folder}: restore the adapter's folder.")
    whole = [tensor for tensor in _tensor_names(path) if not _is_low_rank(tensor)]
    if whole:
        raise WeightsError(
            f"The adapter {name} holds {len(whole)} tensors that are not low-rank, such as {whole[0]} (LongLoRA trains "
            f"embeddings and norms whole). {_MERGE}"
        )


def _is_low_rank(tensor: str) -> bool:
    parts = tensor.split(".")
    if parts[-1] in ("lora_embedding_A", "lora_embedding_B"):
        return True
    return len(parts) > 1 and parts[-1] == "weight" and parts[-2] in ("lora_A", "lora_B")


def _tensor_names(path: Path) -> list[str]:
    """From the header of a safetensors file: eight bytes of its length, then JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise WeightsError(f"{path} is no safetensors file ({error}): restore the adapter's folder.") from error
    return [key for key in header if key != "__metadata__"]


def _served_rank(name: str, config: Mapping[str, Any]) -> int:
    ranks = [config.get("r", 0), *(config.get("rank_pattern") or {}).values()]
    if not all(isinstance(rank, int) and rank > 0 for rank in ranks):
        raise WeightsError(f"The adapter {name} names no rank (r) in its adapter_config.json: restore the folder.")
    largest = max(ranks)
    served = next((rank for rank in _RANKS if rank >= largest), None)
    if served is None:
        raise WeightsError(f"The adapter {name} has rank {largest}; vLLM serves up to {_RANKS[-1]}. {_MERGE}")
    return served
