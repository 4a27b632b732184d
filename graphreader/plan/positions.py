"""How a model encodes positions, how long its window is, and the exact override that extends it in vLLM 0.32.

An override replaces the whole dictionary of RoPE parameters, so it names the base and the trained length again; without
them vLLM falls back silently to a base of 10,000. YaRN (Peng et al. 2023, arXiv:2309.00071), position interpolation
(Chen et al. 2023, arXiv:2306.15595), NTK-aware scaling (bloc97 2023) by vLLM's "dynamic" type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphreader.errors import PlanError
from graphreader.plan.config import ModelConfig
from graphreader.plan.records import Architecture, Heads, PositionEncoding, RopeChoice
from graphreader.plan.sizes import tokens_text

_LENGTH_KEYS = (
    "max_position_embeddings n_positions max_seq_len seq_length max_target_positions max_sequence_length "
    "max_seq_length seq_len".split()
)
_LEARNED_TYPES = frozenset({"gpt2", "gpt_bigcode", "gpt_neo", "opt", "biogpt", "openai-gpt"})
_SINUSOIDAL_TYPES = frozenset({"ctrl", "xglm"})
_ALIBI_TYPES = frozenset({"bloom", "mpt", "step1", "jais"})
_ROTARY_TYPES = frozenset({"gptj", "codegen"})
#: Scalings whose config gives the extended window itself; vLLM multiplies the others by their factor.
_ALREADY_EXTENDED = frozenset({"yarn", "deepseek_yarn", "deepseek_llama_scaling", "longrope", "su", "llama3"})
#: What can be extended further, by which method.
_METHOD_OF_TYPE: dict[str, RopeChoice] = {
    "default": "yarn",
    "yarn": "yarn",
    "deepseek_yarn": "yarn",
    "linear": "linear",
    "dynamic": "ntk",
}
_NAMES: dict[RopeChoice, str] = {"yarn": "YaRN", "linear": "position interpolation", "ntk": "NTK scaling"}
_FACTOR_STEP = 0.25


@dataclass(frozen=True, slots=True)
class Extension:
    """``hf_overrides`` as vLLM takes them, empty where none is needed, and what the user should know."""

    hf_overrides: dict[str, Any]
    warnings: tuple[str, ...] = ()


def read_positions(config: ModelConfig, architecture: Architecture) -> PositionEncoding:
    """The encoding of a model and its native window."""
    kind = _kind(config)
    length = _named_length(config)
    if kind != "rope":
        return PositionEncoding(kind, length)
    rope = _scaled(rope_parameters(config))
    rope_type = str(rope.get("rope_type", "default"))
    factor = float(rope["factor"]) if rope.get("factor") else None
    native = length
    if length is not None and factor and rope_type not in _ALREADY_EXTENDED and not _keeps_length(config):
        native = int(length * factor)
    original = rope.get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
    if original is None and factor and native is not None:
        original = int(native / factor)
    attending = [layer for layer in architecture.layers if layer.heads is not Heads.NONE]
    return PositionEncoding(
        kind=kind,
        native_tokens=native,
        rope_type=rope_type,
        rope_theta=float(rope["rope_theta"]) if rope.get("rope_theta") else None,
        factor=factor,
        original_tokens=int(original) if original else native,
        nope_layers=sum(not layer.has_rope for layer in attending),
    )


def rope_parameters(config: ModelConfig) -> dict[str, Any]:
    """RoPE parameters as transformers 5 writes them: one dictionary, or one for each kind of layer."""
    given = config.text.get("rope_parameters")
    scaling = config.text.get("rope_scaling") or {}
    usual = config.get("rope_parameters") or {}
    usual = usual if isinstance(usual, Mapping) else {}
    if isinstance(given, Mapping) and _is_nested(given):
        return {kind: _one_rope(config, {}, own) for kind, own in given.items() if isinstance(own, Mapping)}
    default = config.default("rope_parameters") or {}
    if _is_nested(default) and not (isinstance(given, Mapping) and given):
        local_theta = config.first("rope_local_base_freq")
        made = {kind: dict(own) for kind, own in default.items()}
        made["full_attention"] = _one_rope(config, made["full_attention"], scaling)
        if "sliding_attention" in made and local_theta:
            made["sliding_attention"]["rope_theta"] = float(local_theta)
        return made
    return _one_rope(config, usual if not _is_nested(usual) else {}, {**scaling, **(given or {})})


def extend(config: ModelConfig, positions: PositionEncoding, context_tokens: int, rope: RopeChoice) -> Extension:
    """What makes vLLM serve ``context_tokens``. Raises ``PlanError`` where the model's positions do not stretch."""
    native = positions.native_tokens
    if native is None or context_tokens <= native:
        return Extension({}, _unneeded(rope, native))
    nearest = f"Use --context {native} ({tokens_text(native)}), its native window, or a model with a longer one"
    if positions.kind in ("alibi", "none"):
        return _longer_without_rope(config, positions, context_tokens, rope, nearest)
    if positions.kind != "rope":
        raise PlanError(
            f"{config.model_type} has {positions.kind} positions for {native:,} tokens, and no scaling extends those. "
            f"{nearest}."
        )
    rope_type = positions.rope_type or "default"
    method = _METHOD_OF_TYPE.get(rope_type)
    if rope == "none":
        raise PlanError(
            f"{context_tokens:,} tokens are beyond the native window of {native:,}, and --rope none forbids to scale "
            f"it. {nearest}, or --rope {method or 'auto'}."
        )
    if method is None:
        raise PlanError(
            f"The positions of {config.model_type} are already scaled ({rope_type}) to {native:,} tokens; vLLM applies "
            f"one scaling, and another in its place would undo what the model was trained with. {nearest}."
        )
    if rope not in ("auto", method) and rope_type != "default":
        raise PlanError(
            f"The positions of {config.model_type} are scaled by {rope_type}; only more of the same extends them. "
            f"Use --rope {method}, or --context {native}."
        )
    chosen = method if rope == "auto" else rope
    return _scale(config, positions, context_tokens, chosen)


