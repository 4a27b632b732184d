"""How many numbers a state-space, linear-attention or convolution layer keeps of a request, whatever its length.

The shapes are those of vLLM 0.32, ``model_executor/layers/mamba/mamba_utils.py``.
"""

from __future__ import annotations

from graphreader.plan.config import ModelConfig
from graphreader.plan.records import Reach


def state_elements(config: ModelConfig, reach: Reach) -> tuple[int, ...]:
    """Elements of a layer's states: the convolution's, then the recurrent one's where there is one."""
    if reach is Reach.CONVOLUTION:
        width = config.count("conv_dim", "hidden_size")
        return (width * (config.count("conv_L_cache") - 1),)
    if values := config.count("linear_num_value_heads"):
        return _gated_delta_net(config, values)
    if config.model_type == "minimax":
        head_size = config.count("head_dim")
        return (config.count("num_attention_heads") * head_size * head_size,)
    kernel = config.count("mamba_d_conv", "conv_kernel")
    state = config.count("mamba_d_state", "ssm_state_size", "state_size")
    heads = config.count("mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    head_size = config.count("mamba_d_head", "mamba_head_dim", "mamba_headdim", "head_dim")
    width = _inner_width(config)
    head_size = head_size or width // max(heads, 1)
    if config.model_type in ("mamba", "falcon_mamba", "jamba") or not heads:
        return (width * (kernel - 1), width * state)
    if config.model_type == "nemotron_h":
        width = heads * head_size
    groups = config.count("mamba_n_groups", "n_groups", "mamba_ngroups") or 1
    return ((width + 2 * groups * state) * (kernel - 1), heads * head_size * state)


def _gated_delta_net(config: ModelConfig, value_heads: int) -> tuple[int, int]:
    key_heads = config.count("linear_num_key_heads")
    key_size, value_size = config.count("linear_key_head_dim"), config.count("linear_value_head_dim")
    width = 2 * key_size * key_heads + value_size * value_heads
    return (width * (config.count("linear_conv_kernel_dim") - 1), value_heads * value_size * key_size)


def _inner_width(config: ModelConfig) -> int:
    if width := config.count("mamba_d_ssm"):
        return width
    return (config.count("mamba_expand", "expand") or 2) * config.count("hidden_size")
