"""From a model's config and the options to a plan that this machine holds, or a refusal that names what would work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphreader.errors import PlanError
from graphreader.plan import Plan, PlanRequest, make_plan
from graphreader.plan.records import Heads
from graphreader.plan.sizes import GIB, bytes_text
from graphreader.serve.hardware import Hardware
from graphreader.serve.options import DEFAULT_KV_CACHE_GIB, ServeOptions

#: vLLM's default of 128 tokens on a CPU would round every reuse of a cached prefix down to that.
_CPU_BLOCK_TOKENS = 32
#: Of vLLM 0.32 on NVIDIA GPUs; CUSTOM is a plug-in's.
_GPU_BACKENDS = (
    "FLASH_ATTN FLASH_ATTN_DIFFKV TRITON_ATTN TRITON_ATTN_DIFFKV TRITON_FLASH_ATTN FLASHINFER TRITON_FLASHINFER "
    "FLEX_ATTENTION TURBOQUANT ULTRAQUANT B12X HPC_ATTN FLASHINFER_MLA TOKENSPEED_MLA CUTLASS_MLA FLASH_ATTN_MLA "
    "FLASHMLA TRITON_MLA FLASHMLA_SPARSE FLASHINFER_MLA_SPARSE FLASH_ATTN_MLA_SPARSE CUSTOM".split()
)


@dataclass(frozen=True, slots=True)
class Fit:
    """A plan that fits. ``kv_cache_gib`` is what the cache of each rank gets on a CPU; None on a GPU."""

    plan: Plan
    kv_cache_gib: int | None
    warnings: tuple[str, ...] = ()


def fit(config: Mapping[str, Any], weights_bytes: int | None, options: ServeOptions, machine: Hardware) -> Fit:
    """The plan for these options on this machine. Raises ``PlanError`` with the nearest setting that works."""
    _check_ranks(options, machine)
    _check_backend(options, machine)
    if options.quantization == "fp8" and not machine.uses_gpu:
        raise PlanError("fp8 weights need a GPU here. Use --quantize int8 on a CPU.")
    request = PlanRequest(
        kv_dtype=options.kv_cache_dtype,
        tensor_parallel=options.tensor_parallel,
        block_size=options.block_size,
        rope=options.rope,
        device="gpu" if machine.uses_gpu else "cpu",
        max_batched_tokens=options.max_batched_tokens,
        weights_bytes=weights_bytes,
        cpu_flags=machine.cpu_flags,
    )
    native = make_plan(config, request)
    if options.context_tokens is not None:
        request = replace(request, context_tokens=options.context_tokens)
    elif native.max_model_len > options.max_context_tokens:
        request = replace(request, context_tokens=options.max_context_tokens)
    if machine.uses_gpu:
        return _fit_gpu(config, request, options, machine)
    if options.block_size is None and not native.state_bytes_per_request and _has_free_blocks(native):
        request = replace(request, block_size=_CPU_BLOCK_TOKENS)
    return _fit_cpu(config, request, options, machine)


def _fit_gpu(config: Mapping[str, Any], request: PlanRequest, options: ServeOptions, machine: Hardware) -> Fit:
    """With vLLM's own measurement of what is left for the cache; the plan only tells whether the wish is possible."""
    request = replace(request, memory_bytes=machine.gpu_memory_bytes)
    if machine.gpu_memory_bytes is None:
        unknown = "The memory of the GPU is not known here: whether the window fits, vLLM finds out when it has loaded."
        return Fit(make_plan(config, request), None, (unknown,))
    fitting = _longest_that_fits(config, request, options)
    unbounded = replace(request, memory_bytes=None, context_tokens=fitting.max_model_len)
    measured = (
        "What is left for the KV cache vLLM measures when it has loaded: the capacity told before is an estimate."
    )
    return Fit(replace(fitting, warnings=make_plan(config, unbounded).warnings), None, (measured,))


