"""What cannot be, refused with the nearest setting that can."""

from __future__ import annotations

from graphreader.errors import PlanError
from graphreader.plan.kv import KV_DTYPES, Cache
from graphreader.plan.records import Architecture, Heads, Memory, PlanRequest
from graphreader.plan.sizes import bytes_text

#: Of vLLM's CPU kernels.
_CPU_HEAD_SIZES = frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512})
_CPU_LATENT_SIZE = 576
_CPU_KV_DTYPES = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
_LATENT_KV_DTYPES = frozenset("auto bfloat16 float16 fp8 fp8_e4m3 fp8_ds_mla nvfp4_ds_mla".split())


def check_request(architecture: Architecture, request: PlanRequest) -> None:
    """Raise ``PlanError`` for what no amount of memory mends."""
    for name, value in (
        ("context", request.context_tokens),
        ("memory", request.memory_bytes),
        ("KV cache memory", request.kv_memory_bytes),
        ("tensor parallel size", request.tensor_parallel),
        ("block size", request.block_size),
        ("budget of batched tokens", request.max_batched_tokens),
    ):
        if value is not None and value < 1:
            raise PlanError(f"A {name} of {value} means nothing: it must be at least 1.")
    _check_split(architecture, request.tensor_parallel)
    _check_kv_dtype(architecture, request)
    _check_block_size(architecture, request)
    if request.device == "cpu":
        _check_cpu(architecture)


def check_window(
    architecture: Architecture, cache: Cache, memory: Memory, request: PlanRequest, context_tokens: int
) -> None:
    """Raise ``PlanError`` where a request of so many tokens does not fit ``memory.kv_bytes``; say what would."""
    available = memory.kv_bytes
    if available is None or not cache.groups or cache.needed_bytes(context_tokens) <= available:
        return
    needed = cache.needed_bytes(context_tokens)
    if available <= 0:
        enough = bytes_text(memory.weights_bytes + memory.reserve_bytes + needed)
        raise PlanError(
            f"The weights ({bytes_text(memory.weights_bytes)}) and the runtime ({bytes_text(memory.reserve_bytes)}) "
            f"leave nothing of {bytes_text(request.memory_bytes or 0)} for a KV cache. "
            f"{_more_devices(architecture, request)}give {enough} or more, or choose a smaller or quantised model."
        )
    longest = cache.longest_request(available, context_tokens)
    options = [f"--context {longest}"] if longest else []
    if request.kv_dtype == "auto" and "fp8" in _kv_dtypes(architecture, request) and needed <= 2 * available:
        options.append("--kv-dtype fp8")
    options.append(f"--kv-memory {needed} ({bytes_text(needed)})")
    blocks = cache.request_blocks(context_tokens)
    raise PlanError(
        f"{context_tokens:,} tokens need {bytes_text(needed)} of KV cache ({blocks:,} blocks of "
        f"{bytes_text(cache.bytes_per_block)} and one that vLLM keeps), but {bytes_text(available)} are there. "
        f"What would work: {', or '.join(options)}."
    )


def fitting_split(architecture: Architecture, wished: int) -> int:
    """The largest number of devices up to ``wished`` that the heads can be split over."""
    return max(n for n in range(1, wished + 1) if _splits(architecture, n))


def _splits(architecture: Architecture, devices: int) -> bool:
    if architecture.query_heads % devices:
        return False
    if architecture.heads is Heads.MULTI_HEAD_LATENT or not architecture.kv_heads:
        return True
    return architecture.kv_heads % devices == 0 or devices % architecture.kv_heads == 0


def _check_split(architecture: Architecture, devices: int) -> None:
    if _splits(architecture, devices):
        return
    more = next((n for n in range(devices + 1, 4 * devices + 1) if _splits(architecture, n)), None)
    larger = f" or {more}" if more else ""
    raise PlanError(
        f"{architecture.query_heads} query heads on {architecture.kv_heads} KV heads cannot be split over {devices} "
        f"devices evenly. Use --tensor-parallel {fitting_split(architecture, devices)}{larger}."
    )


def _check_kv_dtype(architecture: Architecture, request: PlanRequest) -> None:
    known = _kv_dtypes(architecture, request)
    if request.kv_dtype not in known:
        where = "a CPU" if request.device == "cpu" else "a GPU"
        raise PlanError(
            f"A KV cache of {request.kv_dtype!r} is not possible for {architecture.heads} attention on {where}. "
            f"Use --kv-dtype {known[0]}" + (f", or one of {', '.join(known[1:])}." if known[1:] else ".")
        )


def _kv_dtypes(architecture: Architecture, request: PlanRequest) -> tuple[str, ...]:
    is_latent = architecture.heads is Heads.MULTI_HEAD_LATENT
    if request.device == "cpu":
        return ("auto",) if is_latent else _CPU_KV_DTYPES
    return tuple(
        name for name in KV_DTYPES if (name in _LATENT_KV_DTYPES if is_latent else not name.endswith("_ds_mla"))
    )


def _check_block_size(architecture: Architecture, request: PlanRequest) -> None:
    unit = 32 if request.device == "cpu" and architecture.heads is not Heads.MULTI_HEAD_LATENT else 16
    if request.block_size is not None and request.block_size % unit:
        nearest = max(unit, round(request.block_size / unit) * unit)
        raise PlanError(
            f"Blocks of {request.block_size} tokens do not suit the attention kernels of a {request.device.upper()}, "
            f"which work in multiples of {unit}. Use a block size of {nearest}."
        )


def _check_cpu(architecture: Architecture) -> None:
    for layer in architecture.layers:
        if layer.index_size:
            raise PlanError(
                f"vLLM has no sparse attention on a CPU, which {architecture.model_type} needs. Plan for a GPU."
            )
        if layer.latent_size and layer.latent_size != _CPU_LATENT_SIZE:
            raise PlanError(
                f"vLLM's CPU kernel for latent attention is made for a latent of {_CPU_LATENT_SIZE}, as DeepSeek's; "
                f"this model has {layer.latent_size}. Plan for a GPU."
            )
        if not layer.latent_size and layer.key_size and layer.key_size not in _CPU_HEAD_SIZES:
            sizes = ", ".join(map(str, sorted(_CPU_HEAD_SIZES)))
            raise PlanError(
                f"vLLM's CPU attention has kernels for heads of {sizes}; this model's have {layer.key_size}. "
                "Plan for a GPU."
            )


def _more_devices(architecture: Architecture, request: PlanRequest) -> str:
    wished = request.tensor_parallel * 2
    split = next((n for n in range(wished, 8 * wished + 1) if _splits(architecture, n)), None)
    return f"Split it with --tensor-parallel {split}, " if split else "Otherwise "