def _scale(config: ModelConfig, positions: PositionEncoding, context_tokens: int, method: RopeChoice) -> Extension:
    native = positions.native_tokens or context_tokens
    original = positions.original_tokens or native
    every = rope_parameters(config)
    old = _scaled(every)
    if "rope_theta" not in old:
        raise PlanError(f"The config of {config.model_type} names no RoPE base to scale. Use --context {native}.")
    factor = math.ceil(context_tokens / original / _FACTOR_STEP) * _FACTOR_STEP
    length: int | None = None
    if method == "yarn":
        new = {**old, "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
        length = int(original * factor)
    elif method == "linear":
        new = {**old, "rope_type": "linear", "factor": factor}
        # vLLM multiplies the length by the factor itself. It does not for Gemma 3, and layers that are not scaled
        # (windows with a base of their own) have a table of only so many positions.
        length = context_tokens if _is_nested(every) or _keeps_length(config) else None
    else:
        # With a factor of 1 vLLM's formula is base · (length / trained)^(d / (d - 2)); the table has `length` rows.
        new = {**old, "rope_type": "dynamic", "factor": 1.0, "max_trained_positions": original}
        length = context_tokens
    parameters = {**every, "full_attention": new} if _is_nested(every) else new
    overrides: dict[str, Any] = {"rope_parameters": parameters}
    if length is not None:
        overrides["max_position_embeddings"] = length
    for name in reversed(config.text_path):
        overrides = {name: overrides}
    return Extension(overrides, (_scaling_warning(method, factor, native),))


def _scaling_warning(method: RopeChoice, factor: float, native: int) -> str:
    stretch = f"{_NAMES[method]} ×{factor:g}"
    static = "vLLM scales every prompt alike, also those that would fit the native window"
    untrained = "" if method != "linear" else " A model that was not fine-tuned for interpolation loses quality."
    return (
        f"{stretch}: {static} of {native:,} tokens, so answers to short prompts change too. Serve short prompts from a "
        f"server without it; the KV caches of the two are not interchangeable.{untrained}"
    )


def _longer_without_rope(
    config: ModelConfig, positions: PositionEncoding, context_tokens: int, rope: RopeChoice, nearest: str
) -> Extension:
    if rope not in ("auto", "none"):
        what = "ALiBi, a penalty by distance" if positions.kind == "alibi" else "no position encoding"
        raise PlanError(f"{config.model_type} has {what}: {_NAMES[rope]} scales RoPE only. {nearest}, or --rope auto.")
    key = next((key for key in _LENGTH_KEYS if config.get(key) is not None), "max_position_embeddings")
    overrides: dict[str, Any] = {config.spelling(key): context_tokens}
    for name in reversed(config.text_path):
        overrides = {name: overrides}
    return Extension(
        overrides,
        (f"{context_tokens:,} tokens are beyond the {positions.native_tokens:,} of its training; it may read worse.",),
    )


def _unneeded(rope: RopeChoice, native: int | None) -> tuple[str, ...]:
    if rope in ("auto", "none") or native is None:
        return ()
    return (f"The context lies within the native window of {native:,} tokens: no {_NAMES[rope]} is applied.",)


def _kind(config: ModelConfig) -> str:
    if config.get("alibi") is True or config.model_type in _ALIBI_TYPES:
        return "alibi"
    if config.model_type in _LEARNED_TYPES:
        return "learned"
    if config.model_type in _SINUSOIDAL_TYPES:
        return "sinusoidal"
    named = config.get("position_embedding_type")
    if named in ("nope", "none"):
        return "none"
    says_rope = any(config.get(key) for key in ("rope_parameters", "rope_theta", "rotary_emb_base", "rotary_pct"))
    return "rope" if says_rope or named in ("rope", "rotary") or config.model_type in _ROTARY_TYPES else "none"


def _named_length(config: ModelConfig) -> int | None:
    if config.get("model_max_length"):
        return config.count("model_max_length")
    lengths = [config.count(key) for key in _LENGTH_KEYS if config.get(key) is not None]
    return min(lengths, default=None)


def _keeps_length(config: ModelConfig) -> bool:
    return "gemma3" in str(config.raw.get("model_type"))


def _is_nested(parameters: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) for value in parameters.values())


def _scaled(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the layers that look back at everything."""
    if not _is_nested(parameters):
        return dict(parameters)
    inner = parameters.get("full_attention") or next(iter(parameters.values()))
    return dict(inner)


def _one_rope(config: ModelConfig, usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    made = {**usual, **{key: value for key, value in given.items() if value is not None}}
    old_name = made.pop("type", None)
    made["rope_type"] = {"su": "longrope", "mrope": "default"}.get(
        kind := str(given.get("rope_type") or old_name or made.get("rope_type") or "default"), kind
    )
    if "rope_theta" not in given and (theta := config.first("rope_theta", "rotary_emb_base")):
        made["rope_theta"] = theta
    share = config.first("partial_rotary_factor", "rotary_pct", "rotary_emb_fraction")
    if share is not None and "partial_rotary_factor" not in given:
        made["partial_rotary_factor"] = share
    return made
