"""What a plan says of published models, against figures known from elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any

import model_configs as models
import pytest

from graphreader.errors import PlanError
from graphreader.plan import Plan, PlanRequest, make_plan
from graphreader.plan.records import Heads, Reach

GIB = 1024**3


def plan(config: dict[str, Any], **wishes: Any) -> Plan:
    return make_plan(config, PlanRequest(**wishes))


@pytest.mark.parametrize(
    ("config", "heads", "bytes_per_token"),
    [
        (models.SMOLLM2_135M, Heads.GROUPED_QUERY, 23_040),
        (models.QWEN25_15B, Heads.GROUPED_QUERY, 28_672),
        (models.LLAMA31_8B, Heads.GROUPED_QUERY, 131_072),
        (models.LLAMA31_70B, Heads.GROUPED_QUERY, 327_680),
        (models.LLAMA2_7B, Heads.MULTI_HEAD, 524_288),
        (models.LLAMA2_7B | {"num_key_value_heads": 1}, Heads.MULTI_QUERY, 16_384),
        (models.DEEPSEEK_V3, Heads.MULTI_HEAD_LATENT, 70_272),
        (models.GPT2, Heads.MULTI_HEAD, 36_864),
    ],
    ids=["smollm2", "qwen2.5", "llama 3.1 8b", "llama 3.1 70b", "llama 2", "llama 2 with mqa", "deepseek v3", "gpt 2"],
)
def test_bytes_per_token(config: dict[str, Any], heads: Heads, bytes_per_token: int) -> None:
    made = plan(config)
    assert made.attention.heads is heads
    assert made.kv_bytes_per_token == bytes_per_token
    assert sum(layer.bytes_per_token for layer in made.attention.layers) == bytes_per_token


def test_capacity_is_what_vllm_logged_on_a_cpu() -> None:
    small = plan(models.SMOLLM2_135M, device="cpu", kv_memory_bytes=4 * GIB)
    assert (small.num_blocks, small.block_size, small.capacity_tokens) == (1456, 128, 186_368)
    assert plan(models.QWEN25_15B, device="cpu", kv_memory_bytes=5 * GIB).capacity_tokens == 187_136


def test_packed_latents_and_quantised_heads() -> None:
    assert plan(models.DEEPSEEK_V3, kv_dtype="fp8_ds_mla").kv_bytes_per_token == 40_016
    assert plan(models.LLAMA31_8B, kv_dtype="int8_per_token_head").kv_bytes_per_token == 32 * 8 * (2 * 128 + 8)


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        (models.SMOLLM2_135M, 0.1345),
        (models.QWEN25_15B, 1.544),
        (models.LLAMA31_8B, 8.030),
        (models.LLAMA31_70B, 70.55),
        (models.LLAMA2_7B, 6.738),
        (models.MIXTRAL_8X7B, 46.70),
        (models.QWEN3_30B_A3B, 30.53),
        (models.GEMMA2_9B, 9.241),
        (models.DEEPSEEK_V3, 671.0),
        (models.GPT2, 0.1244),
        (models.BLOOM_560M, 0.5592),
    ],
)
def test_parameters_are_counted_within_a_hundredth(config: dict[str, Any], billions: float) -> None:
    assert plan(config).memory.parameters / 1e9 == pytest.approx(billions, rel=0.01)


def test_active_parameters_of_experts() -> None:
    assert plan(models.MIXTRAL_8X7B).memory.active_parameters / 1e9 == pytest.approx(12.9, rel=0.01)
    assert plan(models.QWEN3_30B_A3B).memory.active_parameters / 1e9 == pytest.approx(3.34, rel=0.02)
    assert plan(models.DEEPSEEK_V3).memory.active_parameters / 1e9 == pytest.approx(37.5, rel=0.02)
    assert plan(models.LLAMA31_8B).mixture is None


def test_weights_follow_their_quantisation() -> None:
    awq = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
    plain, quantised = plan(models.LLAMA31_8B).memory, plan(models.LLAMA31_8B | awq).memory
    assert plain.weights_bytes == plain.parameters * 2
    assert 5.2 * GIB < quantised.weights_bytes < 5.6 * GIB  # the file on the hub has 5.34 GiB
    assert plan(models.LLAMA31_8B, tensor_parallel=4).memory.weights_bytes == plain.weights_bytes // 4
    assert plan(models.LLAMA31_8B, weights_bytes=123).memory.weights_bytes == 123


def test_a_model_of_windows_and_full_layers() -> None:
    made = plan(models.GEMMA2_9B, kv_memory_bytes=8 * GIB)
    reaches = [layer.reach for layer in made.attention.layers]
    assert reaches[:4] == [Reach.SLIDING, Reach.FULL, Reach.SLIDING, Reach.FULL]
    assert [(group.layers, group.block_size) for group in made.groups] == [(21, 16), (21, 16)]
    assert made.kv_bytes_per_far_token * 2 == made.kv_bytes_per_token
    # 4095 tokens of the window and two steps of 2048 are held at most; a whole request is 8192 tokens.
    assert [group.blocks_per_request for group in made.groups] == [-(-(4095 + 4096) // 16) + 1, 8192 // 16]


def test_a_config_that_leaves_nearly_everything_out() -> None:
    made = plan(models.GEMMA3_4B, kv_memory_bytes=8 * GIB)
    assert (made.attention.query_heads, made.attention.kv_heads, made.native_context) == (8, 4, 131_072)
    assert made.kv_bytes_per_token == 34 * 2 * 4 * 256 * 2
    assert [layer.reach for layer in made.attention.layers].count(Reach.FULL) == 5
    assert {layer.window_tokens for layer in made.attention.layers} == {None, 1024}
    assert [group.layers for group in made.groups] == [5, 5, 5, 5, 5, 4, 5]


def test_windows_everywhere_cost_little_per_request() -> None:
    made = plan(models.MISTRAL_7B_V01, kv_memory_bytes=8 * GIB)
    assert made.kv_bytes_per_far_token == 0
    assert made.groups[0].blocks_per_request == -(-(4095 + 4096) // 16) + 1


def test_chunked_layers_hold_a_chunk_and_what_is_under_way() -> None:
    made = plan(models.LLAMA4_SCOUT, context_tokens=1_000_000)
    assert made.position_encoding.nope_layers == 12
    assert [(group.reach, group.layers, group.blocks_per_request) for group in made.groups] == [
        *[(Reach.CHUNKED, 12, (8192 + 2 * 2048) // 16)] * 3,
        (Reach.FULL, 12, 62_500),
    ]


def test_states_do_not_grow_with_the_request() -> None:
    short, long = plan(models.JAMBA, context_tokens=1000), plan(models.JAMBA, context_tokens=100_000)
    assert short.state_bytes_per_request == long.state_bytes_per_request == 28 * (8192 * 3 + 8192 * 16) * 2
    assert short.kv_bytes_per_token == 4 * 2 * 8 * 128 * 2
    assert [layer.index for layer in short.attention.layers if layer.heads is not Heads.NONE] == [4, 12, 20, 28]


def test_the_window_is_what_memory_allows_and_says_so() -> None:
    made = plan(models.LLAMA2_7B, kv_memory_bytes=1 * GIB)
    assert (made.bound, made.max_model_len) == ("memory", 2032)  # 128 blocks of 16, one of which is never given out
    assert plan(models.LLAMA2_7B, kv_memory_bytes=8 * GIB).bound == "native window"
    assert plan(models.LLAMA2_7B, kv_memory_bytes=8 * GIB, context_tokens=1000).bound == "request"


def test_memory_of_a_device_is_split_between_weights_and_cache() -> None:
    made = plan(models.LLAMA31_8B, memory_bytes=80 * GIB)
    memory = made.memory
    assert memory.kv_bytes == int(80 * GIB * 0.92) - memory.weights_bytes - memory.reserve_bytes
    assert f"--kv-cache-memory-bytes {memory.kv_bytes}" in " ".join(made.vllm_args)
    assert any("estimate" in warning for warning in made.warnings)


def test_no_memory_named_no_capacity_claimed() -> None:
    made = plan(models.LLAMA31_8B)
    assert (made.capacity_tokens, made.max_concurrency, made.num_blocks) == (None, None, None)
    assert "--kv-cache-memory-bytes" not in made.vllm_args


def test_the_comparison_has_the_model_itself_among_the_kinds() -> None:
    rows = {row.heads: row for row in plan(models.LLAMA31_8B, kv_memory_bytes=16 * GIB).comparison}
    assert {heads: row.bytes_per_token for heads, row in rows.items()} == {
        Heads.MULTI_HEAD: 524_288,
        Heads.GROUPED_QUERY: 131_072,
        Heads.MULTI_QUERY: 16_384,
        Heads.MULTI_HEAD_LATENT: 32 * (4 * 128 + 64) * 2,
    }
    assert [heads for heads, row in rows.items() if row.is_this_model] == [Heads.GROUPED_QUERY]
    assert rows[Heads.GROUPED_QUERY].tokens_that_fit == 131_072
    own = {row.heads: row.bytes_per_token for row in plan(models.DEEPSEEK_V3).comparison}
    assert own[Heads.MULTI_HEAD] == 61 * 128 * (192 + 128) * 2
    assert own[Heads.MULTI_HEAD_LATENT] == 70_272


def test_prefill_counts_matrices_and_scores() -> None:
    cost = plan(models.LLAMA31_8B, context_tokens=131_072).prefill
    matrices = 32 * (4096 * 4096 * 2 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    scores = 32 * 4 * 32 * 128 * 131_072 * 131_073 // 2
    assert cost.attention_flops == scores
    assert cost.flops == pytest.approx(2 * matrices * 131_072 + scores, rel=1e-3)
    assert cost.score_matrix_bytes == 32 * 131_072**2 * 2  # 1 TiB
    assert cost.flash_tile_bytes == 64 * 1024


def test_arguments_are_those_of_the_wish() -> None:
    made = plan(models.LLAMA31_8B, tensor_parallel=2, kv_dtype="fp8", block_size=32, kv_memory_bytes=GIB * 20)
    line = " ".join(made.vllm_args)
    for words in ("--tensor-parallel-size 2", "--kv-cache-dtype fp8", "--block-size 32", "--max-model-len 131072"):
        assert words in line
    assert "--hf-overrides" not in line


def test_a_cache_dtype_in_the_config_is_followed() -> None:
    scheme = {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    assert plan(models.LLAMA31_8B | {"quantization_config": scheme}).kv_bytes_per_token == 65_536


@pytest.mark.parametrize("name", models.ALL)
def test_a_plan_is_plain_data(name: str) -> None:
    from dataclasses import asdict

    made = plan(models.ALL[name], kv_memory_bytes=64 * GIB)
    again = json.loads(json.dumps(asdict(made)))
    assert again["attention"]["heads"] == made.attention.heads.value
    assert again["capacity_tokens"] == made.capacity_tokens


def test_an_unknown_type_is_read_by_the_usual_names_and_says_so() -> None:
    made = plan(models.LLAMA31_8B | {"model_type": "brand_new"})
    assert made.kv_bytes_per_token == 131_072
    assert any("brand_new is not known" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("config", "wishes", "words"),
    [
        (models.LLAMA31_8B, {"tensor_parallel": 3}, ["32 query heads", "--tensor-parallel 2 or 4"]),
        (models.QWEN25_15B, {"tensor_parallel": 8}, ["12 query heads", "--tensor-parallel 6 or 12"]),
        (
            models.LLAMA31_8B,
            {"kv_memory_bytes": 8 * GIB, "context_tokens": 100_000},
            ["--context 65520", "--kv-dtype fp8"],
        ),
        (models.LLAMA31_70B, {"memory_bytes": 80 * GIB}, ["131 GiB", "--tensor-parallel 2"]),
        (models.LLAMA31_8B, {"kv_memory_bytes": 1000}, ["1 tokens need"]),
        (models.LLAMA31_8B, {"kv_dtype": "fp8_ds_mla"}, ["fp8_ds_mla", "--kv-dtype auto"]),
        (models.LLAMA31_8B, {"kv_dtype": "nvfp4", "device": "cpu"}, ["nvfp4", "CPU", "fp8_e4m3"]),
        (models.LLAMA31_8B, {"block_size": 20}, ["multiples of 16", "block size of 16"]),
        (models.LLAMA31_8B, {"block_size": 16, "device": "cpu"}, ["multiples of 32", "block size of 32"]),
        (models.LLAMA31_8B | {"head_dim": 100}, {"device": "cpu"}, ["heads of 32, 64", "have 100"]),
        (models.DEEPSEEK_V3 | {"kv_lora_rank": 256}, {"device": "cpu"}, ["latent of 576", "has 320"]),
        (models.LLAMA31_8B, {"context_tokens": 0}, ["context of 0"]),
        ({"model_type": "clip"}, {}, ["not a language model"]),
        (models.GEMMA2_9B | {"layer_types": ["odd"] * 42}, {}, ["'odd'"]),
    ],
)
def test_what_cannot_be_names_what_can(config: dict[str, Any], wishes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(PlanError) as caught:
        plan(config, **wishes)
    for word in words:
        assert word in str(caught.value)


def test_the_nearest_context_of_a_refusal_works() -> None:
    with pytest.raises(PlanError, match="--context 65520"):
        plan(models.LLAMA31_8B, kv_memory_bytes=8 * GIB, context_tokens=100_000)
    assert plan(models.LLAMA31_8B, kv_memory_bytes=8 * GIB, context_tokens=65_520).max_concurrency is not None
    with pytest.raises(PlanError):
        plan(models.LLAMA31_8B, kv_memory_bytes=8 * GIB, context_tokens=65_521)
    assert plan(models.LLAMA31_8B, kv_memory_bytes=8 * GIB, context_tokens=100_000, kv_dtype="fp8").kv_dtype == "fp8"


def test_the_nearest_memory_of_a_refusal_works() -> None:
    with pytest.raises(PlanError, match="--kv-memory") as caught:
        plan(models.GEMMA2_9B, kv_memory_bytes=GIB // 2, context_tokens=8000)
    enough = int(re.findall(r"--kv-memory (\d+)", str(caught.value))[0])
    assert plan(models.GEMMA2_9B, kv_memory_bytes=enough, context_tokens=8000).max_concurrency is not None
    with pytest.raises(PlanError):
        plan(models.GEMMA2_9B, kv_memory_bytes=enough - 1, context_tokens=8000)
