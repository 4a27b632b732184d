"""The command ``plan``: parses, calls ``make_plan``, prints. What is not light is imported inside it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphreader.plan import Plan, PlanRequest

_EXIT_FAILED = 1


class RopeOption(StrEnum):
    """Values of ``--rope``."""

    AUTO = "auto"
    YARN = "yarn"
    LINEAR = "linear"
    NTK = "ntk"
    NONE = "none"


class DeviceOption(StrEnum):
    """Values of ``--device``."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def plan(
    model: Annotated[str, typer.Argument(help="Folder, config.json, packaged model or hub id. No weights are needed.")],
    context: Annotated[
        str | None, typer.Option(help="Window wished for, e.g. 128k.", show_default="the model's own")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(help="Memory of one device, e.g. 80GiB.", show_default="the settings' KV cache on a CPU"),
    ] = None,
    kv_memory: Annotated[str | None, typer.Option(help="What the KV cache gets of it, e.g. 40GiB.")] = None,
    kv_dtype: Annotated[str, typer.Option(help="Of the KV cache: auto, fp8, ...")] = "auto",
    tensor_parallel: Annotated[int, typer.Option(min=1, help="Devices the model is split over.")] = 1,
    block_size: Annotated[int | None, typer.Option(min=1, help="Tokens in a block.", show_default="vLLM's own")] = None,
    rope: Annotated[
        RopeOption, typer.Option(help="How positions are scaled beyond the native window.")
    ] = RopeOption.AUTO,
    device: Annotated[
        DeviceOption, typer.Option(help="auto: a GPU where memory is named, else what this machine has.")
    ] = DeviceOption.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Say what fits, with which settings, and what bounds it, from a model's config.json alone."""
    from graphreader.errors import GraphReaderError
    from graphreader.terminal import Terminal

    with Terminal() as terminal:
        try:
            from graphreader.plan import PlanRequest
            from graphreader.plan.sizes import parse_bytes, parse_tokens

            wish = PlanRequest(
                context_tokens=parse_tokens(context) if context else None,
                memory_bytes=parse_bytes(memory) if memory else None,
                kv_memory_bytes=parse_bytes(kv_memory) if kv_memory else None,
                kv_dtype=kv_dtype,
                tensor_parallel=tensor_parallel,
                block_size=block_size,
                rope=rope.value,
            )
            made = _plan(model, device, wish)
        except GraphReaderError as error:
            terminal.warn(str(error))
            raise typer.Exit(_EXIT_FAILED) from error
        if as_json:
            sys.stdout.write(json.dumps({"model": model, **asdict(made)}, ensure_ascii=False) + "\n")
            return
        from graphreader.terminal_plan import show_plan

        show_plan(model, made)


def _plan(model: str, device: DeviceOption, wish: PlanRequest) -> Plan:
    from graphreader.plan import make_plan
    from graphreader.serve import hardware
    from graphreader.serve.model_config import find_config

    found = find_config(model)
    on_gpu = device is DeviceOption.GPU or (
        device is DeviceOption.AUTO and (wish.memory_bytes is not None or hardware.detect().uses_gpu)
    )
    request = replace(
        wish,
        device="gpu" if on_gpu else "cpu",
        weights_bytes=found.weights_bytes,
        cpu_flags=frozenset() if on_gpu else hardware.cpu_flags(),
    )
    return make_plan(found.config, _with_default_memory(request))


def _with_default_memory(request: PlanRequest) -> PlanRequest:
    """On a CPU, the KV cache that the settings give a server."""
    if request.device == "gpu" or request.memory_bytes is not None or request.kv_memory_bytes is not None:
        return request
    from graphreader.plan.sizes import GIB
    from graphreader.settings import Settings

    return replace(request, kv_memory_bytes=Settings.load().serve.kv_cache_gib * GIB)
