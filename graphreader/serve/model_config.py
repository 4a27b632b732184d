"""A model's config.json without its weights: from a folder, a file, a packaged model, or the hub."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphreader.errors import MissingDependencyError, WeightsError
from graphreader.serve import weights
from graphreader.serve.packaged import PACKAGED, PackagedWeights, locate


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """``weights_bytes`` is the size of the weights that lie beside the config; None where there are none."""

    config: dict[str, Any]
    weights_bytes: int | None = None


def find_config(model: str, cache_folder: Path | None = None) -> FoundConfig:
    """The config of a folder, a config.json, a packaged name or a hub id; of the hub's files only this one is fetched.

    Raises ``WeightsError`` or ``MissingDependencyError``.
    """
    path = Path(model).expanduser()
    if path.is_file():
        return FoundConfig(_read(path))
    if (path / "config.json").is_file():
        return _in_folder(path)
    if model in PACKAGED:
        return _packaged(PACKAGED[model], cache_folder or weights.default_cache_folder())
    if path.is_dir():
        raise WeightsError(f"{path} has no config.json: name a model's folder, or its config.json.")
    if weights.is_hub_id(model):
        return FoundConfig(_read(_from_hub(model)))
    raise WeightsError(
        f"No model {model!r}: name a folder or a config.json that exists, a hub id (owner/name), or one of "
        f"{', '.join(sorted(PACKAGED))}."
    )


def _in_folder(folder: Path) -> FoundConfig:
    sizes = [file.stat().st_size for file in folder.glob("*.safetensors")]
    return FoundConfig(_read(folder / "config.json"), sum(sizes) or None)


def _packaged(packaged: PackagedWeights, cache_folder: Path) -> FoundConfig:
    folder = cache_folder / packaged.name
    if weights.is_converted(packaged, folder):
        return _in_folder(folder)
    from graphreader.serve.gguf_config import config_of

    return FoundConfig(config_of(locate(packaged)[0]))


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}): restore the model's config.json.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path} holds no JSON object: it is not a model's config.json.")
    return config


def _from_hub(model: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", f"The model {model}", "pip install huggingface_hub") from error
    import httpx

    if isinstance(cached := try_to_load_from_cache(model, "config.json"), str):
        return Path(cached)
    try:
        return Path(hf_hub_download(model, "config.json"))
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):
            raise WeightsError(f"The hub's {model} has no config.json: choose another repository.") from error
        reason = "the hub cannot be reached, and its config.json is not in the cache"
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        reason = f"the hub does not give its config.json ({type(error).__name__})"
    offline = "; HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else ""
    raise WeightsError(
        f"{model}: {reason}{offline}. Check the name and the network, or name a local folder or a config.json."
    )
