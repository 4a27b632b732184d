"""From a config to layers: how heads share keys and values, and what each layer looks back at.

Mirrors what vLLM 0.32 builds (``transformers_utils/model_arch_config_convertor.py`` and its model files), which is not
always what a config asks for.
"""

from __future__ import annotations

from graphreader.errors import PlanError
from graphreader.plan.config import ModelConfig
from graphreader.plan.records import Architecture, Heads, Layer, Mixture, Reach
from graphreader.plan.states import state_elements

#: Model types whose attention vLLM runs on a latent (``is_deepseek_mla`` there).
_LATENT_TYPES = frozenset(
    "axk1 deepseek_v2 deepseek_v3 deepseek_v32 dots3_note glm_moe_dsa glm4_moe_lite kimi_k2 kimi_linear longcat_flash "
    "pangu_ultra_moe bailing_hybrid".split()
)
#: Types whose feed-forward layers have two matrices in place of three.
_UNGATED_TYPES = frozenset(
    "gpt2 gpt_bigcode gpt_neo gpt_neox gptj codegen bloom opt falcon phi starcoder2 mpt nemotron nemotron_h persimmon "
    "biogpt xglm".split()
)
_REACHES = {
    "full_attention": Reach.FULL,
    "attention": Reach.FULL,
    "global_attention": Reach.FULL,
    "sliding_attention": Reach.SLIDING,
    "local_attention": Reach.SLIDING,
    "chunked_attention": Reach.CHUNKED,
    "linear_attention": Reach.LINEAR,
    "mamba": Reach.STATE,
    "mamba2": Reach.STATE,
    "conv": Reach.CONVOLUTION,
}
#: Feed-forward layers that some configs list among the others.
_NO_ATTENTION = frozenset({"mlp", "moe"})
_NEMOTRON_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
#: Full-attention layers of these types use no positions where the model also has sliding windows.
_GLOBAL_NOPE_TYPES = frozenset({"cohere2", "cohere2_moe", "exaone4", "exaone_moe", "afmoe"})


def read_architecture(config: ModelConfig) -> Architecture:
    """The architecture of a config. Raises ``PlanError`` where it names no layers, or an unknown kind of them."""
    layer_count = config.count("num_hidden_layers", "n_layers", "n_layer", "num_layers")
    hidden_size = config.count("hidden_size", "d_model", "n_embd", "n_embed")
    if not layer_count and isinstance(listed := _listed_kinds(config), list):
        layer_count = len(listed)
    if not layer_count or not hidden_size:
        raise PlanError(
            "The config names no layers (num_hidden_layers) or no width (hidden_size): it is not a language model's "
            "config.json. Name the folder of the model itself."
        )
    if config.get("compress_ratios") is not None:
        raise PlanError(f"The compressed cache of {config.model_type} is not planned here: ask vLLM's own log.")
    kinds = layer_kinds(config, layer_count)
    query_heads = config.count("num_attention_heads", "n_heads", "n_head")
    kv_heads = _kv_heads(config, query_heads)
    layers = _layers(config, kinds, query_heads, kv_heads)
    if layers and all(layer.shares_kv for layer in layers):
        raise PlanError(
            f"num_kv_shared_layers = {config.count('num_kv_shared_layers')} leaves none of {layer_count} layers a "
            "cache of its own. Restore the model's config.json."
        )
    attending = [layer for layer in layers if layer.heads is not Heads.NONE]
    return Architecture(
        model_type=config.model_type or "unknown",
        layers=layers,
        layer_count=layer_count,
        hidden_size=hidden_size,
        query_heads=query_heads if attending else 0,
        kv_heads=attending[0].kv_heads if attending else 0,
        heads=attending[0].heads if attending else Heads.NONE,
        intermediate_size=config.count("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size") or 4 * hidden_size,
        gated=config.model_type not in _UNGATED_TYPES,
        vocabulary_size=config.count("vocab_size"),
        tied_embeddings=bool(config.get("tie_word_embeddings", True)),
        learned_positions=_learned_positions(config),
        query_rank=config.count("q_lora_rank"),
        nope_size=config.count("qk_nope_head_dim"),
        mixture=_mixture(config, layer_count),
        dtype=config.dtype,
        is_known=config.is_known,
    )