def _fit_cpu(config: Mapping[str, Any], request: PlanRequest, options: ServeOptions, machine: Hardware) -> Fit:
    planned = make_plan(config, request)
    blocks = sum(group.blocks_per_request for group in planned.groups) + 1  # vLLM keeps one for itself
    needed_gib = _ceil_gib(blocks * planned.bytes_per_block)
    memory_bytes = _rank_memory_bytes(options, machine)
    room_gib = None
    if memory_bytes is not None:
        room_bytes = memory_bytes - planned.memory.weights_bytes - planned.memory.reserve_bytes
        room_gib = max(room_bytes // GIB, 0)
    kv_gib = max(options.kv_cache_gib, needed_gib)
    warnings: list[str] = []
    if room_gib is not None and kv_gib > room_gib:
        _check_room(planned, options, room_gib, memory_bytes or 0)
        kv_gib = room_gib
        warnings.append(f"The KV cache gets {kv_gib} GiB, which is all that the weights leave.")
    elif kv_gib > options.kv_cache_gib:
        warnings.append(f"The KV cache gets {kv_gib} GiB, for {planned.max_model_len:,} tokens need that much.")
    fitting = _longest_that_fits(config, replace(request, kv_memory_bytes=kv_gib * GIB), options)
    warnings += _memory_warnings(fitting, kv_gib, options, machine)
    return Fit(fitting, kv_gib, tuple(warnings))


def _check_room(planned: Plan, options: ServeOptions, room_gib: int, memory_bytes: int) -> None:
    """Refuse what is beyond the machine whatever the window; a window beyond it is refused by the plan itself."""
    taken = (
        f"of {bytes_text(memory_bytes)} the weights take {bytes_text(planned.memory.weights_bytes)} and the runtime "
        f"about {bytes_text(planned.memory.reserve_bytes)}"
    )
    if room_gib < 1:
        raise PlanError(
            f"There is no room for a KV cache: {taken}. Choose a smaller model"
            + (", or --quantize int8." if options.quantization == "none" else ".")
        )
    if options.kv_cache_gib > room_gib and options.kv_cache_gib != DEFAULT_KV_CACHE_GIB:
        raise PlanError(
            f"A KV cache of {options.kv_cache_gib} GiB (serve.kv_cache_gib) does not fit: {taken}. Use {room_gib}."
        )


def _longest_that_fits(config: Mapping[str, Any], request: PlanRequest, options: ServeOptions) -> Plan:
    """The plan of a wished window, or without a wish of the longest up to ``max_context_tokens``."""
    if options.context_tokens is None:
        longest = make_plan(config, replace(request, context_tokens=None)).max_model_len
        request = replace(request, context_tokens=min(longest, request.context_tokens or longest))
    return make_plan(config, request)


def _memory_warnings(planned: Plan, kv_gib: int, options: ServeOptions, machine: Hardware) -> list[str]:
    if machine.available_bytes is None:
        return []
    ranks = options.tensor_parallel * options.data_parallel
    wanted = ranks * (planned.memory.weights_bytes + planned.memory.reserve_bytes + kv_gib * GIB)
    if wanted <= machine.available_bytes:
        return []
    return [
        f"The server wants about {bytes_text(wanted)}, and {bytes_text(machine.available_bytes)} are free now: close "
        "other programs if it does not start."
    ]


def _rank_memory_bytes(options: ServeOptions, machine: Hardware) -> int | None:
    if machine.memory_bytes is None:
        return None
    return machine.memory_bytes // (options.tensor_parallel * options.data_parallel)


def _check_ranks(options: ServeOptions, machine: Hardware) -> None:
    ranks = options.tensor_parallel * options.data_parallel
    wish = f"--tensor-parallel {options.tensor_parallel} with --data-parallel {options.data_parallel}"
    if machine.uses_gpu:
        if machine.gpu_count and ranks > machine.gpu_count:
            raise PlanError(
                f"{wish} needs {ranks} GPUs; this machine has {machine.gpu_count}. {_fewer(machine.gpu_count)}"
            )
    elif ranks > machine.numa_nodes and not machine.has_own_binding:
        nodes = "node" if machine.numa_nodes == 1 else "nodes"
        raise PlanError(
            f"{wish} needs {ranks} NUMA nodes, for vLLM binds each rank on a CPU to one; this machine has "
            f"{machine.numa_nodes} {nodes}. {_fewer(machine.numa_nodes)}"
        )


def _fewer(devices: int) -> str:
    return f"Use --tensor-parallel {devices}." if devices > 1 else "Leave both out."


def _check_backend(options: ServeOptions, machine: Hardware) -> None:
    name = options.attention_backend
    if name is None:
        return
    if not machine.uses_gpu:
        raise PlanError(
            f"vLLM has one attention backend for a CPU and would ignore {name!r}: leave --attention-backend out."
        )
    if name not in _GPU_BACKENDS:
        close = difflib.get_close_matches(name.upper(), _GPU_BACKENDS, 1, 0.4)
        raise PlanError(f"vLLM has no attention backend {name!r}. Use {close[0] if close else _GPU_BACKENDS[0]}.")


def _has_free_blocks(plan: Plan) -> bool:
    return plan.attention.heads not in (Heads.MULTI_HEAD_LATENT, Heads.NONE)


def _ceil_gib(count: int) -> int:
    return -(-count // GIB)
