"""Write ``graphreader/plan/defaults.json``: what transformers assumes where a model's config.json is silent.

A config.json may leave out whatever equals its class's default (Gemma 3's leaves out nearly everything), and may spell
``hidden_size`` as ``n_embd``. The plan must read it as vLLM does, without loading transformers; hence this table, made
from transformers once: ``python requirements/model_defaults.py``.
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import MISSING
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "graphreader" / "plan" / "defaults.json"
#: What the plan asks for, by its canonical name; others are dropped.
KEYS = frozenset(
    """
    activation alibi attention_bias attention_chunk_size attention_k_eq_v attn_layer_indices attn_layer_offset
    attn_layer_period bias conv_L_cache conv_dim conv_kernel decoder_sparse_step expand expert_layer_offset
    expert_layer_period ffn_dim first_k_dense_replace global_head_dim head_dim hidden_act hidden_activation hidden_size
    index_head_dim index_topk interleave_moe_layer_step intermediate_size intermediate_size_mlp kv_lora_rank
    linear_conv_kernel_dim linear_key_head_dim linear_num_key_heads linear_num_value_heads linear_value_head_dim
    mamba_d_conv mamba_d_head mamba_d_ssm mamba_d_state mamba_expand mamba_head_dim mamba_headdim mamba_n_groups
    mamba_n_heads mamba_ngroups mamba_num_heads mamba_ssm_cache_dtype mamba_ssm_dtype max_position_embeddings
    max_window_layers mlp_hidden_act mlp_only_layers model_max_length moe_intermediate_size moe_layer_freq
    moe_num_experts moe_num_shared_experts multi_query n_group n_groups n_head_kv n_heads n_inner n_mamba_heads
    n_positions n_routed_experts n_shared_experts new_decoder_architecture no_rope_layer_interval num_attention_groups
    num_attention_heads num_experts num_experts_per_tok num_global_key_value_heads num_heads num_hidden_layers
    num_key_value_heads num_kv_heads num_kv_shared_layers num_local_experts partial_rotary_factor
    position_embedding_type q_lora_rank qk_nope_head_dim qk_rope_head_dim rope_parameters seq_length
    shared_expert_intermediate_size shared_intermediate_size sliding_window sliding_window_pattern ssm_state_size
    state_size tie_word_embeddings use_sliding_window v_head_dim vocab_size word_embed_proj_dim
    """.split()
)


def main() -> None:
    """Write the table."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    table: dict[str, Any] = {}
    for name in sorted({*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}):
        if (config := _default_config(name)) is None:
            continue
        text = config.get_text_config()
        if text.model_type != name:  # a multimodal model's part, whose class has defaults of its own
            table[name] = text.model_type
            text = _default_config(text.model_type) or text
        table[text.model_type] = _entry(text)
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True, separators=(',', ':'))}"
        for name, entry in sorted(table.items())
    )
    TARGET.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def _default_config(name: str) -> Any:  # noqa: ANN401 - a transformers config
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    try:
        config = CONFIG_MAPPING[name]()
    except (StrictDataclassError, TypeError, ValueError, AttributeError, KeyError):
        return None  # made of other configs; has no default of its own
    return None if config.is_encoder_decoder else config


def _entry(config: Any) -> dict[str, Any]:  # noqa: ANN401
    # The class's defaults, not what its constructor works out of them (head_dim from hidden_size, and so on).
    fields = type(config).__dataclass_fields__
    values = {
        key: fields[key].default if key in fields and fields[key].default is not MISSING else value
        for key, value in config.to_dict().items()
    }
    if isinstance(values.get("rope_parameters"), type(None)):
        values["rope_parameters"] = getattr(config, "rope_parameters", None)
    spelled = dict(type(config).attribute_map)
    entry: dict[str, Any] = {
        key: value
        for key, value in values.items()
        if key in KEYS and value is not None and not (isinstance(value, list) and len(value) > 8)
    }
    for canonical, raw in spelled.items():
        if canonical in KEYS and values.get(raw) is not None:
            entry[canonical] = values[raw]
    entry["spelled"] = {canonical: raw for canonical, raw in spelled.items() if canonical in KEYS}
    kinds = getattr(config, "layer_types", None) or []
    if set(kinds) - {"full_attention"} and (pattern := _pattern(kinds)) is not None:
        entry["layer_pattern"] = pattern
    return entry


def _pattern(kinds: list[str]) -> list[str] | None:
    """The shortest beginning whose repetition is the whole."""
    for length in range(1, len(kinds) // 2 + 1):
        if all(kind == kinds[position % length] for position, kind in enumerate(kinds)):
            return kinds[:length]
    return None


if __name__ == "__main__":
    main()
