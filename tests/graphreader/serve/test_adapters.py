"""Which LoRA folders are served, and what is said of the others."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from graphreader.errors import WeightsError
from graphreader.serve import adapters

LOW_RANK = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


def put_adapter(folder: Path, tensors: tuple[str, ...] = (LOW_RANK,), **changes: object) -> str:
    folder.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"]} | changes
    (folder / "adapter_config.json").write_text(json.dumps(config))
    header = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in tensors}).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return str(folder)


def test_the_rank_is_the_next_that_vllm_has(tmp_path: Path) -> None:
    small, large = put_adapter(tmp_path / "a", r=12), put_adapter(tmp_path / "b", rank_pattern={"v_proj": 48})
    assert adapters.max_rank([("a", small)]) == 16
    assert adapters.max_rank([("a", small), ("b", large)]) == 64


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "is a IA3; vLLM serves LORA only"),
        (
            {"modules_to_save": ["embed_tokens", "norm"]},
            r"whole layers along \(embed_tokens, norm\), as LongLoRA.*Merge",
        ),
        ({"use_dora": True}, "has use_dora, which vLLM does not serve.*Merge it"),
        ({"bias": "all"}, "has bias"),
        ({"init_lora_weights": "pissa"}, "has init_lora_weights=pissa"),
        ({"r": 1024}, "rank 1024; vLLM serves up to 512"),
        ({"r": None}, "names no rank"),
    ],
)
def test_what_vllm_cannot_serve_is_told_before(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = put_adapter(tmp_path / "a", **changes)
    with pytest.raises(WeightsError, match=said):
        adapters.max_rank([("law", folder)])


def test_whole_trained_embeddings_are_found_in_the_weights(tmp_path: Path) -> None:
    folder = put_adapter(tmp_path / "a", (LOW_RANK, "base_model.model.model.embed_tokens.base_layer.weight"))
    with pytest.raises(WeightsError, match=r"1 tensors that are not low-rank, such as base_model.*Merge it"):
        adapters.max_rank([("law", folder)])


def test_low_rank_embeddings_and_harmless_starts_are_served(tmp_path: Path) -> None:
    names = (LOW_RANK, "base_model.model.model.embed_tokens.lora_embedding_A")
    assert adapters.max_rank([("law", put_adapter(tmp_path / "a", names, init_lora_weights="gaussian"))]) == 16


def test_a_folder_that_is_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is no adapter.*adapter_config\.json.*save_pretrained"):
        adapters.max_rank([("law", str(tmp_path))])
    folder = Path(put_adapter(tmp_path / "a"))
    (folder / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError, match="is no safetensors file"):
        adapters.max_rank([("law", str(folder))])
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no adapter_model\.safetensors"):
        adapters.max_rank([("law", str(folder))])


def test_names_and_folders(tmp_path: Path) -> None:
    assert adapters.parse_modules(["law=.", "med=/x/y"]) == (("law", str(Path.cwd())), ("med", "/x/y"))
    for text in ("law", "=folder", "law="):
        with pytest.raises(WeightsError, match="NAME=FOLDER"):
            adapters.parse_modules([text])
