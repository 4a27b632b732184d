"""The plan's capacity is vLLM's own, to the block, for tiny random models of every kind of attention."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graphreader.plan import Plan, PlanRequest, make_plan

pytestmark = pytest.mark.live

_SMALL = {"vocab_size": 128, "hidden_size": 128, "intermediate_size": 128, "num_attention_heads": 4, "head_dim": 32}
_LLAMA = _SMALL | {"model_type": "llama", "num_hidden_layers": 2, "max_position_embeddings": 1024}
_GEMMA3 = _SMALL | {"model_type": "gemma3_text", "sliding_window": 100, "num_key_value_heads": 2, "dtype": "bfloat16"}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
_LATENT = _SMALL | {
    "model_type": "deepseek_v3",
    "num_hidden_layers": 2,
    "first_k_dense_replace": 1,
    "max_position_embeddings": 512,
    "num_key_value_heads": 4,
    "kv_lora_rank": 512,
    "q_lora_rank": 64,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "n_routed_experts": 4,
    "n_group": 1,
    "num_experts_per_tok": 2,
    "topk_method": "noaux_tc",
    "topk_group": 1,
    "moe_intermediate_size": 64,
    "dtype": "bfloat16",
}
_LATENT.pop("head_dim")


@dataclass(frozen=True)
class Case:
    """A model to make, and what is wished of it. 50,000,003 bytes fill no whole number of blocks."""

    config: dict[str, Any]
    wish: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int = 50_000_003

    def request(self) -> PlanRequest:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
        known = frozenset(flag for flag in ("amx_tile", "avx512_bf16") if flag in flags)
        wish = {"max_batched_tokens": 256} | self.wish
        return PlanRequest(device="cpu", kv_memory_bytes=self.memory_bytes, cpu_flags=known, **wish)


CASES = {
    "multi-head": Case(_LLAMA | {"num_key_value_heads": 4}),
    "multi-query": Case(_LLAMA | {"num_key_value_heads": 1, "dtype": "float16"}),
    "grouped-query": Case(_LLAMA | {"num_key_value_heads": 2, "dtype": "bfloat16"}, {"context_tokens": 777}),
    "grouped-query, blocks of 32": Case(_LLAMA | {"num_key_value_heads": 2}, {"block_size": 32}),
    "grouped-query, fp8": Case(_LLAMA | {"num_key_value_heads": 2}, {"kv_dtype": "fp8"}),
    "little memory": Case(_LLAMA | {"num_key_value_heads": 4}, memory_bytes=600_000),
    "learned positions": Case(
        {"model_type": "gpt2", "vocab_size": 128, "n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 700}
    ),
    "multi-query, learned positions": Case(
        {"model_type": "gpt_bigcode", "vocab_size": 128, "n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 512}
    ),
    "latent": Case(_LATENT),
    "alibi": Case(
        {"model_type": "bloom", "vocab_size": 128, "hidden_size": 128, "n_layer": 2, "n_head": 4},
        {"context_tokens": 900},
    ),
    "falcon": Case(
        {
            "model_type": "falcon",
            "vocab_size": 128,
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
    ),
    "all windows": Case(
        _SMALL
        | {"model_type": "mistral", "num_hidden_layers": 2, "num_key_value_heads": 2, "sliding_window": 100}
        | {"max_position_embeddings": 4096}
    ),
    "gemma 2": Case(
        _SMALL
        | {"model_type": "gemma2", "num_hidden_layers": 5, "num_key_value_heads": 2, "sliding_window": 100}
        | {"max_position_embeddings": 2048, "dtype": "bfloat16"}
    ),
    "gemma 3, 5 to 1": Case(_GEMMA3 | {"num_hidden_layers": 13, "max_position_embeddings": 4096}),
    "gemma 3, blocks of 64, long": Case(
        _GEMMA3 | {"num_hidden_layers": 6, "max_position_embeddings": 32_768}, {"block_size": 64}
    ),
    "cohere 2": Case(
        _SMALL
        | {"model_type": "cohere2", "num_hidden_layers": 4, "num_key_value_heads": 2, "sliding_window": 64}
        | {"max_position_embeddings": 2048}
    ),
    "chunked": Case(
        _SMALL
        | {"model_type": "llama4_text", "num_hidden_layers": 4, "num_key_value_heads": 2}
        | {"attention_chunk_size": 128, "num_local_experts": 2, "max_position_embeddings": 2048, "dtype": "bfloat16"}
        | {"intermediate_size_mlp": 128, "num_experts_per_tok": 1}
    ),
    "some layers without positions": Case(
        _SMALL
        | {"model_type": "smollm3", "num_hidden_layers": 4, "num_key_value_heads": 2, "pad_token_id": 0}
        | {"max_position_embeddings": 1024}
    ),
    "experts, mixtral": Case(
        _SMALL
        | {"model_type": "mixtral", "num_hidden_layers": 2, "num_key_value_heads": 2, "num_local_experts": 4}
        | {"max_position_embeddings": 1024, "dtype": "bfloat16"}
    ),
    "experts, qwen 3": Case(
        _SMALL
        | _EXPERTS
        | {"model_type": "qwen3_moe", "num_hidden_layers": 2, "num_key_value_heads": 2}
        | {"max_position_embeddings": 1024, "dtype": "bfloat16"}
    ),
    "state space and attention": Case(
        _SMALL
        | {"model_type": "granitemoehybrid", "num_hidden_layers": 4, "num_key_value_heads": 2, "mamba_n_heads": 8}
        | {"layer_types": ["mamba", "attention", "mamba", "mamba"], "mamba_d_head": 32, "mamba_d_state": 16}
        | {"num_local_experts": 0, "shared_intermediate_size": 128, "max_position_embeddings": 1024}
        | {"position_embedding_type": "nope", "mamba_chunk_size": 64, "dtype": "bfloat16"},
        {"prefix_caching": False},
    ),
    "linear and attention": Case(
        _SMALL
        | _EXPERTS
        | {"model_type": "qwen3_next", "num_hidden_layers": 4, "num_key_value_heads": 2}
        | {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 128, "dtype": "bfloat16"}
        | {"linear_value_head_dim": 128, "shared_expert_intermediate_size": 64, "max_position_embeddings": 1024}
    ),
    "convolution and attention": Case(
        _SMALL
        | {"model_type": "lfm2", "num_hidden_layers": 4, "num_key_value_heads": 2, "dtype": "bfloat16"}
        | {
            "conv_dim": 128,
            "block_dim": 128,
            "block_ff_dim": 128,
            "layer_types": ["conv", "full_attention", "conv", "full_attention"],
            "max_position_embeddings": 1024,
        }
    ),
    "state space alone": Case(
        {"model_type": "mamba2", "vocab_size": 128, "hidden_size": 64, "num_hidden_layers": 2, "num_heads": 4}
        | {"head_dim": 32, "state_size": 16, "n_groups": 1, "chunk_size": 64, "dtype": "bfloat16"},
        {"prefix_caching": False},
    ),
    "yarn": Case(_LLAMA | {"max_position_embeddings": 256}, {"context_tokens": 1000, "rope": "yarn"}),
    "interpolation": Case(_LLAMA | {"max_position_embeddings": 256}, {"context_tokens": 1000, "rope": "linear"}),
    "ntk": Case(_LLAMA | {"max_position_embeddings": 256}, {"context_tokens": 1000, "rope": "ntk"}),
    "yarn, a base for each kind of layer": Case(
        _GEMMA3 | {"num_hidden_layers": 6, "max_position_embeddings": 256}, {"context_tokens": 1000, "rope": "yarn"}
    ),
    "interpolation, a base for each kind of layer": Case(
        _GEMMA3 | {"num_hidden_layers": 6, "max_position_embeddings": 256}, {"context_tokens": 1000, "rope": "linear"}
    ),
    "more yarn on a latent": Case(
        _LATENT
        | {
            "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "mscale": 1.0}
            | {"mscale_all_dim": 1.0, "original_max_position_embeddings": 128}
        },
        {"context_tokens": 1000},
    ),
    "alibi beyond its training": Case(
        {"model_type": "bloom", "vocab_size": 128, "hidden_size": 128, "n_layer": 2, "n_head": 4, "seq_length": 256},
        {"context_tokens": 900},
    ),
}


@dataclass(frozen=True)
class Loaded:
    """What was planned, and what vLLM said of the same model."""

    plan: Plan
    said: dict[str, Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """All models made and loaded, one after the other, in one process: importing vLLM takes longer than all of them."""
    folders = {name: tmp_path_factory.mktemp("model") for name in CASES}
    made = [{"name": n, "folder": str(folders[n]), "config": case.config} for n, case in CASES.items()]
    _run("make", made)
    plans = {
        name: make_plan(json.loads((folders[name] / "config.json").read_text(encoding="utf-8")), case.request())
        for name, case in CASES.items()
    }
    said = _run("load", [case | {"arguments": list(plans[case["name"]].vllm_args)} for case in made])
    return {name: Loaded(plans[name], said[name]) for name in CASES}


def _run(what: str, cases: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    script = Path(__file__).with_name("load_tiny.py")
    environment = {key: value for key, value in os.environ.items() if key != "VLLM_CPU_KVCACHE_SPACE"}
    done = subprocess.run(
        [sys.executable, str(script), what],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env=environment | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        timeout=3600,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case":')]
    assert len(lines) == len(cases), done.stderr[-2000:]
    return {line["case"]: line for line in lines}


@pytest.mark.parametrize("name", CASES)
def test_what_is_planned_is_what_vllm_reports(loaded: dict[str, Loaded], name: str) -> None:
    plan, said = loaded[name].plan, loaded[name].said
    assert "error" not in said, said["error"]
    planned = (plan.max_model_len, plan.block_size, plan.num_blocks, plan.capacity_tokens)
    assert planned == (said["max_model_len"], said["block_size"], said["num_blocks"], said["capacity_tokens"])
    assert plan.max_concurrency == pytest.approx(said["max_concurrency"], rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_long_prompt_is_read_without_leaving_the_tables(loaded: dict[str, Loaded], name: str) -> None:
    """An override with a table too short yields NaN, with exit code 0."""
    said = loaded[name].said
    assert said["logprobs"]
    assert all(math.isfinite(value) for value in said["logprobs"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "rope" in case.wish])
def test_the_override_reaches_the_model(loaded: dict[str, Loaded], name: str) -> None:
    overrides = loaded[name].plan.hf_overrides["rope_parameters"]
    assert loaded[name].said["rope_parameters"] == overrides
    scaled = overrides.get("full_attention", overrides)
    assert scaled["rope_theta"] == (1_000_000.0 if "full_attention" in overrides else 10_000.0)
