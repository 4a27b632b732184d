"""What a config.json leaves out is read as transformers fills it in: the whole and its cut give the same plan."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import model_configs as models
import pytest

from graphreader.plan import PlanRequest, make_plan

pytestmark = pytest.mark.live
_TYPES = """
    apertus arcee bloom cohere cohere2 cwm deepseek_v2 exaone4 falcon falcon_h1 gemma gemma2 gemma3_text
    gemma3n_text glm glm4_moe gpt_oss gpt_neox granite granitemoehybrid jamba lfm2 llama llama4_text mamba2
    ministral mistral mixtral olmo3 olmoe opt phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next seed_oss
    smollm3 stablelm starcoder2
""".split()


def whole(config: dict[str, Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoConfig

        made: dict[str, Any] = AutoConfig.for_model(**config).to_dict()
    return made


@pytest.mark.parametrize("name", models.ALL)
def test_published_configs(name: str) -> None:
    _same_plan(models.ALL[name])


@pytest.mark.parametrize("model_type", _TYPES)
def test_configs_that_say_nothing_but_their_type(model_type: str) -> None:
    _same_plan({"model_type": model_type, "torch_dtype": "bfloat16"})


@pytest.mark.parametrize("model_type", _TYPES)
def test_configs_of_another_size(model_type: str) -> None:
    if model_type == "gemma3n_text":
        pytest.skip("its last 15 layers share the keys and values of those before")
    _same_plan({"model_type": model_type, "num_hidden_layers": 7, "vocab_size": 1000, "torch_dtype": "bfloat16"})


def _same_plan(config: dict[str, Any]) -> None:
    request = PlanRequest(kv_memory_bytes=64 * 1024**3, context_tokens=1000)
    cut, full = make_plan(config, request), make_plan(whole(config), request)
    assert cut.attention == full.attention
    assert cut.position_encoding == full.position_encoding
    assert replace(cut, vllm_args=()) == replace(full, vllm_args=())