def layer_kinds(config: ModelConfig, layer_count: int) -> list[str]:
    """The kind of every layer in transformers' words. Some configs list them, others give a rule."""
    if (listed := _listed_kinds(config)) is not None:
        return listed[:layer_count] if len(listed) >= layer_count else listed
    if (period := config.count("attn_layer_period")) > 0 and config.model_type == "jamba":
        offset = config.count("attn_layer_offset")
        return ["attention" if i % period == offset else "mamba" for i in range(layer_count)]
    if config.model_type == "bamba":
        attending = config.get("attn_layer_indices") or []
        return ["attention" if i in attending else "mamba" for i in range(layer_count)]
    if config.model_type in ("mamba", "mamba2", "falcon_mamba"):
        return ["mamba"] * layer_count
    if (interval := config.count("full_attention_interval")) > 0:
        return ["linear_attention" if (i + 1) % interval else "full_attention" for i in range(layer_count)]
    if config.get("attention_chunk_size") and (uses_rope := rope_layers(config, layer_count)) is not None:
        return ["chunked_attention" if rope else "full_attention" for rope in uses_rope]
    return _windowed_kinds(config, layer_count)


def rope_layers(config: ModelConfig, layer_count: int) -> list[bool] | None:
    """Which layers rotate, where the config says so layer by layer; ``no_rope_layers`` is 1 where a layer does."""
    if listed := config.get("no_rope_layers"):
        return [bool(flag) for flag in listed]
    interval = config.count("no_rope_layer_interval")
    return [(i + 1) % interval != 0 for i in range(layer_count)] if interval > 0 else None


def _listed_kinds(config: ModelConfig) -> list[str] | None:
    if letters := config.get("hybrid_override_pattern"):
        return [_NEMOTRON_LETTERS.get(letter, letter) for letter in str(letters)]
    for name in ("layer_types", "layers_block_type"):
        if isinstance(listed := config.get(name), list) and listed:
            return [str(kind) for kind in listed]
    return None


def _windowed_kinds(config: ModelConfig, layer_count: int) -> list[str]:
    usual = config.get("layer_pattern") or []
    window = config.get("sliding_window")
    if not window or config.get("use_sliding_window") is False:
        usual = [] if "sliding_attention" in usual else usual
        return [str(usual[i % len(usual)]) if usual else "full_attention" for i in range(layer_count)]
    if config.get("max_window_layers") is not None and config.get("use_sliding_window"):
        # vLLM has windows for all layers of these models or for none.
        kind = "sliding_attention" if config.count("max_window_layers") == 0 else "full_attention"
        return [kind] * layer_count
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, str) and pattern:
        letters = [pattern[i % len(pattern)] for i in range(layer_count - 1)] + ["G"]
        return ["sliding_attention" if letter == "L" else "full_attention" for letter in letters]
    if isinstance(pattern, int) and pattern > 0:
        return ["sliding_attention" if (i + 1) % pattern else "full_attention" for i in range(layer_count)]
    if usual:
        return [str(usual[i % len(usual)]) for i in range(layer_count)]
    return ["sliding_attention"] * layer_count


def _kv_heads(config: ModelConfig, query_heads: int) -> int:
    if config.get("multi_query") is True and not config.get("new_decoder_architecture"):
        return 1
    if isinstance(inner := config.get("attn_config"), dict) and inner.get("kv_n_heads"):
        return int(inner["kv_n_heads"])
    names = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num", "num_attention_groups")
    return config.count(*names) or query_heads


def _layers(config: ModelConfig, kinds: list[str], query_heads: int, kv_heads: int) -> tuple[Layer, ...]:
    made: list[Layer] = []
    rotates = rope_layers(config, len(kinds))
    has_windows = any(_REACHES.get(kind) is Reach.SLIDING for kind in kinds)
    first_sharing = len(kinds) - config.count("num_kv_shared_layers")
    for index, kind in enumerate(kinds):
        if kind in _NO_ATTENTION:
            continue
        # Both at once: Falcon-H1 in every layer, Zamba2 in those it calls hybrid.
        has_both = config.model_type == "falcon_h1" or kind == "hybrid"
        reach = Reach.FULL if has_both else _REACHES.get(kind)
        if reach is None:
            raise PlanError(f"Layer {index} has {kind!r}, a kind of attention that is not planned here.")
        if has_both or reach in (Reach.STATE, Reach.LINEAR, Reach.CONVOLUTION):
            state_reach = Reach.STATE if has_both else reach
            made.append(Layer(index, Heads.NONE, state_reach, state_elements=state_elements(config, state_reach)))
        if reach in (Reach.FULL, Reach.SLIDING, Reach.CHUNKED):
            rope = rotates[index] if rotates is not None and index < len(rotates) else True
            if reach is Reach.FULL and has_windows and config.model_type in _GLOBAL_NOPE_TYPES:
                rope = False
            sharing = index >= first_sharing
            made.append(_attending(config, Layer(index, Heads.NONE, reach, query_heads, kv_heads), rope, sharing))
    return tuple(made)


