"""Where a model's weights are: a local folder, a hub repository, or packages that ship them (see ``packaged``)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import platformdirs

from graphreader.errors import MissingDependencyError, WeightsError
from graphreader.serve import gguf
from graphreader.serve.locking import locked
from graphreader.serve.packaged import PACKAGED, PackagedWeights, join, locate

#: (stage "weights", percent done, 100, what is being done)
OnProgress = Callable[[str, int, int, str], None]
Convert = Callable[[Path, Path, Callable[[float], None] | None], None]

#: Counts up when the same GGUF file converts to something else than before.
_CONVERSION = 1
_MARKER = "graphreader-conversion.json"
_LOCK_TIMEOUT_SECONDS = 1800.0
#: Conversion of the 1.5B model takes this long on two cores; only the progress bar relies on it.
_USUAL_CONVERSION_SECONDS = 60.0
_HUB_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


def default_cache_folder() -> Path:
    """The user's cache folder for converted weights."""
    return platformdirs.user_cache_path("graphreader") / "weights"


def resolve(
    model: str,
    cache_folder: Path | None = None,
    *,
    on_progress: OnProgress | None = None,
    packaged: Mapping[str, PackagedWeights] = PACKAGED,
    convert: Convert = gguf.convert,
) -> Path:
    """The folder with a model's safetensors, config and tokenizer.

    In this order: a local folder; a hub id ("owner/name"), from the hub's cache or the hub; weights that packages
    ship, converted into ``cache_folder`` at the first use. Raises ``WeightsError``.
    """
    folder = Path(model).expanduser()
    if _is_model(folder):
        return folder.resolve()
    if model in packaged:
        return _converted(packaged[model], cache_folder or default_cache_folder(), on_progress, convert)
    if folder.is_dir():
        raise WeightsError(f"{folder} is no model: it needs config.json, tokenizer.json and *.safetensors.")
    if is_hub_id(model):
        return _from_hub(model, on_progress)
    raise WeightsError(
        f"No model {model!r}: name a folder that exists, a hub id (owner/name), or one of "
        f"{', '.join(sorted(packaged))}."
    )


def tokenizer_file(
    model: str, cache_folder: Path | None = None, *, packaged: Mapping[str, PackagedWeights] = PACKAGED
) -> Path | None:
    """The model's ``tokenizer.json`` if it is on this machine already; nothing is fetched or converted."""
    folder = Path(model).expanduser()
    if not _is_model(folder) and model in packaged:
        folder = (cache_folder or default_cache_folder()) / model
        if not is_converted(packaged[model], folder):
            return None
    elif not folder.is_dir() and is_hub_id(model):
        return _cached_tokenizer(model)
    found = folder / "tokenizer.json"
    return found.resolve() if found.is_file() else None


def is_converted(weights: PackagedWeights, folder: Path) -> bool:
    """Whether ``folder`` holds a finished conversion of these weights. The marker is written last of all."""
    try:
        marker = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marker == _marker_of(weights)) and _is_model(folder)


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def is_hub_id(model: str) -> bool:
    """Whether a name has the form owner/name."""
    owner, slash, name = model.partition("/")
    return bool(slash and owner and name) and "/" not in name and not model.startswith((".", "~"))


def _marker_of(weights: PackagedWeights) -> dict[str, object]:
    return {"conversion": _CONVERSION, "sha256": weights.sha256}


def _converted(weights: PackagedWeights, cache_folder: Path, on_progress: OnProgress | None, convert: Convert) -> Path:
    target = cache_folder / weights.name
    if is_converted(weights, target):
        return target
    parts = locate(weights)

    def report(percent: float, detail: str) -> None:
        if on_progress is not None:
            on_progress("weights", int(percent), 100, detail)

    def waiting(seconds: float) -> None:
        report(0, f"another process converts {weights.name} ({seconds:.0f} s)")

    with locked(cache_folder / f"{weights.name}.lock", _LOCK_TIMEOUT_SECONDS, waiting):
        if not is_converted(weights, target):
            _need_space(weights, cache_folder)
            _convert_into(target, parts, weights, report, convert)
    report(100, f"{weights.name} is ready")
    return target


def _convert_into(
    target: Path,
    parts: list[Path],
    weights: PackagedWeights,
    report: Callable[[float, str], None],
    convert: Convert,
) -> None:
    """Build beside ``target`` and rename at the end, so that nobody ever sees half a model there."""
    for left in target.parent.glob(f".{weights.name}-*"):  # from a conversion that was killed; we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{weights.name}-", dir=target.parent) as name:
        whole, made = Path(name) / "model.gguf", Path(name) / "model"
        made.mkdir()
        join(parts, whole, weights, lambda done: report(10 * done / weights.size_bytes, f"checking {weights.name}"))

        def elapsed(seconds: float) -> None:
            share = min(seconds / _USUAL_CONVERSION_SECONDS, 1.0)
            report(10 + 89 * share, f"converting {weights.name}, once ({seconds:.0f} s)")

        convert(whole, made, elapsed)
        if not _is_model(made):
            raise WeightsError(f"Converting {weights.name} left no model in {made}: see the versions of transformers.")
        (made / _MARKER).write_text(json.dumps(_marker_of(weights)), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)


def _need_space(weights: PackagedWeights, cache_folder: Path) -> None:
    needed_bytes = 5 * weights.size_bytes  # the joined file, and bf16 at 3.2 times a 4-bit file
    free_bytes = shutil.disk_usage(cache_folder).free
    if free_bytes < needed_bytes:
        raise WeightsError(
            f"Converting {weights.name} needs {needed_bytes / 1e9:.1f} GB in {cache_folder}, where "
            f"{free_bytes / 1e9:.1f} GB are free: make room, or set XDG_CACHE_HOME to a larger disk."
        )


def _from_hub(model: str, on_progress: OnProgress | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", f"The model {model}", "pip install huggingface_hub") from error
    import httpx

    try:
        cached = Path(snapshot_download(model, allow_patterns=_HUB_PATTERNS, local_files_only=True))
        if _is_whole(cached):
            return cached
    except LocalEntryNotFoundError:
        pass  # nothing of it is in the cache: ask the hub
    if on_progress is not None:
        on_progress("weights", 0, 0, f"fetching {model} from the hub")
    try:
        fetched = Path(snapshot_download(model, allow_patterns=_HUB_PATTERNS))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError, ValueError) as error:
        offline = " HF_HUB_OFFLINE is set: unset it." if os.environ.get("HF_HUB_OFFLINE") else ""
        reason = str(error).strip().splitlines() or [""]
        raise WeightsError(
            f"{model} is not in the hub's cache and cannot be fetched ({type(error).__name__}: {reason[0]}).{offline} "
            f"Check the name and the network, or name a local folder or one of {', '.join(sorted(PACKAGED))}."
        ) from error
    if not _is_whole(fetched):
        raise WeightsError(f"{model} has no safetensors weights that vLLM can serve: choose another repository.")
    return fetched


def _is_whole(folder: Path) -> bool:
    """A hub snapshot with a config and every file that its index names."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return _is_model(folder)
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    return _is_model(folder) and all((folder / name).is_file() for name in names)


def _cached_tokenizer(model: str) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(model, "tokenizer.json")
    return Path(found) if isinstance(found, str) else None
