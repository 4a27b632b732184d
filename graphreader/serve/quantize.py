"""Conversion of a model's folder to int8: what vLLM runs on a CPU's integer units (oneDNN) and on GPUs since Turing.

vLLM 0.32 quantises no linear layers to int8 at load time (its ``int8_per_channel_weight_only`` is for experts alone).
So a folder is made once: int8 weights with one scale for each output channel, and a config.json that tells vLLM to
quantise activations for each token as it goes (W8A8; Dettmers et al. 2022, arXiv:2208.07339, without their outlier
split), in the format of compressed-tensors. Embeddings, norms and the output layer stay as they are.

Run as a module (SOURCE FOLDER) in a process of its own, which keeps torch out of the caller.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphreader.errors import WeightsError
from graphreader.serve.locking import locked
from graphreader.serve.modules import module_command

if TYPE_CHECKING:
    import torch

#: (stage "weights", percent done, 100, what is being done)
OnProgress = Callable[[str, int, int, str], None]
Convert = Callable[[Path, Path, Callable[[float], None]], None]

_INDEX = "model.safetensors.index.json"
_MARKER = "graphreader-int8.json"
#: Counts up when the same weights convert to something else than before.
_CONVERSION = 1
_LOCK_TIMEOUT_SECONDS = 1800.0
_POLL_SECONDS = 0.2
_KEPT_LOG_LINES = 15
_LARGEST = 127
_SCALE = "_scale"
#: Their linear layers are stored as convolutions, inputs first.
_TRANSPOSED_TYPES = frozenset({"gpt2", "openai-gpt", "ctrl"})
_NO_EXPERTS = "A mixture of experts is not converted to int8 here: leave --quantize out, or name prepared weights."
_SCHEME = {
    "targets": ["Linear"],
    "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
    "input_activations": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True},
}


def int8_folder(source: Path, cache_folder: Path) -> Path:
    """Where the int8 form of the model in ``source`` is kept, whether it is there or not."""
    digest = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:12]
    return cache_folder / f"{source.name}-int8-{digest}"


def convert(source: Path, folder: Path, on_elapsed: Callable[[float], None]) -> None:
    """Convert in a child process; ``on_elapsed`` gets the seconds since it began. Raises ``WeightsError``."""
    log = folder.with_name("log")
    started = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            module_command(__name__, str(source), str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as child,
    ):
        try:
            while child.poll() is None:
                on_elapsed(time.monotonic() - started)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_KEPT_LOG_LINES:])
        raise WeightsError(f"Converting {source.name} to int8 ended with code {child.returncode}.\n{tail}")


def quantized(
    source: Path, cache_folder: Path, on_progress: OnProgress | None = None, convert: Convert = convert
) -> Path:
    """The int8 form of the model in ``source``, made at the first use and again when its weights have changed.

    Raises ``WeightsError`` where the model has layers that this conversion does not know.
    """
    int8_config(_read_config(source))
    target, marker = int8_folder(source, cache_folder), _marker_of(source)
    if _is_made(target, marker):
        return target

    def report(percent: int, seconds: float) -> None:
        if on_progress is not None:
            on_progress("weights", percent, 100, f"converting {source.name} to int8, once ({seconds:.0f} s)")

    with locked(cache_folder / f"{target.name}.lock", _LOCK_TIMEOUT_SECONDS, lambda seconds: report(0, seconds)):
        if not _is_made(target, marker):
            for left in cache_folder.glob(f".{target.name}-*"):  # from one that was killed; we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=cache_folder) as name:
                made = Path(name) / "model"
                made.mkdir()
                convert(source, made, lambda seconds: report(50, seconds))
                (made / _MARKER).write_text(json.dumps(marker), encoding="utf-8")
                shutil.rmtree(target, ignore_errors=True)
                made.rename(target)
    report(100, 0.0)
    return target


def int8_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a model's int8 form. Raises ``WeightsError`` where it cannot be converted, going by its config."""
    if isinstance(present := config.get("quantization_config"), Mapping):
        method = present.get("quant_method", "some method")
        raise WeightsError(f"These weights are quantised already ({method}): leave --quantize out.")
    text = config.get("text_config") or config
    if any(text.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise WeightsError(_NO_EXPERTS)
    if any(isinstance(config.get(key), Mapping) for key in ("vision_config", "audio_config")):
        raise WeightsError("A model that also sees or hears is not converted to int8 here: leave --quantize out.")
    if text.get("model_type") in _TRANSPOSED_TYPES:
        raise WeightsError(f"{text['model_type']} keeps its matrices transposed and is not converted to int8 here.")
    quantization = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "quantization_status": "compressed",
        "config_groups": {"group_0": _SCHEME},
        "ignore": ["lm_head"],
    }
    return {**config, "quantization_config": quantization}


def convert_here(source: Path, folder: Path) -> None:
    """Convert in this process. Raises ``WeightsError``."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    config = int8_config(_read_config(source))
    files: dict[str, str] = {}
    total_bytes = 0
    for path in sorted(source.glob("*.safetensors")):
        kept: dict[str, torch.Tensor] = {}
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():
                kept |= _converted(name, tensors.get_tensor(name))
        save_file(kept, folder / path.name, metadata={"format": "pt"})
        files |= dict.fromkeys(kept, path.name)
        total_bytes += sum(tensor.nbytes for tensor in kept.values())
    if not any(name.endswith(_SCALE) for name in files):
        raise WeightsError(f"The weights in {source} have no linear layers that are known here: leave --quantize out.")
    if len(set(files.values())) > 1:
        index = {"metadata": {"total_size": total_bytes}, "weight_map": files}
        (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")
    _copy_others(source, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def quantize_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(int8 weight, float32 scale of each row), symmetric: weight ≈ int8 · scale, off by half a scale at most."""
    import torch

    wide = weight.float()
    scale = (wide.abs().amax(dim=1, keepdim=True) / _LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    return (wide / scale).round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scale


def is_linear(name: str, shape: Sequence[int]) -> bool:
    """Whether a tensor is the matrix of a linear layer inside one of a language model's numbered layers."""
    parts = name.split(".")
    module = parts[-2] if len(parts) > 1 else ""
    return (
        parts[-1] == "weight"
        and len(shape) == 2
        and any(part.isdigit() for part in parts)
        and not any(word in module for word in ("norm", "embed"))
    )


def _converted(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    if ".experts." in name:
        raise WeightsError(f"{name}: {_NO_EXPERTS}")
    if not is_linear(name, tensor.shape):
        return {name: tensor}
    weight, scale = quantize_rows(tensor)
    return {name: weight, f"{name}{_SCALE}": scale}


def _copy_others(source: Path, folder: Path) -> None:
    for path in _files(source):
        if path.suffix != ".safetensors" and path.name not in (_INDEX, "config.json"):
            shutil.copy2(path, folder / path.name)


def _files(source: Path) -> Iterable[Path]:
    return (path for path in source.iterdir() if path.is_file() and not path.name.startswith("graphreader-"))


def _marker_of(source: Path) -> dict[str, Any]:
    weights = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in source.glob("*.safetensors")}
    return {"conversion": _CONVERSION, "weights": weights, "config": _read_config(source)}


def _is_made(target: Path, marker: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads((target / _MARKER).read_text(encoding="utf-8")) == marker)
    except (OSError, ValueError):
        return False


def _read_config(source: Path) -> dict[str, Any]:
    path = source / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}): restore the model's folder.") from error
    return config


if __name__ == "__main__":
    convert_here(Path(sys.argv[1]), Path(sys.argv[2]))