def _attending(config: ModelConfig, layer: Layer, has_rope: bool, shares_kv: bool) -> Layer:
    query_heads, kv_heads = layer.query_heads, layer.kv_heads
    head_size = config.count("head_dim", "hidden_size_per_head", "attention_head_dim")
    head_size = head_size or config.count("hidden_size", "d_model", "n_embd", "n_embed") // max(query_heads, 1)
    key_size = value_size = head_size
    latent_size = index_size = 0
    if config.get("kv_lora_rank") is not None and config.model_type in _LATENT_TYPES:
        heads = Heads.MULTI_HEAD_LATENT
        rope_size = config.count("qk_rope_head_dim")
        key_size, value_size = config.count("qk_nope_head_dim") + rope_size, config.count("v_head_dim")
        latent_size = config.count("kv_lora_rank") + rope_size
        index_size = config.count("index_head_dim") if config.get("index_topk") else 0
    else:
        if layer.reach is Reach.FULL and config.get("global_head_dim"):
            key_size = value_size = config.count("global_head_dim")
            kv_heads = config.count("num_global_key_value_heads") or kv_heads
        elif layer.reach is Reach.FULL and config.get("v_head_dim") and not config.get("kv_lora_rank"):
            value_size = config.count("v_head_dim")
        heads = _sharing(query_heads, kv_heads)
    return Layer(
        index=layer.index,
        heads=heads,
        reach=layer.reach,
        query_heads=query_heads,
        kv_heads=kv_heads,
        key_size=key_size,
        value_size=value_size,
        latent_size=latent_size,
        index_size=index_size,
        window_tokens=_window(config, layer.reach),
        has_rope=has_rope,
        shares_kv=shares_kv,
    )


def _sharing(query_heads: int, kv_heads: int) -> Heads:
    if kv_heads == query_heads:
        return Heads.MULTI_HEAD
    return Heads.MULTI_QUERY if kv_heads == 1 else Heads.GROUPED_QUERY


def _window(config: ModelConfig, reach: Reach) -> int | None:
    if reach is Reach.CHUNKED:
        return config.count("attention_chunk_size")
    if reach is Reach.SLIDING:
        # Cohere's windows do not count the token itself; vLLM adds it.
        return config.count("sliding_window") + (config.model_type in ("cohere2", "cohere2_moe"))
    return None


def _learned_positions(config: ModelConfig) -> int:
    if config.model_type in ("gpt2", "gpt_bigcode", "gpt_neo", "opt", "biogpt", "openai-gpt"):
        return config.count("max_position_embeddings", "n_positions")
    return 0


def _mixture(config: ModelConfig, layer_count: int) -> Mixture | None:
    experts = config.count("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts")
    if not experts:
        return None
    expert_size = config.count("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
    shared = config.count("shared_expert_intermediate_size", "shared_intermediate_size")
    shared = shared or expert_size * config.count("n_shared_experts", "moe_num_shared_experts", "num_shared_experts")
    if config.model_type == "llama4_text":
        shared = expert_size
    return Mixture(
        experts=experts,
        experts_per_token=config.count("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k") or 1,
        expert_size=expert_size,
        shared_size=shared,
        layers=sum(_has_experts(config, index) for index in range(layer_count)),
    )


def _has_experts(config: ModelConfig, index: int) -> bool:
    if (listed := _listed_kinds(config)) is not None and "moe" in listed:
        return index < len(listed) and listed[index] == "moe"
    if index < config.count("first_k_dense_replace") or index in (config.get("mlp_only_layers") or []):
        return False
    if isinstance(layers := config.get("moe_layers"), list):
        return index in layers
    if step := config.count("decoder_sparse_step", "interleave_moe_layer_step"):
        return (index + 1) % step == 0
    if period := config.count("expert_layer_period"):
        return index % period == config.count("expert_layer_offset")
    return True
