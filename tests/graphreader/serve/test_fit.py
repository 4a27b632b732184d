"""What fits this machine, and what is refused with the nearest setting that works."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_configs import LLAMA31_8B, QWEN25_15B, SMOLLM2_135M

from graphreader.errors import PlanError
from graphreader.plan.sizes import GIB
from graphreader.serve.fit import fit
from graphreader.serve.hardware import Hardware
from graphreader.serve.options import ServeOptions

CPU = Hardware(uses_gpu=False, core_ids=(0, 1), memory_bytes=24 * GIB, available_bytes=24 * GIB)
GPU = Hardware(uses_gpu=True, core_ids=(0,), gpu_count=2, gpu_memory_bytes=24 * GIB)
#: 28 KiB of cache for a token.
WEIGHTS_BYTES = 3 * GIB


def test_the_window_is_the_models_own_up_to_the_bound() -> None:
    assert fit(SMOLLM2_135M, None, ServeOptions(), CPU).plan.max_model_len == 8192
    assert fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(), CPU).plan.max_model_len == 16_384
    assert fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(max_context_tokens=2048), CPU).plan.max_model_len == 2048


def test_a_wished_window_gets_the_cache_it_needs() -> None:
    fitted = fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(context_tokens=131_072), CPU)
    assert fitted.kv_cache_gib == 4  # 131,072 tokens of 28 KiB are 3.5 GiB
    assert fitted.plan.capacity_tokens is not None
    assert fitted.plan.capacity_tokens >= 131_072
    assert "The KV cache gets 4 GiB, for 131,072 tokens need that much." in fitted.warnings
    assert fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(context_tokens=32_768), CPU).kv_cache_gib == 2


def test_a_window_beyond_memory_is_refused_with_one_that_works() -> None:
    options = ServeOptions(context_tokens=1_000_000)
    with pytest.raises(PlanError, match=r"1,000,000 tokens need .* What would work: --context (\d+)") as caught:
        fit(QWEN25_15B, WEIGHTS_BYTES, options, CPU)
    nearest = int(re.findall(r"--context (\d+)", str(caught.value))[0])
    assert fit(QWEN25_15B, WEIGHTS_BYTES, replace(options, context_tokens=nearest), CPU).plan.max_model_len == nearest
    with pytest.raises(PlanError):
        fit(QWEN25_15B, WEIGHTS_BYTES, replace(options, context_tokens=nearest + 32), CPU)


def test_without_a_wish_the_window_shrinks_to_what_fits() -> None:
    machine = replace(CPU, memory_bytes=20 * GIB)
    fitted = fit(LLAMA31_8B, 16 * GIB, ServeOptions(), machine)
    assert fitted.kv_cache_gib == 1
    assert 1024 < fitted.plan.max_model_len < 16_384


def test_weights_that_leave_no_room_are_refused() -> None:
    with pytest.raises(PlanError, match=r"no room for a KV cache.*smaller model, or --quantize int8"):
        fit(LLAMA31_8B, 16 * GIB, ServeOptions(), replace(CPU, memory_bytes=16 * GIB))


def test_a_cache_beyond_the_machine_is_refused_with_its_bound() -> None:
    with pytest.raises(PlanError, match=r"KV cache of 64 GiB .* does not fit: .* Use (\d+)\.") as caught:
        fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(kv_cache_gib=64), CPU)
    bound = int(re.findall(r"Use (\d+)", str(caught.value))[0])
    assert fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(kv_cache_gib=bound), CPU).kv_cache_gib == bound


def test_little_free_memory_is_a_warning() -> None:
    fitted = fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(), replace(CPU, available_bytes=2 * GIB))
    assert [warning for warning in fitted.warnings if "2 GiB are free now: close other programs" in warning]


@given(
    st.integers(1, 40_000),
    st.integers(6, 64),
    st.integers(1, 8),
    st.sampled_from(["auto", "fp8"]),
    st.sampled_from([1, 2]),
)
def test_what_is_planned_fits(context_tokens: int, memory_gib: int, kv_gib: int, kv_dtype: str, ranks: int) -> None:
    machine = replace(CPU, memory_bytes=memory_gib * GIB, numa_nodes=2)
    options = ServeOptions(
        context_tokens=context_tokens, kv_cache_gib=kv_gib, kv_cache_dtype=kv_dtype, data_parallel=ranks
    )
    try:
        fitted = fit(QWEN25_15B, WEIGHTS_BYTES, options, machine)
    except PlanError:
        return
    assert fitted.plan.max_model_len == context_tokens
    assert fitted.plan.capacity_tokens is not None
    assert fitted.plan.capacity_tokens >= context_tokens
    assert fitted.kv_cache_gib is not None
    used = fitted.kv_cache_gib * GIB + fitted.plan.memory.weights_bytes + fitted.plan.memory.reserve_bytes
    assert ranks * used <= memory_gib * GIB


@pytest.mark.parametrize(
    ("options", "machine", "said"),
    [
        (ServeOptions(tensor_parallel=2), CPU, r"2 NUMA nodes.*this machine has 1 node\. Leave both out"),
        (ServeOptions(data_parallel=4), replace(CPU, numa_nodes=2), r"has 2 nodes\. Use --tensor-parallel 2"),
        (ServeOptions(tensor_parallel=4), GPU, r"4 GPUs; this machine has 2\. Use --tensor-parallel 2"),
        (ServeOptions(attention_backend="FLASHINFER"), CPU, r"one attention backend for a CPU.*leave"),
        (ServeOptions(attention_backend="flash_atn"), GPU, r"no attention backend 'flash_atn'\. Use FLASH_ATTN\."),
        (ServeOptions(quantization="fp8"), CPU, r"fp8 weights need a GPU here\. Use --quantize int8"),
        (ServeOptions(kv_cache_dtype="int3"), CPU, r"'int3' is not possible.*Use --kv-dtype auto"),
        (ServeOptions(block_size=48), CPU, r"48 tokens do not suit.*Use a block size of (32|64)"),
    ],
)
def test_what_cannot_be_names_what_can(options: ServeOptions, machine: Hardware, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        fit(QWEN25_15B, WEIGHTS_BYTES, options, machine)


def test_a_scaling_that_the_model_lacks_is_refused() -> None:
    alibi: dict[str, Any] = {
        "model_type": "bloom",
        "n_layer": 4,
        "hidden_size": 1024,
        "n_head": 16,
        "seq_length": 2048,
        "vocab_size": 1000,
    }
    with pytest.raises(PlanError, match=r"bloom has ALiBi.*YaRN scales RoPE only.*--rope auto"):
        fit(alibi, GIB, ServeOptions(context_tokens=8192, rope="yarn"), CPU)


def test_the_users_own_binding_allows_more_ranks() -> None:
    assert fit(QWEN25_15B, GIB, ServeOptions(tensor_parallel=2), replace(CPU, has_own_binding=True)).kv_cache_gib == 2


def test_on_a_gpu_the_plan_only_refuses() -> None:
    fitted = fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(context_tokens=65_536), GPU)
    assert fitted.kv_cache_gib is None
    assert fitted.plan.max_model_len == 65_536
    assert fitted.plan.capacity_tokens is not None
    said = [*fitted.warnings, *fitted.plan.warnings]
    assert [warning for warning in said if "estimate" in warning] == list(fitted.warnings)
    with pytest.raises(PlanError, match="--context"):
        fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(context_tokens=4_000_000), GPU)
    unknown = fit(QWEN25_15B, WEIGHTS_BYTES, ServeOptions(context_tokens=65_536), replace(GPU, gpu_memory_bytes=None))
    assert "memory of the GPU is not known" in unknown.warnings[0]
