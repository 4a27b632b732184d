"""The commands ``plan``, ``serve``, ``stop`` and ``doctor``. What is not light is imported inside them."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphreader.cli_shared import EXIT_FAILED, JsonOption, guarded, print_json

if TYPE_CHECKING:
    from graphreader.plan import Plan, PlanRequest


class RopeOption(StrEnum):
    """Values of ``--rope``."""

    AUTO = "auto"
    YARN = "yarn"
    LINEAR = "linear"
    NTK = "ntk"
    NONE = "none"


class QuantizeOption(StrEnum):
    """Values of ``--quantize``."""

    NONE = "none"
    INT8 = "int8"
    FP8 = "fp8"


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
    as_json: JsonOption = False,
) -> None:
    """Say what fits, with which settings, and what bounds it, from a model's config.json alone."""
    from graphreader.plan.sizes import parse_bytes, parse_tokens

    with guarded():
        from graphreader.plan import PlanRequest

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
        if as_json:
            print_json({"model": model, **asdict(made)})
            return
        from graphreader.terminal_plan import show_plan

        show_plan(model, made)


def serve(
    model: Annotated[
        str | None, typer.Argument(help="Folder, hub id or packaged model. Default: the settings'.")
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(help="Window that must be had, e.g. 32k.", show_default="the model's own, at most 16k"),
    ] = None,
    rope: Annotated[
        RopeOption | None, typer.Option(help="How positions are scaled beyond the native window.", show_default="auto")
    ] = None,
    kv_dtype: Annotated[str | None, typer.Option(help="Of the KV cache: auto, fp8, ...", show_default="auto")] = None,
    kv_cache: Annotated[
        int | None, typer.Option(min=1, help="Least memory of the KV cache on a CPU, in GiB.", show_default="2")
    ] = None,
    block_size: Annotated[
        int | None, typer.Option(min=1, help="Tokens in a block of it.", show_default="32 on a CPU, else vLLM's")
    ] = None,
    batched_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens computed in one step.", show_default="vLLM's own")
    ] = None,
    long_prefill_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of those, at most so many of one prompt.", show_default="no limit")
    ] = None,
    tensor_parallel: Annotated[
        int | None, typer.Option(min=1, help="Devices the model is split over.", show_default="1")
    ] = None,
    data_parallel: Annotated[int | None, typer.Option(min=1, help="Copies of the model.", show_default="1")] = None,
    attention_backend: Annotated[
        str | None, typer.Option(help="Of vLLM, on a GPU, e.g. FLASHINFER.", show_default="vLLM's choice")
    ] = None,
    quantize: Annotated[
        QuantizeOption | None,
        typer.Option(help="Weights: int8 (converted once), or fp8 on a GPU.", show_default="none"),
    ] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="An adapter to serve beside the model; repeatable."),
    ] = None,
    speculative_ngram: Annotated[
        int | None, typer.Option(min=0, help="Tokens guessed from the prompt at each step.", show_default="0")
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compiled/--eager", help="Compile the model at the start.", show_default="compiled on a GPU"),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port on this machine.", show_default="any that is free")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run, and do not.")] = False,
) -> None:
    """Run the model server in the foreground until Ctrl-C. Without it, `ask` starts one in the background.

    Flags win over the settings of the group [serve]; what is not possible is refused before anything loads.
    """
    from graphreader import connect
    from graphreader.plan.sizes import parse_tokens
    from graphreader.settings import Settings

    with guarded() as terminal:
        wishes = {
            "context_tokens": parse_tokens(context) if context else None,
            "rope": rope,
            "kv_cache_dtype": kv_dtype,
            "kv_cache_gib": kv_cache,
            "block_size": block_size,
            "max_batched_tokens": batched_tokens,
            "long_prefill_tokens": long_prefill_tokens,
            "tensor_parallel": tensor_parallel,
            "data_parallel": data_parallel,
            "attention_backend": attention_backend,
            "quantization": quantize,
            "lora_modules": connect.lora_modules(lora) if lora else None,
            "ngram_tokens": speculative_ngram,
            "compiled": compiled,
            "port": port,
        }
        settings = Settings.load(serve=_given(wishes))
        if dry_run:
            planned = connect.dry_run(settings, model)
            sys.stdout.write(planned.command + "\n")
            sys.stdout.flush()
            for line in planned.notes:
                terminal.say(line)
        else:
            connect.serve_in_foreground(settings, model, terminal.say, terminal.show_progress)


def _given(wishes: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(value, "value", value) for name, value in wishes.items() if value is not None}


def stop() -> None:
    """Stop the local model server."""
    from graphreader.connect import stop_server

    with guarded() as terminal:
        terminal.say("Stopped." if stop_server() else "No local model server is running.")


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, which model and endpoint would be used, and how to mend what is missing."""
    from graphreader.connect import diagnose
    from graphreader.settings import Settings

    with guarded() as terminal:
        checks = diagnose(Settings.load())
        if as_json:
            print_json(checks)
        else:
            terminal.show_checks(checks)
    if any(check["status"] == "missing" for check in checks):
        raise typer.Exit(EXIT_FAILED)


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
