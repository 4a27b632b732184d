"""Windows, and the overrides that extend them without the traps: no base lost, no length left out, no factor twice."""

from __future__ import annotations

import json
from typing import Any

import model_configs as models
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphreader.errors import PlanError
from graphreader.plan import PlanRequest, make_plan
from graphreader.plan.records import RopeChoice


def overrides(config: dict[str, Any], context_tokens: int, rope: RopeChoice = "auto") -> dict[str, Any]:
    made = make_plan(config, PlanRequest(context_tokens=context_tokens, rope=rope))
    if made.hf_overrides:
        given = made.vllm_args[made.vllm_args.index("--hf-overrides") + 1]
        assert json.loads(given) == made.hf_overrides
        assert any("every prompt alike" in warning for warning in made.warnings)
    return made.hf_overrides


def test_yarn_names_base_trained_length_and_new_length() -> None:
    assert overrides(models.QWEN25_15B, 131_072) == {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 1000000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 32768,
        },
        "max_position_embeddings": 131_072,
    }


def test_interpolation_leaves_the_length_to_vllm_which_multiplies_it() -> None:
    made = overrides(models.QWEN25_15B, 65_536, "linear")
    assert made == {"rope_parameters": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 2.0}}
    assert isinstance(made["rope_parameters"]["factor"], float)  # vLLM takes an integer for a list of factors


def test_ntk_has_a_table_as_long_as_the_window() -> None:
    made = overrides(models.QWEN25_15B, 100_000, "ntk")
    assert made["max_position_embeddings"] == 100_000
    assert made["rope_parameters"] == {
        "rope_type": "dynamic",
        "rope_theta": 1000000.0,
        "factor": 1.0,
        "max_trained_positions": 32768,
    }


def test_a_model_with_yarn_gets_more_of_it_and_keeps_the_rest() -> None:
    made = overrides(models.DEEPSEEK_V3, 200_000)
    assert made["rope_parameters"]["factor"] == 49.0
    assert made["rope_parameters"]["mscale_all_dim"] == 1.0
    assert made["rope_parameters"]["original_max_position_embeddings"] == 4096
    assert made["max_position_embeddings"] == 4096 * 49


def test_a_nested_config_is_overridden_where_it_is_read() -> None:
    nested = {"model_type": "llava", "text_config": models.QWEN25_15B, "vision_config": {}}
    assert overrides(nested, 131_072) == {"text_config": overrides(models.QWEN25_15B, 131_072)}


def test_only_layers_that_look_back_at_everything_are_scaled() -> None:
    made = overrides(models.GEMMA3_4B, 262_144)["text_config"]
    assert made["rope_parameters"]["full_attention"] == {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 16.0}
    assert made["rope_parameters"]["sliding_attention"] == {"rope_type": "default", "rope_theta": 10000.0}
    assert made["max_position_embeddings"] == 262_144


def test_a_partial_rotation_stays_partial() -> None:
    config = {"model_type": "stablelm", "partial_rotary_factor": 0.25, "num_hidden_layers": 4, "hidden_size": 2048}
    config |= {"num_attention_heads": 32, "max_position_embeddings": 4096, "rope_theta": 10000}
    assert overrides(config, 8192)["rope_parameters"]["partial_rotary_factor"] == 0.25


@pytest.mark.parametrize(
    ("config", "kind", "native"),
    [
        (models.QWEN25_15B, "rope", 32_768),
        (models.LLAMA31_8B, "rope", 131_072),
        (models.DEEPSEEK_V3, "rope", 163_840),
        (models.GEMMA3_4B, "rope", 131_072),
        (models.LLAMA2_7B | {"rope_scaling": {"type": "linear", "factor": 4.0}}, "rope", 16_384),
        (models.LLAMA2_7B | {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope", 8192),
        (models.BLOOM_560M, "alibi", None),
        (models.GPT2, "learned", 1024),
        (models.JAMBA, "none", 262_144),
        ({"model_type": "xglm", "num_layers": 2, "d_model": 64, "attention_heads": 2}, "sinusoidal", 2048),
    ],
)
def test_kind_and_native_window(config: dict[str, Any], kind: str, native: int | None) -> None:
    made = make_plan(config, PlanRequest())
    assert (made.position_encoding.kind, made.native_context) == (kind, native)


@pytest.mark.parametrize(
    ("config", "context_tokens", "rope", "words"),
    [
        (models.GPT2, 2048, "yarn", ["learned positions", "--context 1024"]),
        (models.GPT2, 2048, "auto", ["learned positions", "--context 1024"]),
        (models.BLOOM_560M | {"seq_length": 2048}, 4096, "yarn", ["ALiBi", "YaRN scales RoPE only", "--rope auto"]),
        (models.LLAMA31_8B, 200_000, "auto", ["already scaled (llama3)", "--context 131072"]),
        (models.QWEN25_15B, 40_000, "none", ["forbids", "--rope yarn"]),
        (models.DEEPSEEK_V3, 200_000, "linear", ["scaled by yarn", "--rope yarn"]),
    ],
)
def test_what_does_not_stretch_is_refused(
    config: dict[str, Any], context_tokens: int, rope: RopeChoice, words: list[str]
) -> None:
    with pytest.raises(PlanError) as caught:
        overrides(config, context_tokens, rope)
    for word in words:
        assert word in str(caught.value)


def test_alibi_goes_on_with_a_warning() -> None:
    request = PlanRequest(context_tokens=4096)
    made = make_plan(models.BLOOM_560M | {"seq_length": 2048}, request)
    assert made.hf_overrides == {"seq_length": 4096}
    assert any("beyond the 2,048" in warning for warning in made.warnings)
    assert make_plan(models.BLOOM_560M, request).hf_overrides == {}


def test_within_the_native_window_nothing_is_scaled() -> None:
    made = make_plan(models.QWEN25_15B, PlanRequest(context_tokens=32_768, rope="yarn"))
    assert made.hf_overrides == {}
    assert any("no YaRN is applied" in warning for warning in made.warnings)


def test_long_rope_starts_at_its_short_window_unless_asked() -> None:
    scaling = {"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [2.0] * 48}
    config = models.LLAMA2_7B | {"model_type": "phi3", "rope_scaling": scaling, "max_position_embeddings": 131_072}
    config |= {"original_max_position_embeddings": 4096}
    assert make_plan(config, PlanRequest()).max_model_len == 4096
    asked = make_plan(config, PlanRequest(context_tokens=131_072))
    assert asked.hf_overrides == {}
    assert any("long factors for every prompt" in warning for warning in asked.warnings)


@settings(deadline=None)  # a busy machine misses any
@given(
    context_tokens=st.integers(32_769, 4_000_000),
    rope=st.sampled_from(["auto", "yarn", "linear", "ntk"]),
    theta=st.floats(1_000.0, 1e9),
)
def test_every_override_covers_the_window_and_keeps_the_base(
    context_tokens: int, rope: RopeChoice, theta: float
) -> None:
    made = overrides(models.QWEN25_15B | {"rope_theta": theta}, context_tokens, rope)
    parameters = made["rope_parameters"]
    assert parameters["rope_theta"] == theta
    length = made.get("max_position_embeddings", 32_768)
    if parameters["rope_type"] == "yarn":
        rows = derived = parameters["original_max_position_embeddings"] * parameters["factor"]
        assert length == rows
    else:
        derived = length * parameters["factor"]
        rows = derived if parameters["rope_type"] == "linear" else length
    assert context_tokens <= rows
    assert context_tokens <= derived
