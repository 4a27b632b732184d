"""The int8 form of a model's folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphreader.errors import WeightsError
from graphreader.serve import quantize

torch = pytest.importorskip("torch")

LAYER = {
    "self_attn.q_proj": (32, 32),
    "self_attn.k_proj": (16, 32),
    "self_attn.v_proj": (16, 32),
    "self_attn.o_proj": (32, 32),
    "mlp.gate_proj": (64, 32),
    "mlp.up_proj": (64, 32),
    "mlp.down_proj": (32, 64),
    "input_layernorm": (32,),
}
SHAPES = {
    "model.embed_tokens.weight": (64, 32),
    "lm_head.weight": (64, 32),
    "model.layers.0.self_attn.q_proj.bias": (32,),
    **{f"model.layers.{layer}.{name}.weight": shape for layer in range(2) for name, shape in LAYER.items()},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tiny model with random weights, in two files."""
    return put_model(tmp_path / "tiny", SHAPES)


def put_model(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(7)
    made = {name: torch.randn(shape).to(torch.bfloat16) for name, shape in shapes.items()}
    for number, names in enumerate((sorted(made)[::2], sorted(made)[1::2])):
        save_file({name: made[name] for name in names}, folder / f"model-{number}.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "graphreader-conversion.json").write_text("{}")
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    found: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        found |= load_file(path)
    return found


def test_linear_layers_become_int8_with_a_scale_for_each_row(source: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    quantize.convert_here(source, made)
    before, after = tensors(source), tensors(made)
    changed = {name for name in before if after[name].dtype == torch.int8}
    assert len(changed) == 2 * 7  # q, k, v, o, gate, up, down
    assert not any("embed" in name or "norm" in name or "lm_head" in name for name in changed)
    for name, weight in before.items():
        if name not in changed:
            assert torch.equal(after[name], weight)
            continue
        scale = after[f"{name}_scale"]
        assert scale.shape == (weight.shape[0], 1)
        assert ((after[name].float() * scale - weight.float()).abs() <= scale / 2 * 1.001).all()
        assert after[name].abs().amax() == 127
    config = json.loads((made / "config.json").read_text())
    assert config["quantization_config"]["format"] == "int-quantized"
    assert (made / "chat_template.jinja").read_text() == "{{ messages }}"
    index = json.loads((made / "model.safetensors.index.json").read_text())["weight_map"]
    assert index.keys() == after.keys()
    for name, file in index.items():
        assert name in tensors_of(made / file)


def tensors_of(path: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        return set(opened.keys())


def test_rows_of_zeros_stay_zeros() -> None:
    weight, scale = quantize.quantize_rows(torch.zeros(2, 4, dtype=torch.bfloat16))
    assert not weight.any()
    assert (scale > 0).all()


def test_it_is_made_once_and_again_when_the_weights_change(source: Path, tmp_path: Path) -> None:
    cache, seen = tmp_path / "cache", []

    def report(stage: str, done: int, total: int, detail: str) -> None:
        seen.append((stage, done))

    def here(source: Path, folder: Path, on_elapsed: Callable[[float], None]) -> None:
        quantize.convert_here(source, folder)
        on_elapsed(1.0)

    folder = quantize.quantized(source, cache, report, here)
    assert folder == quantize.int8_folder(source, cache)
    assert seen[-1] == ("weights", 100)
    marked = (folder / "config.json").stat().st_mtime_ns
    assert quantize.quantized(source, cache, None, here) == folder
    assert (folder / "config.json").stat().st_mtime_ns == marked
    next(source.glob("*.safetensors")).touch()
    quantize.quantized(source, cache, None, here)
    assert (folder / "config.json").stat().st_mtime_ns != marked
    assert sorted(path.name for path in cache.iterdir()) == [folder.name, f"{folder.name}.lock"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"quantization_config": {"quant_method": "awq"}}, r"quantised already \(awq\): leave --quantize out"),
        ({"num_local_experts": 8}, "mixture of experts is not converted"),
        ({"text_config": {"num_experts": 8}}, "mixture of experts is not converted"),
        ({"vision_config": {}}, "also sees or hears"),
        ({"model_type": "gpt2"}, "gpt2 keeps its matrices transposed"),
    ],
)
def test_what_is_not_converted(config: dict[str, object], said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        quantize.int8_config(config)


def test_weights_that_are_not_known_are_refused(tmp_path: Path) -> None:
    unknown = put_model(tmp_path / "unknown", {"encoder.embedding.weight": (4, 4), "norm.weight": (4,)})
    with pytest.raises(WeightsError, match=r"(?s)Converting unknown to int8 ended with code 1.*no linear layers"):
        quantize.quantized(unknown, tmp_path / "cache")
    experts = put_model(tmp_path / "experts", {**SHAPES, "model.layers.0.mlp.experts.0.up_proj.weight": (4, 4)})
    (tmp_path / "made").mkdir()
    with pytest.raises(WeightsError, match="mixture of experts"):
        quantize.convert_here(experts, tmp_path / "made")
